import type { Answer, Heard, Message, Model } from "./model";

/**
 * What a page that nobody answers brings along: answers, with their buffers (in base64 where the page is text), and what
 * the host says first: `room`, `state`, `language`.
 */
export interface Embedded {
  known?: Record<string, unknown>;
  answers: { answer: Answer; buffers: (string | DataView)[] }[];
}

/** A buffer as numbers are read from it. */
export function bytes(held: string | DataView): DataView {
  if (typeof held !== "string") return held;
  const letters = atob(held);
  return new DataView(Uint8Array.from(letters, (letter) => letter.charCodeAt(0)).buffer);
}

/** Answers every request for a room with the picture that the page holds of it, and all else with silence. */
export class EmbeddedModel implements Model {
  private readonly heard = new Set<Heard>();
  private readonly page: Embedded;

  constructor(page: Embedded) {
    this.page = page;
  }

  send(message: Message): void {
    if (message.do !== "open" && message.do !== "set") return;
    const found = this.page.answers.find(({ answer }) => answer.room === message.room);
    if (!found) return;
    const answer = { ...found.answer, id: message.id };
    const buffers = found.buffers.map(bytes);
    queueMicrotask(() => {
      for (const heard of this.heard) heard(answer, buffers);
    });
  }

  on(_event: "msg:custom", heard: Heard): void {
    this.heard.add(heard);
  }

  off(_event: "msg:custom", heard: Heard): void {
    this.heard.delete(heard);
  }

  get(name: string): unknown {
    return this.page.known?.[name];
  }
}
