/** What a host hands to the front end: the part of anywidget's model that we use. */

export interface Message {
  do: string;
  room: string;
  id: number;
  [more: string]: unknown;
}

export interface Described {
  name: string;
  dtype: "float32" | "int32" | "uint16";
  shape: number[];
  /** Of levels from 0 to 65,535 (uint16): the numbers of the least and of the greatest, for each part of the array. */
  ranges?: [number, number][];
  /** Left out, as it is the same as in the picture that the request has named. */
  held?: boolean;
}

export interface Answer {
  is: string;
  room: string;
  id?: number;
  arrays?: Described[];
  [more: string]: unknown;
}

export type Heard = (answer: Answer, buffers: DataView[]) => void;

/** The one event of anywidget that carries messages; the playground's socket also tells how the line is. */
export type Line = "open" | "lost";

export interface Model {
  send(message: Message, callbacks?: unknown, buffers?: ArrayBuffer[]): void;
  on(event: "msg:custom", heard: Heard): void;
  off(event: "msg:custom", heard: Heard): void;
  /** What the host knows beforehand: `room`, `state`, `language`; undefined where it has no opinion. */
  get(name: string): unknown;
  /** Only where the line can break: calls back with its state, now and at every change. */
  line?(told: (line: Line) => void): void;
}
