/** The rules of a race as the setting writes them: names with commas, each with a rate of its own after @ if it has one. */

export const RACING = [
  "plain",
  "momentum",
  "nesterov",
  "adagrad",
  "rmsprop",
  "adam",
  "adamw",
  "lion",
  "prodigy",
  "schedule-free",
];
/** As many as the engine races at once. */
export const MOST = 4;

export interface Racer {
  rule: string;
  /** Undefined where it takes the rate of the room. */
  rate: number | undefined;
}

export function readRace(text: string): Racer[] {
  return text
    .split(",")
    .map((part) => part.trim().split("@"))
    .filter(([rule]) => rule)
    .map(([rule, rate]) => ({ rule: rule as string, rate: rate ? Number(rate) : undefined }));
}

export function writeRace(racers: Racer[]): string {
  return racers.map(({ rule, rate }) => (rate === undefined ? rule : `${rule}@${rate}`)).join(",");
}

/** Let a rule race or not; the last one stays, and the order is that of the list. */
export function toggled(racers: Racer[], rule: string): Racer[] {
  if (racers.some((each) => each.rule === rule)) {
    return racers.length > 1 ? racers.filter((each) => each.rule !== rule) : racers;
  }
  if (racers.length >= MOST) return racers;
  return [...racers, { rule, rate: undefined }].sort((a, b) => RACING.indexOf(a.rule) - RACING.indexOf(b.rule));
}
