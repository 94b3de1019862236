/** Class weights as sample weights. */

import { OnnxHubError } from "../../errors.ts";
import type { Tensor } from "../../runtime/tensor.ts";

/** A weight for each class index; 1 for those that aren't there. */
export type ClassWeight = Readonly<Record<number, number>>;

/** Throws "data/class-weight" for keys that are no class indices and values that are no numbers. */
export function checkClassWeight(classWeight: unknown): ClassWeight {
  if (typeof classWeight !== "object" || classWeight === null || Array.isArray(classWeight)) {
    throw new OnnxHubError("data/class-weight", "`classWeight` must be a mapping of class indices to weights", {
      path: "classWeight",
      expected: "{ 0: 1, 1: 2.5, … }",
      found: classWeight === null ? "null" : Array.isArray(classWeight) ? "an array" : typeof classWeight,
    });
  }
  for (const [key, weight] of Object.entries(classWeight)) {
    if (!/^\d+$/.test(key)) {
      throw new OnnxHubError("data/class-weight", "`classWeight` must have integer keys representing class indices", {
        path: `classWeight.${key}`,
        expected: "a class index",
        found: JSON.stringify(key),
      });
    }
    if (typeof weight !== "number" || !Number.isFinite(weight)) {
      throw new OnnxHubError("data/class-weight", "A class's weight is a number", {
        path: `classWeight.${key}`,
        expected: "a number",
        found: String(weight),
      });
    }
  }
  return classWeight as ClassWeight;
}

/**
 * A weight a row, by the row's class, as Keras' `class_weight_to_sample_weights`: labels [rows] or [rows, 1] are class indices, those of
 * [rows, classes] one-hot. Throws "data/class-weight" for labels that say no class a row.
 */
export function classSampleWeight(labels: Tensor, classWeight: ClassWeight): Tensor<"float32"> {
  const { shape, data } = labels;
  const [rows, width = 1] = shape;
  if (shape.length > 2) throw noClass(`labels of shape [${shape.join(", ")}]`);
  const weights = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    const values = Array.from(data.subarray(row * width, (row + 1) * width));
    if (width > 1 && Math.abs(values.reduce((sum, value) => sum + value, 0) - 1) > 1e-3) {
      throw noClass(`labels of shape [${shape.join(", ")}] with a row that doesn't sum to 1`);
    }
    const index = width === 1 ? Math.round(values[0]) : values.indexOf(Math.max(...values));
    weights[row] = classWeight[index] ?? 1;
  }
  return { dtype: "float32", shape: [rows], data: weights };
}

function noClass(found: string): OnnxHubError {
  return new OnnxHubError("data/class-weight", "`classWeight` needs one class a row", {
    path: "classWeight",
    expected: "labels of shape [rows], [rows, 1] or one-hot [rows, classes]",
    found,
    remedy: "Pass `sampleWeight` of the labels' shape instead.",
  });
}
