/** Where a page is, and how its URL's fragment says so: `#room=one-weight&lang=zh&r=4&hide=rule,steps`. */

import type { State } from "../model/asking";
import { defaults, type Row, read, writtenAs } from "./tables";

export interface Place {
  room: string;
  /** Empty where the page follows the browser. */
  lang: string;
  state: State;
  /** The update of a running room. */
  at?: number;
  /** Settings and parts that are not shown. */
  hide?: readonly string[];
}

type Tables = Record<string, Row[]>;

/** Write a place: its room, its language, and the settings that are not at their defaults. */
export function toFragment(place: Place, tables: Tables): string {
  const words = new URLSearchParams({ room: place.room });
  if (place.lang) words.set("lang", place.lang);
  for (const row of tables[place.room] ?? []) {
    const value = place.state[row.name];
    if (value !== undefined && value !== row.default) words.set(row.short, writtenAs(row, value));
  }
  if (place.at) words.set("at", String(place.at));
  if (place.hide?.length) words.set("hide", place.hide.join(","));
  return `#${words}`.replaceAll("%2C", ",");
}

/** Read a place; what is missing, unknown or outside its limits is taken at its default. */
export function fromFragment(fragment: string, tables: Tables, fallback: string): Place {
  const words = new URLSearchParams(fragment.replace(/^#/, ""));
  const asked = words.get("room") ?? "";
  const room = asked in tables ? asked : fallback;
  const rows = tables[room] ?? [];
  const state = defaults(rows);
  for (const row of rows) {
    const text = words.get(row.short);
    const value = text === null ? undefined : read(row, text);
    if (value !== undefined) state[row.name] = value;
  }
  const at = Number(words.get("at") ?? "0");
  const hide = (words.get("hide") ?? "").split(",").filter(Boolean);
  const stood = Number.isInteger(at) && at > 0 ? { at } : {};
  return { room, lang: words.get("lang") ?? "", state, ...stood, ...(hide.length ? { hide } : {}) };
}
