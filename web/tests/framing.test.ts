import { describe, expect, it } from "vitest";
import { arraysOf, column, kept } from "../src/model/arrays";
import { decode, encode } from "../src/model/framing";
import type { Answer } from "../src/model/model";

describe("frames", () => {
  it("begin with the length of the JSON, little-endian", () => {
    const bytes = new Uint8Array(encode({ do: "open" }));
    expect([...bytes.slice(0, 4)]).toEqual([13, 0, 0, 0]);
    expect(new TextDecoder().decode(bytes.slice(4))).toBe('{"do":"open"}');
  });

  it("hold buffers at multiples of eight, and come back as they went", () => {
    const floats = Float32Array.of(1.5, -2, 3.25);
    const bytes = Uint8Array.of(1, 2, 3);
    const frame = encode({ do: "upload", name: "表.csv" }, [bytes.buffer, floats.buffer]);
    const { message, buffers } = decode(frame);
    expect(message).toEqual({ do: "upload", name: "表.csv", buffers: [3, 12] });
    expect(buffers.map((view) => view.byteOffset % 8)).toEqual([0, 0]);
    expect(new Uint8Array(frame, buffers[0]?.byteOffset, 3)).toEqual(bytes);
    expect(new Float32Array(frame, buffers[1]?.byteOffset, 3)).toEqual(floats);
  });

  it("that are cut short are refused", () => {
    const frame = encode({ do: "upload" }, [new ArrayBuffer(16)]);
    expect(() => decode(frame.slice(0, 10))).toThrow(RangeError);
    expect(() => decode(frame.slice(0, frame.byteLength - 8))).toThrow(RangeError);
  });
});

describe("arrays", () => {
  const answer: Answer = {
    is: "picture",
    room: "one-weight",
    arrays: [{ name: "path", dtype: "float32", shape: [2, 3] }],
  };

  it("are read where they lie, also at an odd place", () => {
    const room = new Uint8Array(27);
    room.set(new Uint8Array(Float32Array.of(1, 2, 3, 4, 5, 6).buffer), 3);
    const path = arraysOf(answer, [new DataView(room.buffer, 3, 24)]).get("path");
    expect(path && column(path, 1)).toEqual([2, 5]);
  });

  it("that do not fill their shape are refused", () => {
    expect(() => arraysOf(answer, [new DataView(new ArrayBuffer(20))])).toThrow(RangeError);
  });

  it("stay the same object while they hold the same numbers", () => {
    const before = { data: Float32Array.of(1, Number.NaN), shape: [2] };
    expect(kept(before, { data: Float32Array.of(1, Number.NaN), shape: [2] })).toBe(before);
    const other = { data: Float32Array.of(1, 2), shape: [2] };
    expect(kept(before, other)).toBe(other);
  });
});
