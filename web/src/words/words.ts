/** What the page says, in the language that it is in. */

import { en, type Words } from "./en";
import { figure, NOTHING, percent } from "./numbers";
import { zh } from "./zh";

export type { Words };
export type Language = "en" | "zh";
export const languages: Record<Language, { words: Words; locale: string; name: string }> = {
  en: { words: en, locale: "en", name: "English" },
  zh: { words: zh, locale: "zh-CN", name: "简体中文" },
};

/** Where a space belongs between Chinese and what is not: a value may be of either kind. */
const JOINT = /[\u4e00-\u9fff](?=[A-Za-z0-9])|[A-Za-z0-9%](?=[\u4e00-\u9fff])/g;

/** A sentence from the engine: its key and its values. */
export interface Sentence {
  say: string;
  [value: string]: unknown;
}

/** The language a page begins in: the link's, else the first of the browser's that we have, else English. */
export function chosen(asked: string, preferred: readonly string[]): Language {
  for (const each of [asked, ...preferred]) {
    const language = each.slice(0, 2).toLowerCase();
    if (language === "en" || language === "zh") return language;
  }
  return "en";
}

/**
 * Put values where a text names them in braces: `{name}` as a figure, or by the word that we have for it; `{name%}` in
 * per cent; `{name#step|steps}` as a figure with the noun that it counts, for one and for any other number.
 */
export function filled(text: string, values: Record<string, unknown>, language: Language): string {
  const told = text.replace(/\{(\w+)(%|#[^}]*)?\}/g, (whole, name: string, form = "") => {
    const value = values[name];
    if (value === undefined) return whole;
    if (typeof value === "number") return counted(value, form, languages[language].locale);
    return value === null ? NOTHING : named(languages[language].words.choices, String(value));
  });
  return language === "zh" ? told.replace(JOINT, "$& ") : told;
}

function counted(value: number, form: string, locale: string): string {
  if (form === "%") return percent(value, locale);
  const [one, many] = form.slice(1).split("|");
  return form ? `${figure(value, locale)} ${value === 1 ? one : many}` : figure(value, locale);
}

/** The word for a name, or the name itself where it is the user's own. */
export function named(words: Record<string, string>, name: string): string {
  return words[name] ?? name;
}

/** A sentence of the engine in words; empty where this front end has no words for it. */
export function said(sentence: Sentence | null | undefined, language: Language): string {
  if (!sentence) return "";
  const words: Record<string, string> = languages[language].words.say;
  return filled(words[sentence.say] ?? "", sentence, language);
}
