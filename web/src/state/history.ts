/** Undo and redo over values that are never changed in place. */

const LONGEST = 200;

export interface History<T> {
  past: T[];
  now: T;
  future: T[];
}

export function begin<T>(now: T): History<T> {
  return { past: [], now, future: [] };
}

/** Add a value; one that equals the present changes nothing. */
export function record<T>(history: History<T>, next: T): History<T> {
  if (JSON.stringify(next) === JSON.stringify(history.now)) return history;
  return { past: [...history.past, history.now].slice(-LONGEST), now: next, future: [] };
}

export function undo<T>(history: History<T>): History<T> {
  const before = history.past.at(-1);
  if (before === undefined) return history;
  return { past: history.past.slice(0, -1), now: before, future: [history.now, ...history.future] };
}

export function redo<T>(history: History<T>): History<T> {
  const [after, ...future] = history.future;
  return after === undefined ? history : { past: [...history.past, history.now], now: after, future };
}
