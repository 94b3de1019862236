/** The optimizers as users write them: Keras' classes and names, checked, without state. */

import type { StepSettings } from "../../codegen/optimizers/step.ts";
import { optimizerNames } from "../../codegen/optimizers/rules.ts";
import type { OptimizerHyperparameters, OptimizerName } from "../../codegen/optimizers/types.ts";
import { nearest, OnnxHubError } from "../../errors.ts";
import {
  defaultOptions,
  kerasName,
  type LearningRateSchedule,
  type OptimizerOptions,
  type ResolvedOptions,
  resolveOptions,
} from "./options.ts";

/** What an optimizer is made from: a learning rate alone, or options. */
export type OptimizerArgument<K extends OptimizerName> = number | LearningRateSchedule | OptimizerOptions<K>;

/** A serialized object in Keras' files. */
export interface KerasObject {
  readonly class_name: string;
  readonly config: Readonly<Record<string, unknown>>;
}

/** Makes a schedule from its Keras form. */
export type ScheduleReader = (serialized: KerasObject) => LearningRateSchedule;

/** An optimizer: what `compile({ optimizer })` takes. It holds settings only; training keeps the state. */
export class Optimizer<K extends OptimizerName = OptimizerName> {
  /** Keras' class name. */
  readonly className: K;
  /** All options, defaults filled in. */
  readonly options: ResolvedOptions<K>;
  readonly #excludedWeights = new Set<string>();
  readonly #excludedNames: RegExp[] = [];

  /** Made by the subclasses; throws "optimizer/option" or "optimizer/clip" for bad options. */
  constructor(className: K, argument: OptimizerArgument<K>) {
    this.className = className;
    const isRate = typeof argument !== "object" || argument === null || typeof (argument as LearningRateSchedule).at === "function";
    this.options = resolveOptions(className, isRate ? { learningRate: argument } : argument);
  }

  /** The name, which prefixes those of the variables. */
  get name(): string {
    return this.options.name;
  }

  /** The learning rate to begin with, or the schedule. */
  get learningRate(): number | LearningRateSchedule {
    return this.options.learningRate;
  }

  /**
   * Keeps weight decay off some weights: those with these paths, and those whose own name (`bias`, `gamma`: the path's last part) matches
   * one of the regular expressions. Call it before `compile`.
   */
  excludeFromWeightDecay({ paths = [], names = [] }: { readonly paths?: readonly string[]; readonly names?: readonly string[] }): void {
    for (const path of paths) this.#excludedWeights.add(path);
    for (const name of names) this.#excludedNames.push(new RegExp(name));
  }

  /** Whether weight decay passes a weight by. */
  isExcludedFromWeightDecay(path: string): boolean {
    const name = path.slice(path.lastIndexOf("/") + 1);
    return this.#excludedWeights.has(path) || this.#excludedNames.some((pattern) => pattern.test(name));
  }

  /** What the update graphs depend on. */
  get settings(): StepSettings<K> {
    const { learningRate, weightDecay, clipnorm, clipvalue, globalClipnorm, useEma, lossScaleFactor, gradientAccumulationSteps } =
      this.options;
    // A limit of 0 or less clips nothing, as in Keras.
    const clips = [
      { by: "norm", limit: clipnorm ?? 0 },
      { by: "global_norm", limit: globalClipnorm ?? 0 },
      { by: "value", limit: clipvalue ?? 0 },
    ] as const;
    return {
      optimizer: this.className,
      hyperparameters: this.options as OptimizerHyperparameters[K],
      hasSchedule: typeof learningRate !== "number",
      weightDecay,
      clip: clips.find(({ limit }) => limit > 0) ?? null,
      lossScaleFactor,
      gradientAccumulationSteps,
      useEma,
    };
  }

  /** Keras' configuration: its names in snake case, the learning rate rounded to float32. */
  getConfig(): Record<string, unknown> {
    const config = Object.fromEntries(Object.entries(this.options).map(([key, value]) => [kerasName(key), value]));
    const { learningRate } = this.options;
    config.learning_rate = typeof learningRate === "number" ? Math.fround(learningRate) : {
      module: "keras.optimizers.schedules",
      class_name: learningRate.className ?? learningRate.constructor.name,
      config: learningRate.getConfig?.() ?? {},
      registered_name: null,
    };
    return config;
  }

  /** The optimizer of a configuration that {@linkcode getConfig} or Keras made; a schedule in it needs a reader. */
  static fromConfig<T extends Optimizer>(
    this: new (options: never) => T,
    config: Readonly<Record<string, unknown>>,
    readSchedule?: ScheduleReader,
  ): T {
    const { className } = new this({} as never);
    const known = new Map(Object.keys(defaultOptions(className)).map((key) => [kerasName(key), key]));
    const options = Object.fromEntries(Object.entries(config).map(([key, value]) => [known.get(key) ?? key, value]));
    const rate = options.learningRate;
    if (typeof rate === "object" && rate !== null && "class_name" in rate) {
      if (!readSchedule) {
        throw new OnnxHubError(
          "optimizer/schedule",
          "This configuration has a learning-rate schedule, and there is nothing to read it with",
          {
            path: `${className}.learning_rate`,
            found: String(rate.class_name),
          },
        );
      }
      options.learningRate = readSchedule(rate as KerasObject);
    }
    return new this(options as never);
  }
}

/**
 * Adam. Kingma & Ba 2014, arXiv:1412.6980; `amsgrad`: Reddi et al. 2018. Defaults: learningRate 0.001, beta1 0.9, beta2 0.999,
 * epsilon 1e-7, amsgrad false.
 *
 * @example
 * ```ts
 * import { optimizers } from "onnxhub";
 * const optimizer = new optimizers.Adam(5e-5);
 * const clipped = new optimizers.Adam({ learningRate: 5e-5, globalClipnorm: 1 });
 * console.log(optimizer.getConfig().beta_1, clipped.options.globalClipnorm); // 0.9 1
 * ```
 */
export class Adam extends Optimizer<"Adam"> {
  /** An Adam of that learning rate, or of those options. */
  constructor(options: OptimizerArgument<"Adam"> = {}) {
    super("Adam", options);
  }
}

/** AdamW: Adam with decoupled weight decay. Loshchilov & Hutter 2019, arXiv:1711.05101. Defaults: Adam's, and weightDecay 0.004. */
export class AdamW extends Optimizer<"AdamW"> {
  /** An AdamW of that learning rate, or of those options. */
  constructor(options: OptimizerArgument<"AdamW"> = {}) {
    super("AdamW", options);
  }
}

/** Gradient descent. Defaults: learningRate 0.01, momentum 0, nesterov false. */
export class SGD extends Optimizer<"SGD"> {
  /** An SGD of that learning rate, or of those options. */
  constructor(options: OptimizerArgument<"SGD"> = {}) {
    super("SGD", options);
  }
}

/** RMSprop. Hinton 2012, lecture 6e. Defaults: learningRate 0.001, rho 0.9, momentum 0, epsilon 1e-7 (under the root), centered false. */
export class RMSprop extends Optimizer<"RMSprop"> {
  /** An RMSprop of that learning rate, or of those options. */
  constructor(options: OptimizerArgument<"RMSprop"> = {}) {
    super("RMSprop", options);
  }
}

/** Adagrad. Duchi et al. 2011. Defaults: learningRate 0.001, initialAccumulatorValue 0.1, epsilon 1e-7. */
export class Adagrad extends Optimizer<"Adagrad"> {
  /** An Adagrad of that learning rate, or of those options. */
  constructor(options: OptimizerArgument<"Adagrad"> = {}) {
    super("Adagrad", options);
  }
}

/** Adadelta. Zeiler 2012, arXiv:1212.5701. Defaults: learningRate 0.001, rho 0.95, epsilon 1e-7. */
export class Adadelta extends Optimizer<"Adadelta"> {
  /** An Adadelta of that learning rate, or of those options. */
  constructor(options: OptimizerArgument<"Adadelta"> = {}) {
    super("Adadelta", options);
  }
}

/** Adamax. Kingma & Ba 2014, arXiv:1412.6980, section 7.1. Defaults: learningRate 0.001, beta1 0.9, beta2 0.999, epsilon 1e-7. */
export class Adamax extends Optimizer<"Adamax"> {
  /** An Adamax of that learning rate, or of those options. */
  constructor(options: OptimizerArgument<"Adamax"> = {}) {
    super("Adamax", options);
  }
}

/** Nadam. Dozat 2015. Defaults: learningRate 0.001, beta1 0.9, beta2 0.999, epsilon 1e-7. */
export class Nadam extends Optimizer<"Nadam"> {
  /** A Nadam of that learning rate, or of those options. */
  constructor(options: OptimizerArgument<"Nadam"> = {}) {
    super("Nadam", options);
  }
}

/**
 * FTRL-Proximal. McMahan et al. 2013. Defaults: learningRate 0.001, learningRatePower -0.5, initialAccumulatorValue 0.1, the three
 * regularization strengths and beta 0.
 */
export class Ftrl extends Optimizer<"Ftrl"> {
  /** An Ftrl of that learning rate, or of those options. */
  constructor(options: OptimizerArgument<"Ftrl"> = {}) {
    super("Ftrl", options);
  }
}

/** Lion. Chen et al. 2023, arXiv:2302.06675. Defaults: learningRate 0.001, beta1 0.9, beta2 0.99. */
export class Lion extends Optimizer<"Lion"> {
  /** A Lion of that learning rate, or of those options. */
  constructor(options: OptimizerArgument<"Lion"> = {}) {
    super("Lion", options);
  }
}

/** LAMB. You et al. 2019, arXiv:1904.00962. Defaults: learningRate 0.001, beta1 0.9, beta2 0.999, epsilon 1e-7. */
export class Lamb extends Optimizer<"Lamb"> {
  /** A Lamb of that learning rate, or of those options. */
  constructor(options: OptimizerArgument<"Lamb"> = {}) {
    super("Lamb", options);
  }
}

/**
 * Adafactor. Shazeer & Stern 2018, arXiv:1804.04235. Defaults: learningRate 0.001, beta2Decay -0.8, epsilon1 1e-30, epsilon2 1e-3,
 * clipThreshold 1, relativeStep true.
 */
export class Adafactor extends Optimizer<"Adafactor"> {
  /** An Adafactor of that learning rate, or of those options. */
  constructor(options: OptimizerArgument<"Adafactor"> = {}) {
    super("Adafactor", options);
  }
}

/**
 * Muon, with Adam for embeddings and whatever is no matrix. Jordan 2024; scaled as in Liu et al. 2025, arXiv:2502.16982. Defaults:
 * learningRate 0.001, weightDecay and adamWeightDecay 0.004, momentum 0.95, nsSteps 5, nesterov true, rmsRate 0.2.
 */
export class Muon extends Optimizer<"Muon"> {
  /** A Muon of that learning rate, or of those options. */
  constructor(options: OptimizerArgument<"Muon"> = {}) {
    super("Muon", options);
  }
}

/** The classes of all optimizers, by Keras' class name. */
export const optimizerClasses: {
  readonly [K in OptimizerName]: { new (options?: OptimizerArgument<K>): Optimizer<K>; fromConfig: typeof Optimizer.fromConfig };
} = { Adam, AdamW, SGD, RMSprop, Adagrad, Adadelta, Adamax, Nadam, Ftrl, Lion, Lamb, Adafactor, Muon };

/**
 * An optimizer from whatever `compile` takes: the optimizer itself, a name (`"adam"`, any case), or Keras' `{ class_name, config }`.
 * Throws "optimizer/unknown" for a name that there isn't.
 *
 * @example
 * ```ts
 * import { getOptimizer } from "onnxhub";
 * console.log(getOptimizer("rmsprop").options.learningRate); // 0.001
 * ```
 */
export function getOptimizer(identifier: string | Optimizer | KerasObject, readSchedule?: ScheduleReader): Optimizer {
  if (identifier instanceof Optimizer) return identifier;
  const isObject = typeof identifier === "object" && identifier !== null;
  const name = isObject ? identifier.class_name : identifier;
  const className = optimizerNames.find((known) => known.toLowerCase() === String(name).toLowerCase());
  if (className === undefined) {
    const names = optimizerNames.map((known) => known.toLowerCase());
    const guess = nearest(String(name).toLowerCase(), names);
    throw new OnnxHubError("optimizer/unknown", `Could not interpret optimizer identifier: ${String(name)}`, {
      path: "optimizer",
      expected: `an optimizer, or one of ${names.join(", ")}`,
      remedy: guess ? `Did you mean "${guess}"?` : undefined,
    });
  }
  const constructor = optimizerClasses[className] as unknown as typeof Adam;
  return constructor.fromConfig(isObject ? identifier.config : {}, readSchedule);
}
