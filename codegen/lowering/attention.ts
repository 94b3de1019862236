/** Lowers attention's core and the rotary embedding. */

import { OnnxHubError } from "../../errors.ts";
import type { ExpandedLayer } from "../../spec/types.ts";
import type { GraphBuilder } from "../ir/builder.ts";
import { formatShape } from "../ir/dims.ts";
import type { Value } from "../ir/types.ts";
import type { LoweringContext } from "./layers.ts";

type Attention = Extract<ExpandedLayer, { layer: "attention" }>;
type Rotary = Extract<ExpandedLayer, { layer: "rotary" }>;

/** What is added to scores that are masked out: Keras' Softmax layer puts it in their place, which gives the same weights. */
const MASKED = -1e9;

/**
 * Scaled dot-product attention (Vaswani et al. 2017), grouped-query where key and value have fewer heads (Ainslie et al. 2023).
 * Masked weights are zeroed after the softmax as Keras does, so that a row with nothing to attend to gives zeros.
 */
export function lowerAttention(layer: Attention, context: LoweringContext): Value {
  const { g } = context;
  const query = context.value(layer.in.query); // [batch, query, heads, dim]
  const heads = query.shape[2];
  const dim = query.shape[3];
  if (query.shape.length !== 4 || typeof heads !== "number" || typeof dim !== "number") {
    throw new OnnxHubError("codegen/shape", "Attention needs a query of shape [batch, query, heads, dim]", {
      path: g.scope,
      found: formatShape(query.shape),
    });
  }
  const key = repeatHeads(g, context.value(layer.in.key), heads, dim, "key");
  const value = repeatHeads(g, context.value(layer.in.value), heads, dim, "value");
  const byHead = (x: Value) => g.transpose(x, [0, 2, 1, 3]); // [batch, heads, sequence, dim]
  const scaled = g.mul(query, layer.scale ?? 1 / Math.sqrt(dim));
  let scores = g.matmul(byHead(scaled), byHead(key), { transB: true }); // [batch, heads, query, key]
  if (layer.logit_soft_cap !== null) scores = g.mul(g.tanh(g.div(scores, layer.logit_soft_cap)), layer.logit_soft_cap);
  const mask = attentionMask(layer, context);
  // Sums and products: onnxruntime broadcasts these several times as fast as Where.
  const kept = mask && g.cast(mask, "float32"); // 1, or 0 where it is masked out
  if (mask) scores = g.add(scores, g.where(mask, g.constant(0), MASKED));
  let weights = g.softmax(scores, -1);
  if (kept) weights = g.mul(weights, kept);
  weights = context.dropout(weights, layer.dropout);
  return byHead(g.matmul(weights, byHead(value))); // [batch, query, heads, dim]
}

/** The mask that broadcasts to the scores, or null where everything may attend to everything. */
function attentionMask(layer: Attention, context: LoweringContext): Value | null {
  const { g } = context;
  let mask: Value | null = null;
  if (layer.in.mask) {
    const given = g.cast(context.value(layer.in.mask), "bool");
    mask = given.shape.length === 2 ? g.unsqueeze(given, [1, 2]) : g.unsqueeze(given, [1]); // [batch, 1, 1 or query, key]
  }
  if (layer.causal) {
    const positions = context.value(layer.in.positions!); // [sequence]
    const causal = g.unsqueeze(g.lessOrEqual(g.unsqueeze(positions, [0]), g.unsqueeze(positions, [1])), [0, 1]); // [1, 1, query, key]
    mask = mask ? g.and(mask, causal) : causal;
  }
  return mask;
}

/** Key or value heads repeated until there are as many as query heads, each group's copies side by side (keras.ops.repeat). */
function repeatHeads(g: GraphBuilder, x: Value, heads: number, dim: number, what: string): Value {
  const [batch, sequence, groups] = x.shape;
  if (x.shape.length !== 4 || typeof groups !== "number" || heads % groups !== 0 || x.shape[3] !== dim) {
    throw new OnnxHubError("codegen/shape", `Attention's ${what} doesn't go with its query`, {
      path: g.scope,
      expected: `[batch, key, a divisor of ${heads}, ${dim}]`,
      found: formatShape(x.shape),
    });
  }
  if (groups === heads) return x;
  const copies = g.expand(g.unsqueeze(x, [3]), [batch, sequence, groups, heads / groups, dim]);
  return g.reshape(copies, [batch, sequence, heads, dim]);
}

/** Rotary position embedding (Su et al. 2021): the two halves of each head rotated by position · wavelength^(-2i/dim). */
export function lowerRotary(layer: Rotary, context: LoweringContext): Value {
  const { g } = context;
  const x = context.value(layer.in.x); // [batch, sequence, heads, dim]
  const positions = context.value(layer.in.positions); // [sequence] or [batch, sequence]
  const dim = x.shape[3];
  if (x.shape.length !== 4 || typeof dim !== "number" || dim % 2 !== 0) {
    throw new OnnxHubError("codegen/shape", "A rotary embedding needs [batch, sequence, heads, an even dim]", {
      path: g.scope,
      found: formatShape(x.shape),
    });
  }
  const frequencies = Array.from({ length: dim / 2 }, (_, i) => inverseFrequency(layer, (2 * i) / dim));
  const angles = g.mul(g.unsqueeze(g.cast(positions, "float32"), [-1]), g.constant(frequencies)); // [..., sequence, dim / 2]
  const both = g.unsqueeze(g.concat([angles, angles], -1), [-2]); // [..., sequence, 1, dim]
  const rotated = g.concat([g.neg(g.slice(x, 3, dim / 2, null)), g.slice(x, 3, 0, dim / 2)], 3);
  return g.add(g.mul(x, g.cos(both)), g.mul(rotated, g.sin(both)));
}

/**
 * The inverse frequency at an exponent in [0, 1): positions divided by the scaling factor, with Llama 3.1's smoothing between long and
 * short wavelengths (those of unscaled positions) where it is asked for.
 */
function inverseFrequency(layer: Rotary, exponent: number): number {
  const plain = 1 / layer.max_wavelength ** exponent;
  return adjusted(plain, layer.frequency_adjustment) / layer.scaling_factor;
}

function adjusted(plain: number, adjustment: Rotary["frequency_adjustment"]): number {
  if (!adjustment) return plain;
  const { factor, low_freq_factor, high_freq_factor, pretraining_sequence_length } = adjustment;
  const wavelength = 2 * Math.PI / plain;
  if (wavelength > pretraining_sequence_length / low_freq_factor) return plain / factor;
  if (wavelength < pretraining_sequence_length / high_freq_factor) return plain;
  const smooth = (pretraining_sequence_length / wavelength - low_freq_factor) / (high_freq_factor - low_freq_factor);
  return (1 - smooth) * (plain / factor) + smooth * plain;
}
