import { getContext, setContext } from "svelte";
import { figure, percent } from "../words/numbers";
import { filled, type Language, languages, named, type Sentence, said, type Words } from "../words/words";

const KEY = Symbol("speech");

/** The language of the page, and everything said in it. */
export class Speech {
  language = $state<Language>("en");

  constructor(language: Language) {
    this.language = language;
  }

  get words(): Words {
    return languages[this.language].words;
  }

  get locale(): string {
    return languages[this.language].locale;
  }

  figure(value: number | null | undefined, digits?: number): string {
    return figure(value, this.locale, digits);
  }

  fill(text: string, values: Record<string, unknown>): string {
    return filled(text, values, this.language);
  }

  percent(share: number): string {
    return percent(share, this.locale);
  }

  choice(name: string): string {
    return named(this.words.choices, name);
  }

  setting(name: string): string {
    return named(this.words.settings, name);
  }

  said(sentence: Sentence | null | undefined): string {
    return said(sentence, this.language);
  }
}

export function provideSpeech(speech: Speech): void {
  setContext(KEY, speech);
}

export function speech(): Speech {
  return getContext(KEY);
}
