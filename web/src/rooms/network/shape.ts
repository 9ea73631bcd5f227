/** Where the weights of a network lie, and where its units stand in a picture of it. */

/** The features that a network may be given of a point, in the order of the engine, and what each is. */
export const FEATURES: Record<string, (x: number, y: number) => number> = {
  x: (x) => x,
  y: (_, y) => y,
  x2: (x) => x * x,
  y2: (_, y) => y * y,
  xy: (x, y) => x * y,
  sinx: (x) => Math.sin(x),
  siny: (_, y) => Math.sin(y),
};

/** How each is written. */
export const WRITTEN: Record<string, string> = {
  x: "x₁",
  y: "x₂",
  x2: "x₁²",
  y2: "x₂²",
  xy: "x₁x₂",
  sinx: "sin x₁",
  siny: "sin x₂",
};

export interface Edge {
  /** Layer of the unit that it leads to: 0 the first hidden one, as many as there are hidden ones the score. */
  layer: number;
  from: number;
  to: number;
  /** Its place among all weights. */
  place: number;
}

/** Units of each layer, inputs first and the score last. */
export function sizes(inputs: number, hidden: readonly number[]): number[] {
  return [inputs, ...hidden, 1];
}

/** Every connection: of each layer its matrix (inputs, units), row by row, then its biases. */
export function edges(counts: readonly number[]): Edge[] {
  const found: Edge[] = [];
  let place = 0;
  for (let layer = 0; layer + 1 < counts.length; layer++) {
    const [inputs, units] = [counts[layer] as number, counts[layer + 1] as number];
    for (let from = 0; from < inputs; from++) {
      for (let to = 0; to < units; to++) found.push({ layer, from, to, place: place++ });
    }
    place += units;
  }
  return found;
}

/** The place of the bias of a unit. */
export function biasPlace(counts: readonly number[], layer: number, unit: number): number {
  let place = 0;
  for (let before = 0; before < layer; before++) {
    place += ((counts[before] as number) + 1) * (counts[before + 1] as number);
  }
  return place + (counts[layer] as number) * (counts[layer + 1] as number) + unit;
}

/** The place of a unit among all units, layer after layer, the score last. */
export function unitPlace(hidden: readonly number[], layer: number, unit: number): number {
  return hidden.slice(0, layer).reduce((sum, units) => sum + units, 0) + unit;
}

/** The layer and the number of a unit by its place among all units. */
export function unitAt(hidden: readonly number[], place: number): { layer: number; unit: number } {
  let left = place;
  for (const [layer, units] of hidden.entries()) {
    if (left < units) return { layer, unit: left };
    left -= units;
  }
  return { layer: hidden.length, unit: 0 };
}

export interface Layout {
  width: number;
  height: number;
  /** Side of a unit's picture. */
  side: number;
  /** Middles of the features, all of them, chosen or not. */
  inputs: [number, number][];
  /** Middles of the units of each layer, the score last. */
  layers: [number, number][][];
}

const LARGEST = 38;
const LEAST_COLUMN = 78;
const HEAD = 42;
const ROW = 46;
const TALLEST = 540;
/** Room to the left of the features for their names. */
const NAMES = 48;

/** Where all stands: features in a column to the left, layers to the right of them, the score last. */
export function layout(room: number, hidden: readonly number[], features: number): Layout {
  const columns = hidden.length + 2;
  const width = Math.max(room, (columns - 1) * LEAST_COLUMN + NAMES + LARGEST + 14);
  const most = Math.max(features, ...hidden);
  const body = Math.min(TALLEST, most * ROW);
  const side = Math.max(12, Math.min(LARGEST, Math.floor(body / Math.max(...hidden, 1)) - 6));
  const across = (column: number) =>
    NAMES + LARGEST / 2 + 4 + (column * (width - NAMES - LARGEST - 14)) / (columns - 1);
  const column = (place: number, count: number): [number, number][] => {
    const gap = Math.min(ROW, body / Math.max(count, 1));
    return Array.from({ length: count }, (_, index) => [
      across(place),
      HEAD + body / 2 + (index - (count - 1) / 2) * gap,
    ]);
  };
  return {
    width,
    height: HEAD + body + 8,
    side,
    inputs: column(0, features),
    layers: [...hidden.map((units, index) => column(index + 1, units)), column(columns - 1, 1)],
  };
}

/** A connection as a curve between two units: its four points, for drawing and for finding what is under a pointer. */
export function bend(from: readonly [number, number], to: readonly [number, number], side: number): number[] {
  const [ax, bx] = [from[0] + side / 2, to[0] - side / 2];
  const half = (bx - ax) / 2;
  return [ax, from[1], ax + half, from[1], bx - half, to[1], bx, to[1]];
}

/** How far a point is from a curve. */
export function distance(curve: readonly number[], x: number, y: number): number {
  const [x0 = 0, y0 = 0, x1 = 0, y1 = 0, x2 = 0, y2 = 0, x3 = 0, y3 = 0] = curve;
  if (x < x0 - 8 || x > x3 + 8) return Infinity;
  let nearest = Infinity;
  for (let step = 0; step <= 24; step++) {
    const t = step / 24;
    const u = 1 - t;
    const [a, b, c, d] = [u * u * u, 3 * u * u * t, 3 * u * t * t, t * t * t];
    const across = a * x0 + b * x1 + c * x2 + d * x3 - x;
    const down = a * y0 + b * y1 + c * y2 + d * y3 - y;
    nearest = Math.min(nearest, Math.hypot(across, down));
  }
  return nearest;
}

/** Lists of hidden layers as the setting writes them. */
export function readLayers(text: string): number[] {
  return text
    .split(",")
    .map((each) => each.trim())
    .filter(Boolean)
    .map(Number);
}

/** The setting with a layer added or taken away, the last one first. */
export function withLayers(hidden: readonly number[], by: number): string {
  return (by > 0 ? [...hidden, 2] : hidden.slice(0, -1)).join(",");
}

/** The setting with a unit added to a layer, or taken from it. */
export function withUnits(hidden: readonly number[], layer: number, by: number): string {
  return hidden.map((units, index) => (index === layer ? units + by : units)).join(",");
}

/** The features with one of them put in or taken out, in the order of the engine; the last one stays. */
export function withFeature(chosen: readonly string[], name: string): string {
  const next = chosen.includes(name) ? chosen.filter((each) => each !== name) : [...chosen, name];
  const kept = next.length ? next : chosen;
  return Object.keys(FEATURES)
    .filter((each) => kept.includes(each))
    .join(",");
}

/** The weights of a start that are set by hand, by place. */
export function readGiven(text: string): Map<number, number> {
  return new Map(
    text
      .split(",")
      .map((each) => each.split("="))
      .filter(([place, value]) => place?.trim() && value?.trim())
      .map(([place, value]) => [Number(place), Number(value)]),
  );
}

/** The setting with one of them set, or taken back where there is no value. */
export function withGiven(text: string, place: number, value: number | undefined): string {
  const given = readGiven(text);
  if (value === undefined) given.delete(place);
  else given.set(place, value);
  return [...given]
    .sort(([a], [b]) => a - b)
    .map(([each, number]) => `${each}=${number}`)
    .join(",");
}
