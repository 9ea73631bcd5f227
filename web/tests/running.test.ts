import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Answer, Heard, Message, Model } from "../src/model/model";
import { Hiding } from "../src/state/hiding.svelte";
import { fromFragment, toFragment } from "../src/state/link";
import { type Begun, type Frame, RunningRoom } from "../src/state/running.svelte";
import { tables } from "../src/state/tables";

class Host implements Model {
  sent: Message[] = [];
  private heard = new Set<Heard>();
  send(message: Message): void {
    this.sent.push(message);
  }
  on(_event: "msg:custom", heard: Heard): void {
    this.heard.add(heard);
  }
  off(_event: "msg:custom", heard: Heard): void {
    this.heard.delete(heard);
  }
  get(): undefined {
    return undefined;
  }
  say(answer: Record<string, unknown>): void {
    for (const heard of this.heard) heard({ room: "network", ...answer } as unknown as Answer, []);
  }
  last(what: string): Message | undefined {
    return this.sent.findLast((message) => message.do === what);
  }
}

const facts = (answer: Answer) =>
  ({ update: answer.update, say: answer.say ?? [], last: answer.last ?? 1e6, code: "" }) as unknown as Begun;
const readers = { picture: facts, frame: facts as (answer: Answer) => Frame, beside: (answer: Answer) => answer.part };

describe("a running room", () => {
  let host: Host;
  let room: RunningRoom;
  let due: FrameRequestCallback[] = [];
  let now = 0;

  beforeEach(() => {
    due = [];
    now = 1000;
    vi.spyOn(performance, "now").mockImplementation(() => now);
    vi.stubGlobal("requestAnimationFrame", (call: FrameRequestCallback) => due.push(call));
    host = new Host();
    room = new RunningRoom("network", tables.network ?? [], host, readers, {});
  });

  function screen(): void {
    const calls = due;
    due = [];
    for (const call of calls) call(now);
  }

  function begun(update = 0): number {
    const id = (host.last("set") ?? host.last("open"))?.id as number;
    host.say({ is: "picture", id, update });
    return id;
  }

  it("asks the engine for its clock, and stands where it says", () => {
    room.open();
    const id = begun();
    room.clock.toggle();
    expect(host.last("play")).toMatchObject({ speed: 1500 });
    host.say({ is: "clock", id, playing: true, update: 40, last: 1e6, possible: 5e4 });
    expect([room.clock.playing, room.clock.at, room.clock.possible]).toEqual([true, 40, 5e4]);
    room.clock.toggle();
    expect(host.sent.at(-1)?.do).toBe("pause");
    room.clock.stride = 25;
    room.clock.step();
    room.clock.back();
    expect(host.sent.slice(-2).map(({ do: what, count }) => [what, count])).toEqual([
      ["step", 25],
      ["back", 25],
    ]);
    room.clock.go(12.4);
    expect(host.sent.at(-1)).toMatchObject({ do: "seek", update: 12 });
    expect(room.clock.furthest).toBe(40);
  });

  it("paints every frame once, two that come at once one after the other, and never an old one", () => {
    room.open();
    const id = begun();
    screen();
    const painted: number[] = [];
    room.onFrame((frame) => painted.push(frame.update));
    expect(painted).toEqual([0]);
    host.say({ is: "frame", id, update: 1 });
    host.say({ is: "frame", id, update: 2 });
    screen();
    screen();
    screen();
    expect(painted).toEqual([0, 1, 2]);
    for (const update of [3, 4, 5, 6]) host.say({ is: "frame", id, update });
    host.say({ is: "frame", id: id - 1, update: 99 });
    while (due.length) screen();
    expect(painted).toEqual([0, 1, 2, 5, 6]);
  });

  it("tells in words now and then while it plays, and of the very last when it stands", () => {
    room.open();
    const id = begun();
    room.clock.play();
    now += 200;
    host.say({ is: "frame", id, update: 10 });
    expect(room.shown?.update).toBe(10);
    now += 20;
    host.say({ is: "frame", id, update: 20 });
    expect(room.shown?.update).toBe(10);
    host.say({ is: "clock", id, playing: false, update: 20, last: 1e6, possible: null });
    expect([room.shown?.update, room.clock.at]).toEqual([20, 20]);
  });

  it("begins anew on a change, and goes on playing", () => {
    room.open();
    begun();
    room.clock.play();
    const plays = host.sent.filter((each) => each.do === "play").length;
    room.change({ rate: 0.1 });
    begun();
    expect(host.sent.filter((each) => each.do === "play").length).toBe(plays + 1);
    expect([room.clock.at, room.canUndo]).toEqual([0, true]);
  });

  it("lets a kept run go along from the same place, until it is dropped", () => {
    room.open();
    const id = begun();
    host.say({ is: "frame", id, update: 30 });
    room.keep();
    expect(host.last("set")).toMatchObject({ kept: { rate: 0.03 } });
    begun();
    expect(host.last("seek")).toMatchObject({ update: 30 });
    room.change({ rate: 0.3 });
    expect(host.last("set")).toMatchObject({ state: { rate: 0.3 }, kept: { rate: 0.03 } });
    begun();
    room.drop();
    expect(host.last("set")?.kept).toBeUndefined();
  });

  it("goes to where its link says, once", () => {
    room.goTo(70);
    room.open();
    begun();
    expect(host.last("seek")).toMatchObject({ update: 70 });
    host.sent = [];
    room.change({ rate: 1 });
    begun();
    expect(host.last("seek")).toBeUndefined();
  });

  it("holds back settings that the engine is slow with until a drag ends", () => {
    room.open();
    begun();
    const count = host.sent.length;
    room.hold({ batch: 20 });
    room.hold({ batch: 30 });
    expect([host.sent.length, room.state.batch]).toEqual([count, 30]);
    room.change({});
    expect(host.last("set")).toMatchObject({ state: { batch: 30 } });
  });

  it("takes in work beside the run, and only the newest", () => {
    room.open();
    begun();
    room.work("sweep", { updates: 100 });
    const id = host.last("sweep")?.id;
    host.say({ is: "sweep", id, part: 0.5, done: false });
    expect([room.beside?.told, room.beside?.done]).toEqual([0.5, false]);
    room.work("sweep", { updates: 200 });
    host.say({ is: "sweep", id, part: 1, done: true });
    expect(room.beside?.told).toBeUndefined();
    room.stopWork();
    expect(host.sent.at(-1)?.do).toBe("stop");
    expect(room.beside?.done).toBe(true);
  });

  it("says what was wrong, and goes on", () => {
    room.open();
    begun();
    room.clock.step();
    host.say({ is: "error", id: host.last("step")?.id, message: "no" });
    expect(room.problem).toBe("no");
    room.change({ rate: 1 });
    begun();
    expect(room.problem).toBe("");
  });
});

describe("a link", () => {
  it("holds the update and what is hidden", () => {
    const place = { room: "network", lang: "", state: { rate: 0.1 }, at: 512, hide: ["rule", "play"] };
    const fragment = toFragment(place, tables);
    expect(fragment).toBe("#room=network&r=0.1&at=512&hide=rule,play");
    expect(fromFragment(fragment, tables, "one-weight")).toMatchObject({
      at: 512,
      hide: ["rule", "play"],
      state: { rate: 0.1 },
    });
  });

  it("leaves out what is as usual, and reads nonsense as nothing", () => {
    expect(toFragment({ room: "network", lang: "", state: {}, at: 0, hide: [] }, tables)).toBe("#room=network");
    const place = fromFragment("#room=network&at=-3&hide=", tables, "network");
    expect([place.at, place.hide]).toEqual([undefined, undefined]);
  });

  it("has short names that are not its own words", () => {
    for (const rows of Object.values(tables)) {
      for (const { short } of rows) expect(["room", "lang", "at", "hide"]).not.toContain(short);
    }
  });
});

describe("hiding", () => {
  it("is turned on and off by name", () => {
    const hiding = new Hiding(["rate"]);
    hiding.toggle("rule");
    hiding.toggle("rate");
    expect([hiding.hides("rate"), hiding.hides("rule"), hiding.names]).toEqual([false, true, ["rule"]]);
    const { names } = hiding;
    hiding.take(["rule"]);
    expect(hiding.names).toBe(names);
  });
});
