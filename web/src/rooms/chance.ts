/** A number between two others, to as many digits as a link can bear. The link then holds it, so it is drawn only once. */
export function randomIn(least: number, most: number): number {
  return Number((least + (0.05 + 0.9 * Math.random()) * (most - least)).toPrecision(3));
}
