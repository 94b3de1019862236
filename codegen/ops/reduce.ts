/** Reductions along axes, and the running sum. */

import type { GraphBuilder } from "../ir/builder.ts";
import { sizeOf } from "../ir/dims.ts";
import type { DType, Shape, Value } from "../ir/types.ts";
import { floats, numbers, requireAxes, requireAxis, requireDType, requireInputs } from "./checks.ts";
import { forEachLine, offset } from "./reference.ts";
import { int, type OnnxEmitter, type OpRule, type OpTable } from "./rule.ts";

type Reduction = "ReduceSum" | "ReduceMean" | "ReduceMax";

/** The shape with the reduced axes as 1: what lines up with the input. */
function keptShape(shape: Shape, axes: readonly number[]): Shape {
  const all = requireAxes("reduction", axes, shape.length);
  return shape.map((dim, i) => all.includes(i) ? 1 : dim);
}

/** How many elements go into one: a number where known, else counted when it runs. */
function countOf(g: GraphBuilder, x: Value, axes: readonly number[]): Value | number {
  const dims = requireAxes("ReduceMean", axes, x.shape.length).map((axis) => x.shape[axis]);
  const size = sizeOf(dims);
  return typeof size === "number" ? size : g.sum(g.expand(g.constant(1, [], x.dtype), dims));
}

/** Reductions to one number of more elements than this are done in two on WebGPU, where one number is one workgroup's work. */
const LINE = 4096;

/** The length of the lines that a tensor of many elements is cut into: the greatest divisor up to {@linkcode LINE}; null for few, and for none. */
function lineLength(shape: Shape): number | null {
  const size = sizeOf(shape);
  if (typeof size !== "number" || size <= 4 * LINE) return null;
  for (let length = LINE; length >= 32; length--) if (size % length === 0) return length;
  return null;
}

/** Reduces line by line, then what the lines gave, in the same way if there are many. */
function emitByLines(emitter: OnnxEmitter, op: Reduction, x: Value, first: number, keepDims: boolean, outputs: readonly string[]): void {
  const list = (...numbers: number[]) => emitter.constant("int64", [numbers.length], numbers);
  let name = emitter.name(x);
  let size = sizeOf(x.shape) as number;
  for (let length: number | null = first; length !== null; length = lineLength([size])) {
    const [lines] = emitter.node("Reshape", [name, list(-1, length)]);
    [name] = emitter.node(op, [lines, list(1)], { keepdims: int(0) });
    size /= length;
  }
  const attributes = { keepdims: int(0) };
  if (!keepDims) return void emitter.node(op, [name, list(0)], attributes, outputs);
  const [scalar] = emitter.node(op, [name, list(0)], attributes);
  emitter.node("Reshape", [scalar, list(...x.shape.map(() => 1))], {}, outputs);
}

function reduction<K extends Reduction>(
  op: K,
  allowed: readonly DType[],
  /** From the count, the elements one by one, and the result so far. */
  fold: { start: number; step: (total: number, x: number, count: number) => number },
  /** From dy with the reduced axes kept as 1, x and y. */
  gradient: (g: GraphBuilder, dy: Value, x: Value, y: Value, axes: readonly number[]) => Value,
): OpRule<K> {
  return {
    infer(inputs, { axes: anyAxes, keepDims }) {
      requireInputs(op, inputs, 1);
      const [{ dtype, shape }] = inputs;
      requireDType(op, dtype, allowed);
      const axes = requireAxes(op, anyAxes, shape.length);
      return [{ dtype, shape: shape.flatMap((dim, i) => !axes.includes(i) ? [dim] : keepDims ? [1] : []) }];
    },
    emit(emitter, { inputs: [x], attributes: { axes, keepDims } }, outputs) {
      if (axes.length === 0) return void emitter.node("Identity", [emitter.name(x)], {}, outputs);
      const rows = emitter.provider === "webgpu" && axes.length === x.shape.length ? lineLength(x.shape) : null;
      if (rows !== null) return emitByLines(emitter, op, x, rows, keepDims, outputs);
      const list = emitter.constant("int64", [axes.length], axes);
      emitter.node(op, [emitter.name(x), list], { keepdims: int(keepDims ? 1 : 0) }, outputs);
    },
    gradient: (g, { inputs: [x], outputs: [y], attributes: { axes } }, [dy]) => [
      () => gradient(g, g.reshape(dy!, keptShape(x.shape, axes)), x, y, axes),
    ],
    evaluate([x], { axes }, [{ shape }]) {
      const kept = keptShape(x.shape, axes) as number[];
      const data = new Float64Array(kept.reduce((product, dim) => product * dim, 1)).fill(fold.start);
      const count = x.data.length / data.length;
      const result = { shape: kept, data };
      const index = new Array<number>(x.shape.length).fill(0);
      for (const element of x.data) {
        const place = offset(result, index);
        data[place] = fold.step(data[place], element, count);
        for (let axis = index.length - 1; axis >= 0 && ++index[axis] === x.shape[axis]; axis--) index[axis] = 0;
      }
      return [{ shape, data }];
    },
  };
}

const cumSum: OpRule<"CumSum"> = {
  infer(inputs, { axis }) {
    requireInputs("CumSum", inputs, 1);
    const [{ dtype, shape }] = inputs;
    requireDType("CumSum", dtype, [...floats, "int32", "int64"]);
    requireAxis("CumSum", axis, shape.length);
    return [{ dtype, shape }];
  },
  emit(emitter, { inputs: [x], attributes: { axis, reverse } }, outputs) {
    const along = emitter.constant("int64", [], [axis]);
    emitter.node("CumSum", [emitter.name(x), along], reverse ? { reverse: int(1) } : {}, outputs);
  },
  gradient: (g, { attributes: { axis, reverse } }, [dy]) => [() => g.op("CumSum", [dy!], { axis, reverse: !reverse })[0]],
  evaluate([x], { axis, reverse }) {
    const data = x.data.slice();
    forEachLine(x.shape, requireAxis("CumSum", axis, x.shape.length), (start, step, length) => {
      for (let i = 1; i < length; i++) {
        const place = reverse ? length - 1 - i : i;
        data[start + place * step] += data[start + (reverse ? place + 1 : place - 1) * step];
      }
    });
    return [{ shape: x.shape, data }];
  },
};

const integers: readonly DType[] = ["int32", "int64"];

/** op: how it adds up, and the gradient. */
export const reductions = {
  ReduceSum: reduction(
    "ReduceSum",
    [...floats, ...integers],
    { start: 0, step: (total, x) => total + x },
    (g, dy, x) => g.expand(dy, x.shape),
  ),
  ReduceMean: reduction(
    "ReduceMean",
    floats,
    { start: 0, step: (total, x, count) => total + x / count },
    (g, dy, x, _, axes) => g.expand(g.div(dy, countOf(g, x, axes)), x.shape),
  ),
  // The greatest share the gradient equally.
  ReduceMax: reduction("ReduceMax", numbers, { start: -Infinity, step: (total, x) => Math.max(total, x) }, (g, dy, x, y, axes) => {
    const hit = g.cast(g.equal(x, g.reshape(y, dy.shape)), x.dtype);
    return g.mul(hit, g.div(dy, g.sum(hit, axes, true)));
  }),
  CumSum: cumSum,
} satisfies Partial<OpTable>;
