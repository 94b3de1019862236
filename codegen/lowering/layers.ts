/** One rule a primitive layer: how it becomes graph ops. */

import { OnnxHubError } from "../../errors.ts";
import type { ExpandedLayer, Initializer, LayerName, WeightExpression } from "../../spec/types.ts";
import type { GraphBuilder } from "../ir/builder.ts";
import { formatShape } from "../ir/dims.ts";
import type { Dim, Shape, Value } from "../ir/types.ts";
import { activations } from "./activations.ts";
import { lowerAttention, lowerRotary } from "./attention.ts";

/** What a rule can use. */
export interface LoweringContext {
  readonly g: GraphBuilder;
  /** The value of that name in scope. */
  value(name: string): Value;
  /** Whether a value is all indices of axis 1, in order. */
  isEvery(value: Value): boolean;
  /** A weight of this layer. */
  weight(name: string, shape: readonly number[], initializer: Initializer): Value;
  /** The value of a weight expression. */
  expression(expression: WeightExpression): Value;
  /** Dropout in training graphs, the value itself elsewhere. */
  dropout(x: Value, rate: number): Value;
}

type LayerOf<K extends LayerName, L = ExpandedLayer> = L extends { layer: infer N } ? K extends N ? L : never : never;
type LayerRules = { readonly [K in LayerName]: (layer: LayerOf<K>, context: LoweringContext) => Value };

const ZEROS: Initializer = { type: "zeros" };
const ONES: Initializer = { type: "ones" };

/** A dimension that must be known to be a number, because a weight's shape depends on it. */
function known(dim: Dim | undefined, x: Value, g: GraphBuilder): number {
  if (typeof dim === "number") return dim;
  throw new OnnxHubError("codegen/shape", "A weight's shape depends on a dimension that is no number", {
    path: g.scope,
    found: formatShape(x.shape),
  });
}

/** The rules; a layer without one is a type error. */
export const layerRules: LayerRules = {
  embedding(layer, { g, value, weight, expression }) {
    const table = layer.table ? expression(layer.table) : weight("embeddings", [layer.vocabulary_size, layer.dim], layer.initializer);
    return g.gather(table, value(layer.in.ids)); // [..., dim]
  },

  dense(layer, { g, value, weight, expression }) {
    const x = value(layer.in.x);
    const { units, contract } = layer;
    const lead = x.shape.slice(0, x.shape.length - contract);
    if (lead.length + contract !== x.shape.length || x.shape.length < contract) {
      throw new OnnxHubError("codegen/shape", `A dense layer that contracts ${contract} axes got too few`, {
        path: g.scope,
        found: formatShape(x.shape),
      });
    }
    const inner = x.shape.slice(lead.length).map((dim) => known(dim, x, g));
    const width = inner.reduce((a, b) => a * b, 1);
    const outer = units.reduce((a, b) => a * b, 1);
    const rows = g.reshape(x, [...lead, width]);
    const product = layer.kernel
      ? multiplyByExpression(layer.kernel, rows, [width, outer], g, expression)
      : g.matmul(rows, g.reshape(weight("kernel", [...inner, ...units], layer.kernel_initializer), [width, outer]));
    const bias = layer.bias ? expression(layer.bias) : layer.use_bias ? weight("bias", units, layer.bias_initializer) : null;
    const y = bias ? g.add(product, g.reshape(bias, [outer])) : product;
    return g.reshape(y, [...lead, ...units]);
  },

  norm(layer, { g, value, weight }) {
    const x = value(layer.in.x);
    const width = known(x.shape.at(-1), x, g);
    if (layer.kind === "layer") {
      const gamma = layer.scale ? weight("gamma", [width], ONES) : g.constant(new Array(width).fill(1));
      const beta = layer.offset ? weight("beta", [width], ZEROS) : g.constant(new Array(width).fill(0));
      return g.op("LayerNorm", [x, gamma, beta], { epsilon: layer.epsilon })[0];
    }
    const variance = g.mean(g.square(x), [x.shape.length - 1], true);
    const normalized = g.mul(x, g.reciprocal(g.sqrt(g.add(variance, layer.epsilon))));
    return layer.scale ? g.mul(normalized, weight("scale", [width], ONES)) : normalized;
  },

  attention: lowerAttention,
  rotary: lowerRotary,
  activation: (layer, { g, value }) => activations[layer.function](g, value(layer.in.x)),
  dropout: (layer, { value, dropout }) => dropout(value(layer.in.x), layer.rate),
  add: (layer, { g, value }) => layer.in.map(value).reduce((a, b) => g.add(a, b)),
  multiply: (layer, { g, value }) => layer.in.map(value).reduce((a, b) => g.mul(a, b)),
  scale: (layer, { g, value }) => g.mul(value(layer.in.x), layer.factor),

  gather(layer, { g, value, isEvery }) {
    const x = value(layer.in.x); // [batch, sequence, ...]
    const indices = value(layer.in.indices); // [batch, n]
    if (isEvery(indices)) return x;
    const tail = x.shape.slice(2);
    const spread = g.expand(g.unsqueeze(indices, tail.map((_, i) => 2 + i)), [...indices.shape, ...tail]);
    return g.gatherElements(x, spread, 1);
  },

  take: (layer, { g, value }) =>
    g.squeeze(g.slice(value(layer.in.x), layer.axis, layer.index, layer.index === -1 ? null : layer.index + 1), [layer.axis]),

  pool(layer, { g, value }) {
    const x = value(layer.in.x); // [batch, sequence, width]
    if (!layer.in.mask) return layer.kind === "mean" ? g.mean(x, [1]) : g.reduceMax(x, [1]);
    const mask = g.unsqueeze(g.cast(value(layer.in.mask), "bool"), [2]); // [batch, sequence, 1]
    if (layer.kind === "max") return g.reduceMax(g.where(mask, x, -1e9), [1]);
    const kept = g.cast(mask, x.dtype);
    return g.div(g.sum(g.mul(x, kept), [1]), g.max(g.sum(kept, [1]), 1e-9));
  },

  reshape: (layer, { g, value }) => g.reshape(value(layer.in.x), layer.shape as Shape),
  transpose: (layer, { g, value }) => g.transpose(value(layer.in.x), layer.perm),
  concat: (layer, { g, value }) => g.concat(layer.in.map(value), layer.axis),
  slice: (layer, { g, value }) => g.slice(value(layer.in.x), layer.axis, layer.start, layer.end),
};

/** rows · kernel for a kernel that is an expression; a transposed one is transposed by the product itself. */
function multiplyByExpression(
  kernel: WeightExpression,
  rows: Value,
  shape: readonly [number, number],
  g: GraphBuilder,
  expression: (expression: WeightExpression) => Value,
): Value {
  if ("transpose" in kernel) {
    const transposed = expression(kernel.transpose);
    return g.matmul(rows, g.reshape(transposed, [shape[1], shape[0]]), { transB: true });
  }
  return g.matmul(rows, g.reshape(expression(kernel), shape));
}
