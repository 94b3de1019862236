/** Turns a float32 inference graph into one that holds the weights of its matrix products in int8: dynamic quantization. */

import type { GraphBuilder } from "../ir/builder.ts";
import type { Graph, Node, Value } from "../ir/types.ts";
import { dropDeadCode } from "./dead_code.ts";
import { replay } from "./replay.ts";
import { SharingBuilder } from "./subexpressions.ts";

/** A weight that a graph takes in int8, as two inputs. */
export interface Int8Weight {
  /** The float32 weight's name. */
  readonly weight: string;
  /** The graph's input int8 [inner, columns]. */
  readonly values: string;
  /** The graph's input float32 [columns]: what a column's values are multiplied by. */
  readonly scales: string;
  /** The contracted dimension. */
  readonly inner: number;
  readonly columns: number;
  /** Whether the float32 weight lies there as [columns, inner]. */
  readonly transposed: boolean;
}

/** A graph in which int8 weights take the place of float32 ones. */
export interface Int8Graph {
  readonly graph: Graph;
  readonly weights: readonly Int8Weight[];
}

/** A weight as a matrix: the input that it is, or that it is a view of. */
function matrixOf(value: Value, weights: ReadonlySet<string>): Value | null {
  if (value.shape.length !== 2) return null;
  const source = value.producer?.op === "Reshape" ? value.producer.inputs[0] : value;
  return source.producer === null && weights.has(source.name) ? source : null;
}

/**
 * The graph with `x · W` replaced by `q · Q`, scaled: W one of the inputs named `weights`, Q int8 with one scale a column (symmetric: its zero point is 0),
 * and q uint8 with one scale and zero point for all of x, found when the graph runs. The table of a tied head is among them. What else reads weights
 * (norms, biases, look-ups, products with other operands) stays in float32, and so do sums of products.
 *
 * The ops are standard ONNX; ONNX Runtime fuses them into its `DynamicQuantizeMatMul` and `MatMulIntegerToFloat`.
 */
export function toInt8(graph: Graph, weights: ReadonlySet<string>): Int8Graph {
  const found = new Map<string, Int8Weight & { readonly inputs: readonly [Value, Value] }>();
  const quantized = (g: GraphBuilder, node: Node, inputs: readonly Value[]): readonly Value[] | null => {
    if (node.op !== "MatMul" || node.attributes.transA) return null;
    const source = matrixOf(node.inputs[1], weights);
    if (!source || matrixOf(node.inputs[0], weights)) return null;
    const { transB: transposed = false } = node.attributes;
    const [rows, width] = node.inputs[1].shape as number[];
    const [inner, columns] = transposed ? [width, rows] : [rows, width];
    const values = `${source.name}/int8${transposed ? "_transposed" : ""}_${inner}`;
    let weight = found.get(values);
    if (!weight) {
      const scales = `${values}_scales`;
      const made = [g.input(values, "int8", [inner, columns]), g.input(scales, "float32", [columns])] as const;
      found.set(values, weight = { weight: source.name, values, scales, inner, columns, transposed, inputs: made });
    }
    const [matrix, scales] = weight.inputs;
    const [q, scale, zero] = g.op("DynamicQuantizeLinear", [inputs[0]], {});
    const [product] = g.op("MatMulInteger", [q, matrix, zero], {});
    return [g.mul(g.cast(product, "float32"), g.mul(scale, scales))];
  };
  const changed = dropDeadCode(replay(graph, new SharingBuilder(graph.name), quantized));
  const read = new Set([...changed.nodes.flatMap(({ inputs }) => inputs), ...changed.outputs.map(({ value }) => value)]);
  return {
    graph: { ...changed, inputs: changed.inputs.filter((value) => !weights.has(value.name) || read.has(value)) },
    weights: [...found.values()].map(({ inputs: _, ...weight }) => weight),
  };
}
