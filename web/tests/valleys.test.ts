import { describe, expect, it } from "vitest";
import { decode, encode } from "../src/model/framing";
import type { Answer } from "../src/model/model";
import { colours, depth, HUES, rough, SHOWN, stretches, TRIES, type Valleys, valleys } from "../src/rooms/valleys";
import { read, tables } from "../src/state/tables";
import { en } from "../src/words/en";

type Box = Valleys["box"];
const BOX: Box = [
  [-5, 5],
  [-5, 5],
];

function minimum(x: number, y: number, loss: number, lowest = false): object {
  return { x, y, loss, lowest, share: 0.5, starts: 5, updates: 9, kind: "minimum" };
}

function answered(minima: object[], reached: number[], way: object = {}, formula = "x**2"): [Answer, DataView[]] {
  const arrays: [string, string, number[], number[]][] = [
    ["heights", "float32", [1, 2], [1, 2]],
    ["origins", "float32", [2, 2], [1, 2, 3, 4]],
    ["reached", "int32", [2], reached],
    ["path", "float32", [3, 2], [1, 1, 0.5, 0.5, 0, 0]],
    ["path_loss", "float32", [3], [4, 2, 1]],
    ["path_slope", "float32", [3], [2, 1, 0]],
    ["rates", "float32", [2], [0.1, 1]],
    ["rates_reached", "int32", [2], [0, -1]],
  ];
  const content = {
    is: "picture",
    room: "valleys",
    box: BOX,
    axes: ["x", "y"],
    formula,
    starts: 2,
    minima,
    elsewhere: {},
    steepest: 0.5,
    way: { steps: 2, reached: 0, alive: true, start: [1, 1], loss: 1, jumps: [], lingered: null, ...way },
    say: [],
    steps_say: [{ say: "step-lower", step: 1 }],
    code: "",
    arrays: arrays.map(([name, dtype, shape]) => ({ name, dtype, shape })),
  };
  const buffers = arrays.map(([, dtype, , numbers]) =>
    dtype === "int32" ? Int32Array.from(numbers).buffer : Float32Array.from(numbers).buffer,
  );
  const { message, buffers: views } = decode(encode(content, buffers));
  return [message as unknown as Answer, views];
}

const TWO = [minimum(0, 0, 1, true), minimum(2, 2, 3)];

describe("the picture of valleys", () => {
  it("has the way of one's own start with its losses and slopes, and as many steps", () => {
    const picture = valleys(...answered(TWO, [0, 1]), undefined);
    expect(picture.steps).toBe(2);
    expect(picture.mine.path.at(-1)).toEqual([0, 0]);
    expect([picture.mine.losses, picture.mine.slopes]).toEqual([
      [4, 2, 1],
      [2, 1, 0],
    ]);
    expect([picture.verdict, picture.needed]).toEqual(["converged", 2]);
    expect(picture.origins).toEqual([
      [1, 2],
      [3, 4],
    ]);
  });

  it("says how a way ended that reached nothing", () => {
    const nowhere = valleys(...answered(TWO, [0, -1], { reached: -1 }), undefined);
    expect([nowhere.verdict, nowhere.needed]).toEqual(["budget", null]);
    expect(valleys(...answered(TWO, [0, -1], { reached: -1, alive: false }), undefined).verdict).toBe("diverged");
  });

  it("keeps what did not change, so that a drag of one's own start leaves the crowd", () => {
    const first = valleys(...answered(TWO, [0, 1]), undefined);
    const next = valleys(...answered(TWO, [0, 1], { start: [2, 2] }), first);
    expect(next.origins).toBe(first.origins);
    expect(next.reached).toBe(first.reached);
    expect(next.minima).toBe(first.minima);
    expect(next.heights).toBe(first.heights);
    expect(valleys(...answered(TWO, [1, 1]), first).reached).not.toBe(first.reached);
  });

  it("gives a minimum the same colour in every picture of one ground, wherever it is in the list", () => {
    const first = valleys(...answered(TWO, [0, 1]), undefined);
    const colour = first.minima[1]?.colour;
    expect(first.minima[0]?.colour).toBe("minimum");
    const more = valleys(...answered([TWO[0] as object, minimum(-3, 1, 2), TWO[1] as object], [0, 2]), first);
    expect(more.minima[2]?.colour).toBe(colour);
    expect(more.minima[1]?.colour).not.toBe(colour);
    const gone = valleys(...answered([TWO[0] as object], [0, -1]), more);
    expect(valleys(...answered(TWO, [0, 1]), gone).minima[1]?.colour).toBe(colour);
    expect(valleys(...answered(TWO, [0, 1], {}, "y**2"), more).coloured).toHaveLength(1);
  });
});

describe("the colours of minima", () => {
  it("are all different while there are enough of them, and those of neighbours always", () => {
    const few = Array.from({ length: HUES }, (_, index) => ({ x: index - 3, y: 0, lowest: false }));
    expect(new Set(colours(few, [], BOX)).size).toBe(HUES);
    const many = Array.from({ length: 11 }, (_, index) => ({ x: index - 5, y: 0, lowest: false }));
    const given = colours(many, [], BOX);
    expect(given.every((each, index) => index === 0 || each !== given[index - 1])).toBe(true);
  });

  it("set the lowest apart only where it is one", () => {
    const twins = [
      { x: -1, y: 0, lowest: true },
      { x: 1, y: 0, lowest: true },
    ];
    expect(colours(twins, [], BOX)).not.toContain("minimum");
    expect(colours(twins.slice(1), [], BOX)).toEqual(["minimum"]);
  });
});

describe("the row of rates", () => {
  it("is cut where another minimum is reached, halfway by factor, and covers everything", () => {
    const found = stretches([1, 4, 16, 64], [0, 0, -1, 2]);
    expect(found.map((each) => each.reached)).toEqual([0, -1, 2]);
    expect(found.map((each) => each.from)).toEqual([1, 8, 32]);
    expect(found.map((each) => each.to)).toEqual([8, 32, 64]);
    expect(stretches([], [])).toEqual([]);
  });
});

describe("depth", () => {
  it("goes from the lowest to the highest minimum", () => {
    const minima = [{ loss: 1 }, { loss: 2 }, { loss: 5 }];
    expect(minima.map((each) => depth(minima, each.loss))).toEqual([0, 0.25, 1]);
    expect(depth([{ loss: 3 }], 3)).toBe(0);
  });
});

describe("what is worth trying", () => {
  const rows = tables.valleys ?? [];

  it("has words, and settings that the room has, within their limits", () => {
    for (const [name, state] of [...Object.entries(TRIES), ...Object.entries(SHOWN)]) {
      if (name in TRIES) expect(Object.keys(en.valleys), name).toContain(name);
      for (const [setting, value] of Object.entries(state)) {
        const row = rows.find((each) => each.name === setting);
        expect(row && read(row, String(value)), `${name} ${setting}`).toBe(value);
      }
    }
  });

  it("has a view of every surface", () => {
    expect(Object.keys(SHOWN).sort()).toEqual([...(rows.find((row) => row.name === "surface")?.choices ?? [])].sort());
  });

  it("draws fewer starts while a drag goes on, where there are many, but not for one's own", () => {
    expect(rough({ starts: 10000, rate: 0.1 }, { rate: 0.1 })).toEqual({ starts: 500, rate: 0.1 });
    const many = { starts: 10000, start_x: 1 };
    expect(rough(many, { start_x: 1, start_y: 2 })).toBe(many);
    const few = { starts: 500 };
    expect(rough(few, { rate: 0.1 })).toBe(few);
  });
});
