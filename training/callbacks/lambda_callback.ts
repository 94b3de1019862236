/** A callback made of functions. */

import { Callback } from "./callback.ts";
import { checkOptions } from "./monitor_callback.ts";

/** The hooks that {@linkcode LambdaCallback} takes a function for. */
const HOOKS = [
  "onBatchBegin",
  "onBatchEnd",
  "onEpochBegin",
  "onEpochEnd",
  "onTrainBatchBegin",
  "onTrainBatchEnd",
  "onTestBatchBegin",
  "onTestBatchEnd",
  "onPredictBatchBegin",
  "onPredictBatchEnd",
  "onTrainBegin",
  "onTrainEnd",
  "onTestBegin",
  "onTestEnd",
  "onPredictBegin",
  "onPredictEnd",
] as const satisfies readonly (keyof Callback)[];

/** A function for any of the hooks, with the hook's own arguments. */
export type LambdaCallbackOptions = Partial<Pick<Callback, (typeof HOOKS)[number]>>;

/**
 * A callback out of functions, as Keras' `LambdaCallback`.
 *
 * @example
 * ```ts
 * import { callbacks } from "onnxhub";
 * const losses: number[] = [];
 * const record = new callbacks.LambdaCallback({ onEpochEnd: (_epoch, logs) => void losses.push(logs.loss) });
 * console.log(record instanceof callbacks.Callback); // true
 * ```
 */
export class LambdaCallback extends Callback {
  /** Throws "training/unknown-option" for what is no hook. */
  constructor(hooks: LambdaCallbackOptions = {}) {
    super();
    checkOptions("LambdaCallback", hooks, HOOKS);
    Object.assign(this, hooks);
  }
}
