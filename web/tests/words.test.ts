import { describe, expect, it } from "vitest";
import { en } from "../src/words/en";
import { figure, NOTHING, percent } from "../src/words/numbers";
import { chosen, filled, said } from "../src/words/words";
import { zh } from "../src/words/zh";

type Leaves = Record<string, Record<string, string>>;

function blanks(text: string): string[] {
  return [...text.matchAll(/\{(\w+%?)(?:#[^}]*)?\}/g)].map((found) => found[1] as string).sort();
}

describe("the two languages", () => {
  it("have the same keys, in the open groups too", () => {
    for (const group of Object.keys(en)) {
      expect(Object.keys((zh as Leaves)[group] ?? {})).toEqual(Object.keys((en as Leaves)[group] ?? {}));
    }
  });

  it("put the same values into every text", () => {
    for (const [group, texts] of Object.entries(en as Leaves)) {
      for (const [key, text] of Object.entries(texts)) {
        expect(blanks((zh as Leaves)[group]?.[key] ?? ""), `${group}.${key}`).toEqual(blanks(text));
      }
    }
  });
});

describe("numbers", () => {
  it("have four significant digits, a true minus and the locale's marks", () => {
    expect(figure(1234.567, "en")).toBe("1,235");
    expect(figure(-0.0123456, "en")).toBe("−0.01235");
    expect(figure(20000, "de")).toBe("20.000");
  });

  it("are powers of ten where they are very large or very small", () => {
    expect(figure(0.0000123456, "en")).toBe("1.235 × 10⁻⁵");
    expect(figure(-3.2e12, "en")).toBe("−3.2 × 10¹²");
    expect(figure(1e-7, "en")).toBe("10⁻⁷");
  });

  it("that are not known are a dash", () => {
    expect([figure(null, "en"), figure(Number.NaN, "en"), figure(undefined, "en")]).toEqual(Array(3).fill(NOTHING));
    expect(figure(Number.POSITIVE_INFINITY, "en")).toBe("∞");
    expect(figure(0, "en")).toBe("0");
  });

  it("are shares in per cent", () => {
    expect(percent(0.0055, "en")).toBe("0.55%");
    expect([percent(4e-17, "en"), percent(0, "en")]).toEqual(["<0.001%", "0%"]);
  });
});

describe("sentences", () => {
  const overshot = { say: "overshot-grew", step: 4, rate: 4, limit: 3.2, factor: 1.5 };

  it("of the engine are said in both languages", () => {
    expect(said(overshot, "en")).toBe("Step 4 overshot: rate 4 is above the limit 3.2; the error grew 1.5 times.");
    expect(said(overshot, "zh")).toBe("第 4 步越过了最小值：学习率 4 高于上限 3.2；误差增大到 1.5 倍。");
  });

  it("count in the singular and in the plural", () => {
    const landed = (steps: number) => said({ say: "run-landed", steps, tolerance: 0.0055 }, "en");
    expect(landed(1)).toBe("Landed in 1 step: 0.55% or less of the starting distance is left.");
    expect(landed(2284)).toContain("in 2,284 steps:");
    expect(filled("{needed#step|steps}", { needed: null }, "en")).toBe(NOTHING);
  });

  it("without words, and no sentence at all, are silence", () => {
    expect([said({ say: "unheard" }, "en"), said(null, "zh")]).toEqual(["", ""]);
  });

  it("name choices by their words, and the user's own names as they are", () => {
    expect(filled("{rule} on {column}", { rule: "plain", column: "mpg" }, "en")).toBe("Plain descent on mpg");
    expect(filled("{rule}以 {rate} 走在{column}上", { rule: "adam", rate: 0.5, column: "mpg" }, "zh")).toBe(
      "Adam 以 0.5 走在 mpg 上",
    );
  });
});

describe("the language", () => {
  it("is the link's, then the browser's, then English", () => {
    expect(chosen("zh", ["en-GB"])).toBe("zh");
    expect(chosen("", ["fr-FR", "zh-TW", "en"])).toBe("zh");
    expect(chosen("xx", ["fr"])).toBe("en");
  });
});
