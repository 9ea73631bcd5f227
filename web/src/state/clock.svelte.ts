/** Where in a run a page stands: the steps are all there already, so that play, step and scrub ask for nothing. */

export const SPEEDS = [1, 3, 10, 30, 100, 300];

export class Clock {
  at = $state(0);
  last = $state(0);
  playing = $state(false);
  speed = $state(3);
  private before = 0;
  private owed = 0;

  /** Take a run of `last` steps: who stood at the end stays at the end, who stood at a step stays there. */
  take(last: number): void {
    const ended = this.at >= this.last && !this.playing;
    this.last = last;
    this.at = ended ? last : Math.min(this.at, last);
  }

  toggle(): void {
    if (this.playing) this.pause();
    else this.play();
  }

  play(): void {
    if (this.last === 0) return;
    if (this.at >= this.last) this.at = 0;
    this.playing = true;
    this.owed = 0;
    this.before = performance.now();
    requestAnimationFrame(this.tick);
  }

  pause(): void {
    this.playing = false;
  }

  go(to: number): void {
    this.pause();
    this.at = Math.min(this.last, Math.max(0, Math.round(to)));
  }

  private readonly tick = (now: number): void => {
    if (!this.playing) return;
    this.owed += (Math.min(now - this.before, 250) / 1000) * this.speed;
    this.before = now;
    const whole = Math.floor(this.owed);
    this.owed -= whole;
    this.at = Math.min(this.last, this.at + whole);
    if (this.at >= this.last) this.pause();
    else requestAnimationFrame(this.tick);
  };
}
