/** The checks that shape rules share; each throws one error with what was expected and what was found. */

import { OnnxHubError } from "../../errors.ts";
import { broadcastShapes, formatShape } from "../ir/dims.ts";
import type { DType, Shape, TensorType } from "../ir/types.ts";

/** The dtypes that an op computes with. */
export const floats: readonly DType[] = ["float32", "float16", "float64"];
/** Whole numbers that index. */
export const indexTypes: readonly DType[] = ["int32", "int64"];
/** Everything that counts. */
export const numbers: readonly DType[] = [...floats, ...indexTypes, "uint8"];

/** Throws "codegen/shape". */
export function shapeError(op: string, expected: string, found: string, remedy?: string): never {
  throw new OnnxHubError("codegen/shape", `${op}'s shapes don't fit`, { expected, found, remedy });
}

/** Throws "codegen/dtype". */
export function dtypeError(op: string, expected: string, found: string): never {
  throw new OnnxHubError("codegen/dtype", `${op}'s dtypes don't fit`, { expected, found });
}

/** Checks the number of inputs. */
export function requireInputs(op: string, inputs: readonly TensorType[], least: number, most: number = least): void {
  if (inputs.length >= least && inputs.length <= most) return;
  shapeError(op, least === most ? `${least} inputs` : `${least} to ${most} inputs`, `${inputs.length}`);
}

/** Checks that a dtype is among those that an op takes. */
export function requireDType(op: string, dtype: DType, allowed: readonly DType[]): void {
  if (!allowed.includes(dtype)) dtypeError(op, allowed.join(" or "), dtype);
}

/** Checks that all inputs have one dtype, and returns it. */
export function requireSameDType(op: string, inputs: readonly TensorType[]): DType {
  const { dtype } = inputs[0];
  if (inputs.some((input) => input.dtype !== dtype)) dtypeError(op, "one dtype", inputs.map((input) => input.dtype).join(" and "));
  return dtype;
}

/** The broadcast of shapes, which must go together. */
export function requireBroadcast(op: string, shapes: readonly Shape[]): Shape {
  let result: Shape = [];
  for (const shape of shapes) {
    result = broadcastShapes(result, shape) ??
      shapeError(op, "shapes that broadcast together", shapes.map(formatShape).join(" and "));
  }
  return result;
}

/** An axis counted from the front; negative ones count from the back. */
export function requireAxis(op: string, axis: number, rank: number): number {
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
    shapeError(op, rank === 0 ? "no axis, for a scalar" : `an axis from ${-rank} to ${rank - 1}`, `${axis}`);
  }
  return axis < 0 ? axis + rank : axis;
}

/** Distinct axes counted from the front, ascending. */
export function requireAxes(op: string, axes: readonly number[], rank: number): number[] {
  const result = axes.map((axis) => requireAxis(op, axis, rank)).sort((a, b) => a - b);
  if (new Set(result).size !== axes.length) shapeError(op, "distinct axes", `[${axes.join(", ")}]`);
  return result;
}
