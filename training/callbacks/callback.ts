/** The base of all callbacks: Keras' hooks, each doing nothing. */

import type { OptimizerHandle } from "../engine.ts";
import type { Tensor } from "../../runtime/tensor.ts";
import type { Console } from "../console.ts";
import type { History } from "./history.ts";

/** Values by name; a callback that runs earlier may add some (`learning_rate`) that later ones see. */
export type Logs = Record<string, number>;

/** What `predict`'s hooks get: the outputs of one batch, by name. */
export interface PredictLogs {
  readonly outputs: Readonly<Record<string, Tensor>>;
}

/** What a hook may return; a promise is awaited before training goes on. */
export type HookResult = void | Promise<void>;

/** What Keras calls `params`. */
export interface CallbackParams {
  readonly verbose: "auto" | 0 | 1 | 2;
  /** The final index of `fit`'s epochs; 1 in `evaluate` and `predict`. */
  readonly epochs: number;
  /** Batches in an epoch, or null where that isn't known. */
  readonly steps: number | null;
}

/** Which way a metric improves, by its name. */
export type MetricDirections = Readonly<Record<string, "up" | "down">>;

/** Where in a run a state was saved. */
export interface Position {
  readonly epoch: number;
  /** Batches of that epoch that are done. */
  readonly batch: number;
  /** The sums that the epoch's logs come from so far. */
  readonly sums: Readonly<Record<string, { readonly total: number; readonly count: number }>>;
}

/** The model in training, as a callback sees it. */
export interface CallbackModel {
  /** Set by a callback: training ends after this batch. */
  stopTraining: boolean;
  /** Set by a callback: `evaluate` ends after this batch. */
  stopEvaluating: boolean;
  /** Set by a callback: `predict` ends after this batch. */
  stopPredicting: boolean;
  /** The history of the latest `fit`. */
  history: History | null;
  readonly optimizer: OptimizerHandle;
  readonly metricDirections: MetricDirections;
  readonly console: Console;
  /** The model object that `fit` was called on, where it said so. */
  readonly owner: unknown;
  /** Where the run is: the current epoch, its batches done so far and the sums behind its logs. */
  readonly position: Position;
  /** The batch that the current epoch started from: 0, except right after a state from within an epoch was restored. */
  readonly startBatch: number;
  /** To be called in `onTrainBegin`: training starts from there. */
  resumeAt(position: Position): void;
  getWeights(): Promise<readonly Tensor<"float32">[]>;
  setWeights(weights: readonly Tensor<"float32">[]): Promise<void>;
  /** Throws where `saveWeights` will refuse the path or the model. */
  checkWeightsPath(path: string): void;
  saveWeights(path: string): Promise<void>;
  loadWeights(path: string): Promise<void>;
  /** All that training goes on from, to a file. */
  saveState(path: string): Promise<void>;
  loadState(path: string): Promise<void>;
}

/**
 * A callback of `fit`, `evaluate` and `predict`, with the hooks of Keras' `keras.callbacks.Callback`. Any hook may be asynchronous.
 *
 * Epochs and batches count from 0.
 *
 * @example
 * ```ts
 * import { callbacks } from "onnxhub";
 * class Shout extends callbacks.Callback {
 *   override onEpochEnd(epoch: number, logs: callbacks.Logs): void {
 *     console.log(`epoch ${epoch}: loss ${logs.loss}!`);
 *   }
 * }
 * console.log(new Shout() instanceof callbacks.Callback);
 * ```
 */
export class Callback {
  #model: CallbackModel | null = null;
  #params: CallbackParams | null = null;

  /** Whether the hooks run after those of all other callbacks, for what saves the state they leave. */
  get runsLast(): boolean {
    return false;
  }

  /** The model in training; throws before training began. */
  get model(): CallbackModel {
    if (!this.#model) throw new TypeError(`${this.constructor.name} has no model: its hooks are called by fit, evaluate and predict`);
    return this.#model;
  }

  /** `verbose`, `epochs` and `steps`, or null before training began. */
  get params(): CallbackParams | null {
    return this.#params;
  }

  /** Called before any hook. */
  setModel(model: CallbackModel): void {
    this.#model = model;
  }

  /** Called before any hook. */
  setParams(params: CallbackParams): void {
    this.#params = params;
  }

  /** The same as `onTrainBatchBegin`, by its old name. */
  onBatchBegin(_batch: number, _logs: Logs): HookResult {}
  /** The same as `onTrainBatchEnd`, by its old name. */
  onBatchEnd(_batch: number, _logs: Logs): HookResult {}
  /** Before an epoch. */
  onEpochBegin(_epoch: number, _logs: Logs): HookResult {}
  /** After an epoch and its validation; `logs` holds both. */
  onEpochEnd(_epoch: number, _logs: Logs): HookResult {}
  /** Before a batch of `fit`. */
  onTrainBatchBegin(batch: number, logs: Logs): HookResult {
    return this.onBatchBegin(batch, logs);
  }
  /** After a batch of `fit`; `logs` holds the epoch's means so far. */
  onTrainBatchEnd(batch: number, logs: Logs): HookResult {
    return this.onBatchEnd(batch, logs);
  }
  /** Before a batch of `evaluate`, and of validation in `fit`. */
  onTestBatchBegin(_batch: number, _logs: Logs): HookResult {}
  /** After a batch of `evaluate`, and of validation in `fit`. */
  onTestBatchEnd(_batch: number, _logs: Logs): HookResult {}
  /** Before a batch of `predict`. */
  onPredictBatchBegin(_batch: number): HookResult {}
  /** After a batch of `predict`. */
  onPredictBatchEnd(_batch: number, _logs: PredictLogs): HookResult {}
  /** Before `fit`. */
  onTrainBegin(_logs: Logs): HookResult {}
  /** After `fit`; `logs` are the last epoch's. */
  onTrainEnd(_logs: Logs): HookResult {}
  /** Before `evaluate`, and before validation in `fit`. */
  onTestBegin(_logs: Logs): HookResult {}
  /** After `evaluate`, and after validation in `fit`. */
  onTestEnd(_logs: Logs): HookResult {}
  /** Before `predict`. */
  onPredictBegin(): HookResult {}
  /** After `predict`. */
  onPredictEnd(): HookResult {}
}
