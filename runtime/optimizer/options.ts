/** The options of optimizers: defaults, names in Keras' configurations, and the checks with Keras' words. */

import { updateRules } from "../../codegen/optimizers/rules.ts";
import type { OptimizerHyperparameters, OptimizerName } from "../../codegen/optimizers/types.ts";
import { nearest, OnnxHubError } from "../../errors.ts";

/** A learning rate that depends on the step: anything with `at`. */
export interface LearningRateSchedule {
  /** The learning rate of the update after `step` batches; 0 for the first. */
  at(step: number): number;
  /** Keras' class name, where there is one: `CosineDecay`. */
  readonly className?: string;
  /** Keras' configuration, where there is one. */
  getConfig?(): Record<string, unknown>;
}

/** What every optimizer takes. Source: keras.optimizers.Optimizer. */
export interface OptimizerBaseOptions {
  /** A number or a schedule. */
  readonly learningRate?: number | LearningRateSchedule;
  /** Decoupled weight decay: before every update w becomes w - w · weightDecay · learningRate; default null, none. */
  readonly weightDecay?: number | null;
  /** The greatest norm of each weight's gradient; default null, any. */
  readonly clipnorm?: number | null;
  /** The greatest magnitude of a gradient's element; default null, any. */
  readonly clipvalue?: number | null;
  /** The greatest norm of all gradients together; default null, any. */
  readonly globalClipnorm?: number | null;
  /** Whether moving averages of the weights are kept; they replace the weights at the end of `fit`. Default false. */
  readonly useEma?: boolean;
  /** Decay of the averages, within [0, 1]; default 0.99. */
  readonly emaMomentum?: number;
  /** Every so many updates the averages replace the weights; default null, only at the end of `fit`. */
  readonly emaOverwriteFrequency?: number | null;
  /** What the loss is multiplied by, and the gradients divided by; default null, nothing. */
  readonly lossScaleFactor?: number | null;
  /** How many batches' mean gradient makes one update, 2 at least; default null, every batch updates. */
  readonly gradientAccumulationSteps?: number | null;
  /** The name, which prefixes those of the variables; default the class name in snake case. */
  readonly name?: string;
}

/** An optimizer's options: its own hyperparameters and what every optimizer takes. */
export type OptimizerOptions<K extends OptimizerName> = OptimizerBaseOptions & Partial<OptimizerHyperparameters[K]>;

/** All options of an optimizer, each with a value. */
export type ResolvedOptions<K extends OptimizerName> = Required<OptimizerBaseOptions> & OptimizerHyperparameters[K];

const baseDefaults = {
  clipnorm: null,
  clipvalue: null,
  globalClipnorm: null,
  useEma: false,
  emaMomentum: 0.99,
  emaOverwriteFrequency: null,
  lossScaleFactor: null,
  gradientAccumulationSteps: null,
};

/** Options whose value may be null though their default isn't. */
const nullable = new Set(["weightDecay", "adamWeightDecay", "rmsRate"]);

/** Keras' name of an option or a class: `beta1` → `beta_1`, `l1RegularizationStrength` → `l1_regularization_strength`, `RMSprop` → `rm_sprop`. */
export function kerasName(name: string): string {
  return name
    .replace(/([a-z]{2})(\d)/g, "$1_$2")
    .replace(/(.)([A-Z][a-z]+)/g, "$1_$2")
    .replace(/([a-z])([A-Z])/g, "$1_$2")
    .toLowerCase();
}

/** The defaults of an optimizer's options. */
export function defaultOptions<K extends OptimizerName>(optimizer: K): ResolvedOptions<K> {
  return { ...baseDefaults, ...updateRules[optimizer].defaults, name: kerasName(optimizer) } as unknown as ResolvedOptions<K>;
}

/** An optimizer's options with defaults filled in; every bad one is an error. */
export function resolveOptions<K extends OptimizerName>(optimizer: K, options: object): ResolvedOptions<K> {
  const defaults: Record<string, unknown> = Object.fromEntries(Object.entries(defaultOptions(optimizer)));
  const resolved = { ...defaults };
  for (const [key, value] of Object.entries(options)) {
    if (!(key in defaults)) unknownOption(optimizer, key, Object.keys(defaults));
    if (value === undefined) continue;
    checkType(optimizer, key, value, defaults[key]);
    resolved[key] = value;
  }
  const result = resolved as unknown as ResolvedOptions<K>;
  checkBase(optimizer, result);
  for (const check of ownChecks[optimizer] ?? []) check(resolved);
  return result;
}

function unknownOption(optimizer: string, key: string, known: readonly string[]): never {
  const guess = nearest(key, known) ?? known.find((name) => kerasName(name) === key);
  throw new OnnxHubError("optimizer/option", `${optimizer} has no option \`${key}\``, {
    path: `${optimizer}.${key}`,
    expected: `one of ${known.join(", ")}`,
    remedy: guess ? `Did you mean \`${guess}\`?` : undefined,
  });
}

function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  return Array.isArray(value) ? `[${value.join(", ")}]` : String(value);
}

function reject(optimizer: string, option: string, what: string, expected: string, value: unknown): never {
  throw new OnnxHubError("optimizer/option", what, { path: `${optimizer}.${option}`, expected, found: describe(value) });
}

function checkType(optimizer: string, key: string, value: unknown, standard: unknown): void {
  if (key === "learningRate") return checkLearningRate(optimizer, value);
  if (value === null && (standard === null || nullable.has(key))) return;
  if (Array.isArray(standard)) {
    if (Array.isArray(value) && value.every((item) => typeof item === "string")) return;
    reject(optimizer, key, `\`${key}\` must be a list of strings`, "an array of strings", value);
  }
  const type = standard === null ? "number" : typeof standard;
  if (typeof value === type && (type !== "number" || Number.isFinite(value))) return;
  const expected = type === "number" ? "a finite number" : `a ${type}`;
  reject(
    optimizer,
    key,
    `\`${key}\` must be ${expected}`,
    standard === null || nullable.has(key) ? `${expected} or null` : expected,
    value,
  );
}

function checkLearningRate(optimizer: string, value: unknown): void {
  if (typeof value === "number" && Number.isFinite(value)) return;
  if (typeof value === "object" && value !== null && "at" in value && typeof value.at === "function") return;
  const what = "Argument `learningRate` should be float, or an instance of LearningRateSchedule";
  reject(optimizer, "learningRate", what, "a finite number or an object with `at(step)`", value);
}

/** Throws unless a learning rate can be used as it is: a finite number. */
export function checkedRate(value: number): number {
  checkLearningRate("optimizer", typeof value === "number" ? value : Number.NaN);
  return Math.fround(value);
}

function checkBase(optimizer: string, options: Required<OptimizerBaseOptions>): void {
  const { clipnorm, clipvalue, globalClipnorm, useEma, emaMomentum, emaOverwriteFrequency, gradientAccumulationSteps } = options;
  if ([clipnorm, clipvalue, globalClipnorm].filter((value) => value !== null).length > 1) {
    throw new OnnxHubError("optimizer/clip", "Only one of `clipnorm`, `clipvalue` and `globalClipnorm` can be set", {
      path: optimizer,
      found: `clipnorm=${clipnorm}, clipvalue=${clipvalue}, globalClipnorm=${globalClipnorm}`,
    });
  }
  if (gradientAccumulationSteps !== null && !(Number.isInteger(gradientAccumulationSteps) && gradientAccumulationSteps >= 2)) {
    reject(
      optimizer,
      "gradientAccumulationSteps",
      "`gradientAccumulationSteps` must be an integer >= 2",
      "an integer >= 2 or null",
      gradientAccumulationSteps,
    );
  }
  if (useEma && (emaMomentum < 0 || emaMomentum > 1)) {
    reject(optimizer, "emaMomentum", "`emaMomentum` must be in the range [0, 1]", "a number from 0 to 1", emaMomentum);
  }
  if (useEma && emaOverwriteFrequency !== null && !(Number.isInteger(emaOverwriteFrequency) && emaOverwriteFrequency >= 1)) {
    reject(
      optimizer,
      "emaOverwriteFrequency",
      "`emaOverwriteFrequency` must be an integer >= 1 or null",
      "an integer >= 1 or null",
      emaOverwriteFrequency,
    );
  }
}

type Check = (options: Record<string, unknown>) => void;

function atLeastZero(key: string): Check {
  return (options) => {
    if (Number(options[key]) < 0) reject("Ftrl", key, `\`${key}\` needs to be positive or zero`, "a number >= 0", options[key]);
  };
}

const ownChecks: { readonly [K in OptimizerName]?: readonly Check[] } = {
  AdamW: [(options) => {
    if (options.weightDecay === null) reject("AdamW", "weightDecay", "Argument `weightDecay` must be a float", "a number", null);
  }],
  SGD: [({ momentum }) => {
    if (Number(momentum) < 0 || Number(momentum) > 1) {
      reject("SGD", "momentum", "`momentum` must be a float between [0, 1]", "a number from 0 to 1", momentum);
    }
  }],
  Lion: [({ beta1 }) => {
    if (Number(beta1) > 0 && Number(beta1) <= 1) return;
    const what = "Argument `beta1` must be in the [0, 1] range. Otherwise, the optimizer degenerates to SignSGD";
    reject("Lion", "beta1", what, "a number above 0, at most 1", beta1);
  }],
  Muon: [({ excludeLayers, nsSteps }) => {
    if (!(Number.isInteger(nsSteps) && Number(nsSteps) >= 0)) {
      reject("Muon", "nsSteps", "`nsSteps` must be an integer", "a whole number", nsSteps);
    }
    for (const pattern of excludeLayers as string[]) {
      try {
        new RegExp(pattern);
      } catch (cause) {
        const expected = "a regular expression";
        throw new OnnxHubError("optimizer/option", "This is no pattern", {
          path: "Muon.excludeLayers",
          expected,
          found: describe(pattern),
          cause,
        });
      }
    }
  }],
  Ftrl: [
    ...["initialAccumulatorValue", "l1RegularizationStrength", "l2RegularizationStrength", "l2ShrinkageRegularizationStrength"].map(
      atLeastZero,
    ),
    ({ learningRatePower }) => {
      if (Number(learningRatePower) > 0) {
        reject("Ftrl", "learningRatePower", "`learningRatePower` needs to be negative or zero", "a number <= 0", learningRatePower);
      }
    },
  ],
};
