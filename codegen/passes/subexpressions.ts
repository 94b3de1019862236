/** Computes equal things once: nodes of the same op, attributes and inputs. */

import { GraphBuilder } from "../ir/builder.ts";
import type { Graph, OpAttributes, OpName, Value } from "../ir/types.ts";
import { replay } from "./replay.ts";

/** The ops whose inputs may change places. */
const commutative: ReadonlySet<OpName> = new Set(["Add", "Mul", "Max", "Min", "Equal", "And", "Or"]);

/** Infinities and -0 are told apart; JSON alone would not. */
const replacer = (_: string, value: unknown): unknown =>
  typeof value === "number" && (!Number.isFinite(value) || Object.is(value, -0)) ? (Object.is(value, -0) ? "-0" : String(value)) : value;

function keyOf(op: OpName, inputs: readonly Value[], attributes: OpAttributes[OpName]): string {
  const ids = inputs.map(({ id }) => id);
  if (commutative.has(op)) ids.sort((a, b) => a - b);
  let options = "";
  for (const _ in attributes) {
    options = JSON.stringify(attributes, op === "Constant" ? replacer : undefined);
    break;
  }
  return `${op}(${ids.join()})${options}`;
}

/** A builder that gives what it has already where a node would be equal. */
export class SharingBuilder extends GraphBuilder {
  readonly #known = new Map<string, Value[]>();

  /** The outputs of the node, or of its equal. */
  override op<K extends OpName>(op: K, inputs: readonly Value[], attributes: OpAttributes[K]): Value[] {
    const key = keyOf(op, inputs, attributes);
    let outputs = this.#known.get(key);
    if (!outputs) this.#known.set(key, outputs = super.op(op, inputs, attributes));
    return outputs;
  }
}

/** The graph with every expression once, where it is first computed. */
export function shareSubexpressions(graph: Graph): Graph {
  return replay(graph, new SharingBuilder(graph.name), () => null);
}
