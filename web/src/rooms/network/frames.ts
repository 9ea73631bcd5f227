/** What the room of networks hears (docs/front-end.md), read from answers without copying. */

import { arraysOf, type Grid } from "../../model/arrays";
import type { Answer } from "../../model/model";
import type { Begun, Frame } from "../../state/running.svelte";
import type { Sentence } from "../../words/words";

/** How a network does on its examples. */
export interface Judged {
  update: number;
  loss: number | null;
  testLoss: number | null;
  /** Shares of classes told right; undefined for numbers. */
  right: number | undefined;
  testRight: number | undefined;
}

/** Losses in rows of update, training and test. */
export type Curve = Grid;

export interface NetworkFrame extends Frame, Judged {
  epoch: number;
  /** (units + 1, side, side): outputs over the box, first row at the least y; the score is the last. */
  units: Grid;
  weights: Float32Array;
  gradient: Float32Array;
  forth: Float32Array;
  back: Float32Array;
  dead: Int32Array;
  curve: Curve;
  kept: (Judged & { units: Grid; curve: Curve }) | undefined;
}

export interface Network extends NetworkFrame, Begun {
  trainPoints: Grid;
  testPoints: Grid;
  features: string[];
  layers: number[];
  classifies: boolean;
  rows: number;
  batch: number;
  anEpoch: number;
  /** Hidden layers, and units of each, at most. */
  limits: [number, number];
}

/** A map of learning rates by batch sizes; nan where not known yet, infinite where it diverged. */
export interface SweepMap {
  rates: number[];
  batches: number[];
  losses: Grid;
  testLosses: Grid;
  updates: number;
  part: number;
  done: boolean;
  inTime: boolean;
}

const EMPTY: Grid = { data: new Float32Array(), shape: [0] };

function judged(answer: Answer, prefix: string): Judged {
  const of = (name: string) => answer[`${prefix}${name}`];
  return {
    update: Number(of("update")),
    loss: (of("loss") ?? null) as number | null,
    testLoss: (of("test_loss") ?? null) as number | null,
    right: of("right") as number | undefined,
    testRight: of("test_right") as number | undefined,
  };
}

function floats(arrays: Map<string, Grid>, name: string): Float32Array {
  return (arrays.get(name) ?? EMPTY).data as Float32Array;
}

function framed(answer: Answer, arrays: Map<string, Grid>): NetworkFrame {
  const kept = arrays.get("kept:units");
  return {
    ...judged(answer, ""),
    say: (answer.say ?? []) as Sentence[],
    epoch: Number(answer.epoch),
    units: arrays.get("units") ?? EMPTY,
    weights: floats(arrays, "weights"),
    gradient: floats(arrays, "gradient"),
    forth: floats(arrays, "forth"),
    back: floats(arrays, "back"),
    dead: (arrays.get("dead") ?? EMPTY).data as Int32Array,
    curve: arrays.get("curve") ?? EMPTY,
    kept: kept && { ...judged(answer, "kept:"), units: kept, curve: arrays.get("kept:curve") ?? EMPTY },
  };
}

export function frame(answer: Answer, buffers: DataView[]): NetworkFrame {
  return framed(answer, arraysOf(answer, buffers));
}

export function picture(answer: Answer, buffers: DataView[]): Network {
  const arrays = arraysOf(answer, buffers);
  return {
    ...framed(answer, arrays),
    last: Number(answer.last),
    code: String(answer.code ?? ""),
    frames: answer.frames as number | undefined,
    trainPoints: arrays.get("train_points") ?? EMPTY,
    testPoints: arrays.get("test_points") ?? EMPTY,
    features: answer.features as string[],
    layers: answer.layers as number[],
    classifies: answer.classifies === true,
    rows: Number(answer.rows),
    batch: Number(answer.batch),
    anEpoch: Number(answer.an_epoch),
    limits: answer.limits as [number, number],
  };
}

export function sweepMap(answer: Answer, buffers: DataView[]): SweepMap {
  const arrays = arraysOf(answer, buffers);
  return {
    rates: Array.from(floats(arrays, "rates"), (rate) => Number(rate.toPrecision(4))),
    batches: [...(arrays.get("batches") ?? EMPTY).data],
    losses: arrays.get("losses") ?? EMPTY,
    testLosses: arrays.get("test_losses") ?? EMPTY,
    updates: Number(answer.updates),
    part: Number(answer.part),
    done: answer.done === true,
    inTime: answer.in_time !== false,
  };
}
