import { getContext, setContext } from "svelte";
import { Asking, type State } from "../model/asking";
import type { Answer, Model } from "../model/model";
import { problemOf } from "../words/spoken";

const KEY = Symbol("replaying");

/** How a room is kept as a page that plays by itself; and whether this page is such a one. */
export class Replaying {
  /** Nobody answers here: what can be seen is what is there. */
  readonly still: boolean;
  private readonly model: Model;
  private leave: (() => void) | undefined;

  constructor(model: Model) {
    this.model = model;
    this.still = model.get("still") === true;
  }

  /**
   * Ask for the page of a room; throws an Error where there is none, whose cause is what is wrong in both languages. `more`: of a running room, what
   * its page holds besides. One that is asked for before another has come is not waited for any more.
   */
  page(
    room: string,
    state: State,
    at: number,
    language: string,
    more: object = {},
  ): Promise<{ name: string; page: Blob }> {
    const id = Asking.next();
    this.leave?.();
    return new Promise((done, failed) => {
      const heard = (answer: Answer, buffers: DataView[]) => {
        if (answer.id !== id) return;
        this.model.off("msg:custom", heard);
        if (answer.is !== "file") failed(new Error(String(answer.message ?? ""), { cause: problemOf(answer) }));
        else
          done({
            name: String(answer.name),
            page: new Blob(buffers as DataView<ArrayBuffer>[], { type: "text/html" }),
          });
      };
      this.leave = () => this.model.off("msg:custom", heard);
      this.model.on("msg:custom", heard);
      this.model.send({ do: "replay", room, id, state, at, language, ...more });
    });
  }
}

export function provideReplaying(replaying: Replaying): void {
  setContext(KEY, replaying);
}

export function replaying(): Replaying {
  return getContext(KEY);
}
