/** How what a page holds is put into words. */

import type { Speech } from "../shell/speech.svelte";
import { type Spoken, spoken } from "../words/spoken";

/** A sentence that no catalogue knows is in English on a Chinese page too, and ends as an English one. */
const CHINESE = /\p{Script=Han}/u;

/** A sentence in the language of the page, with a capital and a full stop. */
export function told(said: Speech, sentence: Spoken): string {
  const text = spoken(sentence, said.language);
  if (!text || /[.!?…。！？]$/.test(text)) return capital(text);
  return `${capital(text)}${CHINESE.test(text) ? "。" : "."}`;
}

/** A phrase in the language of the page. */
export function phrase(said: Speech, words: Spoken): string {
  return capital(spoken(words, said.language));
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** What a setting of a run, or a column of what was measured for it, is called. */
export function setting(said: Speech, name: string): string {
  return said.words.spec[name] ?? name.replaceAll("_", " ");
}

/** A setting or a measurement in words. */
export function shown(said: Speech, value: unknown): string {
  if (Array.isArray(value)) return value.map((each) => shown(said, each)).join(", ");
  if (typeof value === "number") return said.figure(value);
  return value === null || value === undefined ? "–" : valued(said, String(value));
}

/** What a value of a setting is called, the name of a method or a rule. */
export function valued(said: Speech, name: string): string {
  return said.words.values[name] ?? said.choice(name);
}

/** Seconds as a time span that is easy to read. */
export function duration(said: Speech, seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return "–";
  const unit = (name: string, value: number, digits: number) =>
    new Intl.NumberFormat(said.locale, {
      style: "unit",
      unit: name,
      unitDisplay: "short",
      maximumSignificantDigits: digits,
    }).format(value);
  if (seconds < 1e-3) return unit("microsecond", seconds * 1e6, 3);
  if (seconds < 1) return unit("millisecond", seconds * 1e3, 3);
  if (seconds < 120) return unit("second", seconds, 3);
  return seconds < 7200 ? unit("minute", seconds / 60, 3) : unit("hour", seconds / 3600, 3);
}

/** A score: a part of a whole in per cent, anything else as a figure. */
export function scored(said: Speech, value: number | null, share: boolean): string {
  if (value === null) return "–";
  return share ? said.percent(value) : said.figure(value);
}

/** Points from two columns of numbers. */
export function paired(xs: number[], ys: number[]): (readonly [number, number])[] {
  return xs.map((x, index) => [x, ys[index] ?? Number.NaN] as const);
}

/** The last number that is finite, NaN where there is none. */
export function lastKnown(values: number[]): number {
  return values.findLast(Number.isFinite) ?? Number.NaN;
}

/** Whether a logarithmic axis shows more than a straight one: all above zero, over a factor of ten at least. */
export function wide(values: number[]): boolean {
  const known = values.filter(Number.isFinite);
  const least = Math.min(...known);
  return known.length > 1 && least > 0 && Math.max(...known) / least >= 10;
}
