/** Words by group and key. */
export type Groups = Record<string, Record<string, string>>;

type All<T extends readonly unknown[]> = T extends readonly [infer First, ...infer Rest] ? First & All<Rest> : unknown;

/** The words of several areas as one: groups of the same name have the keys of all of them. */
export function joined<T extends readonly Groups[]>(...areas: T): All<T> {
  const all: Groups = {};
  for (const area of areas) {
    for (const [group, words] of Object.entries(area)) all[group] = { ...all[group], ...words };
  }
  return all as All<T>;
}
