/** A message as one binary frame: `uint32` length of the JSON, the JSON, buffers at multiples of 8 (docs/front-end.md). */

const ALIGNMENT = 8;
const PREFIX = 4;

function aligned(offset: number): number {
  return Math.ceil(offset / ALIGNMENT) * ALIGNMENT;
}

export function encode(message: object, buffers: ArrayBuffer[] = []): ArrayBuffer {
  const body = buffers.length ? { ...message, buffers: buffers.map((buffer) => buffer.byteLength) } : message;
  const json = new TextEncoder().encode(JSON.stringify(body));
  let end = PREFIX + json.length;
  const starts = buffers.map((buffer) => {
    const start = aligned(end);
    end = start + buffer.byteLength;
    return start;
  });
  const frame = new Uint8Array(end);
  new DataView(frame.buffer).setUint32(0, json.length, true);
  frame.set(json, PREFIX);
  buffers.forEach((buffer, index) => {
    frame.set(new Uint8Array(buffer), starts[index]);
  });
  return frame.buffer;
}

/** Read a frame without copying its buffers; throws RangeError where the lengths do not fit the frame. */
export function decode(frame: ArrayBuffer): { message: Record<string, unknown>; buffers: DataView[] } {
  const length = new DataView(frame).getUint32(0, true);
  if (PREFIX + length > frame.byteLength) throw new RangeError("the frame is shorter than its JSON");
  const message = JSON.parse(new TextDecoder().decode(new Uint8Array(frame, PREFIX, length)));
  let end = PREFIX + length;
  const buffers = ((message.buffers ?? []) as number[]).map((bytes) => {
    const start = aligned(end);
    end = start + bytes;
    return new DataView(frame, start, bytes);
  });
  return { message, buffers };
}
