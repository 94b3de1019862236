/** A case of an op as a graph, with its gradients, and numbers to feed it with. */

import { gradients } from "../../codegen/autodiff.ts";
import { GraphBuilder } from "../../codegen/ir/builder.ts";
import { evaluateShape } from "../../codegen/ir/dims.ts";
import type { Graph, OpName, Value } from "../../codegen/ir/types.ts";
import { floats } from "../../codegen/ops/checks.ts";
import type { ReferenceTensor } from "../../codegen/ops/rule.ts";
import { type GoodCase, type InputCase, symbols, type Values } from "./op_cases.ts";

/** Numbers that look random and are the same everywhere. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function draw(values: Values, size: number, seed: number): number[] {
  const next = generator(seed * 7919 + 17);
  for (let i = 0; i < 8; i++) next();
  if (typeof values === "object") {
    return "below" in values ? Array.from({ length: size }, () => Math.floor(next() * values.below)) : [...values];
  }
  if (values === "bool") return Array.from({ length: size }, () => next() < 0.5 ? 0 : 1);
  if (values === "positive") return Array.from({ length: size }, () => 0.3 + 1.7 * next());
  if (values === "normal") return Array.from({ length: size }, () => 3 * next() - 1.5);
  const order = Array.from({ length: size }, (_, i) => ({ i, key: next() })).sort((a, b) => a.key - b.key);
  const list = new Array<number>(size);
  order.forEach(({ i }, rank) => list[i] = 0.1 * (rank - Math.floor(size / 2)) + (values === "between" ? 0 : 0.05));
  return list;
}

/** A tensor of an input's numbers, rounded to float32 so that float32 runtimes get the same ones. */
export function tensorOf({ shape: symbolic, values, dtype }: InputCase, seed: number): ReferenceTensor {
  const shape = evaluateShape(symbolic, symbols);
  const data = Float64Array.from(draw(values, shape.reduce((product, dim) => product * dim, 1), seed));
  return { shape, data: dtype === "float32" ? data.map(Math.fround) : data };
}

/** The graph of a case: inputs x0, x1, …; outputs y0, …; the sum of the outputs times r0, … as `total`; its gradients d0, …. */
export interface CaseGraph {
  readonly graph: Graph;
  readonly feeds: Record<string, ReferenceTensor>;
  /** The indices of the inputs that have a gradient, which is the output `d<index>`. */
  readonly differentiated: readonly number[];
}

/** Builds it. */
export function graphOf<K extends OpName>(op: K, { inputs, attributes }: GoodCase<K>): CaseGraph {
  const g = new GraphBuilder(op);
  const feeds: Record<string, ReferenceTensor> = {};
  const xs = inputs.map((input, i) => {
    const tensor = tensorOf(input, i + 1);
    if (input.constant) return g.constant([...tensor.data], tensor.shape, input.dtype);
    feeds[`x${i}`] = tensor;
    return g.input(`x${i}`, input.dtype, input.shape);
  });
  const ys = g.op(op, xs, attributes);
  const parts: Value[] = [];
  ys.forEach((y, i) => {
    g.output(`y${i}`, y);
    if (!floats.includes(y.dtype)) return;
    feeds[`r${i}`] = tensorOf({ ...y, values: "normal" }, 100 + i);
    parts.push(g.cast(g.sum(g.mul(y, g.input(`r${i}`, y.dtype, y.shape))), "float32"));
  });
  const differentiated: number[] = [];
  if (parts.length > 0) {
    const total = parts.reduce((sum, part) => g.add(sum, part));
    g.output("total", total);
    gradients(g, total, g.constant(1), xs).forEach((gradient, i) => {
      if (!gradient || inputs[i].constant) return;
      differentiated.push(i);
      g.output(`d${i}`, gradient);
    });
  }
  return { graph: g.finish(), feeds, differentiated };
}
