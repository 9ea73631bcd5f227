import { Asking, type State } from "../model/asking";
import type { Answer, Model } from "../model/model";
import type { Sentence } from "../words/words";
import { Clock } from "./clock.svelte";
import { begin, type History, record, redo, undo } from "./history";
import { defaults, type Row } from "./tables";

/** What every instant room's picture holds. */
export interface Played {
  steps: number;
  verdict: string;
  needed: number | null;
  say: Sentence[];
  stepsSay: (Sentence | null)[];
  code: string;
}

export type Reader<P> = (answer: Answer, buffers: DataView[], before: P | undefined) => P;

/** One room on the page: its settings with undo and redo, the newest picture of them, its clock, and a kept run. */
export class Room<P extends Played = Played> {
  readonly name: string;
  readonly rows: Row[];
  readonly clock = new Clock();
  state = $state.raw<State>({});
  picture = $state.raw<P | undefined>();
  /** The settings that `picture` was drawn for. */
  drawn = $state.raw<State>({});
  kept = $state.raw<{ picture: P; state: State } | undefined>();
  problem = $state("");
  private history = $state.raw<History<State>>(begin({}));
  private readonly asking: Asking;
  private readonly reader: Reader<P>;

  constructor(name: string, rows: Row[], model: Model, reader: Reader<P>, state: State) {
    this.name = name;
    this.rows = rows;
    this.reader = reader;
    this.asking = new Asking(model, name, (answer, buffers, asked) => this.receive(answer, buffers, asked));
    this.state = { ...defaults(rows), ...state };
    this.history = begin(this.state);
  }

  get canUndo(): boolean {
    return this.history.past.length > 0;
  }

  get canRedo(): boolean {
    return this.history.future.length > 0;
  }

  /** Change settings and draw; while a drag goes on the history waits for `settle`. */
  set(changes: State): void {
    this.state = { ...this.state, ...changes };
    this.asking.ask(this.state);
  }

  /** End a change: one entry for undo, however many pictures were drawn on the way. */
  settle(): void {
    this.history = record(this.history, this.state);
  }

  change(changes: State): void {
    this.set(changes);
    this.settle();
  }

  undo(): void {
    this.turn(undo(this.history));
  }

  redo(): void {
    this.turn(redo(this.history));
  }

  /** Draw from nothing, as at the start and after a broken line. */
  open(): void {
    this.asking.again(this.state);
  }

  keep(): void {
    this.kept = this.picture && { picture: this.picture, state: this.drawn };
  }

  drop(): void {
    this.kept = undefined;
  }

  row(name: string): Row | undefined {
    return this.rows.find((each) => each.name === name);
  }

  end(): void {
    this.clock.pause();
    this.asking.end();
  }

  private turn(history: History<State>): void {
    this.history = history;
    this.state = history.now;
    this.asking.ask(this.state);
  }

  private receive(answer: Answer, buffers: DataView[], asked: State): void {
    if (answer.is === "error") {
      this.problem = String(answer.message ?? "");
      return;
    }
    if (answer.is !== "picture") return;
    this.picture = this.reader(answer, buffers, this.picture);
    this.drawn = asked;
    this.problem = "";
    this.clock.take(this.picture.steps);
  }
}
