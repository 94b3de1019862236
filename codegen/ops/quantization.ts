/** Products of whole numbers: floats quantized to 8 bits when the graph runs, and matrices of 8-bit numbers multiplied. */

import { formatShape } from "../ir/dims.ts";
import { dtypeError, requireDType, requireInputs, shapeError } from "./checks.ts";
import { tensorOf } from "./reference.ts";
import type { OpRule, OpTable } from "./rule.ts";

/** The greatest uint8. */
const STEPS = 255;

/** Rounded to nearest, halves to even. */
function roundEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
}

const clamp = (x: number): number => Math.max(0, Math.min(STEPS, x));

/** Source: ONNX's DynamicQuantizeLinear. */
const dynamicQuantizeLinear: OpRule<"DynamicQuantizeLinear"> = {
  infer(inputs) {
    requireInputs("DynamicQuantizeLinear", inputs, 1);
    const [{ dtype, shape }] = inputs;
    requireDType("DynamicQuantizeLinear", dtype, ["float32"]);
    return [{ dtype: "uint8", shape }, { dtype: "float32", shape: [] }, { dtype: "uint8", shape: [] }];
  },
  emit(emitter, { inputs: [x] }, outputs) {
    emitter.node("DynamicQuantizeLinear", [emitter.name(x)], {}, outputs);
  },
  gradient: null,
  evaluate([{ shape, data }]) {
    const least = data.reduce((a, b) => Math.min(a, b), 0);
    const greatest = data.reduce((a, b) => Math.max(a, b), 0);
    const scale = greatest === least ? 1 : (greatest - least) / STEPS;
    const zero = roundEven(clamp(-least / scale));
    return [
      { shape, data: data.map((x) => clamp(roundEven(x / scale) + zero)) },
      { shape: [], data: Float64Array.of(scale) },
      { shape: [], data: Float64Array.of(zero) },
    ];
  },
};

/** Source: ONNX's MatMulInteger; the right operand is a matrix around zero. */
const matMulInteger: OpRule<"MatMulInteger"> = {
  infer(inputs) {
    requireInputs("MatMulInteger", inputs, 3);
    const [a, b, zero] = inputs;
    if (a.dtype !== "uint8" || b.dtype !== "int8" || zero.dtype !== "uint8") {
      dtypeError("MatMulInteger", "uint8, int8 and uint8", `${a.dtype}, ${b.dtype} and ${zero.dtype}`);
    }
    if (a.shape.length < 2 || b.shape.length !== 2 || a.shape.at(-1) !== b.shape[0]) {
      shapeError("MatMulInteger", "[..., M, K] and [K, N]", `${formatShape(a.shape)} and ${formatShape(b.shape)}`);
    }
    if (zero.shape.length > 0) shapeError("MatMulInteger", "a zero point of shape []", formatShape(zero.shape));
    return [{ dtype: "int32", shape: [...a.shape.slice(0, -1), b.shape[1]] }];
  },
  emit(emitter, { inputs }, outputs) {
    emitter.node("MatMulInteger", inputs.map((input) => emitter.name(input)), {}, outputs);
  },
  gradient: null,
  evaluate([a, b, zero], _, [{ shape }]) {
    const [inner, columns] = b.shape;
    return [tensorOf(shape, (index, flat) => {
      const row = Math.floor(flat / columns) * inner;
      let sum = 0;
      for (let k = 0; k < inner; k++) sum += (a.data[row + k] - zero.data[0]) * b.data[k * columns + index[index.length - 1]];
      return sum;
    })];
  },
};

/** The ops in this file. ONNX Runtime computes them, and what scales the product, in one kernel. */
export const quantizations = {
  DynamicQuantizeLinear: dynamicQuantizeLinear,
  MatMulInteger: matMulInteger,
} satisfies Partial<OpTable>;
