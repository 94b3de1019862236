/** What an optimizer's update rule consists of, and the hyperparameters of each. */

import type { GraphBuilder } from "../ir/builder.ts";
import type { Value } from "../ir/types.ts";

/** Adam's and AdamW's own hyperparameters. */
export interface AdamHyperparameters {
  /** Decay of the first moment. */
  readonly beta1: number;
  /** Decay of the second moment. */
  readonly beta2: number;
  /** Added to the denominator ("epsilon hat" of the paper). */
  readonly epsilon: number;
  /** Whether the denominator takes the greatest second moment seen (AMSGrad). */
  readonly amsgrad: boolean;
}

/** Hyperparameters of the rules with two moments and nothing else: Adamax, Nadam, Lamb. */
export interface MomentHyperparameters {
  /** Decay of the first moment. */
  readonly beta1: number;
  /** Decay of the second moment, or of the infinity norm. */
  readonly beta2: number;
  /** Added to the denominator. */
  readonly epsilon: number;
}

/** Every optimizer's own hyperparameters, under Keras' names in camelCase. */
export interface OptimizerHyperparameters {
  Adam: AdamHyperparameters;
  AdamW: AdamHyperparameters;
  SGD: {
    /** Within [0, 1]; 0 keeps no velocity. */
    readonly momentum: number;
    readonly nesterov: boolean;
  };
  RMSprop: {
    /** Decay of the mean square. */
    readonly rho: number;
    readonly momentum: number;
    /** Added under the root. */
    readonly epsilon: number;
    /** Whether the square of the mean gradient is taken off: an estimate of the variance. */
    readonly centered: boolean;
  };
  Adagrad: {
    readonly initialAccumulatorValue: number;
    /** Added under the root. */
    readonly epsilon: number;
  };
  Adadelta: {
    /** Decay of both running means. */
    readonly rho: number;
    /** Added under both roots. */
    readonly epsilon: number;
  };
  Adamax: MomentHyperparameters;
  Nadam: MomentHyperparameters;
  Ftrl: {
    /** At most 0. */
    readonly learningRatePower: number;
    readonly initialAccumulatorValue: number;
    readonly l1RegularizationStrength: number;
    readonly l2RegularizationStrength: number;
    readonly l2ShrinkageRegularizationStrength: number;
    readonly beta: number;
  };
  Lion: {
    /** Mixes momentum and gradient for the sign; within (0, 1]. */
    readonly beta1: number;
    /** Decay of the momentum. */
    readonly beta2: number;
  };
  Lamb: MomentHyperparameters;
  Adafactor: {
    readonly beta2Decay: number;
    readonly epsilon1: number;
    readonly epsilon2: number;
    readonly clipThreshold: number;
    /** Whether a constant learning rate is capped by 1/√t. */
    readonly relativeStep: boolean;
  };
  Muon: {
    readonly adamBeta1: number;
    readonly adamBeta2: number;
    /** Weight decay of the weights that Adam updates. */
    readonly adamWeightDecay: number | null;
    readonly epsilon: number;
    /** Regular expressions; a weight whose path matches one is updated by Adam. */
    readonly excludeLayers: readonly string[];
    /** Whether weights with "embedding" in their path are updated by Adam. */
    readonly excludeEmbeddings: boolean;
    readonly muonA: number;
    readonly muonB: number;
    readonly muonC: number;
    /** Adam's learning rate as a multiple of the main one. */
    readonly adamLrRatio: number;
    readonly momentum: number;
    /** Newton-Schulz iterations. */
    readonly nsSteps: number;
    readonly nesterov: boolean;
    /** Scale of the update's root mean square against Adam's; null leaves the update as it is. */
    readonly rmsRate: number | null;
  };
}

/** The optimizers, by Keras' class names. */
export type OptimizerName = keyof OptimizerHyperparameters;

/** A weight as a rule sees it. */
export interface OptimizedWeight {
  /** `transformer_layer_0/self_attention_layer/query/kernel`. */
  readonly path: string;
  readonly shape: readonly number[];
}

/** A tensor that a rule keeps for a weight. */
export interface Slot {
  /** Keras' name: `momentum`, `velocity`. */
  readonly name: string;
  readonly shape: readonly number[];
  /** What every element starts as. */
  readonly initial: number;
  /** Keras lists the slots of one group weight by weight, then those of the next group. */
  readonly group: number;
  /** Keras names it after the weight alone (Adafactor's row and column means). */
  readonly unnamed?: true;
  /** Keras keeps an unused whole number in its place. */
  readonly placeholder?: true;
}

/** What an update expression reads. An input of the graph comes to be when it is first read. */
export interface UpdateValues {
  /** The weight, after weight decay. */
  readonly w: Value;
  /** The gradient, unscaled and clipped. */
  readonly g: Value;
  /** The learning rate, a scalar. */
  readonly lr: Value;
  /** Updates so far plus one, a float32 scalar. */
  readonly t: Value;
  /** A slot of this weight. */
  slot(name: string): Value;
  /** A scalar of the optimizer's own, as updated for this step. */
  scalar(name: string): Value;
}

/** What an update expression computes. A slot that isn't named keeps its value. */
export interface UpdateResult {
  readonly w: Value;
  readonly slots: Readonly<Record<string, Value>>;
}

/** Settings that are fixed when the optimizer is made. */
export interface UpdateSettings<H> {
  readonly hyperparameters: H;
  /** Whether the learning rate follows a schedule. */
  readonly hasSchedule: boolean;
}

/** A scalar that an optimizer keeps beside its slots, updated once a step, before any weight. */
export interface ScalarState<H> {
  readonly name: string;
  readonly initial: number;
  /** The next value, from the present one and t. */
  update(b: GraphBuilder, value: Value, t: Value, hyperparameters: H): Value;
}

/** One optimizer: everything that runs it is generated from `update`. */
export interface UpdateRule<H> {
  /** Keras' defaults. */
  readonly defaults: H & { readonly learningRate: number; readonly weightDecay: number | null };
  /** The slots of a weight, in Keras' order. */
  slots(weight: OptimizedWeight, hyperparameters: H): readonly Slot[];
  /** The update of one weight, in float32 and in Keras' order of operations. */
  update(b: GraphBuilder, values: UpdateValues, settings: UpdateSettings<H>, weight: OptimizedWeight): UpdateResult;
  /** Scalars of the optimizer as a whole. */
  readonly scalars?: readonly ScalarState<H>[];
  /** The weight decay of one weight where it isn't the same for all. */
  weightDecay?(weight: OptimizedWeight, hyperparameters: H, weightDecay: number | null): number | null;
}
