/** A model as one graph that others run: their names for its inputs, everything else computed inside, weights of a chosen dtype. */

import { OnnxHubError } from "../errors.ts";
import type { ExpandedInput, ExpandedSpec } from "../spec/types.ts";
import type { GraphBuilder } from "./ir/builder.ts";
import type { DType, Graph, Shape, Value } from "./ir/types.ts";
import { type BoundInput, lowerModel } from "./lowering/model.ts";
import { toFloat16 } from "./passes/float16.ts";
import { optimize } from "./passes/optimize.ts";

/** What a standalone graph is to be like. */
export interface StandaloneRequest {
  /** The graph's input for each of the model's that a caller gives: `{ token_ids: "input_ids" }`. Whole numbers are int64 there. */
  readonly inputs: Readonly<Record<string, string>>;
  /** Of the weights and of what is computed; "float16" keeps softmax, norms and the outputs in float32. */
  readonly dtype: "float32" | "float16";
}

/** A graph whose weights are inputs until they are written as initializers. */
export interface StandaloneGraph {
  readonly graph: Graph;
  /** The weights that the graph uses, in KerasHub's order, with the dtype that each has in it. */
  readonly weights: readonly { readonly path: string; readonly dtype: DType; readonly shape: readonly number[] }[];
}

/**
 * Compiles a model for others to run: positions are counted inside the graph, and a head that works at chosen positions works at all of
 * them, so that a masked language model gives logits [batch, sequence, vocabulary].
 *
 * Throws "codegen/input" for an input that the caller would have to give and that has no name there.
 */
export function standalone(spec: ExpandedSpec, { inputs, dtype }: StandaloneRequest): StandaloneGraph {
  const model = lowerModel(spec, { training: false, bind: (g, name, input) => bound(g, name, input, inputs) });
  for (const [name, value] of Object.entries(model.outputs)) model.g.output(name, value);
  const paths = model.weights.list().map(({ path }) => path);
  const plain = optimize(model.g.finish());
  const graph = withoutUnused(dtype === "float16" ? toFloat16(plain, new Set(paths)) : plain, new Set(paths));
  const byName = new Map(graph.inputs.map((value) => [value.name, value]));
  const weights = paths.flatMap((path) => {
    const value = byName.get(path);
    return value ? [{ path, dtype: value.dtype, shape: value.shape as readonly number[] }] : [];
  });
  return { graph, weights };
}

function bound(g: GraphBuilder, name: string, input: ExpandedInput, names: StandaloneRequest["inputs"]): BoundInput {
  const { dtype, shape, fill, below } = input;
  const theirs = names[name];
  if (theirs !== undefined) {
    return { value: g.cast(g.input(theirs, dtype === "float32" ? dtype : "int64", shape), dtype) };
  }
  if (below) return { value: counted(g, [...shape.slice(0, -1), below]), every: shape.length === 2 };
  if (fill === "positions") return { value: counted(g, shape) };
  if (fill === "ones" || fill === "zeros") return { value: g.expand(g.constant(fill === "ones" ? 1 : 0, [], dtype), shape) };
  throw new OnnxHubError("codegen/input", `Who runs the graph alone has nothing to give for the input ${name}`, {
    path: `inputs.${name}`,
    expected: `inputs among ${Object.keys(names).join(", ")}, or ones that can be computed`,
    found: name,
  });
}

/** 0, 1, 2, … along the last axis. */
function counted(g: GraphBuilder, shape: Shape): Value {
  const last = shape.slice(-1);
  const ones = g.expand(g.constant(1, [], "int32"), last);
  return g.expand(g.sub(g.op("CumSum", [ones], { axis: 0 })[0], 1), shape);
}

/** The graph without the weights that nothing reads: a pooler that the head leaves alone. */
function withoutUnused(graph: Graph, weights: ReadonlySet<string>): Graph {
  const read = new Set(graph.nodes.flatMap(({ inputs }) => inputs));
  return { ...graph, inputs: graph.inputs.filter((value) => !weights.has(value.name) || read.has(value)) };
}
