/** Weights in fewer bits, computed on the host: int8 with one scale a column, float16. */

import type { Int8Weight } from "../codegen/passes/int8.ts";
import { FLOAT16_OVERFLOW } from "../codegen/passes/float16.ts";
import { OnnxHubError } from "../errors.ts";
import { float32ToFloat16 } from "../formats/float16.ts";

/** What int8 takes the place of a float32 matrix with. */
export interface QuantizedMatrix {
  /** [inner, columns], -range to range. */
  readonly values: Int8Array<ArrayBuffer>;
  /** [columns]: an element is its value times its column's scale. */
  readonly scales: Float32Array<ArrayBuffer>;
}

/** Rows that are gone through together where a matrix is transposed: what is written stays in the processor's cache. */
const BLOCK = 64;

/**
 * A float32 matrix in int8, symmetric: each column's greatest magnitude becomes `range` (127; 64 for kernels that add two products in 16 bits), and an
 * element differs from what it was by at most half its column's scale. The matrix is [inner, columns], or lies there transposed.
 *
 * Throws "model/not-finite" for a matrix with a NaN or an infinity.
 */
export function quantizeMatrix(
  data: Float32Array,
  { inner, columns, transposed, weight }: Pick<Int8Weight, "inner" | "columns" | "transposed" | "weight">,
  range = 127,
): QuantizedMatrix {
  const scales = new Float32Array(columns);
  const greatest = new Float32Array(columns);
  if (transposed) {
    for (let column = 0; column < columns; column++) {
      let most = 0;
      for (let at = column * inner; at < (column + 1) * inner; at++) {
        const size = Math.abs(data[at]);
        if (size > most || Number.isNaN(size)) most = size;
      }
      greatest[column] = most;
    }
  } else {
    for (let at = 0, row = 0; row < inner; row++) {
      for (let column = 0; column < columns; column++, at++) {
        const size = Math.abs(data[at]);
        if (size > greatest[column] || Number.isNaN(size)) greatest[column] = size;
      }
    }
  }
  const inverse = new Float64Array(columns);
  greatest.forEach((most, column) => {
    if (!Number.isFinite(most)) throw notFinite(weight, most);
    scales[column] = most / range;
    // A scale of zero, of zeros or of what underflows, leaves zeros.
    inverse[column] = scales[column] === 0 ? 0 : 1 / scales[column];
  });
  const values = new Int8Array(inner * columns);
  const value = (x: number, column: number): number => Math.max(-range, Math.min(range, Math.round(x * inverse[column])));
  if (transposed) {
    for (let first = 0; first < columns; first += BLOCK) {
      const end = Math.min(columns, first + BLOCK);
      for (let row = 0; row < inner; row++) {
        for (let column = first; column < end; column++) values[row * columns + column] = value(data[column * inner + row], column);
      }
    }
  } else {
    for (let at = 0, row = 0; row < inner; row++) {
      for (let column = 0; column < columns; column++, at++) values[at] = value(data[at], column);
    }
  }
  return { values, scales };
}

function notFinite(path: string, found: number): OnnxHubError {
  return new OnnxHubError("model/not-finite", "A weight has a number that is not finite", {
    path,
    expected: "finite numbers",
    found: String(found),
  });
}

/** The float16 bits of a weight. Throws "model/not-finite", and "model/float16" for a weight with a number that is too large for it. */
export function halfWeight(data: Float32Array, weight: string): Uint16Array<ArrayBuffer> {
  const wrong = data.findIndex((x) => !(Math.abs(x) < FLOAT16_OVERFLOW));
  if (wrong < 0) return float32ToFloat16(data);
  if (!Number.isFinite(data[wrong])) throw notFinite(`${weight}[${wrong}]`, data[wrong]);
  throw new OnnxHubError("model/float16", `The weight ${weight} has a number that is too large for float16`, {
    path: `${weight}[${wrong}]`,
    expected: "numbers from -65504 to 65504",
    found: String(data[wrong]),
    remedy: 'Take "int8", whose scales are float32.',
  });
}
