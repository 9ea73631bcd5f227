import type { Answer, Heard, Message, Model } from "./model";
import { type Buffers, Recorded } from "./recorded";

/**
 * What a page that nobody answers brings along: answers, with their buffers (in base64 where the page is text), and what
 * the host says first: `room`, `state`, `language`.
 */
export interface Embedded {
  known?: Record<string, unknown>;
  answers: { answer: Answer; buffers: Buffers }[];
}

/** A buffer as numbers are read from it. */
export function bytes(held: Buffers[number]): DataView {
  if (typeof held !== "string") return held;
  const letters = atob(held);
  return new DataView(Uint8Array.from(letters, (letter) => letter.charCodeAt(0)).buffer);
}

/**
 * Answers every request for a room with the picture that the page holds of it, and all else with silence; of a running
 * room the page holds frames of its way, among which a clock goes.
 */
export class EmbeddedModel implements Model {
  private readonly heard = new Set<Heard>();
  private readonly page: Embedded;
  private readonly recorded: Recorded | undefined;

  constructor(page: Embedded) {
    this.page = page;
    const frames = page.answers.filter(({ answer }) => answer.is === "frame");
    const picture = page.answers.find(({ answer }) => answer.is === "picture");
    if (picture && frames.length) {
      this.recorded = new Recorded(picture, frames, (answer, buffers) => this.tell(answer, buffers.map(bytes)));
    }
  }

  send(message: Message): void {
    if (this.recorded) {
      queueMicrotask(() => this.recorded?.receive(message));
      return;
    }
    if (message.do !== "open" && message.do !== "set") return;
    const found = this.page.answers.find(({ answer }) => answer.room === message.room);
    if (!found) return;
    const answer = { ...found.answer, id: message.id };
    const buffers = found.buffers.map(bytes);
    queueMicrotask(() => this.tell(answer, buffers));
  }

  on(_event: "msg:custom", heard: Heard): void {
    this.heard.add(heard);
  }

  off(_event: "msg:custom", heard: Heard): void {
    this.heard.delete(heard);
  }

  get(name: string): unknown {
    if (name === "speed") return this.recorded?.speed;
    return this.page.known?.[name];
  }

  private tell(answer: Answer, buffers: DataView[]): void {
    for (const heard of [...this.heard]) heard(answer, buffers);
  }
}
