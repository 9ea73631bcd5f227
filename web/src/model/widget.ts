import type { Answer, Heard, Message, Model } from "./model";

/** anywidget's own model: its messages are ours already; only `get` differs, as it throws for a name that it lacks. */
interface Widget {
  send(content: unknown, callbacks?: unknown, buffers?: ArrayBuffer[]): void;
  on(event: string, heard: (...values: never[]) => void): void;
  off(event: string, heard: (...values: never[]) => void): void;
  get(name: string): unknown;
}

export function fromWidget(widget: Widget): Model {
  return {
    send: (message: Message, callbacks?: unknown, buffers?: ArrayBuffer[]) => widget.send(message, callbacks, buffers),
    on: (event, heard: Heard) => widget.on(event, heard as (answer: Answer, buffers: DataView[]) => void),
    off: (event, heard: Heard) => widget.off(event, heard as (answer: Answer, buffers: DataView[]) => void),
    get(name) {
      try {
        return widget.get(name) || undefined;
      } catch {
        return undefined;
      }
    },
  };
}
