/** The element types of tensors, as onnxruntime's C functions number them, and the arrays that hold them. */

import type { FeedTensor } from "./backend.ts";

/** onnx.proto's numbers (`TensorProto.DataType`), which are `ONNXTensorElementDataType`'s, too. */
export const TYPES = { float32: 1, int32: 6, bool: 9 } as const;

/** The typed array of each. */
export const ARRAYS = { float32: Float32Array, int32: Int32Array, bool: Uint8Array } as const;

/** The element type of a number; undefined for others than tensors of ours have. */
export function typeOf(number: number): FeedTensor["dtype"] | undefined {
  return (["float32", "int32", "bool"] as const).find((dtype) => TYPES[dtype] === number);
}
