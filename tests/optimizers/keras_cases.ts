/** The optimizer runs that Keras made, read from the fixture. */

import { readFileSync } from "node:fs";
import { getOptimizer, type Optimizer } from "../../runtime/optimizer/config.ts";
import type { OptimizerName } from "../../codegen/optimizers/types.ts";

/** One run: six updates of four weights. */
export interface KerasCase {
  readonly class: OptimizerName;
  readonly arguments: Readonly<Record<string, unknown>>;
  /** The learning rate before each batch, where a schedule gave it. */
  readonly rates?: readonly number[];
  readonly exclude?: readonly string[];
  /** [step][weight][element] */
  readonly after: readonly (readonly (readonly number[])[])[];
  readonly finalized?: readonly (readonly number[])[];
  readonly optimizer_variables: readonly (readonly [string, readonly number[], string])[];
  readonly iterations: number;
}

/** The fixture. */
export const keras: {
  readonly variables: readonly { readonly path: string; readonly shape: readonly number[] }[];
  readonly initial: readonly (readonly number[])[];
  /** [step][weight][element] */
  readonly gradients: readonly (readonly (readonly number[])[])[];
  readonly cases: Readonly<Record<string, KerasCase>>;
  readonly configs: Readonly<Record<OptimizerName, Readonly<Record<string, unknown>>>>;
} = JSON.parse(readFileSync(new URL("../fixtures/optimizers.json", import.meta.url), "utf8"));

/** A case's optimizer. */
export function optimizerOf(run: KerasCase): Optimizer {
  const { rates } = run;
  const schedule = rates ? { learning_rate: { at: (step: number) => rates[step] } } : {};
  const optimizer = getOptimizer({ class_name: run.class, config: { ...run.arguments, ...schedule } });
  if (run.exclude) optimizer.excludeFromWeightDecay({ names: run.exclude });
  return optimizer;
}

/** Fresh copies of the initial weights, by path. */
export function initialWeights(): Map<string, Float32Array<ArrayBuffer>> {
  return new Map(keras.variables.map(({ path }, i) => [path, Float32Array.from(keras.initial[i])]));
}

/** A step's gradients, by path. */
export function gradientsOf(step: number): Map<string, Float32Array<ArrayBuffer>> {
  return new Map(keras.variables.map(({ path }, i) => [path, Float32Array.from(keras.gradients[step][i])]));
}

/** The greatest difference relative to the greater of the expected element and a floor for those near zero. */
export function worst(actual: ArrayLike<number>, expected: ArrayLike<number>, floor: number): number {
  let result = 0;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[i] - expected[i]) / Math.max(Math.abs(expected[i]), floor);
    if (!(difference <= result)) result = difference;
  }
  return result;
}
