import type { State } from "../model/asking";
import type { Spoken } from "../words/spoken";
import { begin, type History, record, redo, undo } from "./history";
import { defaults, type Row } from "./tables";

/** The settings of one room on the page, with undo and redo, and what was wrong with them. */
export abstract class Settings {
  readonly name: string;
  readonly rows: Row[];
  state = $state.raw<State>({});
  problem = $state.raw<Spoken>("");
  /** Parts of the room, besides its settings and those of every room, that a lesson may do without. */
  readonly parts: readonly string[] = [];
  private history = $state.raw<History<State>>(begin({}));

  constructor(name: string, rows: Row[], state: State) {
    this.name = name;
    this.rows = rows;
    this.state = { ...defaults(rows), ...state };
    this.history = begin(this.state);
  }

  /** Ask the engine for what the settings say. */
  protected abstract ask(): void;
  /** Draw from nothing, as at the start and after a broken line. */
  abstract open(): void;
  /** Another room is shown from now on. */
  abstract leave(): void;
  /** The page ends. */
  abstract end(): void;

  get canUndo(): boolean {
    return this.history.past.length > 0;
  }

  get canRedo(): boolean {
    return this.history.future.length > 0;
  }

  /** Change settings and draw; while a drag goes on the history waits for `settle`. */
  set(changes: State): void {
    this.state = { ...this.state, ...changes };
    this.ask();
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

  /** The update at which a running room stands, which a link holds too. */
  get at(): number {
    return 0;
  }

  /** Go to an update once the room is begun. */
  goTo(_update: number): void {}

  row(name: string): Row | undefined {
    return this.rows.find((each) => each.name === name);
  }

  private turn(history: History<State>): void {
    this.history = history;
    this.state = history.now;
    this.ask();
  }
}
