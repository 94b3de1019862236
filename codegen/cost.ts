/** What a graph costs, without running it: floating-point operations and bytes, at given sizes of its symbols. */

import { evaluateDim, evaluateShape } from "./ir/dims.ts";
import type { DType, Graph, Node, Value } from "./ir/types.ts";

/** Sizes of the symbolic dimensions. */
export type Sizes = Readonly<Record<string, number>>;

/** Bytes of one element. */
export const BYTES: Readonly<Record<DType, number>> = {
  float32: 4,
  float16: 2,
  float64: 8,
  int32: 4,
  int64: 8,
  bool: 1,
  uint8: 1,
  int8: 1,
};

/** Bytes of a value. */
export function bytesOf(value: Value, sizes: Sizes): number {
  return BYTES[value.dtype] * evaluateShape(value.shape, sizes).reduce((a, b) => a * b, 1);
}

/** Floating-point operations of matrix products (two for every multiply-add); what else there is, is small beside them. */
export function flopsOf(nodes: Iterable<Node>, sizes: Sizes): number {
  let total = 0;
  for (const node of nodes) {
    if (node.op !== "MatMul") continue;
    const a = node.inputs[0].shape;
    const inner = evaluateDim(a[a.length - (node.attributes.transA ? 2 : 1)], sizes);
    total += 2 * inner * evaluateShape(node.outputs[0].shape, sizes).reduce((x, y) => x * y, 1);
  }
  return total;
}

/** Ops that give their input under another shape, without a copy. */
const VIEWS: ReadonlySet<string> = new Set(["Reshape", "Squeeze", "Unsqueeze", "StopGradient"]);

/**
 * The most bytes that values computed by the graph hold at one time, if each is freed after its last use and nodes run in order.
 * Graph inputs (weights, feeds) are not counted.
 */
export function peakBytes(graph: Graph, sizes: Sizes): number {
  const owner = new Map<Value, Value>();
  const own = (value: Value): Value => owner.get(value) ?? value;
  const lastUse = new Map<Value, number>();
  graph.nodes.forEach((node, at) => {
    for (const output of node.outputs) owner.set(output, VIEWS.has(node.op) ? own(node.inputs[0]) : output);
    for (const value of [...node.inputs, ...node.outputs]) lastUse.set(own(value), at);
  });
  for (const { value } of graph.outputs) lastUse.set(own(value), Infinity);
  const dying = new Map<number, Value[]>();
  for (const [value, at] of lastUse) dying.set(at, [...dying.get(at) ?? [], value]);
  let live = 0;
  let peak = 0;
  graph.nodes.forEach((node, at) => {
    for (const output of node.outputs) if (own(output) === output) live += bytesOf(output, sizes);
    peak = Math.max(peak, live);
    for (const value of dying.get(at) ?? []) if (value.producer) live -= bytesOf(value, sizes);
  });
  return peak;
}

/** The most bytes that running a graph takes at one time where its inputs are copied: these, and what {@linkcode peakBytes} counts. */
export function residentBytes(graph: Graph, sizes: Sizes): number {
  return graph.inputs.reduce((sum, input) => sum + bytesOf(input, sizes), peakBytes(graph, sizes));
}
