import { describe, expect, it } from "vitest";
import { decades, dots, every, extent, levels, line, tangent } from "../src/views/geometry";
import { farthestFirst, project, reach } from "../src/views/projection";

const x = (value: number) => 10 * value;
const y = (value: number) => 100 - 5 * value;

describe("paths", () => {
  it("go through their points and break where one is not finite", () => {
    expect(
      line(
        [
          [0, 0],
          [1, 2],
          [2, Number.NaN],
          [3, 4],
        ],
        x,
        y,
      ),
    ).toBe("M0 100L10 90M30 80");
    expect(
      dots(
        [
          [0, 0],
          [1, Number.POSITIVE_INFINITY],
          [2, 2],
        ],
        x,
        y,
      ),
    ).toBe("M0 100h0M20 90h0");
  });

  it("leave out corners that cannot be told apart", () => {
    const near: [number, number][] = [0, 0.01, 0.02, 0.03, 0.04, 0.05, 1].map((each) => [each, 0]);
    expect(line(near, x, y)).toBe("M0 100L0.5 100L10 100");
  });

  it("leave out dots that would run together", () => {
    const near: [number, number][] = [0, 0.1, 0.2, 1, 1.05, 2].map((each) => [each, 0]);
    expect(dots(near, x, y, 5)).toBe("M0 100h0M10 100h0M20 100h0");
  });

  it("stay near enough for a renderer when a run flies off", () => {
    expect(
      line(
        [
          [0, 0],
          [1e30, -1e30],
        ],
        x,
        y,
      ),
    ).toBe("M0 100L100000 100000");
  });
});

describe("a tangent", () => {
  it("is as long as asked on the screen, and has the slope of the data", () => {
    const [from, to] = tangent([2, 3], 4, x, y, 60);
    expect(Math.hypot(to[0] - from[0], to[1] - from[1])).toBeCloseTo(60, 10);
    expect((to[1] - from[1]) / -5 / ((to[0] - from[0]) / 10)).toBeCloseTo(4, 10);
    expect((from[0] + to[0]) / 2).toBeCloseTo(20, 10);
  });
});

describe("extents and levels", () => {
  it("cover what is finite, with room on both sides", () => {
    expect(extent([3, Number.NaN, -1, Number.POSITIVE_INFINITY], 0.25)).toEqual([-2, 4]);
    expect(extent([])).toEqual([0, 1]);
  });

  it("lie inside, rising, closer at the floor", () => {
    const heights = levels(10, 110, 12);
    expect(heights.every((each) => each > 10 && each < 110)).toBe(true);
    const gaps = heights.slice(1).map((each, index) => each - (heights[index] as number));
    expect(gaps.every((gap, index) => index === 0 || gap > (gaps[index - 1] as number))).toBe(true);
  });

  it("name decades, and fewer of them where there is no room", () => {
    expect(decades(0.05, 120, 9)).toEqual([0.1, 1, 10, 100]);
    expect(decades(1e-16, 10, 4).map(Math.log10)).toEqual([-16, -11, -6, -1]);
  });

  it("name rows no more often than there is room", () => {
    expect([every(8, 10), every(81, 10), every(2000, 10)]).toEqual([1, 10, 200]);
  });
});

describe("the projection", () => {
  it("keeps lengths: its three directions are perpendicular and of length one", () => {
    const view = { turn: 0.7, tilt: 0.5 };
    const axes = [project(view, 1, 0, 0), project(view, 0, 1, 0), project(view, 0, 0, 1)];
    for (let a = 0; a < 3; a++) {
      for (let b = 0; b < 3; b++) {
        const product = (axes[a] ?? []).reduce((sum, each, index) => sum + each * (axes[b]?.[index] ?? 0), 0);
        expect(product).toBeCloseTo(a === b ? 1 : 0, 12);
      }
    }
  });

  it("shows height as height from the side, and none from above", () => {
    expect(project({ turn: 1, tilt: 0 }, 0, 0, 0.5)[1]).toBeCloseTo(0.5, 12);
    expect(project({ turn: 1, tilt: Math.PI / 2 }, 0, 0, 0.5)[1]).toBeCloseTo(0, 12);
  });

  it("reaches as far as its farthest corner", () => {
    const view = { turn: 2.3, tilt: 0.6 };
    const corners = [-0.5, 0.5].flatMap((a) =>
      [-0.5, 0.5].flatMap((b) => [-0.3, 0.3].map((c) => project(view, a, b, c))),
    );
    const [right, up] = reach(view, 0.6);
    expect(Math.max(...corners.map((each) => each[0]))).toBeCloseTo(right, 12);
    expect(Math.max(...corners.map((each) => each[1]))).toBeCloseTo(up, 12);
  });

  it("paints each cell after every neighbour that is farther", () => {
    for (const turn of [0.3, 2, 3.8, 5.5]) {
      const view = { turn, tilt: 0.4 };
      const near = ([a, b]: [number, number]) => project(view, a / 5, b / 4, 0)[2];
      const cells = farthestFirst(view, 6, 5);
      expect(cells.length).toBe(20);
      cells.forEach((cell, place) => {
        for (const later of cells.slice(place + 1)) {
          if (Math.abs(cell[0] - later[0]) + Math.abs(cell[1] - later[1]) === 1) {
            expect(near(later)).toBeGreaterThanOrEqual(near(cell) - 1e-12);
          }
        }
      });
    }
  });
});
