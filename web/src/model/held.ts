import type { Answer } from "./model";

/** The arrays of the last picture: the session leaves them out of the next where they are the same (docs/front-end.md). */
export class Held {
  private id: number | undefined;
  private arrays = new Map<string, DataView>();

  /** What a request says of it. */
  get since(): { since?: number } {
    return this.id === undefined ? {} : { since: this.id };
  }

  forget(): void {
    this.id = undefined;
    this.arrays.clear();
  }

  /** All buffers of a picture, those that were left out as they came before. */
  whole(answer: Answer, buffers: DataView[]): DataView[] {
    if (answer.is !== "picture") return buffers;
    let next = 0;
    const now = (answer.arrays ?? []).map(({ name, held }): [string, DataView] => {
      const view = held ? this.arrays.get(name) : buffers[next++];
      return [name, view ?? new DataView(new ArrayBuffer(0))];
    });
    this.id = answer.id;
    this.arrays = new Map(now);
    return now.map(([, view]) => view);
  }
}
