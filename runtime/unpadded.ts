/** Leaves out the columns of a batch that are padding in every row. */

import type { Padding } from "../codegen/padding.ts";
import type { ExpandedInput } from "../spec/types.ts";
import { isTensor, type Tensor, type TensorLike } from "./tensor.ts";

/** Lengths are rounded up to multiples of this: a device has a graph for each shape. */
const BUCKET = 8;

/** What is known of a model's inputs, as far as their columns go. */
export interface PaddedInputs extends Padding {
  readonly inputs: Readonly<Record<string, Pick<ExpandedInput, "shape" | "below">>>;
  /** The greatest size of the padded dimension: what is longer is refused as it is. */
  readonly limit: number;
}

/**
 * The inputs [batch, sequence, …] without the columns at the end that are padding in every row, up to a multiple of 8. What doesn't fit together, and
 * what isn't given as tensors, comes back as it is.
 */
export function unpadded<T extends Readonly<Record<string, TensorLike>>>(x: T, { mask, symbol, inputs, limit }: PaddedInputs): T {
  const given = x[mask];
  if (!isTyped(given) || given.shape.length !== 2 || given.shape[1] > limit) return x;
  const width = given.shape[1];
  let used = lastColumn(given, (value) => value !== 0) + 1;
  for (const [name, { below }] of Object.entries(inputs)) {
    const indices = x[name];
    if (below !== symbol || indices === undefined) continue;
    if (!isTyped(indices)) return x;
    for (const index of indices.data) used = Math.max(used, index + 1);
  }
  const kept = Math.max(BUCKET, Math.ceil(used / BUCKET) * BUCKET);
  if (!(kept < width)) return x;
  const result: Record<string, TensorLike> = { ...x };
  for (const [name, value] of Object.entries(x)) {
    const axis = inputs[name]?.shape.indexOf(symbol) ?? -1;
    if (axis < 0) continue;
    if (!isTyped(value) || value.shape[axis] !== width) return x;
    result[name] = cut(value, axis, kept);
  }
  return result as T;
}

/** A tensor over a typed array. */
function isTyped(value: TensorLike | undefined): value is Tensor {
  return isTensor(value) && ArrayBuffer.isView(value.data);
}

/** The last column of a matrix in which an element is as asked; -1 for none. */
function lastColumn({ shape: [rows, columns], data }: Tensor, is: (value: number) => boolean): number {
  let last = -1;
  for (let row = 0; row < rows; row++) {
    for (let column = columns - 1; column > last; column--) if (is(data[row * columns + column])) last = column;
  }
  return last;
}

/** The first `size` places along an axis. */
function cut(tensor: Tensor, axis: number, size: number): Tensor {
  const { shape, data } = tensor;
  const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  const outer = shape.slice(0, axis).reduce((a, b) => a * b, 1);
  const length = size * inner;
  const stride = shape[axis] * inner;
  const kept = new (data.constructor as Int32ArrayConstructor)(outer * length);
  for (let i = 0; i < outer; i++) kept.set(data.subarray(i * stride, i * stride + length) as Int32Array, i * length);
  return { ...tensor, shape: shape.with(axis, size), data: kept } as unknown as Tensor;
}
