/** The losses as users write them: Keras' classes, names and functions, checked and turned into the compiler's description. */

import type { LossReduction } from "../codegen/losses.ts";
import { type LossConfig, type LossName, lossRules } from "../codegen/losses.ts";
import { nearest, OnnxHubError } from "../errors.ts";
import { camelCase, snakeCase } from "../spec/naming.ts";

/** What every loss takes. */
export interface LossOptions {
  /** How label slots become one number; default `"sum_over_batch_size"`, the mean over all slots. */
  reduction?: LossReduction;
  /** The name it goes by. */
  name?: string;
}

/** A loss: what `compile({ loss })` takes. Source: keras.losses.Loss. */
export class Loss {
  /** How label slots become one number. */
  readonly reduction: LossReduction;
  /** The compiler's description. */
  readonly description: LossConfig;
  /** The name it goes by. */
  readonly name: string;

  /** Made by the subclasses. */
  constructor(rule: LossName | "Expression", config: LossConfig["config"], { reduction = "sum_over_batch_size", name }: LossOptions = {}) {
    if (!["sum_over_batch_size", "sum", "mean_with_sample_weight"].includes(reduction)) {
      throw new OnnxHubError("loss/reduction", "Unknown reduction", {
        path: "loss.reduction",
        expected: '"sum_over_batch_size", "sum" or "mean_with_sample_weight"',
        found: String(reduction),
      });
    }
    this.reduction = reduction;
    this.description = { name: rule, config };
    this.name = name ?? snakeCase(rule);
  }

  /** Keras' configuration of the loss. */
  getConfig(): Record<string, unknown> {
    return { name: this.name, reduction: this.reduction, ...this.description.config };
  }
}

/** Options beside those that every loss takes, under their Keras names; unknown ones are errors. */
export function toConfig(owner: string, options: object, known: Iterable<string>, area: "loss" | "metric"): LossConfig["config"] {
  const names = [...known];
  const config: Record<string, LossConfig["config"][string]> = {};
  for (const [key, value] of Object.entries(options)) {
    if (["reduction", "name"].includes(key) || value === undefined) continue;
    const snake = snakeCase(key);
    if (!names.includes(snake)) {
      const guess = nearest(snake, names);
      throw new OnnxHubError(`${area}/option`, `${owner} has no option ${key}`, {
        path: `${owner}.${key}`,
        expected: names.map(camelCase).join(", ") || "no options of its own",
        found: key,
        remedy: guess ? `Did you mean \`${camelCase(guess)}\`?` : undefined,
      });
    }
    config[snake] = value as LossConfig["config"][string];
  }
  return config;
}

function configOf(rule: LossName, options: object): LossConfig["config"] {
  return toConfig(rule, options, Object.keys(lossRules[rule].defaults), "loss");
}

/** Cross-entropy of class indices. Predictions are probabilities unless `fromLogits`. */
export class SparseCategoricalCrossentropy extends Loss {
  /** `ignoreClass`: labels of this class lose nothing. */
  constructor(options: LossOptions & { fromLogits?: boolean; ignoreClass?: number | null } = {}) {
    super("SparseCategoricalCrossentropy", configOf("SparseCategoricalCrossentropy", options), options);
  }
}

/** Cross-entropy of one-hot or soft labels. */
export class CategoricalCrossentropy extends Loss {
  /** `labelSmoothing` within [0, 1). */
  constructor(options: LossOptions & { fromLogits?: boolean; labelSmoothing?: number } = {}) {
    super("CategoricalCrossentropy", configOf("CategoricalCrossentropy", options), options);
  }
}

/** Cross-entropy of independent yes-or-no labels. */
export class BinaryCrossentropy extends Loss {
  /** `labelSmoothing` within [0, 1). */
  constructor(options: LossOptions & { fromLogits?: boolean; labelSmoothing?: number } = {}) {
    super("BinaryCrossentropy", configOf("BinaryCrossentropy", options), options);
  }
}

/** Mean of squared differences. */
export class MeanSquaredError extends Loss {
  /** No options of its own. */
  constructor(options: LossOptions = {}) {
    super("MeanSquaredError", configOf("MeanSquaredError", options), options);
  }
}

/** Mean of absolute differences. */
export class MeanAbsoluteError extends Loss {
  /** No options of its own. */
  constructor(options: LossOptions = {}) {
    super("MeanAbsoluteError", configOf("MeanAbsoluteError", options), options);
  }
}

/** Squared near zero, linear beyond `delta` (default 1). */
export class Huber extends Loss {
  /** `delta`: where it turns linear. */
  constructor(options: LossOptions & { delta?: number } = {}) {
    super("Huber", configOf("Huber", options), options);
  }
}

/** Kullback-Leibler divergence of the predictions from the labels. */
export class KLDivergence extends Loss {
  /** No options of its own. */
  constructor(options: LossOptions = {}) {
    super("KLDivergence", configOf("KLDivergence", options), options);
  }
}

/** Minus the cosine of the angle between labels and predictions. */
export class CosineSimilarity extends Loss {
  /** No options of its own. */
  constructor(options: LossOptions = {}) {
    super("CosineSimilarity", configOf("CosineSimilarity", options), options);
  }
}

/**
 * A loss of your own: an expression over the graph's ops, with `y_true` and `y_pred`, that gives one number a label slot.
 *
 * @example
 * ```ts
 * import { losses } from "onnxhub";
 * const focal = new losses.Expression(
 *   "-pick(log_softmax(y_pred), y_true) * (1 - pick(softmax(y_pred), y_true)) ** 2",
 *   { labels: "index", name: "focal" },
 * );
 * console.log(focal.name);
 * ```
 */
export class Expression extends Loss {
  /** `labels`: "index" for class indices (the default), "like_predictions" for labels of the predictions' shape. */
  constructor(expression: string, options: LossOptions & { labels?: "index" | "like_predictions" } = {}) {
    super("Expression", { expression, labels: options.labels ?? "index" }, { name: "expression", ...options });
  }
}

const classes = {
  SparseCategoricalCrossentropy,
  CategoricalCrossentropy,
  BinaryCrossentropy,
  MeanSquaredError,
  MeanAbsoluteError,
  Huber,
  KLDivergence,
  CosineSimilarity,
} as const satisfies Record<LossName, new (options?: LossOptions) => Loss>;

/** Keras' short names beside the snake-case ones. */
const ALIASES: Readonly<Record<string, LossName>> = { mse: "MeanSquaredError", mae: "MeanAbsoluteError", kld: "KLDivergence" };

/** A loss from its class name, its Keras string (`"sparse_categorical_crossentropy"`, `"mse"`) with options, or itself. */
export function getLoss(loss: string | Loss, options: object = {}): Loss {
  if (loss instanceof Loss) return loss;
  if (typeof loss === "function") {
    throw new OnnxHubError("loss/function", "A loss can't be a JavaScript function: it must be differentiated and run inside the graph", {
      path: "compile.loss",
      expected: 'a loss of `losses`, its name, or `new losses.Expression("mean(square(y_true - y_pred), axis=-1)")`',
      found: "a function",
    });
  }
  const name = ALIASES[loss] ?? (Object.keys(classes) as LossName[]).find((key) => key === loss || snakeCase(key) === loss);
  if (name) return new classes[name](options);
  const known = [...Object.keys(classes).map(snakeCase), ...Object.keys(ALIASES)];
  const guess = nearest(String(loss), known);
  throw new OnnxHubError("loss/unknown", "Unknown loss", {
    path: "compile.loss",
    expected: `one of ${known.join(", ")}`,
    found: String(loss),
    remedy: guess ? `Did you mean "${guess}"?` : undefined,
  });
}
