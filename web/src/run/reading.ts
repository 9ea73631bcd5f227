/** What a page holds of a record (src/downslope/views/page.py), with types. */

import { arraysOf, column, type Grid } from "../model/arrays";
import type { Answer } from "../model/model";
import type { Spoken } from "../words/spoken";

/** A number that may be infinite (`"inf"`) or not known. */
export type Bound = number | "inf" | "-inf" | null;
type Cell = string | number | boolean | null | Cell[];

export interface Finding {
  code: string;
  title: Spoken;
  evidence: Spoken;
  remedy: Spoken;
}
export interface Choice {
  name: string;
  value: Cell;
  reason: Spoken;
  candidates: { head: string[]; rows: Cell[][] } | null;
}
export interface Score {
  name: string;
  label: Spoken;
  higher: boolean;
  share: boolean;
  train: number | null;
  holdout: number | null;
  baseline: number | null;
}
export interface StopPoint {
  kind: string;
  message: Spoken;
  loss: number | null;
  gradient_norm: number | null;
  drop: number | null;
  largest: number | null;
  smallest: number | null;
  rows: number;
  all_rows: number;
  [more: string]: unknown;
}
export interface Layer {
  name: string;
  weights: number | null;
  gradient: number | null;
  update: number | null;
  units: number;
  rank: number;
  dead: number | null;
}

/** What the pages of all kinds may hold. */
interface Common {
  run?: string;
  source?: string;
  target?: string;
  loss?: string;
  seconds: Record<string, number | null>;
  python: string;
  command?: string;
  environment?: Record<string, Cell>;
}

/** A run of `fit`, or a descent by `minimize`. */
export interface Descent extends Common {
  kind: "run" | "function";
  verdict: "converged" | "budget" | "diverged" | "stopped";
  message: Spoken;
  objective_at_start: number | null;
  objective: number | null;
  passes: number;
  updates: number;
  rows: number;
  choices: Choice[];
  settings: Record<string, Cell>;
  asked: Record<string, Cell>;
  stop_point: StopPoint | null;
  steps: Steps;
}
export interface Trained extends Descent {
  kind: "run";
  network: boolean;
  hidden: boolean;
  model: string;
  method: string;
  gap: number | null;
  gap_kind: "certified" | "estimated" | "none";
  to_come: number | null;
  scores: Score[];
  findings: Finding[];
  coefficients: { feature: string; value: number | null; strength: number | null; output: string }[];
  curvature: {
    largest: number | null;
    smallest: number | null;
    condition_before: Bound;
    condition_after: Bound;
    stability_limit: number | null;
  };
  layers: {
    update: number;
    rows: number;
    all_rows: number;
    curvature_rows: number;
    weights: number;
    layers: Layer[];
  } | null;
  data: {
    rows: number;
    train_rows: number;
    holdout_rows: number;
    dropped_rows: number;
    features: number;
    target_kind: string;
    classes: string[];
    columns: { name: string; kind: string; treatment: Spoken; features: number; missing: number }[];
    all_columns: number;
  };
  path?: { moments: number; explained: number | null };
  looks: Looks;
  /** Moments of the weights: update, place in the plane, distances from start and end. */
  way: { update: number[]; x: number[]; y: number[]; from_start: number[]; from_end: number[] } | undefined;
}
export interface Learned extends Descent {
  kind: "function";
  gradient_norm: number | null;
  point: string;
  reason: Spoken;
  smallest: number | null;
  largest: number | null;
  size: number;
  learned: { name: string; shape: number[]; values: number[] | null }[];
}
export interface Starts extends Common {
  kind: "starts";
  source: string;
  formula: string;
  teaches: Spoken;
  variables: string[];
  box: [number, number][];
  starts: number;
  steps: number;
  rule: string;
  rate: number;
  lowest_known: number | null;
  minima: {
    point: number[];
    value: number | null;
    stop: string;
    starts: number;
    share: number;
    updates: number;
    lowest: boolean;
  }[];
  elsewhere: Record<string, number>;
  choices: Choice[];
  origins: Grid | undefined;
  ends: Grid | undefined;
  reached: number[];
  way: Grid | undefined;
}
export interface Slice extends Common {
  kind: "slice";
  plane: boolean;
  directions: string;
  unit: string;
  l2: number;
  at: number | null;
  rows: number;
  all_rows: number;
  explained: number | null;
  lengths: number[];
  curvatures: (number | null)[];
  box?: [[number, number], [number, number]];
  heights: Grid | undefined;
  xs: number[];
  losses: number[];
  points: { update: number[]; x: number[]; y: number[]; loss: number[]; slice_loss: number[]; off: number[] };
}
export interface Entry {
  name: string;
  rate: number | null;
  batch: number;
  seeds: number;
  verdict: string;
  message: Spoken;
  value: number | null;
  held: number | null;
  updates: number;
  passes: number;
  seconds: number;
}
export const BUDGETS = ["updates", "examples", "seconds"] as const;
export type Budget = (typeof BUDGETS)[number];
/** What one method had reached at each budget: its loss or gap, with its deviation over seeds, and held out. */
export interface Reached {
  budget: number[];
  value: number[];
  deviation: number[];
  held: number[];
  held_deviation: number[];
}
export interface Race extends Common {
  kind: "race";
  network: boolean;
  rows: number;
  gap_kind?: string;
  objective_at_start: number | null;
  entries: Entry[];
  ways: Record<string, Record<Budget, Reached>>;
}
export interface SweepCell {
  rate: number;
  batch: number;
  start: string;
  value: number | null;
  deviation: number | null;
  objective: number | null;
  zone: string;
  verdict: string;
  best: boolean;
}
export interface Sweep extends Common {
  kind: "sweep";
  network: boolean;
  rows: number;
  rule: string;
  passes: number;
  limit: number | null;
  by_held: boolean;
  gap_kind?: string;
  rates: number[];
  batches: number[];
  starts: string[];
  cells: SweepCell[];
}
export type RunPage = Trained | Learned | Starts | Slice | Race | Sweep;

const STEP = ["update", "passes", "seconds", "objective", "gradient_norm", "learning_rate", "gap", "holdout"] as const;
const LOOK = [
  "update",
  "passes",
  "learning_rate",
  "limit",
  "largest",
  "smallest",
  "condition",
  "noise",
  "noise_low",
  "noise_high",
] as const;
const PATH = ["update", "x", "y", "from_start", "from_end"] as const;
const POINT = ["update", "x", "y", "loss", "slice_loss", "off"] as const;
const REACHED = ["budget", "value", "deviation", "held", "held_deviation"] as const;

export type Steps = Record<(typeof STEP)[number], number[]>;
export type Looks = Record<(typeof LOOK)[number], number[]>;

function columns<N extends string>(grid: Grid | undefined, names: readonly N[]): Record<N, number[]> {
  const pairs = names.map((name, index) => [name, grid ? column(grid, index) : []]);
  return Object.fromEntries(pairs) as Record<N, number[]>;
}

function ways(arrays: Map<string, Grid>, entries: Entry[]): Race["ways"] {
  const of = (name: string, budget: Budget) => columns(arrays.get(`way:${name}:${budget}`), REACHED);
  return Object.fromEntries(
    entries.map(({ name }) => [
      name,
      { updates: of(name, "updates"), examples: of(name, "examples"), seconds: of(name, "seconds") },
    ]),
  );
}

/** Read the page of a record; throws RangeError where its arrays are not as it says. */
export function readPage(answer: Answer, buffers: DataView[]): RunPage {
  const arrays = arraysOf(answer, buffers);
  const flat = (name: string) => [...(arrays.get(name)?.data ?? [])];
  const content = answer as unknown as RunPage;
  switch (content.kind) {
    case "run": {
      const path = arrays.get("path");
      const steps = columns(arrays.get("steps"), STEP);
      return { ...content, steps, looks: columns(arrays.get("looks"), LOOK), way: path && columns(path, PATH) };
    }
    case "function":
      return { ...content, steps: columns(arrays.get("steps"), STEP) };
    case "starts": {
      const [origins, ends, way] = ["origins", "ends", "way"].map((name) => arrays.get(name));
      return { ...content, origins, ends, way, reached: flat("reached") };
    }
    case "slice": {
      const points = columns(arrays.get("points"), POINT);
      return { ...content, heights: arrays.get("heights"), xs: flat("xs"), losses: flat("losses"), points };
    }
    case "race":
      return { ...content, ways: ways(arrays, content.entries) };
    default:
      return content;
  }
}
