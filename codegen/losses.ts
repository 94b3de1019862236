/** Keras' losses as graph expressions: labels and predictions in, one loss for every label slot out. */

import { nearest, OnnxHubError } from "../errors.ts";
import type { ConfigValue } from "../spec/types.ts";
import { buildExpression } from "./expression.ts";
import type { GraphBuilder } from "./ir/builder.ts";
import type { Value } from "./ir/types.ts";

/** A loss by its Keras class name, with its arguments (snake_case, as in Keras' config). */
export interface LossConfig {
  readonly name: string;
  readonly config: Readonly<Record<string, ConfigValue>>;
}

/** How a loss goes from label slots to one number: Keras' names. */
export type LossReduction = "sum_over_batch_size" | "sum" | "mean_with_sample_weight";

/** Keras' epsilon for probabilities. */
const EPSILON = 1e-7;

/** What a loss rule does, and its arguments beside `reduction` with Keras' defaults. */
export interface LossRule {
  readonly defaults: Readonly<Record<string, ConfigValue>>;
  /** Whether labels are class indices (integers) or of the predictions' shape. */
  readonly labels: "index" | "like_predictions";
  /** Which label slots count at all (bool), or null for all; those that don't are left out of the mean, as Keras' masks are. */
  valid?(g: GraphBuilder, labels: Value, config: Readonly<Record<string, ConfigValue>>): Value | null;
  /** (labels, predictions) → losses [...label slots]. */
  build(g: GraphBuilder, labels: Value, predictions: Value, config: Readonly<Record<string, ConfigValue>>): Value;
}

const clip = (g: GraphBuilder, x: Value): Value => g.min(g.max(x, EPSILON), 1 - EPSILON);
const last = (x: Value): readonly number[] => [x.shape.length - 1];
const normalize = (g: GraphBuilder, x: Value): Value => g.div(x, g.sum(x, last(x), true));

/** y·(1 - s) + s / n (label smoothing, Szegedy et al. 2016). */
function smoothed(g: GraphBuilder, labels: Value, smoothing: number, toward: number): Value {
  return smoothing === 0 ? labels : g.add(g.mul(labels, 1 - smoothing), smoothing * toward);
}

/** The labels that aren't of `ignore_class`. */
function notIgnored(g: GraphBuilder, labels: Value, { ignore_class }: Readonly<Record<string, ConfigValue>>): Value | null {
  return typeof ignore_class === "number" ? g.not(g.equal(labels, ignore_class)) : null;
}

/** The negative log-probability of each label, from logits or probabilities; labels of `ignore_class` lose nothing. */
function sparseCrossEntropy(g: GraphBuilder, labels: Value, predictions: Value, config: Readonly<Record<string, ConfigValue>>): Value {
  const valid = notIgnored(g, labels, config);
  const safe = valid ? g.where(valid, labels, 0) : labels;
  let losses: Value;
  if (config.from_logits) losses = g.op("SparseSoftmaxCrossEntropy", [predictions, safe], {})[0];
  else {
    const logs = g.log(clip(g, normalize(g, predictions)));
    losses = g.neg(g.squeeze(g.gatherElements(logs, g.unsqueeze(safe, [-1]), -1), [-1]));
  }
  return valid ? g.where(valid, losses, 0) : losses;
}

const categoricalDefaults = { from_logits: false, label_smoothing: 0 } as const;

/** The name of a loss. */
export type LossName =
  | "SparseCategoricalCrossentropy"
  | "CategoricalCrossentropy"
  | "BinaryCrossentropy"
  | "MeanSquaredError"
  | "MeanAbsoluteError"
  | "Huber"
  | "KLDivergence"
  | "CosineSimilarity";

/** The losses by Keras' class names. Source: keras.losses. */
export const lossRules: Readonly<Record<LossName, LossRule>> = {
  SparseCategoricalCrossentropy: {
    defaults: { from_logits: false, ignore_class: null },
    labels: "index",
    valid: notIgnored,
    build: sparseCrossEntropy,
  },
  CategoricalCrossentropy: {
    defaults: categoricalDefaults,
    labels: "like_predictions",
    build(g, labels, predictions, config) {
      const classes = predictions.shape.at(-1)!;
      const target = smoothed(g, labels, Number(config.label_smoothing), typeof classes === "number" ? 1 / classes : 0);
      const logs = config.from_logits ? g.logSoftmax(predictions) : g.log(clip(g, normalize(g, predictions)));
      return g.neg(g.sum(g.mul(target, logs), last(logs)));
    },
  },
  BinaryCrossentropy: {
    defaults: categoricalDefaults,
    labels: "like_predictions",
    build(g, labels, predictions, config) {
      const target = smoothed(g, labels, Number(config.label_smoothing), 0.5);
      if (config.from_logits) {
        // max(z, 0) - z·y + log(1 + exp(-|z|)), which never overflows
        const tail = g.log(g.add(g.exp(g.neg(g.abs(predictions))), 1));
        return g.mean(g.add(g.sub(g.relu(predictions), g.mul(predictions, target)), tail), last(predictions));
      }
      const p = clip(g, predictions);
      const likelihood = g.add(g.mul(target, g.log(p)), g.mul(g.sub(1, target), g.log(g.sub(1, p))));
      return g.neg(g.mean(likelihood, last(p)));
    },
  },
  MeanSquaredError: {
    defaults: {},
    labels: "like_predictions",
    build: (g, labels, predictions) => g.mean(g.square(g.sub(predictions, labels)), last(predictions)),
  },
  MeanAbsoluteError: {
    defaults: {},
    labels: "like_predictions",
    build: (g, labels, predictions) => g.mean(g.abs(g.sub(predictions, labels)), last(predictions)),
  },
  Huber: {
    defaults: { delta: 1 },
    labels: "like_predictions",
    build(g, labels, predictions, config) {
      const delta = Number(config.delta);
      const error = g.abs(g.sub(predictions, labels));
      const linear = g.sub(g.mul(error, delta), 0.5 * delta * delta);
      return g.mean(g.where(g.lessOrEqual(error, delta), g.mul(g.square(error), 0.5), linear), last(error));
    },
  },
  KLDivergence: {
    defaults: {},
    labels: "like_predictions",
    build(g, labels, predictions) {
      const p = g.min(g.max(labels, EPSILON), 1);
      const q = g.min(g.max(predictions, EPSILON), 1);
      return g.sum(g.mul(p, g.log(g.div(p, q))), last(q));
    },
  },
  CosineSimilarity: {
    defaults: {},
    labels: "like_predictions",
    build(g, labels, predictions) {
      const unit = (x: Value) => g.div(x, g.sqrt(g.max(g.sum(g.square(x), last(x), true), 1e-12)));
      return g.neg(g.sum(g.mul(unit(labels), unit(predictions)), last(predictions)));
    },
  },
};

/** The rule of a loss: one of the table, or an expression of the user's (`name: "Expression"`). */
export function lossRule({ name, config }: LossConfig): LossRule {
  if (name === "Expression") {
    return {
      defaults: {},
      labels: config.labels === "like_predictions" ? "like_predictions" : "index",
      build: (g, y_true, y_pred) => buildExpression(g, String(config.expression), { y_true, y_pred }, "loss"),
    };
  }
  const rule = Object.hasOwn(lossRules, name) ? lossRules[name as LossName] : undefined;
  if (rule) return rule;
  const guess = nearest(name, Object.keys(lossRules));
  throw new OnnxHubError("loss/unknown", "Unknown loss", {
    expected: `one of ${Object.keys(lossRules).join(", ")}`,
    found: name,
    remedy: guess && `Did you mean \`${guess}\`?`,
  });
}

/** Losses of label slots as one number. Source: keras.losses.Loss (`reduce_weighted_values`, `apply_mask`). */
export function reduceLosses(g: GraphBuilder, losses: Value, weights: Value, reduction: LossReduction, valid: Value | null): Value {
  const weighted = g.mul(losses, weights);
  switch (reduction) {
    case "sum_over_batch_size": {
      const mean = g.mean(weighted); // over all label slots, whatever they weigh
      return valid ? g.div(mean, g.max(g.mean(g.cast(valid, "float32")), EPSILON)) : mean;
    }
    case "sum":
      return g.sum(weighted);
    case "mean_with_sample_weight":
      return g.div(g.sum(weighted), g.max(g.sum(valid ? g.mul(weights, g.cast(valid, "float32")) : weights), EPSILON));
  }
}
