import { expect, test } from "vitest";
import { problemOf, spoken } from "../src/words/spoken";

test("a sentence is in the language of the page, and a plain text is the same in all", () => {
  const pair = { en: "no rows", zh: "没有行" };
  expect([spoken(pair, "en"), spoken(pair, "zh")]).toEqual(["no rows", "没有行"]);
  expect([spoken("age", "zh"), spoken(null, "zh"), spoken(undefined, "en")]).toEqual(["age", "", ""]);
});

test("what went wrong is said in every language, and as it is where there is but one", () => {
  const said = { en: "open it first", zh: "请先打开" };
  expect(spoken(problemOf({ is: "error", room: "batches", message: "open it first", said }), "zh")).toBe("请先打开");
  expect(problemOf({ is: "error", room: "batches", message: "no" })).toBe("no");
  expect(problemOf({ is: "error", room: "batches" })).toBe("");
});
