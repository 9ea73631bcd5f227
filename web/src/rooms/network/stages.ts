/** Forth and back through a network for one example, as stages to step through. */

import { biasPlace, unitPlace } from "./shape";

export interface Stage {
  kind: "inputs" | "forth" | "loss" | "back" | "gradient";
  /** The layer whose units it is about: 0 the first hidden one, as many as there are hidden ones the score. */
  layer: number;
}

/** All stages of a network with some hidden layers: inputs, outputs layer by layer, the loss, slopes back, the step. */
export function stages(hidden: number): Stage[] {
  const layers = Array.from({ length: hidden + 1 }, (_, layer) => layer);
  return [
    { kind: "inputs", layer: -1 },
    ...layers.map((layer): Stage => ({ kind: "forth", layer })),
    { kind: "loss", layer: hidden },
    ...layers.reverse().map((layer): Stage => ({ kind: "back", layer })),
    { kind: "gradient", layer: -1 },
  ];
}

/** The chain rule at one unit, in numbers. */
export interface Link {
  /** Slope of the loss by its output. */
  back: number;
  /** Slope of the loss by what it sums up, before its activation: the slope of its bias. */
  bias: number;
  /** Slope of its activation there; nan where its output has no slope, or none passes. */
  activation: number;
  /** What comes from each unit of the next layer: its weight there times the slope of that one's sum. */
  parts: { weight: number; slope: number }[];
}

/** Work the chain rule out at a unit: the sum of `parts` is `back`, and `back` times `activation` is `bias`. */
export function link(
  counts: readonly number[],
  layer: number,
  unit: number,
  weights: Float32Array,
  gradient: Float32Array,
  back: Float32Array,
): Link {
  const hidden = counts.slice(1, -1);
  const slope = back[unitPlace(hidden, layer, unit)] ?? Number.NaN;
  const bias = gradient[biasPlace(counts, layer, unit)] ?? Number.NaN;
  const parts: Link["parts"] = [];
  const next = counts[layer + 2];
  if (next !== undefined) {
    const first = biasPlace(counts, layer + 1, 0) - (counts[layer + 1] as number) * next;
    for (let to = 0; to < next; to++) {
      parts.push({
        weight: weights[first + unit * next + to] ?? Number.NaN,
        slope: gradient[biasPlace(counts, layer + 1, to)] ?? Number.NaN,
      });
    }
  }
  return { back: slope, bias, activation: slope === 0 ? Number.NaN : bias / slope, parts };
}

/** The unit of a layer to tell of: the one chosen, where it is in that layer, else the one with the largest value. */
export function telling(hidden: readonly number[], layer: number, chosen: number, values: Float32Array): number {
  const units = hidden[layer] ?? 1;
  const first = unitPlace(hidden, layer, 0);
  if (chosen >= first && chosen < first + units) return chosen - first;
  let best = 0;
  for (let unit = 1; unit < units; unit++) {
    if (Math.abs(values[first + unit] ?? 0) > Math.abs(values[first + best] ?? 0)) best = unit;
  }
  return best;
}
