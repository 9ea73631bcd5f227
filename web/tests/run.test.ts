import { describe, expect, it } from "vitest";
import { bytes, EmbeddedModel } from "../src/model/embedded";
import type { Answer, Model } from "../src/model/model";
import { fromWidget } from "../src/model/widget";
import { readPage, type Trained } from "../src/run/reading";
import { duration, phrase, setting, shown, told, wide } from "../src/run/telling";
import { Speech } from "../src/shell/speech.svelte";
import { Replaying } from "../src/state/replaying";

function held(numbers: number[]): DataView {
  return new DataView(Float32Array.from(numbers).buffer);
}

function base64(numbers: number[]): string {
  return btoa(String.fromCharCode(...new Uint8Array(Float32Array.from(numbers).buffer)));
}

describe("the page of a record", () => {
  const step = [7, 2, 0.5, 3.5, 1, 0.1, Number.NaN, 4];
  const content = { is: "run", room: "", kind: "run", verdict: "budget", path: { moments: 1, explained: null } };
  const arrays: Answer["arrays"] = [
    { name: "steps", dtype: "float32", shape: [1, 8] },
    { name: "looks", dtype: "float32", shape: [0, 10] },
  ];

  it("has its steps by name, and nothing where nothing was measured", () => {
    const page = readPage({ ...content, arrays }, [held(step), held([])]) as Trained;
    expect(page.steps.update).toEqual([7]);
    expect(page.steps.objective).toEqual([3.5]);
    expect(page.steps.gap[0]).toBeNaN();
    expect(page.steps.holdout).toEqual([4]);
    expect(page.looks.update).toEqual([]);
    expect(page.way).toBeUndefined();
  });

  it("is refused where its arrays are not as it says", () => {
    expect(() => readPage({ ...content, arrays }, [held([1, 2]), held([])])).toThrow(RangeError);
  });

  it("gives every method of a race its ways", () => {
    const shape = [2, 5];
    const page = readPage(
      {
        is: "run",
        room: "",
        kind: "race",
        entries: [{ name: "scaled" }],
        arrays: [{ name: "way:scaled:updates", dtype: "float32", shape }],
      },
      [held([1, 0.5, 0, 0, 0, 2, 0.25, 0, 0, 0])],
    );
    expect(page.kind === "race" && page.ways.scaled?.updates.value).toEqual([0.5, 0.25]);
    expect(page.kind === "race" && page.ways.scaled?.seconds.budget).toEqual([]);
  });
});

describe("what a page says", () => {
  const english = new Speech("en");
  const chinese = new Speech("zh");

  it("ends each sentence as its language does", () => {
    const both = { en: "the budget is spent", zh: "预算用尽" };
    expect(told(english, both)).toBe("The budget is spent.");
    expect(told(chinese, both)).toBe("预算用尽。");
    expect(told(chinese, { en: "known in English", zh: "known in English" })).toBe("Known in English.");
    expect([told(english, "It ends!"), told(english, ""), phrase(english, both)]).toEqual([
      "It ends!",
      "",
      "The budget is spent",
    ]);
  });

  it("names settings and values, and those it has no word for as they are", () => {
    expect(setting(chinese, "learning_rate")).toBe("学习率");
    expect(setting(english, "of_my_own")).toBe("of my own");
    expect(shown(english, ["mini-batch", 0.5, null])).toBe("Mini-batch, 0.5, –");
  });

  it("writes a time by its size", () => {
    expect(duration(english, 0.0123)).toBe("12.3 ms");
    expect(duration(english, null)).toBe("–");
    expect(duration(chinese, 90)).toContain("90");
  });

  it("sees when a logarithm shows more", () => {
    expect([wide([1, 11]), wide([1, 9]), wide([-1, 100]), wide([Number.NaN, 5])]).toEqual([true, false, false, false]);
  });
});

describe("a page that nobody answers", () => {
  const page = {
    known: { still: true, room: "one-weight" },
    answers: [{ answer: { is: "picture", room: "one-weight" }, buffers: [base64([1.5, 2.5])] }],
  };

  it("answers each request for what it holds with its own number, and others with silence", async () => {
    const model = new EmbeddedModel(page);
    const heard: [Answer, DataView[]][] = [];
    model.on("msg:custom", (answer, buffers) => heard.push([answer, buffers]));
    model.send({ do: "open", room: "one-weight", id: 5 });
    model.send({ do: "open", room: "two-weights", id: 6 });
    model.send({ do: "replay", room: "one-weight", id: 7 });
    await Promise.resolve();
    expect(heard.map(([answer]) => answer.id)).toEqual([5]);
    expect(heard[0]?.[1][0]?.getFloat32(4, true)).toBe(2.5);
  });

  it("is still", () => {
    expect(new Replaying(new EmbeddedModel(page)).still).toBe(true);
    expect(new Replaying(new EmbeddedModel({ answers: [] })).still).toBe(false);
  });

  it("takes the buffers of a notebook as they are", () => {
    const view = held([1]);
    expect(bytes(view)).toBe(view);
  });
});

describe("a replay page", () => {
  /** A host whose session answers with what is given. */
  function host(answer: object, buffers: DataView[] = []): Model {
    const heard = new Set<(answer: Answer, buffers: DataView[]) => void>();
    return {
      send: (message) => {
        for (const each of [...heard]) each({ room: message.room, id: -1, is: "file" }, []);
        for (const each of [...heard]) each({ room: message.room, id: message.id, ...answer } as Answer, buffers);
      },
      on: (_, each) => heard.add(each),
      off: (_, each) => heard.delete(each),
      get: () => undefined,
    };
  }

  it("comes as a file", async () => {
    const replaying = new Replaying(host({ is: "file", name: "one-weight.html" }, [held([1, 2])]));
    const { name, page } = await replaying.page("one-weight", {}, 3, "en");
    expect([name, page.size, page.type]).toEqual(["one-weight.html", 8, "text/html"]);
  });

  it("that cannot be had is a sentence", async () => {
    const replaying = new Replaying(host({ is: "error", message: "not this room" }));
    await expect(replaying.page("network", {}, 0, "en")).rejects.toThrow("not this room");
  });
});

describe("the model of a widget", () => {
  it("has no opinion where a trait is empty or absent", () => {
    const traits: Record<string, unknown> = { room: "", language: "zh" };
    const widget = {
      send: () => undefined,
      on: () => undefined,
      off: () => undefined,
      get(name: string) {
        if (!(name in traits)) throw new Error(name);
        return traits[name];
      },
    };
    const model = fromWidget(widget);
    expect([model.get("room"), model.get("language"), model.get("still")]).toEqual([undefined, "zh", undefined]);
  });
});
