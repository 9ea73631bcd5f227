import { Held } from "./held";
import type { Answer, Message, Model } from "./model";

export type State = Record<string, number | string | boolean>;
type Got = (answer: Answer, buffers: DataView[], state: State) => void;

/**
 * Asks for the pictures of one room. One request is on its way at a time; of those that come up meanwhile only the
 * newest is sent, and an answer to anything older is dropped, so that a drag is never behind by more than one picture.
 */
export class Asking {
  private static last = 0;
  private underway: { id: number; state: State } | undefined;
  private waiting: State | undefined;
  private opened = false;
  private readonly held = new Held();
  private readonly heard = (answer: Answer, buffers: DataView[]) => this.receive(answer, buffers);
  private readonly model: Model;
  private readonly room: string;
  private readonly got: Got;
  private readonly beside: () => object;

  /** `beside`: what a request says besides its settings. */
  constructor(model: Model, room: string, got: Got, beside: () => object = () => ({})) {
    this.model = model;
    this.room = room;
    this.got = got;
    this.beside = beside;
    model.on("msg:custom", this.heard);
  }

  /** A number that no other request of this page has. */
  static next(): number {
    return ++Asking.last;
  }

  ask(state: State): void {
    if (this.underway) this.waiting = state;
    else this.send(state);
  }

  /** Forget what is on its way and begin the room again, as after a broken line. */
  again(state: State): void {
    this.underway = this.waiting = undefined;
    this.opened = false;
    this.held.forget();
    this.send(state);
  }

  end(): void {
    this.model.off("msg:custom", this.heard);
  }

  private send(state: State): void {
    const id = Asking.next();
    const message: Message = {
      do: this.opened ? "set" : "open",
      room: this.room,
      id,
      state,
      ...this.held.since,
      ...this.beside(),
    };
    this.opened = true;
    this.underway = { id, state };
    this.model.send(message);
  }

  private receive(answer: Answer, buffers: DataView[]): void {
    const asked = this.underway;
    if (!asked || answer.id !== asked.id || answer.room !== this.room) return;
    this.underway = undefined;
    this.got(answer, this.held.whole(answer, buffers), asked.state);
    const next = this.waiting;
    this.waiting = undefined;
    if (next && !this.underway) this.send(next);
  }
}
