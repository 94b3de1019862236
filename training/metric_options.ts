/** The metrics as users write them: Keras' classes and names, checked and turned into the compiler's description. */

import type { LossConfig } from "../codegen/losses.ts";
import { type MetricConfig, type MetricName, type MetricResult, metricRules } from "../codegen/metrics.ts";
import { nearest, OnnxHubError } from "../errors.ts";
import { snakeCase } from "../spec/naming.ts";
import { toConfig } from "./loss_options.ts";

/** What every metric takes. */
export interface MetricOptions {
  /** The name in logs; default Keras'. */
  name?: string;
}

/** A metric: what `compile({ metrics, weightedMetrics })` takes. Source: keras.metrics.Metric. */
export class Metric {
  /** The name in logs. */
  readonly name: string;
  /** The rule's name and arguments. */
  readonly description: Pick<MetricConfig, "name" | "config">;
  /** Whether more is better. */
  readonly direction: "up" | "down";
  /** What becomes of total / count. */
  readonly result: MetricResult;

  /** Made by the subclasses. */
  constructor(
    rule: MetricName | "Expression",
    config: MetricConfig["config"],
    name: string,
    direction: "up" | "down",
    result: MetricResult,
  ) {
    this.name = name;
    this.description = { name: rule, config };
    this.direction = direction;
    this.result = result;
  }

  /** Keras' configuration of the metric. */
  getConfig(): Record<string, unknown> {
    return { name: this.name, ...this.description.config };
  }
}

type MetricClass<O> = new (options?: O) => Metric;

/** A metric's class, made from the compiler's table. */
function metricClass<O extends MetricOptions>(rule: MetricName): MetricClass<O> {
  const { label, defaults, direction, result } = metricRules[rule];
  return class extends Metric {
    constructor(options?: O) {
      super(rule, toConfig(rule, options ?? {}, Object.keys(defaults), "metric"), options?.name ?? label, direction, result);
    }
  };
}

type FromLogits = MetricOptions & { fromLogits?: boolean };
type TopK = MetricOptions & { k?: number };

/** Share of label slots whose greatest prediction is the label. */
export const SparseCategoricalAccuracy: MetricClass<MetricOptions> = metricClass("SparseCategoricalAccuracy");
/** The same, for one-hot labels. */
export const CategoricalAccuracy: MetricClass<MetricOptions> = metricClass("CategoricalAccuracy");
/** Share of yes-or-no labels that are right at `threshold` (0.5). */
export const BinaryAccuracy: MetricClass<MetricOptions & { threshold?: number }> = metricClass("BinaryAccuracy");
/** Share of label slots whose label is among the `k` (5) greatest predictions. */
export const SparseTopKCategoricalAccuracy: MetricClass<TopK> = metricClass("SparseTopKCategoricalAccuracy");
/** The same, for one-hot labels. */
export const TopKCategoricalAccuracy: MetricClass<TopK> = metricClass("TopKCategoricalAccuracy");
/** True positives over predicted positives. */
export const Precision: MetricClass<MetricOptions & { thresholds?: number }> = metricClass("Precision");
/** True positives over actual positives. */
export const Recall: MetricClass<MetricOptions & { thresholds?: number }> = metricClass("Recall");
/** Mean cross-entropy of class indices. */
export const SparseCategoricalCrossentropy: MetricClass<FromLogits & { ignoreClass?: number | null }> = metricClass(
  "SparseCategoricalCrossentropy",
);
/** Mean cross-entropy of one-hot labels. */
export const CategoricalCrossentropy: MetricClass<FromLogits & { labelSmoothing?: number }> = metricClass("CategoricalCrossentropy");
/** Mean cross-entropy of yes-or-no labels. */
export const BinaryCrossentropy: MetricClass<FromLogits & { labelSmoothing?: number }> = metricClass("BinaryCrossentropy");
/** e to the mean cross-entropy (KerasHub); labels equal to `maskTokenId` don't count. */
export const Perplexity: MetricClass<FromLogits & { maskTokenId?: number | null }> = metricClass("Perplexity");
/** Mean of squared differences. */
export const MeanSquaredError: MetricClass<MetricOptions> = metricClass("MeanSquaredError");
/** Root of the mean of squared differences. */
export const RootMeanSquaredError: MetricClass<MetricOptions> = metricClass("RootMeanSquaredError");
/** Mean of absolute differences. */
export const MeanAbsoluteError: MetricClass<MetricOptions> = metricClass("MeanAbsoluteError");
/** Mean Kullback-Leibler divergence. */
export const KLDivergence: MetricClass<MetricOptions> = metricClass("KLDivergence");
/** Mean cosine similarity. */
export const CosineSimilarity: MetricClass<MetricOptions> = metricClass("CosineSimilarity");

const classes = {
  SparseCategoricalAccuracy,
  CategoricalAccuracy,
  BinaryAccuracy,
  SparseTopKCategoricalAccuracy,
  TopKCategoricalAccuracy,
  Precision,
  Recall,
  SparseCategoricalCrossentropy,
  CategoricalCrossentropy,
  BinaryCrossentropy,
  Perplexity,
  MeanSquaredError,
  RootMeanSquaredError,
  MeanAbsoluteError,
  KLDivergence,
  CosineSimilarity,
} as const satisfies Record<MetricName, MetricClass<MetricOptions>>;

/** A metric of your own: an expression over `y_true` and `y_pred` that gives one number a label slot; the metric is its weighted mean. */
export class Expression extends Metric {
  /** `labels` as in `losses.Expression`; `direction` tells callbacks whether more is better; the default of `name` is "expression". */
  constructor(expression: string, options: { name?: string; labels?: "index" | "like_predictions"; direction?: "up" | "down" } = {}) {
    super("Expression", { expression, labels: options.labels ?? "index" }, options.name ?? "expression", options.direction ?? "up", "mean");
  }
}

const ALIASES: Readonly<Record<string, MetricName>> = { mse: "MeanSquaredError", mae: "MeanAbsoluteError" };

/** What `"accuracy"` stands for beside each loss, as Keras resolves it. */
const ACCURACY: Readonly<Record<string, MetricName>> = {
  SparseCategoricalCrossentropy: "SparseCategoricalAccuracy",
  CategoricalCrossentropy: "CategoricalAccuracy",
  BinaryCrossentropy: "BinaryAccuracy",
};

function accuracyBeside({ name, config }: LossConfig): MetricName {
  if (name === "Expression" && config.labels === "index") return "SparseCategoricalAccuracy";
  return ACCURACY[name] ?? "CategoricalAccuracy";
}

/** A metric from its class name, its Keras string, `"accuracy"` (by the loss) with options, or itself. */
export function getMetric(metric: string | Metric, loss: LossConfig, options: object = {}): Metric {
  if (metric instanceof Metric) return metric;
  if (typeof metric === "function") {
    throw new OnnxHubError("metric/function", "A metric can't be a JavaScript function: it is computed inside the graph", {
      path: "compile.metrics",
      expected: "a metric of `metrics`, its name, or `new metrics.Expression(…)`",
      found: "a function",
    });
  }
  if (metric === "accuracy" || metric === "acc") {
    return new classes[accuracyBeside(loss)]({ name: metric });
  }
  const name = ALIASES[metric] ?? (Object.keys(classes) as MetricName[]).find((key) => key === metric || snakeCase(key) === metric);
  if (name) return new classes[name](options);
  const known = ["accuracy", ...Object.keys(classes).map(snakeCase), ...Object.keys(ALIASES)];
  const guess = nearest(String(metric), known);
  throw new OnnxHubError("metric/unknown", "Unknown metric", {
    path: "compile.metrics",
    expected: `one of ${known.join(", ")}`,
    found: String(metric),
    remedy: guess ? `Did you mean "${guess}"?` : undefined,
  });
}
