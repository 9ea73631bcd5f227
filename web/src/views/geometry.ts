/** Points to pictures: what the views share, and nothing that knows a room. */

export type Point = readonly [number, number];
export type Span = [number, number];
export type Scale = (value: number) => number;

/** Far outside any picture, near enough for every renderer. */
const FAR = 1e5;

function held(value: number): number {
  return Math.round(Math.min(FAR, Math.max(-FAR, value)) * 100) / 100;
}

/** Nearer than this in pixels, two corners of a line look like one. */
const SAME = 0.4;

/** An SVG path through points; what is not finite breaks it, and what cannot be told apart is left out. */
export function line(points: readonly Point[], x: Scale, y: Scale): string {
  let out = "";
  let broken = true;
  let last: Point = [0, 0];
  for (const [a, b] of points) {
    const across = x(a);
    const down = y(b);
    if (!Number.isFinite(across) || !Number.isFinite(down)) {
      broken = true;
    } else if (broken || Math.abs(across - last[0]) > SAME || Math.abs(down - last[1]) > SAME) {
      out += `${broken ? "M" : "L"}${held(across)} ${held(down)}`;
      last = [across, down];
      broken = false;
    }
  }
  return out;
}

/**
 * An SVG path that a round line cap turns into dots: one element for any number of points. A point nearer than `gap`
 * pixels to the last dot gets none, so that many short steps do not run together.
 */
export function dots(points: readonly Point[], x: Scale, y: Scale, gap = 0): string {
  let out = "";
  let last: Point = [Infinity, Infinity];
  for (const [a, b] of points) {
    const spot: Point = [x(a), y(b)];
    const apart = Math.hypot(spot[0] - last[0], spot[1] - last[1]);
    if (!Number.isFinite(spot[0]) || !Number.isFinite(spot[1]) || apart < gap) continue;
    out += `M${held(spot[0])} ${held(spot[1])}h0`;
    last = spot;
  }
  return out;
}

/** The ends of a tangent `length` long on the screen, through a point with the given slope in the data's units. */
export function tangent(at: Point, slope: number, x: Scale, y: Scale, length: number): [Point, Point] {
  const across = x(at[0] + 1) - x(at[0]);
  const down = y(at[1] + slope) - y(at[1]);
  const scale = length / 2 / Math.hypot(across, down);
  const [a, b] = [x(at[0]), y(at[1])];
  return [
    [a - across * scale, b - down * scale],
    [a + across * scale, b + down * scale],
  ];
}

/** The least and the most of finite values, with a share of their distance on both sides. */
export function extent(values: Iterable<number>, margin = 0): Span {
  let [least, most] = [Infinity, -Infinity];
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    least = Math.min(least, value);
    most = Math.max(most, value);
  }
  if (least > most) return [0, 1];
  const room = (most - least || Math.abs(most) || 1) * margin;
  return [least - room, most + room];
}

/** Heights at which to draw a surface's level lines: evenly spaced after a root, so that the floor of a valley shows. */
export function levels(least: number, most: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => least + (most - least) * ((index + 0.5) / count) ** 2.2);
}

/** Powers of ten from the least to the most of a logarithmic axis, as many as there is room for. */
export function decades(least: number, most: number, room: number): number[] {
  const [from, to] = [Math.ceil(Math.log10(least) - 1e-9), Math.floor(Math.log10(most) + 1e-9)];
  const gap = every(Math.max(1, to - from), Math.max(1, room));
  return Array.from(
    { length: Math.max(0, Math.floor((to - from) / gap) + 1) },
    (_, index) => 10 ** (from + index * gap),
  );
}

/** How often to name a row so that names do not run together: every 1st, 2nd, 5th, 10th... */
export function every(count: number, most: number): number {
  for (let unit = 1; ; unit *= 10) {
    for (const times of [1, 2, 5]) if (count / (unit * times) <= most) return unit * times;
  }
}
