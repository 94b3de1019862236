/** How tensors of a checkpoint become weights and weights tensors: transposed, rows left out, a row added. */

import type { ExpandedHuggingFaceWeight } from "../../spec/types.ts";
import type { Checkpoint } from "./checkpoint.ts";

/** Elements of a matrix that are read at a time. */
const BLOCK = 1 << 18;

/** Reads a matrix [columns, rows] into its transposed [rows, columns], some rows of the file at a time: there is never a second copy. */
export function readTransposed(checkpoint: Checkpoint, name: string, into: Float32Array, shape: readonly number[]): void {
  const [rows, columns] = shape;
  if (rows * columns === 0) return;
  const height = Math.min(columns, Math.max(16, Math.floor(BLOCK / rows)));
  const block = new Float32Array(height * rows);
  for (let start = 0; start < columns; start += height) {
    const count = Math.min(height, columns - start);
    checkpoint.read(name, block, start * rows, count * rows);
    transposeBlock(block, count, rows, into, start, columns);
  }
}

/** Puts a block [count, rows] into the columns from `start` on of a matrix [rows, columns], in tiles that stay in the processor's cache. */
function transposeBlock(
  block: Float32Array,
  count: number,
  rows: number,
  into: Float32Array,
  start: number,
  columns: number,
): void {
  const TILE = 32;
  for (let firstRow = 0; firstRow < rows; firstRow += TILE) {
    const lastRow = Math.min(rows, firstRow + TILE);
    for (let first = 0; first < count; first += TILE) {
      const last = Math.min(count, first + TILE);
      for (let row = firstRow; row < lastRow; row++) {
        const at = row * columns + start;
        for (let i = first; i < last; i++) into[at + i] = block[i * rows + row];
      }
    }
  }
}

/** Adds the first row of a tensor to every row of a matrix. */
export function addFirstRow(checkpoint: Checkpoint, name: string, into: Float32Array, columns: number): void {
  const row = new Float32Array(columns);
  checkpoint.read(name, row, 0, columns);
  for (let column = 0; column < columns; column++) {
    const value = row[column];
    if (value !== 0) { for (let at = column; at < into.length; at += columns) into[at] += value; } // -0 + 0 would be another number
  }
}

/** A weight's values as its tensor has them: what {@linkcode readTransposed} and the like undo. Rows that are left out in reading are zeros. */
export function tensorValues(
  { transform, skip_rows }: ExpandedHuggingFaceWeight,
  values: Float32Array,
  shape: readonly number[],
): Float32Array {
  if (transform === "transpose") {
    const [rows, columns] = shape;
    const transposed = new Float32Array(values.length);
    transposeBlock(values, rows, columns, transposed, 0, rows);
    return transposed;
  }
  if (skip_rows === 0) return values;
  const padded = new Float32Array(values.length + skip_rows * (values.length / shape[0]));
  padded.set(values, padded.length - values.length);
  return padded;
}
