/** Turns a float32 graph into one that holds its weights in float16 and computes in it where that is safe. */

import { SharingBuilder } from "./subexpressions.ts";
import type { DType, Graph, Node, OpName, Value } from "../ir/types.ts";

/** Ops that add up many numbers or span a wide range: float16 would overflow or lose what matters. */
const PRECISE: ReadonlySet<OpName> = new Set([
  "Softmax",
  "LogSoftmax",
  "LayerNorm",
  "ReduceSum",
  "ReduceMean",
  "CumSum",
  "Pow",
  "Exp",
  "Log",
  "Cast",
]);

/** The greatest finite float16. */
const GREATEST = 65504;
/** What constants beyond it become (a mask's -1e9): Keras' large number for float16, to which scores can be added. */
const LARGE = 3e4;

/** A float16's magnitude from which on rounding gives infinity. */
export const FLOAT16_OVERFLOW = 65520;

const isFloat = ({ dtype }: Value): boolean => dtype === "float32";
/** A square overflows float16 from 256 on. */
const isSquare = ({ op, inputs }: Node): boolean => op === "Mul" && inputs[0] === inputs[1];

/**
 * The graph in float16. Products and what is elementwise on their results are computed in float16; softmax, norms, sums and squares, and what is
 * elementwise on their results alone, in float32. The inputs named `weights` become float16 ones, save those that only float32 nodes
 * read; all other inputs, and the outputs, stay as they are.
 */
export function toFloat16(graph: Graph, weights: ReadonlySet<string>): Graph {
  const { computed, weightTypes } = decide(graph, weights);
  const g = new SharingBuilder(graph.name);
  const values = new Map<Value, Value>();
  for (const input of graph.inputs) values.set(input, g.input(input.name, weightTypes.get(input) ?? input.dtype, input.shape));
  const as = (value: Value, dtype: DType): Value => {
    const { producer } = value;
    if (producer?.op !== "Constant") return g.cast(values.get(value)!, dtype);
    const { shape, data } = producer.attributes;
    const fits = dtype === "float16" ? data.map((x) => Math.abs(x) > GREATEST ? Math.sign(x) * LARGE : x) : data;
    return g.constant(fits, shape, dtype);
  };
  for (const node of graph.nodes) {
    if (node.op === "Constant" && isFloat(node.outputs[0])) continue;
    g.scoped(node.scope, () => {
      const dtype = computed.get(node);
      const inputs = node.inputs.map((input) => dtype && isFloat(input) ? as(input, dtype) : values.get(input)!);
      const results = g.op(node.op, inputs, node.attributes);
      node.outputs.forEach((output, i) => values.set(output, results[i]));
    });
  }
  for (const { name, value } of graph.outputs) g.output(name, isFloat(value) ? as(value, "float32") : values.get(value)!);
  return g.finish();
}

/** For each node with float32 in it what it is computed in, and the weights' dtypes. */
function decide(graph: Graph, weights: ReadonlySet<string>): { computed: Map<Node, DType>; weightTypes: Map<Value, DType> } {
  const computed = new Map<Node, DType>();
  const types = new Map<Value, DType>(graph.inputs.filter((input) => !weights.has(input.name)).map((input) => [input, input.dtype]));
  const weightTypes = new Map<Value, DType>();
  for (const node of graph.nodes) {
    const floats = node.inputs.filter(isFloat);
    if (node.op === "Constant" || (floats.length === 0 && !node.outputs.some(isFloat))) continue;
    // Constants and weights take the dtype of what they meet.
    const given = floats.flatMap((input) => types.get(input) ?? []);
    const precise = PRECISE.has(node.op) || isSquare(node) ||
      (node.op !== "MatMul" && given.length > 0 && given.every((dtype) => dtype === "float32"));
    const dtype = precise ? "float32" : "float16";
    computed.set(node, dtype);
    for (const output of node.outputs) if (isFloat(output)) types.set(output, dtype);
    for (const input of floats) {
      if (weights.has(input.name) && weightTypes.get(input) !== "float16") weightTypes.set(input, dtype);
    }
  }
  return { computed, weightTypes };
}
