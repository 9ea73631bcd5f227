import { describe, expect, it } from "vitest";
import { begin, record, redo, undo } from "../src/state/history";
import { fromFragment, toFragment } from "../src/state/link";
import { clamped, defaults, type Row, read, tables } from "../src/state/tables";

const row = (name: string, kind: Row["kind"], more: Partial<Row>): Row => ({
  name,
  kind,
  default: 0,
  least: null,
  most: null,
  choices: null,
  log: false,
  short: name[0] as string,
  ...more,
});
const table: Record<string, Row[]> = {
  hall: [
    row("rate", "number", { default: 1, least: 0.001, most: 10 }),
    row("steps", "whole", { default: 100, least: 1, most: 200, short: "n" }),
    row("function", "choice", { default: "parabola", choices: ["parabola", "cars"] }),
    row("wide", "flag", { default: false }),
    row("expression", "text", { default: "x**2", most: 20 }),
  ],
};

describe("the link", () => {
  it("says only what is not at its default", () => {
    const state = { ...defaults(table.hall as Row[]), rate: 0.25 };
    expect(toFragment({ room: "hall", lang: "zh", state }, table)).toBe("#room=hall&lang=zh&r=0.25");
  });

  it("brings every setting back as it was", () => {
    const state = { rate: 0.1 + 0.2, steps: 7, function: "cars", wide: true, expression: "x**4 + 3*x & 1=?" };
    const place = { room: "hall", lang: "", state };
    expect(fromFragment(toFragment(place, table), table, "hall")).toEqual(place);
  });

  it("takes what it cannot read at its default, and numbers within their limits", () => {
    const fragment = "#room=cellar&r=1e9&n=2.6&f=trucks&w=maybe&e=aaaaaaaaaaaaaaaaaaaaaaaaa&lang=zh";
    expect(fromFragment(fragment, table, "hall")).toEqual({
      room: "hall",
      lang: "zh",
      state: { rate: 10, steps: 3, function: "parabola", wide: false, expression: "x**2" },
    });
  });

  it("has a short name of its own for every setting of every room", () => {
    for (const rows of Object.values(tables)) {
      const names = rows.map((each) => each.short);
      expect(new Set([...names, "room", "lang"]).size).toBe(names.length + 2);
    }
  });

  it("reads every default of every room as itself", () => {
    for (const each of Object.values(tables).flat()) {
      const text = each.kind === "flag" ? (each.default ? "1" : "0") : String(each.default);
      expect(read(each, text)).toBe(each.default);
    }
  });
});

describe("limits", () => {
  it("hold numbers, and round whole ones", () => {
    const steps = (table.hall as Row[])[1] as Row;
    expect([clamped(steps, 12.5), clamped(steps, -3), clamped(steps, 1e9)]).toEqual([13, 1, 200]);
    expect([read(steps, ""), read(steps, "NaN"), read(steps, "1e400")]).toEqual([undefined, undefined, undefined]);
  });
});

describe("undo and redo", () => {
  it("go through the same states", () => {
    const three = record(record(begin({ rate: 1 }), { rate: 2 }), { rate: 3 });
    const back = undo(undo(three));
    expect(back.now).toEqual({ rate: 1 });
    expect(redo(redo(back))).toEqual(three);
    expect(undo(back)).toBe(back);
    expect(redo(three)).toBe(three);
  });

  it("forget the future at a new state, and take no step for the same one", () => {
    const two = record(begin({ rate: 1 }), { rate: 2 });
    expect(record(two, { rate: 2 })).toBe(two);
    expect(record(undo(two), { rate: 5 })).toEqual({ past: [{ rate: 1 }], now: { rate: 5 }, future: [] });
  });

  it("keep no more than 200 states", () => {
    let history = begin(0);
    for (let value = 1; value <= 500; value++) history = record(history, value);
    expect(history.past.length).toBe(200);
    expect(history.past[0]).toBe(300);
  });
});
