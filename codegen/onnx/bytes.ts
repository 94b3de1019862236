/** Numbers as the bytes of ONNX's raw tensor data: little-endian, rounded to the dtype. */

import type { DType } from "../ir/types.ts";

const writers: Record<DType, { size: number; write: (view: DataView, at: number, value: number) => void }> = {
  float32: { size: 4, write: (view, at, value) => view.setFloat32(at, value, true) },
  float64: { size: 8, write: (view, at, value) => view.setFloat64(at, value, true) },
  float16: { size: 2, write: (view, at, value) => view.setUint16(at, halfBits(value), true) },
  int32: { size: 4, write: (view, at, value) => view.setInt32(at, value, true) },
  int64: { size: 8, write: (view, at, value) => view.setBigInt64(at, BigInt(value), true) },
  int8: { size: 1, write: (view, at, value) => view.setInt8(at, value) },
  uint8: { size: 1, write: (view, at, value) => view.setUint8(at, value) },
  bool: { size: 1, write: (view, at, value) => view.setUint8(at, value === 0 ? 0 : 1) },
};

/** A float16's bits, rounded to nearest, halves to even. */
export function halfBits(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  if (size === Infinity) return sign | 0x7c00;
  // The least exponent's step also serves the subnormals.
  const exponent = Math.max(Math.floor(Math.log2(size || 1e-30)), -14);
  const step = 2 ** (exponent - 10);
  const scaled = size / step;
  const floor = Math.floor(scaled);
  const rest = scaled - floor;
  const rounded = (floor + (rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? 1 : 0)) * step;
  if (rounded >= 65520) return sign | 0x7c00;
  if (rounded < 2 ** -14) return sign | rounded / 2 ** -24;
  const top = rounded >= 2 ** (exponent + 1) ? exponent + 1 : exponent;
  return sign | (top + 15) << 10 | rounded / 2 ** (top - 10) - 1024;
}

/** The bytes of a tensor's data. */
export function tensorBytes(dtype: DType, data: readonly number[]): Uint8Array<ArrayBuffer> {
  const { size, write } = writers[dtype];
  const bytes = new Uint8Array(size * data.length);
  const view = new DataView(bytes.buffer);
  data.forEach((value, i) => write(view, i * size, value));
  return bytes;
}
