import { describe, expect, it } from "vitest";
import { Asking, type State } from "../src/model/asking";
import { EmbeddedModel } from "../src/model/embedded";
import type { Answer, Heard, Message, Model } from "../src/model/model";

/** A host that answers when it is told to, in the order it is told. */
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
  answer(index: number, is = "picture"): void {
    this.tell(index, { is }, []);
  }
  tell(index: number, answer: Omit<Answer, "id" | "room">, buffers: DataView[]): void {
    const { id, room } = this.sent[index] as Message;
    this.heard?.({ ...answer, id, room } as Answer, buffers);
  }
}

function asking() {
  const host = new Host();
  const got: [State, string][] = [];
  const asker = new Asking(host, "one-weight", (answer: Answer, _buffers, state) => got.push([state, answer.is]));
  return { host, got, asker };
}

describe("asking for pictures", () => {
  it("opens the room once and then sets it", () => {
    const { host, asker } = asking();
    asker.ask({ rate: 1 });
    host.answer(0);
    asker.ask({ rate: 2 });
    expect(host.sent.map((each) => each.do)).toEqual(["open", "set"]);
  });

  it("keeps one request on its way, and of the rest sends only the newest", () => {
    const { host, got, asker } = asking();
    for (const rate of [1, 2, 3, 4]) asker.ask({ rate });
    expect(host.sent.map((each) => each.state)).toEqual([{ rate: 1 }]);
    host.answer(0);
    expect(host.sent.map((each) => each.state)).toEqual([{ rate: 1 }, { rate: 4 }]);
    host.answer(1);
    expect(got.map(([state]) => state)).toEqual([{ rate: 1 }, { rate: 4 }]);
  });

  it("drops answers to what it no longer waits for", () => {
    const { host, got, asker } = asking();
    asker.ask({ rate: 1 });
    asker.again({ rate: 2 });
    host.answer(0);
    expect(got).toEqual([]);
    host.answer(1);
    host.answer(1);
    expect(got).toEqual([[{ rate: 2 }, "picture"]]);
    expect(host.sent[1]?.do).toBe("open");
  });

  it("goes on after an error", () => {
    const { host, got, asker } = asking();
    asker.ask({ rate: 1 });
    asker.ask({ rate: 2 });
    host.answer(0, "error");
    host.answer(1);
    expect(got.map(([, is]) => is)).toEqual(["error", "picture"]);
  });
});

describe("what a page holds of its last picture", () => {
  const view = (value: number) => new DataView(Float32Array.of(value).buffer);
  const told = (name: string, held = false) => ({
    name,
    dtype: "float32" as const,
    shape: [1],
    ...(held ? { held } : {}),
  });

  it("is named in the next request, and stands in for what is left out", () => {
    const host = new Host();
    const got: number[][] = [];
    const asker = new Asking(host, "two-weights", (_answer, buffers) =>
      got.push(buffers.map((each) => each.getFloat32(0, true))),
    );
    asker.ask({ start_x: 1 });
    host.tell(0, { is: "picture", arrays: [told("heights"), told("path")] }, [view(1), view(2)]);
    asker.ask({ start_x: 2 });
    host.tell(1, { is: "picture", arrays: [told("heights", true), told("path")] }, [view(3)]);
    asker.ask({ start_x: 3 });
    host.tell(2, { is: "picture", arrays: [told("heights", true), told("path", true)] }, []);
    expect(got).toEqual([
      [1, 2],
      [1, 3],
      [1, 3],
    ]);
    expect(host.sent.map((each) => each.since)).toEqual([undefined, host.sent[0]?.id, host.sent[1]?.id]);
    asker.again({ start_x: 3 });
    expect(host.sent[3]?.since).toBeUndefined();
  });

  it("is that of the last picture, whatever errors came between", () => {
    const { host, asker } = asking();
    asker.ask({ rate: 1 });
    host.answer(0);
    asker.ask({ rate: 2 });
    host.answer(1, "error");
    asker.ask({ rate: 3 });
    expect(host.sent[2]?.since).toBe(host.sent[0]?.id);
  });
});

describe("a page that nobody answers", () => {
  it("has the picture of the room that is asked for, and its buffers", async () => {
    const buffers = [btoa(String.fromCharCode(...new Uint8Array(Float32Array.of(2.5).buffer)))];
    const answers = [{ answer: { is: "picture", room: "one-weight", verdict: "converged" }, buffers }];
    const model = new EmbeddedModel({ known: { room: "one-weight" }, answers });
    const heard: [Answer, number | undefined][] = [];
    model.on("msg:custom", (answer, views) => heard.push([answer, views[0]?.getFloat32(0, true)]));
    model.send({ do: "open", room: "one-weight", id: 7, state: {} });
    model.send({ do: "open", room: "two-weights", id: 8, state: {} });
    await Promise.resolve();
    expect(heard).toEqual([[{ is: "picture", room: "one-weight", verdict: "converged", id: 7 }, 2.5]]);
    expect(model.get("room")).toBe("one-weight");
  });
});
