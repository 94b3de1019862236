/** The element types of tensors in files, and their reading as float32 or float64 through one bounded buffer. */

import { OnnxHubError } from "../errors.ts";
import type { FileReader } from "./file.ts";
import { bfloat16ToFloat32, float16ToFloat32 } from "./float16.ts";

/** An element type of a stored tensor; little-endian in every format here. */
export type ElementType =
  | "bool"
  | "int8"
  | "uint8"
  | "int16"
  | "uint16"
  | "int32"
  | "uint32"
  | "int64"
  | "uint64"
  | "float16"
  | "bfloat16"
  | "float32"
  | "float64";

/** What tensors are read into. float64 holds int64 exactly up to 2^53. */
export type ReadTarget = Float32Array | Float64Array;

/** Bytes an element takes. */
export const ELEMENT_SIZE: Readonly<Record<ElementType, number>> = {
  bool: 1,
  int8: 1,
  uint8: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
  uint32: 4,
  int64: 8,
  uint64: 8,
  float16: 2,
  bfloat16: 2,
  float32: 4,
  float64: 8,
};

/** Turns the bytes of a part into numbers; `bytes` starts at a multiple of 8 in its buffer. */
type Decoder = (bytes: Uint8Array<ArrayBuffer>, into: ReadTarget, offset: number) => void;

type Numbers = new (buffer: ArrayBuffer, byteOffset: number, length: number) => ArrayLike<number>;
type BigNumbers = new (buffer: ArrayBuffer, byteOffset: number, length: number) => ArrayLike<bigint>;

const plain = (View: Numbers, size: number): Decoder => (bytes, into, offset) => {
  into.set(new View(bytes.buffer, bytes.byteOffset, bytes.length / size), offset);
};
const big = (View: BigNumbers): Decoder => (bytes, into, offset) => {
  const from = new View(bytes.buffer, bytes.byteOffset, bytes.length / 8);
  for (let i = 0; i < from.length; i++) into[offset + i] = Number(from[i]);
};
const words = (bytes: Uint8Array<ArrayBuffer>): Uint16Array => new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);

const DECODE: Readonly<Record<ElementType, Decoder>> = {
  bool: plain(Uint8Array, 1),
  int8: plain(Int8Array, 1),
  uint8: plain(Uint8Array, 1),
  int16: plain(Int16Array, 2),
  uint16: plain(Uint16Array, 2),
  int32: plain(Int32Array, 4),
  uint32: plain(Uint32Array, 4),
  int64: big(BigInt64Array),
  uint64: big(BigUint64Array),
  float16: (bytes, into, offset) => float16ToFloat32(words(bytes), into, offset),
  bfloat16: (bytes, into, offset) => bfloat16ToFloat32(words(bytes), into, offset),
  float32: plain(Float32Array, 4),
  float64: plain(Float64Array, 8),
};

const BUFFER_BYTES = 1 << 20;

/**
 * Reads `count` elements from `position` (in bytes) of a file into the beginning of `into`. The caller has checked
 * that the file is long enough; `into` must hold `count` elements ("format/read-size").
 */
export function readElements(file: FileReader, type: ElementType, position: number, into: ReadTarget, count: number, where: string): void {
  if (count > into.length) {
    throw new OnnxHubError("format/read-size", "The array is too short for what is read into it", {
      path: `${file.path}, ${where}`,
      expected: `${count} elements`,
      found: `${into.length}`,
    });
  }
  if (type === "float32" && into instanceof Float32Array) {
    file.read(new Uint8Array(into.buffer, into.byteOffset, count * 4), position);
    return;
  }
  const size = ELEMENT_SIZE[type];
  const buffer = new Uint8Array(Math.min(count * size, BUFFER_BYTES));
  for (let done = 0; done < count;) {
    const part = Math.min(count - done, BUFFER_BYTES / size);
    const bytes = buffer.subarray(0, part * size);
    file.read(bytes, position + done * size);
    DECODE[type](bytes, into, done);
    done += part;
  }
}

/** The number of elements of a shape, or undefined when a dimension is no whole number or the product is beyond 2^53. */
export function elementCount(shape: readonly number[]): number | undefined {
  let count = 1;
  for (const dimension of shape) {
    if (!Number.isSafeInteger(dimension) || dimension < 0) return undefined;
    count *= dimension;
    // Checked even where a later 0 would make the product 0: no size may overflow on the way.
    if (!Number.isSafeInteger(count)) return undefined;
  }
  return count;
}
