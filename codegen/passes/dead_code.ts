/** Drops nodes that no output needs. */

import type { Graph, Node, Value } from "../ir/types.ts";

/** The graph without dead nodes. Inputs stay: they are the graph's contract. */
export function dropDeadCode(graph: Graph): Graph {
  const needed = new Set<Value>(graph.outputs.map(({ value }) => value));
  const nodes: Node[] = [];
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((output) => needed.has(output))) continue;
    nodes.push(node);
    for (const input of node.inputs) needed.add(input);
  }
  return { ...graph, nodes: nodes.reverse() };
}
