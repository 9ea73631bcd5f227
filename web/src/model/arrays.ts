import type { Answer } from "./model";

/** Numbers in rows: `data` holds them one row after another. */
export interface Grid {
  data: Float32Array | Int32Array;
  shape: number[];
}

function numbers(dtype: string, view: DataView): Float32Array | Int32Array {
  const Kind = dtype === "int32" ? Int32Array : Float32Array;
  if (view.byteOffset % 4 === 0) return new Kind(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength / 4);
  const copy = new Uint8Array(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength).slice();
  return new Kind(copy.buffer);
}

/** The arrays of an answer by name; throws RangeError where a buffer does not hold what its shape says. */
export function arraysOf(answer: Answer, buffers: DataView[]): Map<string, Grid> {
  const arrays = new Map<string, Grid>();
  (answer.arrays ?? []).forEach(({ name, dtype, shape }, index) => {
    const view = buffers[index];
    const data = view ? numbers(dtype, view) : new Float32Array();
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
