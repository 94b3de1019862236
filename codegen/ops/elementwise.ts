/** Elementwise arithmetic and functions. Binary ops broadcast as NumPy does; their gradients are summed back. */

import type { GraphBuilder } from "../ir/builder.ts";
import { sameShape } from "../ir/dims.ts";
import type { DType, None, OpAttributes, OpName, Value } from "../ir/types.ts";
import { floats, numbers, requireBroadcast, requireDType, requireInputs, requireSameDType, shapeError } from "./checks.ts";
import { at, tensorOf } from "./reference.ts";
import { type OnnxEmitter, type OpRule, type OpTable, string } from "./rule.ts";

/** The ops without attributes. */
type Plain = { [K in OpName]: OpAttributes[K] extends None ? None extends OpAttributes[K] ? K : never : never }[OpName];

/** dx from dy, x and y. */
type UnaryGradient = (g: GraphBuilder, dy: Value, x: Value, y: Value) => Value;
/** An operand's gradient before it is summed to the operand's shape. */
type BinaryGradient = (g: GraphBuilder, dy: Value, a: Value, b: Value, y: Value) => Value;

/** How an op is emitted for WebGPU, which lacks it or has it in part. */
type WebgpuEmission = (emitter: OnnxEmitter, inputs: readonly Value[], outputs: readonly string[]) => void;

function unary<K extends Plain>(
  op: K,
  compute: (x: number) => number,
  gradient: UnaryGradient | null,
  allowed: readonly DType[] = floats,
  emitForWebgpu?: WebgpuEmission,
): OpRule<K> {
  return {
    infer(inputs) {
      requireInputs(op, inputs, 1);
      requireDType(op, inputs[0].dtype, allowed);
      return [inputs[0]].map(({ dtype, shape }) => ({ dtype, shape }));
    },
    emit(emitter, { inputs }, outputs) {
      if (emitForWebgpu && emitter.provider === "webgpu") emitForWebgpu(emitter, inputs, outputs);
      else emitter.node(op, [emitter.name(inputs[0])], {}, outputs);
    },
    gradient: gradient && ((g, { inputs: [x], outputs: [y] }, [dy]) => [() => gradient(g, dy!, x, y)]),
    evaluate: ([x]) => [{ shape: x.shape, data: x.data.map(compute) }],
  };
}

function binary<K extends Plain>(
  op: K,
  compute: (a: number, b: number, dtype: DType) => number,
  gradients: readonly [BinaryGradient, BinaryGradient],
  allowed: readonly DType[] = numbers,
  emitForWebgpu?: WebgpuEmission,
): OpRule<K> {
  return {
    infer(inputs) {
      requireInputs(op, inputs, 2);
      const dtype = requireSameDType(op, inputs);
      requireDType(op, dtype, allowed);
      return [{ dtype, shape: requireBroadcast(op, inputs.map(({ shape }) => shape)) }];
    },
    emit(emitter, { inputs }, outputs) {
      if (emitForWebgpu && emitter.provider === "webgpu") emitForWebgpu(emitter, inputs, outputs);
      else emitter.node(op, inputs.map((x) => emitter.name(x)), {}, outputs);
    },
    gradient: (g, { inputs: [a, b], outputs: [y] }, [dy]) => [
      () => g.reduceTo(gradients[0](g, dy!, a, b, y), a.shape),
      () => g.reduceTo(gradients[1](g, dy!, a, b, y), b.shape),
    ],
    evaluate: ([a, b], _, [{ dtype, shape }]) => [tensorOf(shape, (index) => compute(at(a, index), at(b, index), dtype))],
  };
}

/** The number that a value is known to be, or null. */
function knownScalar(value: Value): number | null {
  const { producer } = value;
  return producer?.op === "Constant" && producer.attributes.data.length === 1 ? producer.attributes.data[0] : null;
}

/** b·a^(b−1), with the one multiplication less that a known exponent allows. */
function powerSlope(g: GraphBuilder, a: Value, b: Value): Value {
  const exponent = knownScalar(b);
  if (exponent === 2) return g.mul(a, 2);
  return g.mul(g.pow(a, exponent === null ? g.sub(b, 1) : exponent - 1), b);
}

/** 2/√π ∫₀ˣ exp(−t²) dt to float64's precision: e^(−x²) Σ 2ⁿ x^(2n+1) / (2n+1)!!, all terms of one sign. */
export function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= 2 * x * x / (2 * n + 1);
    sum += term;
  }
  return 2 / Math.sqrt(Math.PI) * Math.exp(-x * x) * sum;
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const isInteger = (dtype: DType): boolean => !floats.includes(dtype);
const signed: readonly DType[] = [...floats, "int32", "int64"];

/** ONNX rounds halves to even. */
function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest === 0.5 ? floor + (floor % 2 === 0 ? 0 : 1) : Math.round(x);
}

/** 1 where positive, -1 where negative, else 0. */
const emitSign: WebgpuEmission = (emitter, [x], outputs) => {
  const name = emitter.name(x);
  const [minus, zero, one] = [-1, 0, 1].map((number) => emitter.constant(x.dtype, [], [number]));
  const [positive] = emitter.node("Greater", [name, zero]);
  const [negative] = emitter.node("Less", [name, zero]);
  const [rest] = emitter.node("Where", [negative, minus, zero]);
  emitter.node("Where", [positive, one, rest], {}, outputs);
};

/** The floor, and 1 more where the rest is above a half, or is one and the floor is odd. */
const emitRound: WebgpuEmission = (emitter, [x], outputs) => {
  const name = emitter.name(x);
  const [zero, half, one] = [0, 0.5, 1].map((number) => emitter.constant(x.dtype, [], [number]));
  const [floor] = emitter.node("Floor", [name]);
  const [rest] = emitter.node("Sub", [name, floor]);
  const [halved] = emitter.node("Mul", [floor, half]);
  const [even] = emitter.node("Floor", [halved]);
  const [isOdd] = emitter.node("Greater", [halved, even]);
  const [odd] = emitter.node("Where", [isOdd, one, zero]);
  const [isAbove] = emitter.node("Greater", [rest, half]);
  const [isBelow] = emitter.node("Less", [rest, half]);
  const [atMost] = emitter.node("Where", [isBelow, zero, odd]);
  const [step] = emitter.node("Where", [isAbove, one, atMost]);
  emitter.node("Add", [floor, step], {}, outputs);
};

/** Roots by Sqrt, which is exact to a bit. Operands that both broadcast are written out: the shader that would do it does not compile. */
const emitPow: WebgpuEmission = (emitter, [a, b], outputs) => {
  if (knownScalar(b) === 0.5) return void emitter.node("Sqrt", [emitter.name(a)], {}, outputs);
  const shape = requireBroadcast("Pow", [a.shape, b.shape]);
  const broadcasts = [a, b].every((x) => x.shape.length > 0 && !sameShape(x.shape, shape));
  const names = [a, b].map((x) => broadcasts ? emitter.node("Expand", [emitter.name(x), emitter.shape(shape)])[0] : emitter.name(x));
  emitter.node("Pow", names, {}, outputs);
};

const gelu: OpRule<"Gelu"> = {
  infer(inputs) {
    requireInputs("Gelu", inputs, 1);
    requireDType("Gelu", inputs[0].dtype, floats);
    return [{ dtype: inputs[0].dtype, shape: inputs[0].shape }];
  },
  emit(emitter, { inputs, attributes: { approximate } }, outputs) {
    emitter.node("Gelu", [emitter.name(inputs[0])], { approximate: string(approximate ? "tanh" : "none") }, outputs);
  },
  gradient: (g, { inputs: [x], attributes: { approximate } }, [dy]) => [() => {
    if (approximate) {
      // t = tanh(u), u = √(2/π) (x + 0.044715 x³): dx = ½ (1 + t) + ½ x (1 − t²) u′
      const c = Math.sqrt(2 / Math.PI);
      const square = g.mul(x, x);
      const t = g.tanh(g.mul(x, g.add(g.mul(square, c * 0.044715), c)));
      const slope = g.mul(x, g.add(g.mul(square, c * 3 * 0.044715), c));
      const inner = g.mul(g.sub(1, g.mul(t, t)), slope);
      return g.mul(dy!, g.mul(g.add(g.add(t, inner), 1), 0.5));
    }
    // Φ(x) + x φ(x), of a = x/√2: ½ (1 + erf a) + a exp(ln(1/√π) − a²)
    const a = g.mul(x, Math.SQRT1_2);
    const cumulative = g.add(g.mul(g.erf(a), 0.5), 0.5);
    const density = g.exp(g.sub(-0.5 * Math.log(Math.PI), g.mul(a, a)));
    return g.mul(dy!, g.add(cumulative, g.mul(a, density)));
  }],
  evaluate([x], { approximate }) {
    const exact = (v: number) => 0.5 * v * (1 + erf(v * Math.SQRT1_2));
    const tanh = (v: number) => 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)));
    return [{ shape: x.shape, data: x.data.map(approximate ? tanh : exact) }];
  },
};

/**
 * Float to float passes the gradient on; every other cast stops it. A mask's two casts do without Cast on the CPU: onnxruntime's is one function for all pairs
 * of types, 490 KB of WebAssembly in onnxruntime-web 1.30.0, which V8 takes 30 to 50 ms to compile when a process comes to it.
 */
const cast: OpRule<"Cast"> = {
  infer(inputs, { to }) {
    requireInputs("Cast", inputs, 1);
    return [{ dtype: to, shape: inputs[0].shape }];
  },
  emit(emitter, { inputs, attributes: { to } }, outputs) {
    const name = emitter.name(inputs[0]);
    const { dtype } = inputs[0];
    if (dtype === to) emitter.node("Identity", [name], {}, outputs);
    else if (emitter.provider === "cpu" && dtype === "int32" && to === "bool") {
      emitter.node("Not", emitter.node("Equal", [name, emitter.constant(dtype, [], [0])]), {}, outputs);
    } else if (emitter.provider === "cpu" && dtype === "bool" && to === "float32") {
      emitter.node("Where", [name, emitter.constant(to, [], [1]), emitter.constant(to, [], [0])], {}, outputs);
    } else emitter.cast(name, to, outputs);
  },
  gradient: (g, { inputs: [x] }, [dy]) => [floats.includes(x.dtype) ? () => g.cast(dy!, x.dtype) : null],
  evaluate: (
    [x],
    { to },
  ) => [{ shape: x.shape, data: x.data.map(to === "bool" ? (v) => v === 0 ? 0 : 1 : isInteger(to) ? Math.trunc : (v) => v) }],
};

const stopGradient: OpRule<"StopGradient"> = {
  infer(inputs) {
    requireInputs("StopGradient", inputs, 1);
    return [{ dtype: inputs[0].dtype, shape: inputs[0].shape }];
  },
  emit: (emitter, { inputs, outputs: [y] }) => emitter.alias(y, emitter.name(inputs[0])),
  gradient: null,
  evaluate: ([x]) => [x],
};

const constant: OpRule<"Constant"> = {
  infer(inputs, { dtype, shape, data }) {
    requireInputs("Constant", inputs, 0);
    const size = shape.reduce((product, dim) => product * dim, 1);
    if (size !== data.length) shapeError("Constant", `${size} numbers for [${shape.join(", ")}]`, `${data.length}`);
    return [{ dtype, shape }];
  },
  emit: (emitter, { attributes: { dtype, shape, data }, outputs: [y] }) => emitter.alias(y, emitter.constant(dtype, shape, data)),
  gradient: null,
  evaluate: (_, { shape, data }) => [{ shape, data: Float64Array.from(data) }],
};

/** op: value, then the gradient of each input. */
export const elementwise = {
  Constant: constant,
  StopGradient: stopGradient,
  Cast: cast,
  Gelu: gelu,
  Add: binary("Add", (a, b) => a + b, [(_, dy) => dy, (_, dy) => dy]),
  Sub: binary("Sub", (a, b) => a - b, [(_, dy) => dy, (g, dy) => g.neg(dy)]),
  Mul: binary("Mul", (a, b) => a * b, [(g, dy, _, b) => g.mul(dy, b), (g, dy, a) => g.mul(dy, a)]),
  Div: binary("Div", (a, b, dtype) => isInteger(dtype) ? Math.trunc(a / b) : a / b, [
    (g, dy, _, b) => g.div(dy, b),
    (g, dy, _, b, y) => g.neg(g.div(g.mul(dy, y), b)),
  ]),
  Pow: binary(
    "Pow",
    (a, b) => a ** b,
    [
      (g, dy, a, b) => g.mul(dy, powerSlope(g, a, b)),
      (g, dy, a, _, y) => g.mul(g.mul(dy, y), g.log(a)),
    ],
    signed,
    emitPow,
  ),
  // Where both are equal, the first operand takes all of the gradient.
  Max: binary("Max", (a, b) => Math.max(a, b), [
    (g, dy, a, b) => g.where(g.greaterOrEqual(a, b), dy, 0),
    (g, dy, a, b) => g.where(g.greaterOrEqual(a, b), 0, dy),
  ]),
  Min: binary("Min", (a, b) => Math.min(a, b), [
    (g, dy, a, b) => g.where(g.lessOrEqual(a, b), dy, 0),
    (g, dy, a, b) => g.where(g.lessOrEqual(a, b), 0, dy),
  ]),
  Neg: unary("Neg", (x) => -x, (g, dy) => g.neg(dy), signed),
  Abs: unary("Abs", Math.abs, (g, dy, x) => g.mul(dy, g.sign(x)), numbers),
  Sign: unary("Sign", Math.sign, null, numbers, emitSign),
  Exp: unary("Exp", Math.exp, (g, dy, _, y) => g.mul(dy, y)),
  Log: unary("Log", Math.log, (g, dy, x) => g.div(dy, x)),
  Sqrt: unary("Sqrt", Math.sqrt, (g, dy, _, y) => g.div(g.mul(dy, 0.5), y)),
  Reciprocal: unary("Reciprocal", (x) => 1 / x, (g, dy, _, y) => g.neg(g.mul(dy, g.mul(y, y)))),
  Sin: unary("Sin", Math.sin, (g, dy, x) => g.mul(dy, g.cos(x))),
  Cos: unary("Cos", Math.cos, (g, dy, x) => g.neg(g.mul(dy, g.sin(x)))),
  Tanh: unary("Tanh", Math.tanh, (g, dy, _, y) => g.mul(dy, g.sub(1, g.mul(y, y)))),
  Sigmoid: unary("Sigmoid", sigmoid, (g, dy, _, y) => g.mul(dy, g.mul(y, g.sub(1, y)))),
  Relu: unary("Relu", (x) => Math.max(x, 0), (g, dy, _, y) => g.where(g.greater(y, 0), dy, 0)),
  Erf: unary("Erf", erf, (g, dy, x) => g.mul(dy, g.mul(g.exp(g.neg(g.mul(x, x))), 2 / Math.sqrt(Math.PI)))),
  Softplus: unary("Softplus", (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))), (g, dy, x) => g.mul(dy, g.sigmoid(x))),
  Floor: unary("Floor", Math.floor, null),
  Ceil: unary("Ceil", Math.ceil, null),
  Round: unary("Round", roundHalfEven, null, floats, emitRound),
} satisfies Partial<OpTable>;
