import { beforeEach, describe, expect, it, vi } from "vitest";
import type { State } from "../src/model/asking";
import type { Answer, Heard, Message, Model } from "../src/model/model";
import { Clock } from "../src/state/clock.svelte";
import { type Played, Room } from "../src/state/room.svelte";
import { tables } from "../src/state/tables";

describe("the clock", () => {
  let now = 0;
  let frame: FrameRequestCallback | undefined;

  beforeEach(() => {
    now = 0;
    frame = undefined;
    vi.spyOn(performance, "now").mockImplementation(() => now);
    vi.stubGlobal("requestAnimationFrame", (next: FrameRequestCallback) => {
      frame = next;
    });
  });

  function pass(milliseconds: number): void {
    now += milliseconds;
    const due = frame;
    frame = undefined;
    due?.(now);
  }

  function ready(steps: number, speed: number): Clock {
    const clock = new Clock();
    clock.take(steps);
    clock.speed = speed;
    return clock;
  }

  it("stands at the end of a run, and stays at the end of the next", () => {
    const clock = ready(20, 3);
    expect(clock.at).toBe(20);
    clock.take(6);
    expect(clock.at).toBe(6);
    clock.take(81);
    expect(clock.at).toBe(81);
  });

  it("stays at the step that it was put to, where there is one", () => {
    const clock = ready(20, 3);
    clock.go(5);
    clock.take(50);
    expect(clock.at).toBe(5);
    clock.take(2);
    expect(clock.at).toBe(2);
  });

  it("plays from the start at its speed, and stops at the end", () => {
    const clock = ready(6, 10);
    clock.toggle();
    expect([clock.playing, clock.at]).toEqual([true, 0]);
    pass(100);
    expect(clock.at).toBe(1);
    pass(250);
    expect(clock.at).toBe(3);
    pass(250);
    pass(250);
    expect([clock.playing, clock.at]).toEqual([false, 6]);
  });

  it("does not jump over what passed while the page was out of sight", () => {
    const clock = ready(1000, 10);
    clock.play();
    pass(60_000);
    expect(clock.at).toBe(2);
  });

  it("goes no farther than there are steps", () => {
    const clock = ready(3, 3);
    clock.go(9);
    expect(clock.at).toBe(3);
    clock.go(-1);
    expect(clock.at).toBe(0);
  });
});

describe("a room", () => {
  class Host implements Model {
    readonly sent: Message[] = [];
    private heard: Heard | undefined;
    send(message: Message): void {
      this.sent.push(message);
    }
    on(_event: "msg:custom", heard: Heard): void {
      this.heard = heard;
    }
    off(): void {
      this.heard = undefined;
    }
    get(): undefined {
      return undefined;
    }
    answer(is: string, more: object = {}): void {
      const { id, room } = this.sent.at(-1) as Message;
      this.heard?.({ is, id, room, ...more }, []);
    }
  }

  const reader = (answer: Answer): Played => ({
    steps: Number(answer.steps),
    verdict: "",
    needed: null,
    say: [],
    stepsSay: [],
    code: "",
  });

  function opened() {
    const host = new Host();
    const room = new Room("one-weight", tables["one-weight"] ?? [], host, reader, { rate: 2 });
    room.open();
    host.answer("picture", { steps: 4 });
    return { host, room };
  }

  it("begins with what it is given, and the rest at its defaults", () => {
    const { host, room } = opened();
    expect(host.sent[0]).toMatchObject({ do: "open", room: "one-weight", state: { rate: 2, function: "parabola" } });
    expect([room.picture?.steps, room.drawn.rate, room.clock.last]).toEqual([4, 2, 4]);
  });

  it("takes a drag as one change to undo", () => {
    const { host, room } = opened();
    for (const rate of [2.1, 2.2, 2.3]) {
      room.set({ rate });
      host.answer("picture", { steps: 4 });
    }
    room.settle();
    expect([room.canUndo, room.state.rate]).toEqual([true, 2.3]);
    room.undo();
    expect([room.state.rate, room.canUndo, room.canRedo]).toEqual([2, false, true]);
    expect(host.sent.at(-1)).toMatchObject({ do: "set", state: { rate: 2 } });
    host.answer("picture", { steps: 4 });
    room.redo();
    expect(room.state.rate).toBe(2.3);
  });

  it("shows what was wrong and keeps its picture, until a picture comes", () => {
    const { host, room } = opened();
    room.change({ expression: "x +" });
    host.answer("error", { message: "the expression ends early" });
    expect([room.problem, room.picture?.steps]).toEqual(["the expression ends early", 4]);
    room.change({ expression: "x" });
    host.answer("picture", { steps: 5 });
    expect([room.problem, room.picture?.steps]).toEqual(["", 5]);
  });

  it("keeps a run with the settings that it was drawn for", () => {
    const { host, room } = opened();
    room.keep();
    room.change({ rate: 3 });
    host.answer("picture", { steps: 9 });
    expect([room.kept?.state.rate, room.kept?.picture.steps, room.drawn.rate]).toEqual([2, 4, 3]);
    room.drop();
    expect(room.kept).toBeUndefined();
  });

  it("draws roughly while a drag goes on, and all of it at its end, once", () => {
    const host = new Host();
    const rough = (state: State) => (state.rate === 2 ? state : { ...state, steps: 10 });
    const room = new Room("one-weight", tables["one-weight"] ?? [], host, reader, { rate: 2 }, { rough, speed: 10 });
    expect(room.clock.speed).toBe(10);
    room.open();
    host.answer("picture", { steps: 4 });
    room.set({ rate: 3 });
    expect(host.sent.at(-1)).toMatchObject({ state: { rate: 3, steps: 10 } });
    host.answer("picture", { steps: 1 });
    room.settle();
    expect(host.sent.at(-1)).toMatchObject({ state: { rate: 3, steps: room.state.steps } });
    host.answer("picture", { steps: 9 });
    expect([room.picture?.steps, room.drawn]).toEqual([9, room.state]);
    const asked = host.sent.length;
    room.settle();
    room.change({ rate: 2 });
    expect(host.sent).toHaveLength(asked + 1);
  });
});
