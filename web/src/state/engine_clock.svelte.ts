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
  speed: number = $state(FIRST_SPEED);
  /** Updates of one step. */
  stride = $state(1);
  /** Updates a second that the machine would take; null where not known yet. */
  possible = $state<number | null>(null);
  /** The whole way is there already: it can be played once more from its end. */
  whole = $state(false);
  private readonly ask: Ask;

  /** `speed`: updates a second to begin with; the nearest that there is to choose is taken. */
  constructor(ask: Ask, speed: number = FIRST_SPEED) {
    this.ask = ask;
    const far = (each: number) => Math.abs(Math.log(each / Math.max(speed, 1)));
    this.speed = RUN_SPEEDS.reduce((best, each) => (far(each) < far(best) ? each : best));
  }

  get ended(): boolean {
    return this.last > 0 && this.at >= this.last;
  }

  get playable(): boolean {
    return this.whole || !this.ended;
  }

  toggle(): void {
    if (this.playing) this.pause();
    else this.play();
  }

  play(): void {
    if (!this.playable) return;
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
  take(told: { playing: boolean; update: number; last: number; possible: number | null; furthest?: number }): void {
    this.playing = told.playing;
    this.at = told.update;
    this.last = told.last;
    this.possible = told.possible;
    this.whole = told.furthest !== undefined;
    this.furthest = Math.max(this.furthest, told.update, told.furthest ?? 0);
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
