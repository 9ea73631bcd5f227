import type { Answer, Described } from "./model";

/** Numbers in rows: `data` holds them one row after another. */
export interface Grid {
  data: Float32Array | Int32Array;
  shape: number[];
}

const LEVELS = 65_535;

/** The numbers of levels, little-endian; each part of the array has a range of its own. */
function fromLevels(view: DataView, ranges: [number, number][]): Float32Array {
  const found = new Float32Array(view.byteLength / 2);
  const part = found.length / ranges.length;
  ranges.forEach(([least, most], index) => {
    for (let at = index * part; at < (index + 1) * part; at++) {
      const level = view.getUint16(2 * at, true);
      found[at] = level === LEVELS ? most : least + ((most - least) * level) / LEVELS;
    }
  });
  return found;
}

function numbers({ dtype, ranges }: Described, view: DataView): Float32Array | Int32Array {
  if (ranges) return fromLevels(view, ranges);
  const Kind = dtype === "int32" ? Int32Array : Float32Array;
  if (view.byteOffset % 4 === 0) return new Kind(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength / 4);
  const copy = new Uint8Array(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength).slice();
  return new Kind(copy.buffer);
}

/** The arrays of an answer by name; throws RangeError where a buffer does not hold what its shape says. */
export function arraysOf(answer: Answer, buffers: DataView[]): Map<string, Grid> {
  const arrays = new Map<string, Grid>();
  (answer.arrays ?? []).forEach((described, index) => {
    const { name, shape } = described;
    const view = buffers[index];
    const data = view ? numbers(described, view) : new Float32Array();
    if (data.length !== shape.reduce((product, side) => product * side, 1)) {
      throw new RangeError(`array ${name} does not fill its shape`);
    }
    arrays.set(name, { data, shape });
  });
  return arrays;
}

/** Column `index` of an array with rows of numbers. */
export function column(grid: Grid, index: number): number[] {
  const width = grid.shape[1] ?? 1;
  return Array.from({ length: grid.shape[0] ?? 0 }, (_, row) => grid.data[row * width + index] as number);
}

/** The first array where both hold the same numbers, so that nothing that depends on it is drawn again. */
export function kept(before: Grid | undefined, now: Grid): Grid {
  if (!before || before.data.length !== now.data.length) return now;
  return before.data.every((value, index) => Object.is(value, now.data[index])) ? before : now;
}
