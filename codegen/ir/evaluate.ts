/** The reference interpreter: a graph in float64 on plain arrays. Slow; tests compare the real thing with it. */

import { OnnxHubError } from "../../errors.ts";
import type { ReferenceTensor } from "../ops/rule.ts";
import { ruleOf } from "../ops/rules.ts";
import { evaluateShape, formatShape, sameShape } from "./dims.ts";
import type { Graph, Value } from "./types.ts";

/** The values of the symbols that the feeds' shapes give. */
function readSymbols(graph: Graph, feeds: Readonly<Record<string, ReferenceTensor>>): Record<string, number> {
  const symbols: Record<string, number> = {};
  for (const { name, shape } of graph.inputs) {
    shape.forEach((dim, i) => {
      const length = feeds[name]?.shape[i];
      if (typeof dim === "string" && !dim.includes("*") && length !== undefined) symbols[dim] ??= length;
    });
  }
  return symbols;
}

/**
 * Runs a graph.
 *
 * Symbols get their values from the feeds' shapes, and from `symbols` where a shape has only products of them.
 */
export function evaluate(
  graph: Graph,
  feeds: Readonly<Record<string, ReferenceTensor>>,
  symbols: Readonly<Record<string, number>> = {},
): Record<string, ReferenceTensor> {
  const known = { ...readSymbols(graph, feeds), ...symbols };
  const values = new Map<Value, ReferenceTensor>();
  for (const input of graph.inputs) {
    const feed = feeds[input.name];
    const shape = evaluateShape(input.shape, known);
    if (!feed || !sameShape(feed.shape, shape)) {
      throw new OnnxHubError("codegen/feed", `The feed for ${input.name} doesn't fit`, {
        path: graph.name,
        expected: formatShape(shape),
        found: feed ? formatShape(feed.shape) : "nothing",
      });
    }
    values.set(input, feed);
  }
  for (const node of graph.nodes) {
    const types = node.outputs.map(({ dtype, shape }) => ({ dtype, shape: evaluateShape(shape, known) }));
    const results = ruleOf(node).evaluate(node.inputs.map((input) => values.get(input)!), node.attributes, types);
    node.outputs.forEach((output, i) => values.set(output, results[i]));
  }
  return Object.fromEntries(graph.outputs.map(({ name, value }) => [name, values.get(value)!]));
}
