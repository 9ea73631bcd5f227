/** The picture of the room of starts and valleys (docs/front-end.md), read from answers, and the colours of minima. */

import { arraysOf, column, type Grid, kept } from "../model/arrays";
import type { State } from "../model/asking";
import type { Answer } from "../model/model";
import type { Played } from "../state/room.svelte";
import type { Point, Span } from "../views/geometry";
import type { Sentence } from "../words/words";

/** Colours of minima besides that of the lowest. */
export const HUES = 6;
/** Two minima nearer than this share of the box are one, from picture to picture. */
const SAME = 2e-3;

export interface Minimum {
  x: number;
  y: number;
  loss: number;
  share: number;
  starts: number;
  updates: number;
  lowest: boolean;
  kind: string;
  /** The variable of the theme that holds its colour. */
  colour: string;
}

export interface Lingered {
  first: number;
  last: number;
  x: number;
  y: number;
  slope: number;
  at: string;
}

/** The way of one's own start. */
export interface Mine {
  steps: number;
  reached: number;
  alive: boolean;
  start: Point;
  loss: number | null;
  jumps: number[];
  lingered: Lingered | null;
  path: Point[];
  losses: number[];
  slopes: number[];
}

export interface Valleys extends Played {
  heights: Grid;
  box: [Span, Span];
  axes: [string, string];
  formula: string;
  /** Starts that the settings ask for; while a rate is dragged fewer may be drawn. */
  starts: number;
  minima: Minimum[];
  elsewhere: Record<string, number>;
  steepest: number | null;
  mine: Mine;
  origins: Point[];
  starting: Grid;
  /** Index into `minima`, -1 for none. */
  reached: number[];
  rates: number[];
  ratesReached: number[];
  /** Where colours were given before on this ground, so that a minimum keeps its own. */
  coloured: { x: number; y: number; colour: string }[];
}

const EMPTY: Grid = { data: new Float32Array(), shape: [0, 2] };
type Placed = Pick<Minimum, "x" | "y" | "lowest">;

function pairs(grid: Grid): Point[] {
  const second = column(grid, 1);
  return column(grid, 0).map((first, row) => [first, second[row] as number]);
}

/**
 * Colours for minima: the lowest has its own, where it is alone; each other keeps the one that it had, or gets that
 * which the nearest minima have not.
 */
export function colours<M extends Placed>(
  minima: readonly M[],
  before: Valleys["coloured"],
  box: [Span, Span],
): string[] {
  const [wide, high] = [box[0][1] - box[0][0], box[1][1] - box[1][0]];
  const far = (a: { x: number; y: number }, b: { x: number; y: number }) =>
    Math.hypot((a.x - b.x) / wide, (a.y - b.y) / high);
  const alone = minima.filter((each) => each.lowest).length === 1;
  const given = [...before];
  return minima.map((each) => {
    if (alone && each.lowest) return "minimum";
    const known = given.find((other) => far(each, other) < SAME);
    if (known) return known.colour;
    const near = [...given].sort((a, b) => far(each, a) - far(each, b)).map((other) => other.colour);
    const colour = farthest(near);
    given.push({ x: each.x, y: each.y, colour });
    return colour;
  });
}

/** The colour that none has, or that which comes last among those of the nearest. */
function farthest(near: readonly string[]): string {
  const all = Array.from({ length: HUES }, (_, index) => `basin-${index}`);
  const place = (colour: string) => {
    const found = near.indexOf(colour);
    return found < 0 ? Number.POSITIVE_INFINITY : found;
  };
  return all.reduce((best, each) => (place(each) > place(best) ? each : best));
}

/** The first where both say the same, so that nothing that depends on it is drawn again. */
function alike<T>(before: T | undefined, now: T): T {
  return before !== undefined && JSON.stringify(before) === JSON.stringify(now) ? before : now;
}

/** What did not change stays the same object: a drag of one's own start does not draw the crowd again. */
export function valleys(answer: Answer, buffers: DataView[], before: Valleys | undefined): Valleys {
  const arrays = arraysOf(answer, buffers);
  const facts = answer as unknown as Omit<Valleys, "mine"> & { way: Mine };
  const same = before !== undefined && before.formula === facts.formula;
  const coloured = same ? before.coloured : [];
  const chosen = colours(facts.minima, coloured, facts.box);
  const minima = alike(
    before?.minima,
    facts.minima.map((each, index) => ({ ...each, colour: chosen[index] as string })),
  );
  const numbers = (name: string) => [...(arrays.get(name)?.data ?? [])];
  const starting = kept(before?.starting, arrays.get("origins") ?? EMPTY);
  const way = { ...facts.way, path: pairs(arrays.get("path") ?? EMPTY) };
  return {
    steps: facts.way.steps,
    verdict: way.reached >= 0 ? "converged" : way.alive ? "budget" : "diverged",
    needed: way.reached >= 0 ? way.steps : null,
    say: (answer.say ?? []) as Sentence[],
    stepsSay: (answer.steps_say ?? []) as (Sentence | null)[],
    code: String(answer.code ?? ""),
    heights: kept(before?.heights, arrays.get("heights") ?? EMPTY),
    box: facts.box,
    axes: facts.axes,
    formula: facts.formula,
    starts: facts.starts,
    minima,
    elsewhere: facts.elsewhere,
    steepest: facts.steepest,
    mine: { ...way, losses: numbers("path_loss"), slopes: numbers("path_slope") },
    origins: before && starting === before.starting ? before.origins : pairs(starting),
    starting,
    reached: alike(before?.reached, numbers("reached")),
    rates: numbers("rates"),
    ratesReached: numbers("rates_reached"),
    coloured: remembered(coloured, minima),
  };
}

function remembered(before: Valleys["coloured"], minima: readonly Minimum[]): Valleys["coloured"] {
  const known = new Set(before.map((each) => `${each.x} ${each.y}`));
  const fresh = minima.filter((each) => each.colour !== "minimum" && !known.has(`${each.x} ${each.y}`));
  return fresh.length ? [...before, ...fresh.map(({ x, y, colour }) => ({ x, y, colour }))] : before;
}

/** Neighbouring rates from which the same minimum is reached, as one stretch: its ends are halfway between rates. */
export interface Stretch {
  from: number;
  to: number;
  reached: number;
}

export function stretches(rates: readonly number[], reached: readonly number[]): Stretch[] {
  const found: Stretch[] = [];
  rates.forEach((rate, index) => {
    const place = reached[index] ?? -1;
    const before = found.at(-1);
    if (before && before.reached === place) {
      before.to = rate;
      return;
    }
    const edge = before ? Math.sqrt(before.to * rate) : rate;
    if (before) before.to = edge;
    found.push({ from: edge, to: rate, reached: place });
  });
  return found;
}

/** How deep a minimum is among those found, from 0 for the lowest to 1 for the highest. */
export function depth(minima: readonly { loss: number }[], loss: number): number {
  const losses = minima.map((each) => each.loss);
  const [least, most] = [Math.min(...losses), Math.max(...losses)];
  return most > least ? (loss - least) / (most - least) : 0;
}

/** A start, a rate and what else shows a surface at its best, for when it is chosen. */
export const SHOWN: Record<string, State> = {
  "egg-crate": { rate: 0.002, start_x: 2.6, start_y: 1.7, steps: 300 },
  bowl: { rate: 0.1, start_x: 3, start_y: 2, steps: 300 },
  "long-valley": { rate: 0.015, start_x: 3, start_y: 2, steps: 300 },
  saddle: { rate: 0.05, start_x: 2, start_y: 0.0001, steps: 300 },
  plateau: { rate: 0.5, start_x: 3.5, start_y: 0, steps: 300 },
  himmelblau: { rate: 0.01, start_x: 0, start_y: 0, steps: 300 },
  rosenbrock: { rate: 0.0015, start_x: -1.2, start_y: 1, steps: 2000 },
  beale: { rate: 0.005, start_x: 1, start_y: 1, steps: 2000 },
  ackley: { rate: 0.02, start_x: 2.6, start_y: 1.7, steps: 300 },
  "six-hump-camel": { rate: 0.05, start_x: 1.5, start_y: 0.6, steps: 300 },
  expression: { rate: 0.05, start_x: 2.3, start_y: 0.2, steps: 300 },
};

/** Starts that are drawn while a drag goes on; the rest follow at its end. */
const AT_ONCE = 500;
const OWN = ["start_x", "start_y"];

/** Settings for a picture that comes at once: a drag of one's own start leaves the crowd as it is, any other has a part. */
export function rough(state: State, changes: State): State {
  const leaves = Object.keys(changes).every((name) => OWN.includes(name));
  return leaves || (state.starts as number) <= AT_ONCE ? state : { ...state, starts: AT_ONCE };
}

/** What is worth trying, by the key of its words: each is a whole state, so that it begins from the defaults. */
export const TRIES: Record<string, State> = {
  try_small: { surface: "expression", ...SHOWN.expression },
  try_large: { surface: "expression", ...SHOWN.expression, rate: 0.4 },
  try_over: { surface: "expression", ...SHOWN.expression, rate: 1.2 },
  try_crate: { surface: "egg-crate", ...SHOWN["egg-crate"] },
  try_wild: { surface: "egg-crate", ...SHOWN["egg-crate"], rate: 0.012 },
  try_saddle: { surface: "saddle", ...SHOWN.saddle },
  try_noise: { surface: "saddle", ...SHOWN.saddle, start_y: 0, slope_noise: 0.05 },
  try_plateau: { surface: "plateau", ...SHOWN.plateau },
};
