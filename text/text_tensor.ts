/** Rows of numbers to tensors: the form in which texts leave this layer. */

/** A tensor, as the runtime's are. */
export interface TextTensor<D extends "int32" | "float32" | "bool" = "int32" | "float32" | "bool"> {
  readonly dtype: D;
  readonly shape: readonly number[];
  readonly data: { int32: Int32Array<ArrayBuffer>; float32: Float32Array<ArrayBuffer>; bool: Uint8Array<ArrayBuffer> }[D];
}

/** Rows of one width. */
type Rows = readonly (readonly number[])[];

function filled<A extends Int32Array | Float32Array | Uint8Array>(data: A, rows: Rows, width: number): A {
  rows.forEach((row, r) => {
    for (let i = 0; i < width; i++) data[r * width + i] = row[i];
  });
  return data;
}

/** A `[rows, width]` tensor of whole numbers. */
export function int32(rows: Rows, width: number): TextTensor<"int32"> {
  return { dtype: "int32", shape: [rows.length, width], data: filled(new Int32Array(rows.length * width), rows, width) };
}

/** A `[rows, width]` tensor of numbers. */
export function float32(rows: Rows, width: number): TextTensor<"float32"> {
  return { dtype: "float32", shape: [rows.length, width], data: filled(new Float32Array(rows.length * width), rows, width) };
}

/** A `[rows, width]` tensor of zeros and ones. */
export function bool(rows: Rows, width: number): TextTensor<"bool"> {
  return { dtype: "bool", shape: [rows.length, width], data: filled(new Uint8Array(rows.length * width), rows, width) };
}
