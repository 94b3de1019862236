/** Computes equal things once: nodes of the same op, attributes and inputs. */

import type { Graph, Node, OpName, Value } from "../ir/types.ts";
import { replay } from "./replay.ts";

/** The ops whose inputs may change places. */
const commutative: ReadonlySet<OpName> = new Set(["Add", "Mul", "Max", "Min", "Equal", "And", "Or"]);

/** Infinities and -0 are told apart; JSON alone would not. */
const replacer = (_: string, value: unknown): unknown =>
  typeof value === "number" && (!Number.isFinite(value) || Object.is(value, -0)) ? (Object.is(value, -0) ? "-0" : String(value)) : value;

function keyOf({ op, attributes }: Node, inputs: readonly Value[]): string {
  const ids = inputs.map(({ id }) => id);
  if (commutative.has(op)) ids.sort((a, b) => a - b);
  let options = "";
  for (const _ in attributes) {
    options = JSON.stringify(attributes, replacer);
    break;
  }
  return `${op}(${ids.join()})${options}`;
}

/** The graph with every expression once, where it is first computed. */
export function shareSubexpressions(graph: Graph): Graph {
  const seen = new Map<string, readonly Value[]>();
  return replay(graph, (g, node, inputs) => {
    const key = keyOf(node, inputs);
    const known = seen.get(key);
    if (known) return known;
    const outputs = g.op(node.op, inputs, node.attributes);
    seen.set(key, outputs);
    return outputs;
  });
}
