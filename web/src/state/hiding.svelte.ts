import { getContext, setContext } from "svelte";

const KEY = Symbol("hiding");

/** Parts of a page, besides its settings, that a lesson may do without. */
export const PARTS = ["play", "step", "scrub", "speed", "reset", "new_start", "undo", "compare", "share", "hiding"];

/** Which settings and parts are not shown: a teacher's choice, which the link holds as `hide=rate,rule`. */
export class Hiding {
  names = $state.raw<readonly string[]>([]);

  constructor(names: readonly string[] = []) {
    this.names = names;
  }

  hides(name: string): boolean {
    return this.names.includes(name);
  }

  toggle(name: string): void {
    this.names = this.hides(name) ? this.names.filter((each) => each !== name) : [...this.names, name];
  }

  take(names: readonly string[]): void {
    if (names.join() !== this.names.join()) this.names = names;
  }
}

export function provideHiding(hiding: Hiding): void {
  setContext(KEY, hiding);
}

/** What hides on this page; nothing where nobody has said so. */
export function hiding(): Hiding {
  return getContext<Hiding | undefined>(KEY) ?? new Hiding();
}
