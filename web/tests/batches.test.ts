import { describe, expect, it } from "vitest";
import { decode, encode } from "../src/model/framing";
import type { Answer } from "../src/model/model";
import { type Against, apart, type Batches, batches, madeBy, momentsOf, placeAt } from "../src/rooms/batches";

type Named = [name: string, shape: number[], numbers: number[]];

/** Two ways of a hundred examples: all at once, twice, and fifty at a time, four times. */
function answered(against: Against, more: object = {}): [Answer, DataView[]] {
  const arrays: Named[] = [
    ["heights", [1, 2], [1, 2]],
    ["cloud", [2, 2], [1, 0, -1, 0]],
    ["scatter", [2, 3], [1, 4, 4.5, 100, 0, 0]],
    ["way:full", [3, 6], [0, 0, 0, -2, -2, 9, 1, 100, 4e-6, -1, -1, 4, 2, 200, 8e-6, 0, 0, 1]],
    [
      "way:mini",
      [5, 6],
      [0, 0, 0, -2, -2, 9, 1, 50, 3e-6, 1, 1, 5, 2, 100, 6e-6, 2, 2, 3, 3, 150, 9e-6, 3, 3, 2, 4, 200, 12e-6, 4, 4, 1],
    ],
  ];
  const content = {
    is: "picture",
    room: "batches",
    against,
    rows: 100,
    gradient: [0, 0],
    ways: [
      { name: "full", batch: 100, updates: 2, an_epoch: 1, seconds_an_update: 4e-6, loss: 1, verdict: "budget" },
      { name: "mini", batch: 50, updates: 4, an_epoch: 2, seconds_an_update: 3e-6, loss: 1, verdict: "budget" },
    ],
    say: [{ say: "way-went", way: "full" }],
    code: "import downslope",
    arrays: arrays.map(([name, shape]) => ({ name, dtype: "float32", shape })),
    ...more,
  };
  const buffers = arrays.map(([, , numbers]) => Float32Array.from(numbers).buffer);
  const { message, buffers: views } = decode(encode(content, buffers));
  return [message as unknown as Answer, views];
}

function read(against: Against, before?: Batches): Batches {
  return batches(...answered(against), before);
}

describe("the picture of batches", () => {
  it("has of every way its places, its losses, and what each cost by the axis that is chosen", () => {
    const [full, mini] = read("examples").ways;
    expect(full?.path).toEqual([
      [-2, -2],
      [-1, -1],
      [0, 0],
    ]);
    expect([full?.losses, full?.cost]).toEqual([
      [9, 4, 1],
      [0, 100, 200],
    ]);
    expect(mini?.made).toEqual([0, 1, 2, 3, 4]);
    expect(read("updates").ways[1]?.cost).toEqual([0, 1, 2, 3, 4]);
    expect(read("seconds").ways[0]?.cost.map((each) => Math.round(each))).toEqual([0, 4, 8]);
  });

  it("gives the clock the moments of the way with the most places, up to the end of the dearest", () => {
    expect(read("examples").moments).toEqual([0, 50, 100, 150, 200]);
    expect(read("examples").steps).toBe(4);
    expect(read("seconds").moments.at(-1)).toBeCloseTo(12);
    expect(read("updates").moments).toEqual([0, 1, 2, 3, 4]);
  });

  it("has the distances of gradients by batch size, and keeps heights that did not change", () => {
    const first = read("examples");
    expect(first.widths).toEqual([
      { size: 1, measured: 4, expected: 4.5 },
      { size: 100, measured: 0, expected: 0 },
    ]);
    expect(read("updates", first).heights).toBe(first.heights);
  });

  it("has diverged where one of its ways has", () => {
    expect(read("examples").verdict).toBe("budget");
    const ways = [{ name: "full", batch: 100, updates: 2, seconds_an_update: 4e-6, loss: 1, verdict: "diverged" }];
    expect(batches(...answered("examples", { ways }), undefined).verdict).toBe("diverged");
  });
});

describe("the moments of the clock", () => {
  it("are evenly apart, and of updates by a factor, each once", () => {
    expect(momentsOf(1000, 4, "examples")).toEqual([0, 250, 500, 750, 1000]);
    expect(momentsOf(100, 3, "examples")).toEqual([0, 33, 67, 100]);
    expect(momentsOf(3, 200, "examples")).toEqual([0, 1, 2, 3]);
    expect(momentsOf(3, 2, "seconds")).toEqual([0, 1.5, 3]);
    const updates = momentsOf(1000, 200, "updates");
    expect(updates.slice(0, 4)).toEqual([0, 1, 2, 3]);
    expect(updates.at(-1)).toBe(1000);
    expect(new Set(updates).size).toBe(updates.length);
    expect(updates.every((each, index) => index === 0 || each > (updates[index - 1] as number))).toBe(true);
  });

  it("are one where nothing was done", () => {
    expect(momentsOf(0, 1, "examples")).toEqual([0]);
    expect(momentsOf(1, 1, "updates")).toEqual([0, 1]);
  });
});

describe("where a way stands", () => {
  it("is its last place that costs no more than the moment", () => {
    const cost = [0, 100, 200, 300];
    expect([0, 99, 100, 250, 300, 1e9].map((moment) => placeAt(cost, moment))).toEqual([0, 0, 1, 2, 3, 3]);
    expect(placeAt([0], 5)).toBe(0);
  });

  it("counts the updates between places that are shown too, and none beyond its end", () => {
    const way = read("examples").ways[1];
    if (!way) throw new Error("no way");
    expect([0, 49, 50, 120, 200, 900].map((moment) => madeBy(way, moment, "examples"))).toEqual([0, 0, 1, 2, 4, 4]);
    expect(madeBy(way, 7, "seconds")).toBe(2);
    expect(madeBy(way, 3, "updates")).toBe(3);
  });
});

describe("the width of a cloud", () => {
  it("is the root mean square distance", () => {
    expect(
      apart(
        [
          [3, 4],
          [0, 0],
        ],
        [0, 0],
      ),
    ).toBeCloseTo(5 / Math.SQRT2);
    expect(apart([], [0, 0])).toBe(0);
  });
});
