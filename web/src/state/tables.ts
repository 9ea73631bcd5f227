/** The tables of settings, written once in Python (docs/front-end.md): form, URL and limits follow from them. */

import type { State } from "../model/asking";
import written from "../rooms/tables.json";

export type Kind = "number" | "whole" | "choice" | "flag" | "text";
export type Value = number | string | boolean;

export interface Row {
  name: string;
  kind: Kind;
  default: Value;
  least: number | null;
  most: number | null;
  choices: string[] | null;
  log: boolean;
  short: string;
}

export const tables = written.rooms as unknown as Record<string, Row[]>;

export function defaults(rows: Row[]): State {
  return Object.fromEntries(rows.map((row) => [row.name, row.default]));
}

/** The value nearest to a number that the setting allows. */
export function clamped(row: Row, value: number): number {
  const whole = row.kind === "whole" ? Math.round(value) : value;
  return Math.min(row.most ?? Infinity, Math.max(row.least ?? -Infinity, whole));
}

/** Read what a URL or a form says; undefined where the setting cannot hold it. */
export function read(row: Row, text: string): Value | undefined {
  if (row.kind === "flag") return text === "1" ? true : text === "0" ? false : undefined;
  if (row.kind === "choice") return row.choices?.includes(text) ? text : undefined;
  if (row.kind === "text") return text.length <= (row.most ?? Infinity) ? text : undefined;
  const value = Number(text);
  return text.trim() !== "" && Number.isFinite(value) ? clamped(row, value) : undefined;
}

export function writtenAs(row: Row, value: Value): string {
  return row.kind === "flag" ? (value ? "1" : "0") : String(value);
}
