/** Values from -1 to 1 as colours between two classes, and pictures of them through one table of pixels. */

import { colour } from "./colours";

const STEPS = 255;

function channels(hex: string): [number, number, number] {
  const whole = Number.parseInt(hex.slice(1), 16);
  return [(whole >> 16) & 255, (whole >> 8) & 255, whole & 255];
}

/**
 * The colours from -1 through 0 to 1 as the theme of an element has them, as pixels of an `ImageData`; `strength` is how
 * far their ends go towards the colours of the classes.
 */
export function shades(element: Element, strength = 1): Uint32Array {
  const [below, middle, above] = ["class-0", "class-none", "class-1"].map((name) => channels(colour(element, name)));
  const table = new Uint32Array(STEPS + 1);
  const bytes = new Uint8ClampedArray(table.buffer);
  for (let step = 0; step <= STEPS; step++) {
    const value = (2 * step) / STEPS - 1;
    const end = (value < 0 ? below : above) as [number, number, number];
    const share = Math.abs(value) * strength;
    for (let channel = 0; channel < 3; channel++) {
      const from = (middle as [number, number, number])[channel] as number;
      bytes[4 * step + channel] = from + ((end[channel] as number) - from) * share;
    }
    bytes[4 * step + 3] = 255;
  }
  return table;
}

/** The pixel of a value; beyond -1 and 1 it is that of the end, and what is no number has that of the middle. */
export function shade(table: Uint32Array, value: number): number {
  const held = value > 1 ? 1 : value < -1 ? -1 : value;
  return table[((held + 1) * (STEPS / 2) + 0.5) | 0] as number;
}

/** Fill square pictures of values, whose first row is the lowest, into an image of `columns` of them side by side. */
export function fillPictures(
  image: ImageData,
  table: Uint32Array,
  values: Float32Array,
  count: number,
  side: number,
  columns: number,
): void {
  const pixels = new Uint32Array(image.data.buffer);
  const width = image.width;
  for (let picture = 0; picture < count; picture++) {
    const left = (picture % columns) * side;
    const top = Math.floor(picture / columns) * side;
    const first = picture * side * side;
    for (let row = 0; row < side; row++) {
      let to = (top + side - 1 - row) * width + left;
      let from = first + row * side;
      for (const end = from + side; from < end; from++) pixels[to++] = shade(table, values[from] as number);
    }
  }
}

/** Values of a square mesh between its points, `times` as many a side, written into `finer`, row by row. */
export function refine(values: Float32Array, first: number, side: number, times: number, finer: Float32Array): number {
  const wide = (side - 1) * times + 1;
  for (let row = 0; row < wide; row++) {
    const low = Math.min(side - 2, Math.floor(row / times));
    const up = (row - low * times) / times;
    const base = first + low * side;
    for (let column = 0; column < wide; column++) {
      const left = Math.min(side - 2, Math.floor(column / times));
      const on = (column - left * times) / times;
      const at = base + left;
      const below = (values[at] as number) * (1 - on) + (values[at + 1] as number) * on;
      const above = (values[at + side] as number) * (1 - on) + (values[at + side + 1] as number) * on;
      finer[row * wide + column] = below * (1 - up) + above * up;
    }
  }
  return wide;
}

/** Leave of values only on which side of 0 they are. */
export function decided(values: Float32Array, count: number): void {
  for (let index = 0; index < count; index++) values[index] = (values[index] as number) > 0 ? 1 : -1;
}
