import { describe, expect, it } from "vitest";
import { decode, encode } from "../src/model/framing";
import type { Answer } from "../src/model/model";
import { EXERCISE, verdictOf } from "../src/rooms/challenges";
import { oneWeight, type TwoWeights, twoWeights } from "../src/rooms/pictures";
import { MOST, RACING, readRace, toggled, writeRace } from "../src/rooms/race";
import { read, tables } from "../src/state/tables";

type Named = [name: string, shape: number[], numbers: number[]];

/** An answer as the server frames it. */
function framed(content: object, arrays: Named[]): [Answer, DataView[]] {
  const told = arrays.map(([name, shape]) => ({ name, dtype: "float32", shape }));
  const buffers = arrays.map(([, , numbers]) => Float32Array.from(numbers).buffer);
  const { message, buffers: views } = decode(encode({ is: "picture", ...content, arrays: told }, buffers));
  return [message as unknown as Answer, views];
}

describe("the picture of one weight", () => {
  it("has its points in pairs and one step fewer than points", () => {
    const [answer, buffers] = framed(
      { room: "one-weight", needed: 1, verdict: "converged", say: [{ say: "run-landed", steps: 1 }], steps_say: [] },
      [
        ["curve", [2, 2], [-1, 1, 1, 2]],
        ["path", [2, 3], [-4, 5, -2.5, 0, 0, 0]],
      ],
    );
    const picture = oneWeight(answer, buffers);
    expect(picture.steps).toBe(1);
    expect(picture.path).toEqual([
      [-4, 5],
      [0, 0],
    ]);
    expect(picture.slopes).toEqual([-2.5, 0]);
    expect(picture.curve[1]).toEqual([1, 2]);
    expect([picture.needed, picture.verdict, picture.say[0]?.say]).toEqual([1, "converged", "run-landed"]);
  });
});

describe("the picture of two weights", () => {
  function drawn(height: number, before?: TwoWeights): TwoWeights {
    const runs = [
      { rule: "plain", rate: 0.1, needed: 7, verdict: "converged", limit: 0.5 },
      { rule: "adam", rate: 0.1, needed: null, verdict: "budget", limit: null },
    ];
    const [answer, buffers] = framed({ room: "two-weights", runs }, [
      ["heights", [1, 2], [height, 2]],
      ["table", [0, 2], []],
      ["path:plain", [2, 2], [1, 2, 3, 4]],
      ["loss:plain", [2], [9, 8]],
      ["path:adam", [3, 2], [1, 2, 5, 6, 7, 8]],
      ["loss:adam", [3], [9, 7, 6]],
    ]);
    return twoWeights(answer, buffers, before);
  }

  it("gives every rule its own path, and the clock as many steps as the longest has", () => {
    const picture = drawn(1);
    expect(picture.steps).toBe(2);
    expect(picture.runs.map((run) => run.path.length)).toEqual([2, 3]);
    expect(picture.runs[1]?.losses).toEqual([9, 7, 6]);
    expect([picture.needed, picture.verdict]).toEqual([7, "converged"]);
  });

  it("keeps the landscape that it had while the heights are the same", () => {
    const first = drawn(1);
    expect(drawn(1, first).heights).toBe(first.heights);
    expect(drawn(3, first).heights).not.toBe(first.heights);
  });
});

describe("a race", () => {
  it("is read and written as its setting has it", () => {
    const text = "plain,momentum@0.0005,adam@0.05";
    expect(readRace(text)).toEqual([
      { rule: "plain", rate: undefined },
      { rule: "momentum", rate: 0.0005 },
      { rule: "adam", rate: 0.05 },
    ]);
    expect(writeRace(readRace(text))).toBe(text);
  });

  it("keeps one rule, takes no more than the engine does, and stays in order", () => {
    const one = readRace("adam");
    expect(toggled(one, "adam")).toBe(one);
    expect(writeRace(toggled(one, "plain"))).toBe("plain,adam");
    const full = readRace(RACING.slice(0, MOST).join(","));
    expect(toggled(full, RACING.at(-1) as string)).toBe(full);
  });
});

describe("the exercises", () => {
  it("ask for settings that the room has, within their limits", () => {
    for (const [name, value] of Object.entries(EXERCISE)) {
      const row = tables["one-weight"]?.find((each) => each.name === name);
      expect(row && read(row, String(value)), name).toBe(value);
    }
  });

  it("are judged by what the engine found", () => {
    expect(verdictOf(81, 81, "converged")).toBe("right");
    expect(verdictOf(80, 81, "converged")).toBe("off");
    expect(verdictOf(null, 81, "converged")).toBe("off_never");
    expect(verdictOf(null, null, "diverged")).toBe("right_never");
    expect(verdictOf(9, null, "diverged")).toBe("wrong_never");
    expect(verdictOf(9, null, "budget")).toBe("undecided");
  });
});
