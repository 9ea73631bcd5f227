import type { Answer, Message } from "./model";

/** Buffers as a page holds them: in base64 where it is text. */
export type Buffers = (string | DataView)[];
type Held = { answer: Answer; buffers: Buffers };

/** Seconds in which the whole way is played at the speed that a page begins with. */
const SECONDS = 8;
/** Milliseconds between two looks at the clock. */
const TICK = 1000 / 60;

/**
 * Stands in for the engine of a running room where a page holds frames of its way: answers what its clock is asked for,
 * and goes from one of these frames to the next.
 */
export class Recorded {
  private readonly picture: Held;
  private readonly frames: Held[];
  private readonly updates: number[];
  private readonly tell: (answer: Answer, buffers: Buffers) => void;
  /** The frame that is shown, and the request that began the room. */
  private shown = 0;
  private begun = -1;
  /** Where the clock stands while it plays, between two frames. */
  private at = 0;
  private rate = 0;
  private ticked = 0;
  private ticking: ReturnType<typeof setInterval> | undefined;

  /** `frames`: in the order of their updates, the first at the start. */
  constructor(picture: Held, frames: Held[], tell: (answer: Answer, buffers: Buffers) => void) {
    this.picture = picture;
    this.frames = frames;
    this.updates = frames.map(({ answer }) => Number(answer.update));
    this.tell = tell;
  }

  /** Updates a second at which the way is seen well. */
  get speed(): number {
    return this.last / SECONDS;
  }

  receive(message: Message): void {
    const count = Number(message.count ?? 1);
    const doing: Record<string, () => void> = {
      open: () => this.show(message.id),
      set: () => this.show(message.id),
      play: () => this.play(Number(message.speed)),
      pause: () => this.stand(),
      step: () => this.go(this.from(this.update + count)),
      back: () => this.go(this.until(this.update - count)),
      reset: () => this.go(0),
      seek: () => this.go(this.nearest(Number(message.update))),
    };
    doing[message.do]?.();
  }

  private get last(): number {
    return this.updates.at(-1) ?? 0;
  }

  private get update(): number {
    return this.updates[this.shown] ?? 0;
  }

  /** The first frame that is at an update or after it; the last where none is. */
  private from(update: number): number {
    const found = this.updates.findIndex((each) => each >= update);
    return found < 0 ? this.updates.length - 1 : found;
  }

  /** The last frame that is at an update or before it; the first where none is. */
  private until(update: number): number {
    return Math.max(
      0,
      this.updates.findLastIndex((each) => each <= update),
    );
  }

  /** The frame nearest to an update. */
  private nearest(update: number): number {
    const [before, after] = [this.until(update), this.from(update)];
    const far = (frame: number) => Math.abs((this.updates[frame] as number) - update);
    return far(before) < far(after) ? before : after;
  }

  /** The picture, standing where the clock stands; a change of what is looked at changes nothing of the way. */
  private show(id: number): void {
    this.begun = id;
    const frame = this.frames[this.shown] as Held;
    const arrays = [...(this.picture.answer.arrays ?? []), ...(frame.answer.arrays ?? [])];
    const answer = { ...this.picture.answer, ...frame.answer, is: "picture", id, arrays };
    this.tell(answer, [...this.picture.buffers, ...frame.buffers]);
    this.tellClock();
  }

  /** Play on, or once more from the start where the end is reached. */
  private play(speed: number): void {
    if (this.update >= this.last) this.tellFrame(0);
    this.at = this.update;
    this.rate = speed;
    this.ticked = performance.now();
    this.ticking ??= setInterval(() => this.tick(), TICK);
    this.tellClock();
  }

  private tick(): void {
    const now = performance.now();
    this.at += (this.rate * (now - this.ticked)) / 1000;
    this.ticked = now;
    const reached = this.until(this.at);
    if (reached !== this.shown) this.tellFrame(reached);
    if (this.update >= this.last) this.stand();
  }

  private stand(): void {
    clearInterval(this.ticking);
    this.ticking = undefined;
    this.tellClock();
  }

  private go(frame: number): void {
    this.tellFrame(frame);
    this.stand();
  }

  private tellFrame(frame: number): void {
    this.shown = frame;
    const { answer, buffers } = this.frames[frame] as Held;
    this.tell({ ...answer, id: this.begun }, buffers);
  }

  /** One can go as far as the page holds from the beginning. */
  private tellClock(): void {
    const { last } = this;
    const clock = { playing: this.ticking !== undefined, update: this.update, last, furthest: last, possible: null };
    this.tell({ is: "clock", room: this.picture.answer.room, id: this.begun, ...clock }, []);
  }
}
