/** The picture of the room of batches (docs/front-end.md), read from answers, and where its ways stand by the clock. */

import { arraysOf, column, type Grid, kept } from "../model/arrays";
import type { Answer } from "../model/model";
import type { Played } from "../state/room.svelte";
import type { Point, Span } from "../views/geometry";
import type { Sentence } from "../words/words";

export type Against = "examples" | "updates" | "seconds";
const COLUMNS: Record<Against, number> = { updates: 0, examples: 1, seconds: 2 };
const MICRO = 1e6;
/** Moments of the clock at most. */
const MOMENTS = 120;

export interface Way {
  name: string;
  batch: number;
  updates: number;
  an_epoch: number;
  seconds_an_update: number;
  loss: number | null;
  verdict: string;
  path: Point[];
  losses: number[];
  /** What each place cost by the axis that is chosen: examples, updates, or millionths of a second. */
  cost: number[];
  /** Updates at each place. */
  made: number[];
}

/** Distances of batch gradients from that of all the data: batch size, measured, expected. */
export interface Width {
  size: number;
  measured: number;
  expected: number;
}

export interface Batches extends Played {
  heights: Grid;
  box: [Span, Span];
  axes: [string, string];
  formula: string;
  rows: number;
  minimum: { x: number; y: number; loss: number };
  limit: number | null;
  at: Point;
  gradient: Point;
  noise_scale: number | null;
  batch: number;
  against: Against;
  uphill: number;
  ways: Way[];
  cloud: Point[];
  widths: Width[];
  /** What the clock shows at each of its steps, 0 at the start. */
  moments: number[];
}

const EMPTY: Grid = { data: new Float32Array(), shape: [0, 2] };

function pairs(grid: Grid, first: number, second: number): Point[] {
  const other = column(grid, second);
  return column(grid, first).map((value, row) => [value, other[row] as number]);
}

/**
 * The moments of the clock, from 0 to `last`: evenly apart, or, of updates, by a factor, since one way may make a
 * thousand while another makes ten.
 */
export function momentsOf(last: number, count: number, against: Against): number[] {
  if (!(last > 0)) return [0];
  const steps = Math.min(MOMENTS, Math.max(1, count));
  const even = Array.from({ length: steps + 1 }, (_, step) => (last * step) / steps);
  if (against === "seconds") return even;
  if (against === "examples") return [...new Set(even.map(Math.round))];
  const whole = Array.from({ length: steps }, (_, step) => Math.round(last ** (step / Math.max(1, steps - 1))));
  return [...new Set([0, ...whole])];
}

/** The last place of a way that costs no more than a moment of the clock. */
export function placeAt(cost: readonly number[], moment: number): number {
  const slack = 1e-6 * Math.max(1, Math.abs(moment));
  let [low, high] = [0, cost.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((cost[middle] as number) <= moment + slack) low = middle;
    else high = middle - 1;
  }
  return Math.max(0, low);
}

export function batches(answer: Answer, buffers: DataView[], before: Batches | undefined): Batches {
  const arrays = arraysOf(answer, buffers);
  const facts = answer as unknown as Batches;
  const { against } = facts;
  const ways = facts.ways.map((way) => {
    const grid = arrays.get(`way:${way.name}`) ?? EMPTY;
    const scale = against === "seconds" ? MICRO : 1;
    return {
      ...way,
      path: pairs(grid, 3, 4),
      losses: column(grid, 5),
      cost: column(grid, COLUMNS[against]).map((value) => value * scale),
      made: column(grid, 0),
    };
  });
  const last = Math.max(0, ...ways.map((way) => way.cost.at(-1) ?? 0));
  const finest = Math.max(1, ...ways.map((way) => way.cost.length - 1));
  const moments = momentsOf(last, finest, against);
  return {
    ...facts,
    steps: moments.length - 1,
    verdict: ways.some((way) => way.verdict === "diverged") ? "diverged" : "budget",
    needed: null,
    say: (answer.say ?? []) as Sentence[],
    stepsSay: [],
    code: String(answer.code ?? ""),
    heights: kept(before?.heights, arrays.get("heights") ?? EMPTY),
    ways,
    cloud: pairs(arrays.get("cloud") ?? EMPTY, 0, 1),
    widths: widths(arrays.get("scatter") ?? { data: new Float32Array(), shape: [0, 3] }),
    moments,
  };
}

function widths(grid: Grid): Width[] {
  const [measured, expected] = [column(grid, 1), column(grid, 2)];
  return column(grid, 0).map((size, row) => ({
    size,
    measured: measured[row] as number,
    expected: expected[row] as number,
  }));
}

/** The root mean square distance of gradients from another. */
export function apart(cloud: readonly Point[], from: Point): number {
  const squares = cloud.map(([x, y]) => (x - from[0]) ** 2 + (y - from[1]) ** 2);
  return Math.sqrt(squares.reduce((sum, each) => sum + each, 0) / Math.max(1, squares.length));
}

/** The updates that a way has made by a moment of the clock, which may be more than its last place that is shown. */
export function madeBy(way: Way, moment: number, against: Against): number {
  const each = { updates: 1, examples: way.batch, seconds: way.seconds_an_update * MICRO }[against];
  return Math.min(way.updates, Math.floor(moment / each + 1e-6));
}
