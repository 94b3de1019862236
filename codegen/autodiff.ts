/** Reverse-mode differentiation: one walk back over the nodes, each op's rule applied where a gradient arrives. */

import { OnnxHubError } from "../errors.ts";
import type { GraphBuilder } from "./ir/builder.ts";
import { formatShape, sameShape } from "./ir/dims.ts";
import type { Value } from "./ir/types.ts";
import { floats } from "./ops/checks.ts";
import { ruleOf } from "./ops/rules.ts";

/**
 * Adds the nodes that compute the gradients of `target` by each of `wrt`, times `seed` (of target's shape).
 *
 * Only nodes that lead from `wrt` to `target` are differentiated: a frozen part leaves no backward nodes behind it.
 * Null for a value that `target` doesn't depend on, or only through what has no derivative.
 */
export function gradients(g: GraphBuilder, target: Value, seed: Value, wrt: readonly Value[]): (Value | null)[] {
  if (!sameShape(target.shape, seed.shape) || target.dtype !== seed.dtype) {
    throw new OnnxHubError("codegen/shape", "The gradient's seed doesn't fit its target", {
      path: g.scope || undefined,
      expected: `${target.dtype} ${formatShape(target.shape)}`,
      found: `${seed.dtype} ${formatShape(seed.shape)}`,
    });
  }
  const nodes = [...g.nodes];
  const active = new Set(wrt);
  for (const node of nodes) {
    if (ruleOf(node).gradient === null || !node.inputs.some((input) => active.has(input))) continue;
    for (const output of node.outputs) if (floats.includes(output.dtype)) active.add(output);
  }
  const parts = new Map<Value, Value[]>();
  const totals = new Map<Value, Value | null>();
  if (active.has(target)) parts.set(target, [seed]);
  /** All of a value's uses have been seen: what they contributed, added up. */
  const total = (value: Value): Value | null => {
    const known = totals.get(value);
    if (known !== undefined) return known;
    const sum = accumulate(g, parts.get(value) ?? []);
    totals.set(value, sum);
    return sum;
  };
  for (let i = nodes.length - 1; i >= 0; i--) {
    const node = nodes[i];
    const { gradient } = ruleOf(node);
    if (gradient === null || !node.inputs.some((input) => active.has(input)) || !node.outputs.some((output) => parts.has(output))) continue;
    g.scoped(`gradient of ${node.scope}`, () => {
      const rules = gradient(g, node, node.outputs.map(total));
      node.inputs.forEach((input, at) => {
        const rule = rules[at];
        if (!rule || !active.has(input)) return;
        const part = rule();
        if (!sameShape(part.shape, input.shape) || part.dtype !== input.dtype) {
          throw new OnnxHubError("internal/gradient", `${node.op}'s gradient doesn't fit its input`, {
            path: node.scope,
            expected: `${input.dtype} ${formatShape(input.shape)}`,
            found: `${part.dtype} ${formatShape(part.shape)}`,
          });
        }
        const list = parts.get(input);
        if (list) list.push(part);
        else parts.set(input, [part]);
      });
    });
  }
  return wrt.map(total);
}

/** The sum of contributions. Rows scattered onto zeros are scattered onto the rest of the sum instead: no zeros, no addition. */
function accumulate(g: GraphBuilder, parts: readonly Value[]): Value | null {
  const isSparse = ({ producer }: Value) => producer?.op === "ScatterRowsAdd" && producer.inputs.length === 2;
  const dense = parts.filter((part) => !isSparse(part));
  const sparse = parts.filter(isSparse);
  return [...dense, ...sparse].reduce<Value | null>((sum, part) => {
    if (sum === null) return part;
    const { producer } = part;
    return producer?.op === "ScatterRowsAdd" && isSparse(part)
      ? g.op("ScatterRowsAdd", [...producer.inputs, sum], producer.attributes)[0]
      : g.add(sum, part);
  }, null);
}
