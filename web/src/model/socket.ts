import { decode, encode } from "./framing";
import type { Answer, Heard, Line, Message, Model } from "./model";

const FIRST_WAIT = 500;
const LONGEST_WAIT = 8000;

/** A WebSocket dressed as anywidget's model. It connects again when the line breaks; what was asked meanwhile is lost. */
export class SocketModel implements Model {
  private socket: WebSocket | undefined;
  private readonly heard = new Set<Heard>();
  private readonly told = new Set<(line: Line) => void>();
  private wait = FIRST_WAIT;
  private state: Line = "lost";
  private readonly address: string;

  constructor(address: string) {
    this.address = address;
    this.connect();
  }

  send(message: Message, _callbacks?: unknown, buffers: ArrayBuffer[] = []): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(encode(message, buffers));
  }

  on(_event: "msg:custom", heard: Heard): void {
    this.heard.add(heard);
  }

  off(_event: "msg:custom", heard: Heard): void {
    this.heard.delete(heard);
  }

  get(_name: string): undefined {
    return undefined;
  }

  line(told: (line: Line) => void): void {
    this.told.add(told);
    if (this.state === "open") told("open");
  }

  private connect(): void {
    const socket = new WebSocket(this.address);
    socket.binaryType = "arraybuffer";
    socket.addEventListener("open", () => {
      this.wait = FIRST_WAIT;
      this.tell("open");
    });
    socket.addEventListener("message", (event: MessageEvent<ArrayBuffer>) => this.receive(event.data));
    socket.addEventListener("close", () => {
      this.tell("lost");
      setTimeout(() => this.connect(), this.wait);
      this.wait = Math.min(2 * this.wait, LONGEST_WAIT);
    });
    this.socket = socket;
  }

  private receive(frame: ArrayBuffer): void {
    const { message, buffers } = decode(frame);
    for (const heard of this.heard) heard(message as Answer, buffers);
  }

  private tell(line: Line): void {
    this.state = line;
    for (const told of this.told) told(line);
  }
}
