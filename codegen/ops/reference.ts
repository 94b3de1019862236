/** Array walks that the reference evaluations share. Slow and plain: they are what the rest is tested against. */

import type { ReferenceTensor } from "./rule.ts";

/** The number of elements of a shape. */
export const sizeOf = (shape: readonly number[]): number => shape.reduce((product, dim) => product * dim, 1);

/** Row-major strides. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = stride;
    stride *= shape[i];
  }
  return strides;
}

/** A tensor of that shape, element by element from its multi-index. The index array is reused. */
export function tensorOf(shape: readonly number[], element: (index: readonly number[], flat: number) => number): ReferenceTensor {
  const data = new Float64Array(sizeOf(shape));
  const index = new Array<number>(shape.length).fill(0);
  for (let flat = 0; flat < data.length; flat++) {
    data[flat] = element(index, flat);
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis] === shape[axis]; axis--) index[axis] = 0;
  }
  return { shape, data };
}

/** The flat position of a multi-index in a tensor that is broadcast: leading axes dropped, axes of length 1 stay at 0. */
export function offset(tensor: ReferenceTensor, index: readonly number[]): number {
  const { shape } = tensor;
  const lead = index.length - shape.length;
  let flat = 0;
  for (let axis = 0; axis < shape.length; axis++) flat = flat * shape[axis] + (shape[axis] === 1 ? 0 : index[lead + axis]);
  return flat;
}

/** The element at a multi-index, broadcast. */
export const at = (tensor: ReferenceTensor, index: readonly number[]): number => tensor.data[offset(tensor, index)];

/** A tensor cut into lines along an axis: calls back with the first element's position, the step and the length. */
export function forEachLine(
  shape: readonly number[],
  axis: number,
  visit: (start: number, step: number, length: number) => void,
): void {
  const step = sizeOf(shape.slice(axis + 1));
  const length = shape[axis];
  const outer = sizeOf(shape.slice(0, axis));
  for (let i = 0; i < outer; i++) {
    for (let j = 0; j < step; j++) visit(i * length * step + j, step, length);
  }
}

/** An index as ONNX reads it: negative ones count from the end. */
export function wrapIndex(index: number, length: number): number {
  if (index < -length || index >= length) throw new RangeError(`index ${index} is out of range for length ${length}`);
  return index < 0 ? index + length : index;
}
