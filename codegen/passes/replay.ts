/** Builds a graph again, node by node: how a pass replaces nodes. */

import type { GraphBuilder } from "../ir/builder.ts";
import type { Graph, Node, Shape, Value } from "../ir/types.ts";

/** What becomes of a node, given its inputs in the new graph: the values that replace its outputs, or null: the node itself. */
export type Replacement = (g: GraphBuilder, node: Node, inputs: readonly Value[]) => readonly Value[] | null;

/**
 * The graph with its nodes replaced, in the same order, in an empty builder. Values are new; inputs and outputs keep their names. Inputs keep their
 * shapes, unless `shapes` has others.
 */
export function replay(graph: Graph, g: GraphBuilder, replacement: Replacement, shapes?: ReadonlyMap<Value, Shape>): Graph {
  const values = new Map<Value, Value>();
  for (const input of graph.inputs) values.set(input, g.input(input.name, input.dtype, shapes?.get(input) ?? input.shape));
  for (const node of graph.nodes) {
    g.scoped(node.scope, () => {
      const inputs = node.inputs.map((input) => values.get(input)!);
      const results = replacement(g, node, inputs) ?? g.op(node.op, inputs, node.attributes);
      node.outputs.forEach((output, i) => values.set(output, results[i]));
    });
  }
  for (const { name, value } of graph.outputs) g.output(name, values.get(value)!);
  return g.finish();
}
