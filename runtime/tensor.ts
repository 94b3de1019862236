/** Tensors as users hold them: a typed array with a shape, and what may stand for one. */

import { OnnxHubError } from "../errors.ts";

/** The typed array of each element type that a tensor can have. */
export interface TensorData {
  float32: Float32Array<ArrayBuffer>;
  int32: Int32Array<ArrayBuffer>;
  /** 0 and 1. */
  bool: Uint8Array<ArrayBuffer>;
}

/** A tensor's element type. */
export type TensorDType = keyof TensorData;

/** A dense tensor, row-major. */
export interface Tensor<D extends TensorDType = TensorDType> {
  readonly dtype: D;
  readonly shape: readonly number[];
  readonly data: TensorData[D];
}

/** Nested arrays of numbers or booleans, all of one depth and length per level. */
export type NestedArray = readonly (number | boolean | NestedArray)[];

/** A typed array without a shape: one-dimensional. */
export type NumericArray =
  | Float32Array
  | Float64Array
  | Int32Array
  | Uint8Array
  | Uint32Array
  | Int8Array
  | Int16Array
  | Uint16Array
  | BigInt64Array;

/** What is taken wherever a tensor is wanted. */
export type TensorLike = Tensor | NestedArray | NumericArray | {
  readonly data: ArrayLike<number | bigint | boolean>;
  readonly shape: readonly number[];
};

const ARRAYS = { float32: Float32Array, int32: Int32Array, bool: Uint8Array } as const satisfies Record<TensorDType, unknown>;

/** Whether a value is a tensor (anything with `data` and `shape`). */
export function isTensor(value: unknown): value is Tensor {
  return typeof value === "object" && value !== null && "data" in value && "shape" in value;
}

/**
 * Makes a tensor of a dtype out of whatever stands for one.
 *
 * Throws "data/ragged" for rows of unequal length, "data/element" for what is no number, "data/size" where the shape and the number
 * of elements disagree, "data/integer" for a fraction where whole numbers are wanted.
 *
 * @example
 * ```ts
 * import { tensor } from "onnxhub";
 * const ids = tensor([[1, 2, 3], [4, 5, 6]], "int32");
 * console.log(ids.shape, ids.data); // [2, 3] Int32Array …
 * ```
 */
export function tensor<D extends TensorDType>(value: TensorLike, dtype: D, path = "tensor"): Tensor<D> {
  if (isTensor(value)) {
    const size = value.shape.reduce((a, b) => a * b, 1);
    if (size !== value.data.length) {
      throw new OnnxHubError("data/size", "The data don't fill the shape", {
        path,
        expected: `${size} elements for [${value.shape.join(", ")}]`,
        found: `${value.data.length}`,
      });
    }
    if (value.dtype === dtype && value.data instanceof ARRAYS[dtype]) return value as unknown as Tensor<D>;
    return { dtype, shape: [...value.shape], data: fill(dtype, value.data as ArrayLike<number>, path) };
  }
  if (ArrayBuffer.isView(value)) {
    const list = value as unknown as ArrayLike<number>;
    return { dtype, shape: [list.length], data: fill(dtype, list, path) };
  }
  if (!Array.isArray(value)) {
    throw new OnnxHubError("data/element", "This can't be made into a tensor", {
      path,
      expected: "a tensor, a typed array or nested arrays of numbers",
      found: value === null ? "null" : typeof value,
    });
  }
  const shape: number[] = [];
  for (let level: unknown = value; Array.isArray(level) || ArrayBuffer.isView(level); level = (level as unknown[])[0]) {
    shape.push((level as unknown[]).length);
  }
  const flat: number[] = [];
  flatten(value, shape, 0, path, flat);
  return { dtype, shape, data: fill(dtype, flat, path) };
}

function flatten(value: unknown, shape: readonly number[], depth: number, path: string, out: number[]): void {
  if (depth === shape.length) {
    if (typeof value === "number" || typeof value === "boolean" || typeof value === "bigint") out.push(Number(value));
    else {
      const found = Array.isArray(value) ? `an array of ${value.length}` : value === null ? "null" : typeof value;
      throw new OnnxHubError(Array.isArray(value) ? "data/ragged" : "data/element", "Not a number", { path, expected: "a number", found });
    }
    return;
  }
  const found = Array.isArray(value) || ArrayBuffer.isView(value) ? `${(value as unknown[]).length}` : typeof value;
  if (found !== String(shape[depth])) {
    throw new OnnxHubError("data/ragged", "Ragged array: rows of unequal length", {
      path,
      expected: `${shape[depth]} elements, as in the first row`,
      found,
      remedy: "Pad every row to one length.",
    });
  }
  (value as unknown[]).forEach((item, i) => flatten(item, shape, depth + 1, `${path}[${i}]`, out));
}

function fill<D extends TensorDType>(dtype: D, from: ArrayLike<number>, path: string): TensorData[D] {
  const at = (i: number): number => Number(from[i]);
  if (dtype === "float32") return Float32Array.from({ length: from.length }, (_, i) => at(i)) as TensorData[D];
  if (dtype === "bool") return Uint8Array.from({ length: from.length }, (_, i) => at(i) !== 0 ? 1 : 0) as TensorData[D];
  const data = new Int32Array(from.length);
  for (let i = 0; i < data.length; i++) {
    data[i] = at(i);
    if (data[i] !== at(i)) {
      throw new OnnxHubError("data/integer", "Not a whole number", {
        path: `${path}[${i}]`,
        expected: "a 32-bit integer",
        found: String(from[i]),
      });
    }
  }
  return data as TensorData[D];
}
