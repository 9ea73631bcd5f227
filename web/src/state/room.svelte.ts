import { Asking, type State } from "../model/asking";
import type { Answer, Model } from "../model/model";
import { problemOf } from "../words/spoken";
import type { Sentence } from "../words/words";
import { Clock } from "./clock.svelte";
import { Settings } from "./settings.svelte";
import type { Row } from "./tables";

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

/** How a room differs from others. speed: steps a second at first. rough: settings for a picture that comes at once. */
export interface Manner {
  speed?: number;
  rough?(state: State, changes: State): State;
}

/** An instant room on the page: its settings, the newest picture of them, its clock, and a kept run. */
export class Room<P extends Played = Played> extends Settings {
  readonly clock = new Clock();
  picture = $state.raw<P | undefined>();
  /** The settings that `picture` was drawn for. */
  drawn = $state.raw<State>({});
  kept = $state.raw<{ picture: P; state: State } | undefined>();
  private readonly asking: Asking;
  private readonly reader: Reader<P>;
  private readonly rough: (state: State, changes: State) => State;
  /** What was asked for last is not all that the settings say. */
  private unfinished = false;

  constructor(name: string, rows: Row[], model: Model, reader: Reader<P>, state: State, manner: Manner = {}) {
    super(name, rows, state);
    this.reader = reader;
    this.rough = manner.rough ?? ((whole) => whole);
    this.clock.speed = manner.speed ?? this.clock.speed;
    this.asking = new Asking(model, name, (answer, buffers, asked) => this.receive(answer, buffers, asked));
  }

  open(): void {
    this.asking.again(this.state);
  }

  /** Change settings; while a drag goes on, what is drawn may be rough. */
  override set(changes: State): void {
    this.state = { ...this.state, ...changes };
    const asked = this.rough(this.state, changes);
    this.unfinished = asked !== this.state;
    this.asking.ask(asked);
  }

  override settle(): void {
    super.settle();
    if (this.unfinished) this.ask();
  }

  leave(): void {
    this.clock.pause();
  }

  end(): void {
    this.clock.pause();
    this.asking.end();
  }

  keep(): void {
    this.kept = this.picture && { picture: this.picture, state: this.drawn };
  }

  drop(): void {
    this.kept = undefined;
  }

  protected ask(): void {
    this.unfinished = false;
    this.asking.ask(this.state);
  }

  private receive(answer: Answer, buffers: DataView[], asked: State): void {
    if (answer.is === "error") {
      this.problem = problemOf(answer);
      return;
    }
    if (answer.is !== "picture") return;
    this.picture = this.reader(answer, buffers, this.picture);
    this.drawn = asked;
    this.problem = "";
    this.clock.take(this.picture.steps);
  }
}
