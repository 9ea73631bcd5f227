import { describe, expect, it } from "vitest";
import type { Answer } from "../src/model/model";
import { frame, picture, sweepMap } from "../src/rooms/network/frames";
import {
  bend,
  biasPlace,
  distance,
  edges,
  FEATURES,
  layout,
  readGiven,
  readLayers,
  sizes,
  unitAt,
  unitPlace,
  WRITTEN,
  withFeature,
  withGiven,
  withLayers,
  withUnits,
} from "../src/rooms/network/shape";
import { link, stages, telling } from "../src/rooms/network/stages";
import { decided, fillPictures, refine, shade } from "../src/views/shading";
import { en } from "../src/words/en";
import { zh } from "../src/words/zh";

describe("the shape of a network", () => {
  const counts = sizes(2, [4, 2]);

  it("has its weights layer by layer, each matrix row by row and then its biases", () => {
    const all = edges(counts);
    expect(all).toHaveLength(2 * 4 + 4 * 2 + 2);
    expect(all[0]).toEqual({ layer: 0, from: 0, to: 0, place: 0 });
    expect(all[7]).toEqual({ layer: 0, from: 1, to: 3, place: 7 });
    expect(all[8]).toEqual({ layer: 1, from: 0, to: 0, place: 12 });
    expect(all.at(-1)).toEqual({ layer: 2, from: 1, to: 0, place: 23 });
    expect([
      biasPlace(counts, 0, 0),
      biasPlace(counts, 0, 3),
      biasPlace(counts, 1, 1),
      biasPlace(counts, 2, 0),
    ]).toEqual([8, 11, 21, 24]);
  });

  it("gives every number of the weights exactly one place", () => {
    const shape = sizes(3, [5, 1, 4]);
    const places = edges(shape).map(({ place }) => place);
    shape.slice(1).forEach((units, layer) => {
      for (let unit = 0; unit < units; unit++) places.push(biasPlace(shape, layer, unit));
    });
    expect(places.sort((a, b) => a - b)).toEqual(places.map((_, index) => index));
  });

  it("counts units through all layers, the score last", () => {
    expect(unitPlace([4, 2], 1, 1)).toBe(5);
    expect(unitPlace([4, 2], 2, 0)).toBe(6);
    for (const place of [0, 3, 4, 5, 6]) {
      const { layer, unit } = unitAt([4, 2], place);
      expect(unitPlace([4, 2], layer, unit)).toBe(place);
    }
    expect(unitAt([], 0)).toEqual({ layer: 0, unit: 0 });
  });

  it("keeps units and features apart, on any page", () => {
    for (const [room, hidden] of [
      [900, [8, 8, 8, 8, 8, 8]],
      [330, [4, 2]],
      [500, [32]],
      [400, []],
    ] as const) {
      const plan = layout(room, hidden, 7);
      expect(plan.width).toBeGreaterThanOrEqual(room);
      expect(plan.layers).toHaveLength(hidden.length + 1);
      for (const column of [plan.inputs, ...plan.layers]) {
        column.forEach(([x, y], index) => {
          expect(y - plan.side / 2).toBeGreaterThan(24);
          expect(y + plan.side / 2).toBeLessThanOrEqual(plan.height);
          expect(x + plan.side / 2).toBeLessThanOrEqual(plan.width);
          const next = column[index + 1];
          if (next) expect(next[1] - y).toBeGreaterThanOrEqual(plan.side);
        });
      }
    }
  });

  it("finds a connection under a pointer", () => {
    const curve = bend([0, 0], [100, 60], 20);
    expect(curve.slice(0, 2)).toEqual([10, 0]);
    expect(distance(curve, 50, 30)).toBeLessThan(1);
    expect(distance(curve, 50, 50)).toBeGreaterThan(10);
    expect(distance(curve, 150, 60)).toBe(Infinity);
  });

  it("changes layers, units, features and weights as the settings write them", () => {
    expect(readLayers("4, 2")).toEqual([4, 2]);
    expect(readLayers("")).toEqual([]);
    expect([withLayers([4, 2], 1), withLayers([4, 2], -1), withLayers([], 1)]).toEqual(["4,2,2", "4", "2"]);
    expect([withUnits([4, 2], 0, 1), withUnits([4, 2], 1, -1)]).toEqual(["5,2", "4,1"]);
    expect(withFeature(["y", "x"], "sinx")).toBe("x,y,sinx");
    expect(withFeature(["x", "y"], "x")).toBe("y");
    expect(withFeature(["x"], "x")).toBe("x");
    expect([...readGiven("3=2.5, 8=-1")]).toEqual([
      [3, 2.5],
      [8, -1],
    ]);
    expect(withGiven("8=-1", 3, 2)).toBe("3=2,8=-1");
    expect(withGiven("3=2,8=-1", 8, undefined)).toBe("3=2");
  });

  it("writes every feature", () => {
    expect(Object.keys(WRITTEN)).toEqual(Object.keys(FEATURES));
    expect(Object.values(FEATURES).map((of) => of(1, -2))).toEqual([1, -2, 1, 4, -2, Math.sin(1), Math.sin(-2)]);
  });
});

describe("back-propagation by stages", () => {
  it("goes forth through every layer, takes the loss, and comes back", () => {
    expect(stages(2).map(({ kind, layer }) => `${kind} ${layer}`)).toEqual([
      "inputs -1",
      "forth 0",
      "forth 1",
      "forth 2",
      "loss 2",
      "back 2",
      "back 1",
      "back 0",
      "gradient -1",
    ]);
    expect(stages(0)).toHaveLength(5);
  });

  it("adds up at a unit what its weights bring back", () => {
    // Two inputs, hidden layers of 1 and 2 units, a score: the weights are numbered 0 to 9.
    const counts = sizes(2, [1, 2]);
    const weights = Float32Array.from([0.5, -0.5, 0, 3, -4, 0, 0, 1, 2, 0]);
    const gradient = Float32Array.from([0, 0, 0.1, 0, 0, 0.2, 0.3, 0, 0, 1]);
    const back = Float32Array.from([3 * 0.2 - 4 * 0.3, 1, 2, 1]);
    const here = link(counts, 0, 0, weights, gradient, back);
    expect(here.parts.map(({ weight }) => weight)).toEqual([3, -4]);
    expect(here.parts.reduce((sum, { weight, slope }) => sum + weight * slope, 0)).toBeCloseTo(here.back, 5);
    expect(here.activation * here.back).toBeCloseTo(here.bias, 5);
    expect(link(counts, 2, 0, weights, gradient, back).parts).toEqual([]);
  });

  it("tells of the unit that was chosen, else of the one that matters most", () => {
    const values = Float32Array.from([0.1, -0.9, 0.3, 0.2]);
    expect(telling([3], 0, 2, values)).toBe(2);
    expect(telling([3], 0, 3, values)).toBe(1);
    expect(telling([3], 1, 0, values)).toBe(0);
  });
});

describe("shades", () => {
  const table = Uint32Array.from({ length: 256 }, (_, step) => step);

  it("are held at the ends", () => {
    expect([-2, -1, 0, 1, 5].map((value) => shade(table, value))).toEqual([0, 0, 128, 255, 255]);
    expect(shade(table, Number.NaN)).toBe(0);
  });

  it("fill pictures side by side with the first row at the bottom", () => {
    const image = { width: 4, height: 4, data: new Uint8ClampedArray(64) } as unknown as ImageData;
    const values = Float32Array.from([-1, -1, 1, 1, 1, 1, 1, 1, -1, 1, -1, 1]);
    fillPictures(image, table, values, 3, 2, 2);
    const pixels = [...new Uint32Array(image.data.buffer)];
    expect(pixels).toEqual([255, 255, 255, 255, 0, 0, 255, 255, 0, 255, 0, 0, 0, 255, 0, 0]);
  });

  it("are finer between the points of a mesh, and are the mesh at its points", () => {
    const finer = new Float32Array(25);
    expect(refine(Float32Array.from([9, 0, 1, 2, 3]), 1, 2, 4, finer)).toBe(5);
    expect([finer[0], finer[4], finer[20], finer[24], finer[12]]).toEqual([0, 1, 2, 3, 1.5]);
    decided(finer, 25);
    expect([...new Set(finer)]).toEqual([-1, 1]);
  });
});

function packed(facts: object, arrays: Record<string, { shape: number[]; values: number[]; whole?: boolean }>) {
  const buffers = Object.values(arrays).map(({ values, whole }) => {
    const array = whole ? Int32Array.from(values) : Float32Array.from(values);
    return new DataView(array.buffer);
  });
  const told = Object.entries(arrays).map(([name, { shape, whole }]) => ({
    name,
    shape,
    dtype: whole ? "int32" : "float32",
  }));
  return { answer: { is: "frame", room: "network", ...facts, arrays: told } as unknown as Answer, buffers };
}

describe("answers of the room", () => {
  const units = { shape: [1, 2, 2], values: [0, 1, 2, 3] };

  it("give a frame, and that of the kept run where one goes along", () => {
    const facts = { update: 3, epoch: 0.5, loss: 0.2, test_loss: null, right: 0.75, say: [] };
    const alone = packed(facts, { units, dead: { shape: [1], values: [0], whole: true } });
    const read = frame(alone.answer, alone.buffers);
    expect([read.update, read.loss, read.testLoss, read.right, read.testRight]).toEqual([
      3,
      0.2,
      null,
      0.75,
      undefined,
    ]);
    expect(read.kept).toBeUndefined();
    expect([...read.units.data]).toEqual([0, 1, 2, 3]);
    const both = packed({ ...facts, "kept:update": 3, "kept:loss": 0.4 }, { units, "kept:units": units });
    expect(frame(both.answer, both.buffers).kept?.loss).toBe(0.4);
  });

  it("give a picture with what stays", () => {
    const facts = {
      update: 0,
      epoch: 0,
      say: [],
      last: 9,
      code: "x",
      features: ["x"],
      layers: [],
      classifies: true,
      rows: 5,
      batch: 2,
      an_epoch: 2,
      limits: [6, 32],
    };
    const { answer, buffers } = packed(facts, { units, train_points: { shape: [1, 3], values: [1, 2, 0] } });
    const read = picture(answer, buffers);
    expect([read.rows, read.anEpoch, read.limits, read.last]).toEqual([5, 2, [6, 32], 9]);
    expect([...read.trainPoints.data]).toEqual([1, 2, 0]);
  });

  it("give a map whose rates are those that were asked for, not their nearest floats", () => {
    const grid = { shape: [1, 2], values: [Number.NaN, Infinity] };
    const { answer, buffers } = packed(
      { updates: 100, part: 0.5, done: false, in_time: true },
      {
        rates: { shape: [2], values: [0.03, 0.1] },
        batches: { shape: [1], values: [10], whole: true },
        losses: grid,
        test_losses: grid,
      },
    );
    const read = sweepMap(answer, buffers);
    expect([read.rates, read.batches, read.done, read.inTime]).toEqual([[0.03, 0.1], [10], false, true]);
    expect(read.losses.data[1]).toBe(Infinity);
  });
});

describe("words of the room", () => {
  it("name the same values in both languages", () => {
    const named = (text: string) => [...text.matchAll(/\{(\w+)/g)].map(([, name]) => name).sort();
    const sets = [
      [en.network, zh.network],
      [en.running, zh.running],
      [en.hiding, zh.hiding],
    ] as unknown as [Record<string, string>, Record<string, string>][];
    for (const [english, chinese] of sets) {
      for (const [key, text] of Object.entries(english)) expect(named(chinese[key] ?? ""), key).toEqual(named(text));
    }
    for (const [key, text] of Object.entries(en.say)) {
      if (key.startsWith("network-"))
        expect([...new Set(named(zh.say[key] ?? ""))], key).toEqual([...new Set(named(text))]);
    }
  });
});
