/** Rows of numbers to tensors: the form in which texts leave this layer. */

/** A tensor, as the runtime's are. */
export interface TextTensor<D extends "int32" | "float32" | "bool" = "int32" | "float32" | "bool"> {
  readonly dtype: D;
  readonly shape: readonly number[];
  readonly data: { int32: Int32Array<ArrayBuffer>; float32: Float32Array<ArrayBuffer>; bool: Uint8Array<ArrayBuffer> }[D];
}

/** Rows of one width; `width` is for a batch of none. */
type Rows = readonly (readonly number[])[];

/** A `[rows, width]` tensor of whole numbers. */
export function int32(rows: Rows, width: number): TextTensor<"int32"> {
  return { dtype: "int32", shape: [rows.length, width], data: Int32Array.from(rows.flat()) };
}

/** A `[rows, width]` tensor of numbers. */
export function float32(rows: Rows, width: number): TextTensor<"float32"> {
  return { dtype: "float32", shape: [rows.length, width], data: Float32Array.from(rows.flat()) };
}

/** A `[rows, width]` tensor of zeros and ones. */
export function bool(rows: Rows, width: number): TextTensor<"bool"> {
  return { dtype: "bool", shape: [rows.length, width], data: Uint8Array.from(rows.flat()) };
}
