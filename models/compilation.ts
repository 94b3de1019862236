/** What `compile` settles: loss, optimizer and metrics, a task's own where nothing is given. */

import { OnnxHubError } from "../errors.ts";
import { getOptimizer, type Optimizer } from "../runtime/optimizer/config.ts";
import type { ConfigValue, ExpandedHead } from "../spec/types.ts";
import { getLoss, type Loss } from "../training/loss_options.ts";
import { getMetric, type Metric } from "../training/metric_options.ts";
import type { TrainingSetup } from "../training/training_setup.ts";
import { camelCase } from "../spec/naming.ts";
import { checkOptions } from "./options.ts";

/** What `compile` takes; left out or `"auto"`: what the task's spec says, as in KerasHub. */
export interface CompileOptions {
  /** An optimizer of `optimizers`, or Keras' name for it (`"adam"`). */
  optimizer?: "auto" | (string & Record<never, never>) | Optimizer;
  /** A loss of `losses`, or Keras' name for it. */
  loss?: "auto" | (string & Record<never, never>) | Loss;
  /** Metrics that sample weights don't weigh. */
  metrics?: "auto" | readonly (string | Metric)[];
  /** Metrics that sample weights weigh. */
  weightedMetrics?: "auto" | readonly (string | Metric)[];
}

const COMPILE_OPTIONS = ["optimizer", "loss", "metrics", "weightedMetrics"];

/** What was settled by the last `compile`. */
export interface Compilation {
  readonly loss: Loss;
  readonly optimizer: Optimizer;
  readonly metrics: readonly { readonly metric: Metric; readonly weighted: boolean }[];
}

/** Settles what a task's `compile` was given; "auto" is what its spec says. */
export function settle({ compile: defaults }: ExpandedHead, options: CompileOptions): Compilation {
  checkOptions("compile", options, COMPILE_OPTIONS);
  const { optimizer = "auto", loss = "auto" } = options;
  const camel = (config: Readonly<Record<string, ConfigValue>>) =>
    Object.fromEntries(Object.entries(config).map(([key, value]) => [camelCase(key), value]));
  const settledLoss = loss === "auto" ? getLoss(defaults.loss.name, camel(defaults.loss.config)) : getLoss(loss);
  const settledMetrics = (option: "metrics" | "weightedMetrics", own: typeof defaults.metrics): Metric[] => {
    const given = options[option] ?? "auto";
    if (given === "auto") return own.map(({ name, config }) => getMetric(name, settledLoss.description, camel(config)));
    if (Array.isArray(given)) return given.map((metric) => getMetric(metric, settledLoss.description));
    throw new OnnxHubError("model/option", "Metrics come in a list", {
      path: `compile.${option}`,
      expected: 'a list of metrics or their names, or "auto"',
      found: JSON.stringify(given) ?? String(given),
    });
  };
  const compilation: Compilation = {
    loss: settledLoss,
    optimizer: getOptimizer(
      optimizer === "auto" ? { class_name: defaults.optimizer.name, config: defaults.optimizer.config } : optimizer,
    ),
    metrics: [
      ...settledMetrics("metrics", defaults.metrics).map((metric) => ({ metric, weighted: false })),
      ...settledMetrics("weightedMetrics", defaults.weighted_metrics).map((metric) => ({ metric, weighted: true })),
    ],
  };
  const labels = compilation.metrics.map(({ metric }) => metric.name);
  const twice = labels.find((label, i) => labels.indexOf(label) !== i);
  if (twice !== undefined) {
    throw new OnnxHubError("metric/duplicate", "Two metrics go by one name", {
      path: "compile.metrics",
      found: twice,
      remedy: "Give one another `name`.",
    });
  }
  return compilation;
}

/** The compilation as the engine takes it. */
export function setupOf({ loss, optimizer, metrics }: Compilation): TrainingSetup {
  return {
    loss: loss.description,
    reduction: loss.reduction,
    optimizer,
    metrics: metrics.map(({ metric, weighted }) => ({ ...metric.description, label: metric.name, weighted })),
  };
}
