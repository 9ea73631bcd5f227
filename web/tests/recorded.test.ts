import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { arraysOf } from "../src/model/arrays";
import { EmbeddedModel } from "../src/model/embedded";
import type { Answer } from "../src/model/model";
import { type Begun, type Frame, RunningRoom } from "../src/state/running.svelte";
import { tables } from "../src/state/tables";

const UPDATES = [0, 1, 2, 4, 8, 16, 100];
const floats = (...values: number[]) => new DataView(new Float32Array(values).buffer);
const described = (name: string, length: number) => ({ name, dtype: "float32" as const, shape: [length] });

function page(known: Record<string, unknown> = {}): EmbeddedModel {
  const picture = { is: "picture", room: "network", code: "UPDATES = 1", last: 100, frames: UPDATES.length };
  const frames = UPDATES.map((update) => ({
    answer: { is: "frame", room: "network", update, say: [], arrays: [described("weights", 2)] },
    buffers: [floats(update, -update)],
  }));
  const answers = [{ answer: { ...picture, arrays: [described("points", 1)] }, buffers: [floats(7)] }, ...frames];
  return new EmbeddedModel({ known: { room: "network", still: true, ...known }, answers });
}

const facts = (answer: Answer, buffers: DataView[]) => ({
  update: Number(answer.update),
  say: [],
  last: Number(answer.last),
  code: String(answer.code),
  arrays: arraysOf(answer, buffers),
});
type Facts = ReturnType<typeof facts> & Begun & Frame;
const readers = { picture: facts as never, frame: facts as never };

describe("a room among the frames that a page holds", () => {
  let room: RunningRoom<Facts, Facts>;
  let now = 0;

  beforeEach(async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "setTimeout", "clearTimeout"] });
    vi.spyOn(performance, "now").mockImplementation(() => now);
    vi.stubGlobal("requestAnimationFrame", (call: FrameRequestCallback) => queueMicrotask(() => call(now)));
    room = new RunningRoom("network", tables.network ?? [], page(), readers, {});
    room.open();
    await settled();
  });

  afterEach(() => {
    room.end();
    vi.useRealTimers();
    vi.restoreAllMocks();
  });

  async function settled(): Promise<void> {
    for (let turn = 0; turn < 5; turn++) await Promise.resolve();
  }

  async function pass(milliseconds: number): Promise<void> {
    for (let gone = 0; gone < milliseconds; gone += 20) {
      now += 20;
      vi.advanceTimersByTime(20);
      await settled();
    }
  }

  const weights = () => [...((room.frame?.arrays.get("weights")?.data ?? []) as Float32Array)];

  it("begins with the picture and its first frame, and can be gone through to the end at once", () => {
    const { picture, clock } = room;
    expect([...(picture?.arrays.keys() ?? [])]).toEqual(["points", "weights"]);
    expect([clock.at, clock.last, clock.furthest, clock.playing]).toEqual([0, 100, 100, false]);
    expect(clock.speed).toBe(20);
  });

  it("steps to the next frame that it holds, and back to the last", async () => {
    const stood = [];
    for (const move of ["step", "step", "step", "back", "step", "step", "step", "step", "back"] as const) {
      room.clock[move]();
      await settled();
      stood.push(room.clock.at);
    }
    expect(stood).toEqual([1, 2, 4, 2, 4, 8, 16, 100, 16]);
    expect(weights()).toEqual([16, -16]);
    room.clock.stride = 10;
    room.clock.back();
    await settled();
    expect(room.clock.at).toBe(4);
    room.clock.reset();
    await settled();
    expect(room.clock.at).toBe(0);
  });

  it("seeks the nearest frame", async () => {
    const stood = [];
    for (const update of [5, 7, 60, 99, 98, 1e9, 99, 15, -3]) {
      room.clock.go(update);
      await settled();
      stood.push(room.clock.at);
    }
    expect(stood).toEqual([4, 8, 100, 100, 100, 100, 100, 16, 0]);
  });

  it("plays in its own time to the end, and once more from the start", async () => {
    room.clock.setSpeed(20);
    room.clock.toggle();
    await pass(500);
    expect([room.clock.playing, room.frame?.update]).toEqual([true, 8]);
    room.clock.toggle();
    await pass(2000);
    expect([room.clock.playing, room.clock.at]).toEqual([false, 8]);
    room.clock.toggle();
    await pass(6000);
    expect([room.clock.playing, room.clock.at, room.clock.ended]).toEqual([false, 100, true]);
    expect(room.clock.playable).toBe(true);
    room.clock.toggle();
    await pass(100);
    expect([room.clock.playing, room.frame?.update]).toEqual([true, 1]);
  });

  it("looks elsewhere and stays where it is", async () => {
    room.clock.go(8);
    await settled();
    room.set({ show_test: true });
    await settled();
    expect([room.picture?.update, room.clock.at, room.clock.furthest, room.state.show_test]).toEqual([8, 8, 100, true]);
    room.clock.step();
    await settled();
    expect(weights()).toEqual([16, -16]);
  });

  it("opens where it was kept, beside the run that went along", async () => {
    const other = new RunningRoom("network", tables.network ?? [], page({ kept: { rate: 0.1 } }), readers, {});
    other.open();
    other.goTo(16);
    await settled();
    expect([other.clock.at, other.kept]).toEqual([16, { rate: 0.1 }]);
    other.end();
  });
});

describe("pictures in levels", () => {
  it("have the ends of their ranges as they are, and what lies between", () => {
    const levels = new DataView(new Uint16Array([0, 65_535, 32_768, 9, 9, 9]).buffer);
    const ranges: [number, number][] = [
      [-1, 3],
      [0.25, 0.25],
    ];
    const arrays = [{ name: "units", dtype: "uint16" as const, shape: [2, 3, 1], ranges }];
    const { data } = arraysOf({ is: "frame", room: "network", arrays }, [levels]).get("units") ?? { data: [] };
    expect([data[0], data[1], data[3], data[5]]).toEqual([-1, 3, 0.25, 0.25]);
    expect(data[2]).toBeCloseTo(1, 4);
  });
});
