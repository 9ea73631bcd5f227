import { beforeEach, describe, expect, it, vi } from "vitest";
import { decode, encode } from "../src/model/framing";
import type { Answer, Heard, Message, Model } from "../src/model/model";
import { Desk, PASTED, PIECE } from "../src/rooms/yourdata/desk.svelte";
import { BEGUN, readProgress, sized, type Table, targets } from "../src/rooms/yourdata/reading";
import { tables } from "../src/state/tables";

const TABLE: Table = {
  name: "cars.csv",
  rows: 2,
  columns: [
    { name: "name", type: "string", kind: "category" },
    { name: "built", type: "date32[day]", kind: "date" },
    { name: "mpg", type: "double", kind: "number" },
  ],
  first: [["a", "1970-01-01", 18]],
};

class Host implements Model {
  readonly sent: { message: Message; buffers: ArrayBuffer[] }[] = [];
  private readonly all = new Set<Heard>();
  send(message: Message, _callbacks?: unknown, buffers: ArrayBuffer[] = []): void {
    this.sent.push({ message, buffers });
  }
  on(_event: "msg:custom", heard: Heard): void {
    this.all.add(heard);
  }
  off(_event: "msg:custom", heard: Heard): void {
    this.all.delete(heard);
  }
  get(): undefined {
    return undefined;
  }
  get last(): Message {
    return this.sent.at(-1)?.message as Message;
  }
  /** Answer the last request of a kind. */
  answer(to: string, is: string, more: object = {}, buffers: DataView[] = []): void {
    const asked = this.sent.findLast(({ message }) => message.do === to)?.message as Message;
    for (const heard of this.all) heard({ is, id: asked.id, room: asked.room, ...more }, buffers);
  }
}

function opened(state = {}) {
  const host = new Host();
  const room = new Desk("your-data", tables["your-data"] ?? [], host, state);
  room.open();
  host.answer("open", "picture", { table: null, fitting: false, code: "", command: "" });
  return { host, room };
}

async function brought(state = {}) {
  const { host, room } = opened(state);
  await room.bring(new Blob(["name,built,mpg"]), "cars.csv");
  host.answer("upload", "table", { table: TABLE });
  host.answer("set", "picture", { table: TABLE, fitting: false, code: "import", command: "downslope fit cars.csv" });
  return { host, room };
}

/** An answer with one array, as the server frames it. */
function framed(name: string, shape: number[], numbers: number[]): { arrays: object[]; buffers: DataView[] } {
  const arrays = [{ name, dtype: "float32", shape }];
  const { buffers } = decode(encode({}, [Float32Array.from(numbers).buffer]));
  return { arrays, buffers };
}

describe("a table", () => {
  it("goes in pieces, each after the one before has come", async () => {
    const { host, room } = opened();
    const size = 2 * PIECE + 5;
    await room.bring(new Blob([new Uint8Array(size)]), "big.csv");
    expect(host.sent).toHaveLength(2);
    expect(host.last).toMatchObject({ do: "upload", name: "big.csv", size, at: 0 });
    expect([host.sent[1]?.buffers[0]?.byteLength, room.coming?.at]).toEqual([PIECE, PIECE]);
    host.answer("upload", "uploaded", { at: PIECE });
    await vi.waitFor(() => expect(host.last.at).toBe(PIECE));
    host.answer("upload", "uploaded", { at: 2 * PIECE });
    await vi.waitFor(() => expect(host.last.at).toBe(2 * PIECE));
    expect([host.sent.at(-1)?.buffers[0]?.byteLength, room.coming?.at]).toEqual([5, size]);
    host.answer("upload", "table", { table: TABLE });
    expect([room.table?.rows, room.coming]).toEqual([2, undefined]);
  });

  it("that is refused leaves the one that was there, and says why in both languages", async () => {
    const { host, room } = await brought();
    const said = { en: "too large", zh: "太大" };
    await room.bring(new Blob(["x"]), "huge.csv");
    host.answer("upload", "error", { message: "too large", said });
    expect([room.wrong, room.table?.name, room.coming]).toEqual([said, "cars.csv", undefined]);
  });

  it("that the browser cannot read is told of", async () => {
    const { room } = opened();
    const moved = { size: 9, slice: () => ({ arrayBuffer: () => Promise.reject(new DOMException("moved")) }) };
    await room.bring(moved as unknown as Blob, "moved.csv");
    expect([room.notice, room.coming]).toEqual([{ key: "unreadable", name: "moved.csv" }, undefined]);
  });

  it("takes the place of one that is still on its way", async () => {
    const { host, room } = opened();
    await room.bring(new Blob([new Uint8Array(PIECE + 1)]), "first.csv");
    const first = host.last.id;
    await room.bring(new Blob(["a"]), "second.csv");
    expect(host.last.id).not.toBe(first);
    expect(room.coming?.name).toBe("second.csv");
  });

  it("lies with the engine: a new line to it has none, and the page says so", async () => {
    const { host, room } = await brought({ target: "mpg" });
    room.fit();
    room.open();
    host.answer("open", "picture", { table: null, fitting: false, code: "", command: "" });
    expect([room.table, room.fitting, room.notice]).toEqual([undefined, false, { key: "gone", name: "cars.csv" }]);
  });

  it("offers as targets what can be predicted", () => {
    expect(targets(TABLE)).toEqual(["name", "mpg"]);
  });

  it("is asked for by the name that it can be saved under", async () => {
    const { room } = await brought();
    expect(room.elsewhere).toBe("");
    room.table = { ...TABLE, name: "cars.XLSX" };
    expect(room.elsewhere).toBe("cars.csv");
    room.table = { ...TABLE, name: PASTED };
    expect(room.elsewhere).toBe(PASTED);
  });

  it("has a size in the unit that reads best", () => {
    expect([sized(12), sized(2048), sized(3 << 20)]).toEqual([
      ["byte", 12],
      ["kilobyte", 2],
      ["megabyte", 3],
    ]);
  });
});

describe("a fit", () => {
  beforeEach(() => vi.stubGlobal("performance", { now: () => 0 }));

  it("waits for a target that the table has", async () => {
    const { host, room } = await brought({ target: "price" });
    room.fit();
    expect([room.ready, room.fitting]).toEqual([false, false]);
    room.change({ target: "mpg" });
    room.fit();
    expect(room.fitting).toBe(true);
    expect(host.last).toMatchObject({ do: "fit", state: { target: "mpg", model: "auto" } });
  });

  it("is not ended by an answer to settings that were sent before it began", async () => {
    const { host, room } = await brought({ target: "mpg" });
    room.change({ holdout: 0.5 });
    room.fit();
    host.answer("set", "picture", { table: TABLE, fitting: false, code: "import", command: "" });
    host.answer("fit", "progress", { phase: "descending", update: 7 });
    expect([room.fitting, room.live.update]).toEqual([true, 7]);
  });

  it("is followed, and what a message leaves out is as it was", () => {
    const chose = readProgress({ is: "progress", room: "", phase: "choosing", rows: 320, features: 5 }, [], BEGUN);
    const { arrays, buffers } = framed("curve", [2, 6], [0, 0, 0, 9, 1, Number.NaN, 3, 1.5, 0.1, 4, 0.2, 5]);
    const answer = {
      is: "progress",
      room: "",
      arrays,
      phase: "descending",
      update: 3,
      objective: 4,
    } as unknown as Answer;
    const live = readProgress(answer, buffers, chose);
    expect([live.rows, live.phase, live.update]).toEqual([320, "descending", 3]);
    expect([live.steps.update, live.steps.objective, live.steps.holdout[1]]).toEqual([[0, 3], [9, 4], 5]);
  });

  it("ends with its page, and settings changed since are known", async () => {
    const { host, room } = await brought({ target: "mpg" });
    room.fit();
    const { arrays, buffers } = framed("steps", [1, 8], [1, 1, 1, 1, 1, 1, 1, 1]);
    host.answer("fit", "fitted", { kind: "run", verdict: "converged", arrays }, buffers);
    expect([room.fitting, room.page?.verdict, room.page?.steps.update, room.changed]).toEqual([
      false,
      "converged",
      [1],
      false,
    ]);
    room.change({ holdout: 0.5 });
    expect(room.changed).toBe(true);
    room.keep();
    expect(room.kept?.state.holdout).toBe(0.2);
  });

  it("is stopped once, and an error ends it", async () => {
    const { host, room } = await brought({ target: "mpg" });
    room.fit();
    room.stop();
    expect([host.last.do, room.stopping]).toEqual(["stop", true]);
    host.answer("fit", "error", { message: "the fit was stopped before its first step" });
    expect([room.fitting, room.stopping, room.wrong]).toEqual([
      false,
      false,
      "the fit was stopped before its first step",
    ]);
  });

  it("goes on while another room is shown", async () => {
    const { host, room } = await brought({ target: "mpg" });
    room.fit();
    room.leave();
    host.answer("fit", "progress", { phase: "descending", update: 7 });
    room.open();
    host.answer("open", "picture", { table: TABLE, fitting: true, code: "", command: "" });
    expect([room.fitting, room.live.update, room.table?.name]).toEqual([true, 7, "cars.csv"]);
  });
});
