/** The pictures of the instant rooms (docs/front-end.md), read from answers. */

import { arraysOf, column, type Grid, kept } from "../model/arrays";
import type { Answer } from "../model/model";
import type { Played } from "../state/room.svelte";
import type { Point, Span } from "../views/geometry";
import type { Sentence } from "../words/words";

export interface Zones {
  slow: number | null;
  best: number | null;
  limit: number | null;
  least: number;
  most: number;
}

export interface OneWeight extends Played {
  curve: Point[];
  path: Point[];
  slopes: number[];
  span: Span;
  minimum: { at: number; loss: number } | null;
  curvature: number | null;
  best: number | null;
  limit: number | null;
  zones: Zones;
  formula: string;
}

export interface Minimum {
  x: number;
  y: number;
  loss: number;
  lowest: boolean;
}

export interface Shape {
  kappa: number | null;
  largest: number | null;
  smallest: number | null;
  limit: number | null;
}

export interface Marked {
  name: string;
  x: number;
  y: number;
  gradient: [number | null, number | null];
  loss: number | null;
}

export interface Run {
  rule: string;
  rate: number;
  needed: number | null;
  verdict: string;
  limit: number | null;
  path: Point[];
  losses: number[];
}

export interface TwoWeights extends Played {
  heights: Grid;
  box: [Span, Span];
  axes: [string, string];
  minima: Minimum[];
  points: Marked[];
  shape: Shape | null;
  unscaled: Shape | null;
  runs: Run[];
  table: Point[];
  formula: string;
}

const EMPTY: Grid = { data: new Float32Array(), shape: [0, 2] };

function pairs(grid: Grid): Point[] {
  const second = column(grid, 1);
  return column(grid, 0).map((first, row) => [first, second[row] as number]);
}

function common(answer: Answer, steps: number): Played {
  return {
    steps,
    verdict: String(answer.verdict ?? ""),
    needed: (answer.needed ?? null) as number | null,
    say: (answer.say ?? []) as Sentence[],
    stepsSay: (answer.steps_say ?? []) as (Sentence | null)[],
    code: String(answer.code ?? ""),
  };
}

export function oneWeight(answer: Answer, buffers: DataView[]): OneWeight {
  const arrays = arraysOf(answer, buffers);
  const path = arrays.get("path") ?? EMPTY;
  const facts = answer as unknown as OneWeight;
  return {
    ...common(answer, (path.shape[0] ?? 1) - 1),
    curve: pairs(arrays.get("curve") ?? EMPTY),
    path: pairs(path),
    slopes: column(path, 2),
    span: facts.span,
    minimum: facts.minimum,
    curvature: facts.curvature,
    best: facts.best,
    limit: facts.limit,
    zones: facts.zones,
    formula: facts.formula,
  };
}

/** What each of the first steps did: the session tells the key, and the losses are there. */
function stepsSaid(keys: string[], losses: number[]): Sentence[] {
  return keys.map((say, step) => ({ say, step: step + 1, loss: losses[step + 1], before: losses[step] }));
}

/** Heights that did not change stay the same object, so that a drag of the start does not draw the landscape again. */
export function twoWeights(answer: Answer, buffers: DataView[], before: TwoWeights | undefined): TwoWeights {
  const arrays = arraysOf(answer, buffers);
  const facts = answer as unknown as TwoWeights;
  const runs = facts.runs.map((run) => ({
    ...run,
    path: pairs(arrays.get(`path:${run.rule}`) ?? EMPTY),
    losses: [...(arrays.get(`loss:${run.rule}`)?.data ?? [])],
  }));
  const first = runs[0];
  return {
    ...common(answer, Math.max(0, ...runs.map((run) => run.path.length - 1))),
    stepsSay: stepsSaid((answer.steps_say ?? []) as string[], first?.losses ?? []),
    verdict: first?.verdict ?? "",
    needed: first?.needed ?? null,
    heights: kept(before?.heights, arrays.get("heights") ?? EMPTY),
    box: facts.box,
    axes: facts.axes,
    minima: facts.minima,
    points: facts.points,
    shape: facts.shape,
    unscaled: facts.unscaled,
    runs,
    table: pairs(arrays.get("table") ?? EMPTY),
    formula: facts.formula,
  };
}
