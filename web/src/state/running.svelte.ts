import { Asking, type State } from "../model/asking";
import type { Answer, Model } from "../model/model";
import { problemOf } from "../words/spoken";
import type { Sentence } from "../words/words";
import { EngineClock } from "./engine_clock.svelte";
import { Settings } from "./settings.svelte";
import type { Row } from "./tables";

/** What every frame of a running room holds. */
export interface Frame {
  update: number;
  say: Sentence[];
}

/** What every picture of a running room holds besides: it begins a run, or looks elsewhere in one. */
export interface Begun extends Frame {
  last: number;
  code: string;
  /** Of a way that the page holds: how many frames of it there are. */
  frames?: number | undefined;
}

export interface Readers<P extends Begun, F extends Frame> {
  picture(answer: Answer, buffers: DataView[]): P;
  frame(answer: Answer, buffers: DataView[]): F;
  /** A part of work beside the run, such as a map of many settings. */
  beside?(answer: Answer, buffers: DataView[]): unknown;
}

/** Frames that may wait for the screen: two that come at once are shown one after the other, older ones not at all. */
const AHEAD = 2;
/** Milliseconds between two changes of what is shown in words and figures while a room runs. */
const TOLD = 120;
/** Milliseconds after which it is said that the engine prepares something. */
const PATIENCE = 400;

/**
 * A running room on the page. What is drawn at every frame is painted by those that asked for it, once before the screen
 * shows it, and nothing of the page is worked out anew for that; words and figures follow a few times a second.
 */
export class RunningRoom<P extends Begun = Begun, F extends Frame = Frame> extends Settings {
  readonly clock: EngineClock;
  picture = $state.raw<P | undefined>();
  /** The settings that `picture` was drawn for. */
  drawn = $state.raw<State>({});
  /** The frame that words and figures tell of. */
  shown = $state.raw<F | undefined>();
  /** The settings of the run that goes along, to be compared with. */
  kept = $state.raw<State | undefined>();
  /** Work beside the run, as far as it is: what the reader makes of it, the settings that it is of, and its end. */
  beside = $state.raw<{ told: unknown; state: State; done: boolean } | undefined>();
  /** The engine has been at a new picture for a while: it makes a program for another shape. */
  preparing = $state(false);
  /** The newest frame, for those that paint. */
  frame: F | undefined;
  override readonly parts: readonly string[];
  private readonly model: Model;
  private readonly asking: Asking;
  private readonly readers: Readers<P, F>;
  private readonly painters = new Set<(frame: F) => void>();
  private readonly heard = (answer: Answer, buffers: DataView[]) => this.hear(answer, buffers);
  private begun = -1;
  private goal = 0;
  private scheduled = false;
  private patience: ReturnType<typeof setTimeout> | undefined;
  private waiting: F[] = [];
  private told = 0;
  private asked = new Set<number>();
  private besideId = -1;
  private besideState: State = {};

  constructor(
    name: string,
    rows: Row[],
    model: Model,
    readers: Readers<P, F>,
    state: State,
    parts: readonly string[] = [],
  ) {
    super(name, rows, state);
    this.parts = parts;
    this.model = model;
    this.readers = readers;
    const speed = model.get("speed") as number | undefined;
    this.clock = new EngineClock((what, more) => this.tell(what, more), speed);
    this.kept = model.get("kept") as State | undefined;
    this.asking = new Asking(
      model,
      name,
      (answer, buffers, asked) => this.receive(answer, buffers, asked),
      () => (this.kept ? { kept: this.kept } : {}),
    );
    model.on("msg:custom", this.heard);
  }

  /** Change settings without asking: while a drag goes on over one that the engine is slow with. */
  hold(changes: State): void {
    this.state = { ...this.state, ...changes };
  }

  override get at(): number {
    return this.clock.at;
  }

  override goTo(update: number): void {
    this.goal = update;
  }

  open(): void {
    this.goal ||= this.clock.at;
    this.beside = undefined;
    this.asking.again(this.state);
    this.await();
  }

  leave(): void {
    this.goal = this.clock.at;
    this.clock.pause();
    this.beside = undefined;
  }

  end(): void {
    this.clock.pause();
    this.arrived();
    this.asking.end();
    this.model.off("msg:custom", this.heard);
  }

  /** Let the run as it is go along from now on, from its start and on its batches. */
  keep(): void {
    this.kept = this.drawn;
    this.restart();
  }

  drop(): void {
    this.kept = undefined;
    this.restart();
  }

  /** Call `paint` before each frame of the screen that has something new; returns what ends that. */
  onFrame(paint: (frame: F) => void): () => void {
    this.painters.add(paint);
    if (this.frame) paint(this.frame);
    return () => this.painters.delete(paint);
  }

  /** Ask for work beside the run. */
  work(what: string, more: Record<string, number>): void {
    this.besideId = this.send(what, more);
    this.besideState = this.state;
    this.beside = { told: undefined, state: this.state, done: false };
  }

  stopWork(): void {
    this.send("stop", {});
    this.besideId = -1;
    if (this.beside) this.beside = { ...this.beside, done: true };
  }

  protected ask(): void {
    this.asking.ask(this.state);
    this.await();
  }

  private await(): void {
    this.patience ??= setTimeout(() => {
      this.preparing = true;
    }, PATIENCE);
  }

  private arrived(): void {
    clearTimeout(this.patience);
    this.patience = undefined;
    this.preparing = false;
  }

  /** Begin both runs anew, and go to where the one stood. */
  private restart(): void {
    this.goal = this.clock.at;
    this.ask();
  }

  private tell(what: string, more: Record<string, number> = {}): void {
    this.asked.add(this.send(what, more));
  }

  private send(what: string, more: Record<string, number>): number {
    const id = Asking.next();
    this.model.send({ do: what, room: this.name, id, ...more });
    return id;
  }

  private receive(answer: Answer, buffers: DataView[], asked: State): void {
    this.arrived();
    if (answer.is === "error") {
      this.problem = problemOf(answer);
      return;
    }
    if (answer.is !== "picture") return;
    this.begun = Number(answer.id);
    this.picture = this.readers.picture(answer, buffers);
    this.drawn = asked;
    this.problem = "";
    const { update, last } = this.picture;
    if (update === 0) this.clock.begin(update, last);
    else this.clock.stand(update);
    this.show(this.picture as unknown as F);
    const { goal } = this;
    this.goal = 0;
    const playing = this.clock.playing;
    if (goal > 0 && update === 0) this.tell("seek", { update: goal });
    if (playing) this.clock.play();
  }

  private hear(answer: Answer, buffers: DataView[]): void {
    if (answer.room !== this.name) return;
    if (answer.is === "frame" && answer.id === this.begun) this.show(this.readers.frame(answer, buffers));
    else if (answer.is === "clock" && answer.id === this.begun) this.takeClock(answer);
    else if (answer.is === "error" && answer.id === this.besideId) this.fail(answer);
    else if (answer.is === "error" && this.asked.delete(Number(answer.id))) this.problem = problemOf(answer);
    else if (answer.id === this.besideId && this.readers.beside) {
      const told = this.readers.beside(answer, buffers);
      this.beside = { told, state: this.besideState, done: answer.done === true };
    }
  }

  private fail(answer: Answer): void {
    this.problem = problemOf(answer);
    this.beside = undefined;
  }

  private takeClock(answer: Answer): void {
    this.clock.take(answer as unknown as Parameters<EngineClock["take"]>[0]);
    this.asked.clear();
    if (!this.clock.playing && this.frame) this.tellOf(this.frame);
  }

  private readonly paint = (): void => {
    const [frame, ...rest] = this.waiting;
    this.waiting = rest;
    this.scheduled = rest.length > 0;
    if (this.scheduled) requestAnimationFrame(this.paint);
    if (frame) for (const paint of this.painters) paint(frame);
  };

  private tellOf(frame: F): void {
    this.shown = frame;
    this.clock.stand(frame.update);
  }

  /** Paint a frame with the next of the screen; the words follow at once where nothing moves, else now and then. */
  private show(frame: F): void {
    this.frame = frame;
    const now = performance.now();
    if (!this.clock.playing || now - this.told > TOLD) {
      this.told = now;
      this.tellOf(frame);
    }
    this.waiting = [...this.waiting, frame].slice(-AHEAD);
    if (!this.scheduled) requestAnimationFrame(this.paint);
    this.scheduled = true;
  }
}
