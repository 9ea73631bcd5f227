/** Where a running room stands: the engine keeps the time, and this asks it to. */

export const RUN_SPEEDS = [1, 5, 20, 60, 300, 1500, 5000, 20000];
const FIRST_SPEED = 1500;

/** Sends what a clock is asked for. */
export type Ask = (what: "play" | "pause" | "step" | "back" | "reset" | "seek", more?: Record<string, number>) => void;

export class EngineClock {
  /** The update that is shown, told a few times a second while it runs. */
  at = $state(0);
  /** The update that the engine cannot go beyond. */
  last = $state(0);
  /** The furthest update so far: as far as one can scrub. */
  furthest = $state(0);
  playing = $state(false);
  speed = $state(FIRST_SPEED);
  /** Updates of one step. */
  stride = $state(1);
  /** Updates a second that the machine would take; null where not known yet. */
  possible = $state<number | null>(null);
  private readonly ask: Ask;

  constructor(ask: Ask) {
    this.ask = ask;
  }

  get ended(): boolean {
    return this.last > 0 && this.at >= this.last;
  }

  toggle(): void {
    if (this.playing) this.pause();
    else this.play();
  }

  play(): void {
    if (this.ended) return;
    this.playing = true;
    this.ask("play", { speed: this.speed });
  }

  pause(): void {
    if (!this.playing) return;
    this.playing = false;
    this.ask("pause");
  }

  setSpeed(speed: number): void {
    this.speed = speed;
    if (this.playing) this.ask("play", { speed });
  }

  step(): void {
    this.playing = false;
    if (!this.ended) this.ask("step", { count: this.stride });
  }

  back(): void {
    this.playing = false;
    if (this.at > 0) this.ask("back", { count: this.stride });
  }

  reset(): void {
    this.playing = false;
    this.ask("reset");
  }

  /** Stand still at an update. */
  go(update: number): void {
    this.playing = false;
    this.ask("seek", { update: Math.max(0, Math.round(update)) });
  }

  /** Take what the engine says of its clock. */
  take(told: { playing: boolean; update: number; last: number; possible: number | null }): void {
    this.playing = told.playing;
    this.at = told.update;
    this.last = told.last;
    this.possible = told.possible;
    this.furthest = Math.max(this.furthest, told.update);
  }

  /** Stand where a frame stands. */
  stand(update: number): void {
    this.at = update;
    this.furthest = Math.max(this.furthest, update);
  }

  /** A new run, from its start. */
  begin(update: number, last: number): void {
    this.at = this.furthest = update;
    this.last = last;
  }
}
