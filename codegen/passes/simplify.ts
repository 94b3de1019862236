/** Algebra that saves nodes: identities, small constants, moves that cancel, broadcasts that needn't be written out. */

import { GraphBuilder } from "../ir/builder.ts";
import { broadcastShapes, sameShape } from "../ir/dims.ts";
import type { Dim, Graph, Node, NodeOf, OpAttributes, OpName, Shape, Value } from "../ir/types.ts";
import { ruleOf } from "../ops/rules.ts";
import { replay } from "./replay.ts";

/** A value that the node's first output equals, or null. `inputs` are the node's in the graph that is being built. */
type Rules = {
  readonly [K in OpName]?: (g: GraphBuilder, inputs: readonly Value[], attributes: OpAttributes[K], shape: Shape) => Value | null;
};

/** The node of that op that a value comes from. */
function from<K extends OpName>(value: Value, op: K): NodeOf<K> | null {
  return value.producer?.op === op ? value.producer as unknown as NodeOf<K> : null;
}

/** Whether every element is that number. */
function isAll(value: Value, number: number): boolean {
  return from(value, "Constant")?.attributes.data.every((x) => Object.is(x, number)) ?? false;
}

/** The operand, where the result has its shape. */
const same = (x: Value, shape: Shape): Value | null => sameShape(x.shape, shape) ? x : null;

/** What a value was before moves that keep the elements' order; where `last` is given, before those alone that keep that last dimension, too. */
export function beforeReshape(x: Value, last?: Dim): Value {
  const { producer } = x;
  if (!producer || !["Reshape", "Squeeze", "Unsqueeze"].includes(producer.op)) return x;
  const [before] = producer.inputs;
  return last === undefined || before.shape.at(-1) === last ? beforeReshape(before, last) : x;
}

/** The same elements in another shape, without the reshapes in between. */
function reshaped(g: GraphBuilder, [x]: readonly Value[], shape: Shape): Value | null {
  const origin = beforeReshape(x);
  return sameShape(origin.shape, shape) ? origin : origin === x ? null : g.reshape(origin, shape);
}

/** What a transpose of the last two axes was made of. */
function untransposed(x: Value): Value | null {
  const node = from(x, "Transpose");
  if (!node) return null;
  const { perm } = node.attributes;
  const rank = perm.length;
  return perm.every((axis, i) => axis === (i < rank - 2 ? i : 2 * rank - 3 - i)) ? node.inputs[0] : null;
}

const rules: Rules = {
  Add: (_, [a, b], __, shape) => (isAll(b, 0) && same(a, shape)) || (isAll(a, 0) && same(b, shape)) || null,
  Sub: (_, [a, b], __, shape) => isAll(b, 0) ? same(a, shape) : null,
  Mul: (_, [a, b], __, shape) => (isAll(b, 1) && same(a, shape)) || (isAll(a, 1) && same(b, shape)) || null,
  Div: (_, [a, b], __, shape) => isAll(b, 1) ? same(a, shape) : null,
  Pow: (_, [a, b], __, shape) => isAll(b, 1) ? same(a, shape) : null,
  Neg: (_, [x]) => from(x, "Neg")?.inputs[0] ?? null,
  Not: (_, [x]) => from(x, "Not")?.inputs[0] ?? null,
  Cast: (_, [x], { to }) => x.dtype === to ? x : null,
  StopGradient: (_, [x]) => x,
  Reshape: (g, inputs, _, shape) => reshaped(g, inputs, shape),
  Squeeze: (g, inputs, _, shape) => reshaped(g, inputs, shape),
  Unsqueeze: (g, inputs, _, shape) => reshaped(g, inputs, shape),
  Expand: (_, [x], __, shape) => same(x, shape),
  Transpose(g, [x], { perm }) {
    if (perm.every((axis, i) => axis === i)) return x;
    const inner = from(x, "Transpose");
    return inner && g.transpose(inner.inputs[0], perm.map((axis) => inner.attributes.perm[axis]));
  },
  MatMul(g, [a, b], { transA = false, transB = false }) {
    const [plainA, plainB] = [untransposed(a), untransposed(b)];
    return plainA || plainB
      ? g.matmul(plainA ?? a, plainB ?? b, { transA: transA !== (plainA !== null), transB: transB !== (plainB !== null) })
      : null;
  },
};

/** Ops that broadcast their inputs themselves. */
const broadcasting: ReadonlySet<OpName> = new Set(
  ["Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "And", "Or", "Where"],
);

/** The inputs without Expands that the op's own broadcasting makes up for. */
function withoutExpands({ op }: Node, inputs: readonly Value[], shape: Shape): readonly Value[] {
  if (!broadcasting.has(op) || !inputs.some((input) => input.producer?.op === "Expand")) return inputs;
  const result = [...inputs];
  result.forEach((input, i) => {
    const narrow = from(input, "Expand")?.inputs[0];
    if (!narrow) return;
    const rest = result.filter((_, j) => j !== i).map((other) => other.shape);
    const whole = rest.reduce<Shape | null>((sum, other) => sum && broadcastShapes(sum, other), narrow.shape);
    if (whole && sameShape(whole, shape)) result[i] = narrow;
  });
  return result;
}

/** The largest constant that folding makes: scalars and small vectors. */
const foldLimit = 16;

function folded(g: GraphBuilder, node: Node, inputs: readonly Value[]): Value | null {
  if (inputs.length === 0 || node.outputs.length !== 1) return null;
  const { dtype, shape } = node.outputs[0];
  const known = shape.filter((dim) => typeof dim === "number");
  if (known.length !== shape.length || known.reduce((product, dim) => product * dim, 1) > foldLimit) return null;
  const tensors = [];
  for (const input of inputs) {
    const constant = from(input, "Constant");
    if (!constant || constant.attributes.data.length > foldLimit) return null;
    tensors.push({ shape: constant.attributes.shape, data: Float64Array.from(constant.attributes.data) });
  }
  const [{ data }] = ruleOf(node).evaluate(tensors, node.attributes, [{ dtype, shape: known }]);
  return data.some(Number.isNaN) ? null : g.constant([...data], known, dtype);
}

/** The graph with fewer nodes to the same effect, made by an empty builder. */
export function simplify(graph: Graph, builder: GraphBuilder = new GraphBuilder(graph.name)): Graph {
  return replay(graph, builder, (g, node, all) => {
    const inputs = withoutExpands(node, all, node.outputs[0].shape);
    const rule = rules[node.op] as Rules["Add"];
    const value = folded(g, node, inputs) ?? rule?.(g, inputs, node.attributes, node.outputs[0].shape) ?? null;
    return value ? [value] : g.op(node.op, inputs, node.attributes);
  });
}
