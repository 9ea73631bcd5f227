/** The published exercises of one weight: their settings. How many steps each takes is for the engine to say. */

export const EXERCISE = {
  function: "parabola",
  curvature: 0.625,
  tolerance: 0.0055,
  start: -4,
  steps: 100,
  rule: "plain",
} as const;

export const RATES = [0.1, 1, 1.6, 4];

export type Outcome = "right" | "off" | "off_never" | "right_never" | "wrong_never" | "undecided";

/** What to say of a prediction, null for "never", beside what the engine found. */
export function verdictOf(guess: number | null, needed: number | null, verdict: string): Outcome {
  if (needed === null) {
    if (verdict !== "diverged") return "undecided";
    return guess === null ? "right_never" : "wrong_never";
  }
  if (guess === null) return "off_never";
  return guess === needed ? "right" : "off";
}
