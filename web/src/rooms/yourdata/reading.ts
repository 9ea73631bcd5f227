/** What the room of one's own data is told (docs/front-end.md, "Your data"), with types. */

import { arraysOf, column } from "../../model/arrays";
import type { Answer } from "../../model/model";
import type { Steps } from "../../run/reading";

export type Cell = number | string | boolean | null;

export interface Table {
  name: string;
  rows: number;
  columns: { name: string; type: string; kind: string }[];
  /** The cells of the first rows and columns. */
  first: Cell[][];
}

/** How far a fit is: while it chooses its settings nothing is known but the size of the data. */
export interface Live {
  phase: "reading" | "choosing" | "descending";
  rows: number;
  features: number;
  update: number;
  passes: number;
  seconds: number;
  objective: number | null;
  holdout: number | null;
  gap: number | null;
  gap_kind: "certified" | "estimated" | "none";
  rate: number | null;
  steps: Steps;
}

const NO_STEPS: Steps = {
  update: [],
  passes: [],
  seconds: [],
  objective: [],
  gradient_norm: [],
  learning_rate: [],
  gap: [],
  holdout: [],
};

export const BEGUN: Live = {
  phase: "reading",
  rows: 0,
  features: 0,
  update: 0,
  passes: 0,
  seconds: 0,
  objective: null,
  holdout: null,
  gap: null,
  gap_kind: "none",
  rate: null,
  steps: NO_STEPS,
};

/** The columns of the array `curve`. */
const CURVE = ["update", "passes", "seconds", "objective", "gap", "holdout"] as const;

/** Read how far a fit is; what a message leaves out is as it was. */
export function readProgress(answer: Answer, buffers: DataView[], before: Live): Live {
  const curve = arraysOf(answer, buffers).get("curve");
  const columns = curve ? CURVE.map((name, index) => [name, column(curve, index)]) : [];
  const facts = answer as unknown as Partial<Live>;
  return { ...before, ...facts, steps: { ...before.steps, ...Object.fromEntries(columns) } };
}

/** Kinds of columns that a target may be of; others can only be left out. */
const TARGETS = ["number", "boolean", "category"];

export function targets(table: Table): string[] {
  return table.columns.filter(({ kind }) => TARGETS.includes(kind)).map(({ name }) => name);
}

/** Bytes in the unit that reads best: a name of a unit as `Intl.NumberFormat` has it, and how many. */
export function sized(bytes: number): ["megabyte" | "kilobyte" | "byte", number] {
  if (bytes >= 2 ** 20) return ["megabyte", bytes / 2 ** 20];
  return bytes >= 1024 ? ["kilobyte", bytes / 1024] : ["byte", bytes];
}
