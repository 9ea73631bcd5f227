/** What the engine says in whole sentences: it knows the words, so that they come in every language. */

import type { Answer } from "../model/model";
import type { Language } from "./words";

/** A sentence in every language; or a text that is the same in all, such as the name of a column. */
export type Spoken = string | Readonly<Record<Language, string>>;

/** The words of a sentence in the language of the page; empty where there is none. */
export function spoken(text: Spoken | null | undefined, language: Language): string {
  return typeof text === "string" ? text : (text?.[language] ?? "");
}

/** What an answer says went wrong. */
export function problemOf(answer: Answer): Spoken {
  return (answer.said as Spoken | undefined) ?? String(answer.message ?? "");
}
