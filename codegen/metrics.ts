/** Keras' metrics as graph expressions: two sums a batch, whose quotient over batches is the metric. */

import { nearest, OnnxHubError } from "../errors.ts";
import type { ConfigValue } from "../spec/types.ts";
import { buildExpression } from "./expression.ts";
import type { GraphBuilder } from "./ir/builder.ts";
import type { Value } from "./ir/types.ts";
import { type LossName, lossRules } from "./losses.ts";

/** A metric by its Keras class name, with its arguments and the name that it is reported under. */
export interface MetricConfig {
  readonly name: string;
  readonly config: Readonly<Record<string, ConfigValue>>;
  /** In logs: `sparse_categorical_accuracy`. */
  readonly label: string;
  /** Whether sample weights weigh it (`weightedMetrics`). */
  readonly weighted: boolean;
}

/** What becomes of the quotient in the end. */
export type MetricResult = "mean" | "sqrt" | "exp";

/** One metric. */
export interface MetricRule {
  /** The default name, as Keras spells it. */
  readonly label: string;
  readonly defaults: Readonly<Record<string, ConfigValue>>;
  readonly labels: "index" | "like_predictions";
  /** Whether more is better: what EarlyStopping's "auto" goes by. */
  readonly direction: "up" | "down";
  readonly result: MetricResult;
  /** (labels, predictions, weights of the label slots) → the two sums, scalars. */
  build(
    g: GraphBuilder,
    labels: Value,
    predictions: Value,
    weights: Value,
    config: Readonly<Record<string, ConfigValue>>,
  ): { total: Value; count: Value };
}

/** Σ w·x and Σ w: the weighted mean of per-slot values. */
function weightedMean(g: GraphBuilder, values: Value, weights: Value): { total: Value; count: Value } {
  return { total: g.sum(g.mul(values, weights)), count: g.sum(weights) };
}

/** A metric that is the mean of 1 and 0: hit or miss. */
function hits(
  label: string,
  labels: MetricRule["labels"],
  defaults: MetricRule["defaults"],
  hit: (g: GraphBuilder, labels: Value, predictions: Value, config: Readonly<Record<string, ConfigValue>>) => Value,
): MetricRule {
  return {
    label,
    defaults,
    labels,
    direction: "up",
    result: "mean",
    build: (g, y, p, weights, config) => weightedMean(g, g.cast(hit(g, y, p, config), "float32"), weights),
  };
}

/** A metric that is the weighted mean of a loss. */
function meanLoss(loss: LossName, label: string, result: MetricResult = "mean"): MetricRule {
  const rule = lossRules[loss];
  return {
    label,
    defaults: rule.defaults,
    labels: rule.labels,
    direction: loss === "CosineSimilarity" ? "up" : "down",
    result,
    build(g, y, p, weights, config) {
      const losses = rule.build(g, y, p, config);
      return weightedMean(g, loss === "CosineSimilarity" ? g.neg(losses) : losses, weights);
    },
  };
}

/** Of the k greatest predictions, one has the label's index. */
function inTopK(g: GraphBuilder, index: Value, predictions: Value, k: number): Value {
  const [, best] = g.op("TopK", [predictions], { k }); // [..., k]
  const match = g.cast(g.equal(best, g.unsqueeze(index, [-1])), "float32");
  return g.greater(g.reduceMax(match, [match.shape.length - 1]), 0.5);
}

/** True positives over predicted (precision) or actual (recall) positives, at a threshold. */
function positives(label: string, of: "predicted" | "actual"): MetricRule {
  return {
    label,
    defaults: { thresholds: 0.5 },
    labels: "like_predictions",
    direction: "up",
    result: "mean",
    build(g, y, p, weights, config) {
      const predicted = g.cast(g.greater(p, Number(config.thresholds)), "float32");
      const actual = g.cast(g.greater(y, 0.5), "float32");
      const w = weights.shape.length < p.shape.length ? g.unsqueeze(weights, [-1]) : weights;
      return { total: g.sum(g.mul(g.mul(predicted, actual), w)), count: g.sum(g.mul(of === "predicted" ? predicted : actual, w)) };
    },
  };
}

/** The name of a metric. */
export type MetricName =
  | "SparseCategoricalAccuracy"
  | "CategoricalAccuracy"
  | "BinaryAccuracy"
  | "SparseTopKCategoricalAccuracy"
  | "TopKCategoricalAccuracy"
  | "Precision"
  | "Recall"
  | "SparseCategoricalCrossentropy"
  | "CategoricalCrossentropy"
  | "BinaryCrossentropy"
  | "Perplexity"
  | "MeanSquaredError"
  | "RootMeanSquaredError"
  | "MeanAbsoluteError"
  | "KLDivergence"
  | "CosineSimilarity";

/** The metrics by Keras' class names. Sources: keras.metrics; Perplexity is keras_hub.metrics.Perplexity. */
export const metricRules: Readonly<Record<MetricName, MetricRule>> = {
  SparseCategoricalAccuracy: hits("sparse_categorical_accuracy", "index", {}, (g, y, p) => g.equal(g.argMax(p), y)),
  CategoricalAccuracy: hits("categorical_accuracy", "like_predictions", {}, (g, y, p) => g.equal(g.argMax(p), g.argMax(y))),
  BinaryAccuracy: {
    ...hits("binary_accuracy", "like_predictions", { threshold: 0.5 }, (_, y) => y),
    build(g, y, p, weights, config) {
      const same = g.equal(g.cast(g.greater(p, Number(config.threshold)), "float32"), y);
      return weightedMean(g, g.mean(g.cast(same, "float32"), [p.shape.length - 1]), weights);
    },
  },
  SparseTopKCategoricalAccuracy: hits(
    "sparse_top_k_categorical_accuracy",
    "index",
    { k: 5 },
    (g, y, p, config) => inTopK(g, y, p, Number(config.k)),
  ),
  TopKCategoricalAccuracy: hits(
    "top_k_categorical_accuracy",
    "like_predictions",
    { k: 5 },
    (g, y, p, config) => inTopK(g, g.argMax(y), p, Number(config.k)),
  ),
  Precision: positives("precision", "predicted"),
  Recall: positives("recall", "actual"),
  SparseCategoricalCrossentropy: meanLoss("SparseCategoricalCrossentropy", "sparse_categorical_crossentropy"),
  CategoricalCrossentropy: meanLoss("CategoricalCrossentropy", "categorical_crossentropy"),
  BinaryCrossentropy: meanLoss("BinaryCrossentropy", "binary_crossentropy"),
  Perplexity: {
    ...meanLoss("SparseCategoricalCrossentropy", "perplexity", "exp"),
    defaults: { from_logits: false, mask_token_id: null },
    build(g, y, p, weights, config) {
      const masked = config.mask_token_id;
      const counted = typeof masked === "number" ? g.where(g.equal(y, masked), 0, weights) : weights;
      return weightedMean(g, lossRules.SparseCategoricalCrossentropy.build(g, y, p, { from_logits: config.from_logits }), counted);
    },
  },
  MeanSquaredError: meanLoss("MeanSquaredError", "mean_squared_error"),
  RootMeanSquaredError: meanLoss("MeanSquaredError", "root_mean_squared_error", "sqrt"),
  MeanAbsoluteError: meanLoss("MeanAbsoluteError", "mean_absolute_error"),
  KLDivergence: meanLoss("KLDivergence", "kl_divergence"),
  CosineSimilarity: meanLoss("CosineSimilarity", "cosine_similarity"),
};

/** The rule of a metric: one of the table, or an expression of the user's (`name: "Expression"`). */
export function metricRule({ name, config }: Pick<MetricConfig, "name" | "config">): MetricRule {
  if (name === "Expression") {
    return {
      label: "expression",
      defaults: {},
      labels: config.labels === "like_predictions" ? "like_predictions" : "index",
      direction: "up",
      result: "mean",
      build(g, y_true, y_pred, weights) {
        const values = buildExpression(g, String(config.expression), { y_true, y_pred }, "metric");
        return weightedMean(g, g.cast(values, "float32"), weights);
      },
    };
  }
  const rule = Object.hasOwn(metricRules, name) ? metricRules[name as MetricName] : undefined;
  if (rule) return rule;
  const guess = nearest(name, Object.keys(metricRules));
  throw new OnnxHubError("metric/unknown", "Unknown metric", {
    expected: `one of ${Object.keys(metricRules).join(", ")}`,
    found: name,
    remedy: guess && `Did you mean \`${guess}\`?`,
  });
}
