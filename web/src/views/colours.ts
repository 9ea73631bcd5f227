/** Colours for canvases, which know no CSS variables. */

/** What a variable of the theme says where an element stands; a variable that names another is followed. */
export function colour(element: Element, name: string): string {
  return getComputedStyle(element).getPropertyValue(`--${name}`).trim();
}

function channels(hex: string): [number, number, number] {
  const whole = Number.parseInt(hex.slice(1), 16);
  return [(whole >> 16) & 255, (whole >> 8) & 255, whole & 255];
}

/** A colour a share of the way from one to another, both `#rrggbb`. */
export function between(from: string, to: string, share: number): string {
  const [a, b] = [channels(from), channels(to)];
  const mixed = a.map((each, index) => Math.round(each + ((b[index] as number) - each) * share));
  return `rgb(${mixed.join(" ")})`;
}

/** The dashes of the rules in their order, so that they are told apart without colour too. */
export const DASHES = ["", "7 3", "2 3", "10 3 2 3"];
