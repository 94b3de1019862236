/** Many callbacks as one: each hook is called on all of them in order, one awaited before the next. */

import type { Callback, CallbackModel, CallbackParams, Logs, PredictLogs } from "./callback.ts";
import { History } from "./history.ts";
import { ProgbarLogger } from "./progbar_logger.ts";

/** What a {@linkcode CallbackList} adds and hands to its callbacks. */
export interface CallbackListOptions {
  readonly model: CallbackModel;
  readonly params: CallbackParams;
  /** Adds a History where the list has none. Default: false. */
  readonly addHistory?: boolean;
  /** Adds a ProgbarLogger where the list has none. Default: false. */
  readonly addProgbar?: boolean;
}

/** The hooks that get logs of numbers after an index. */
type BatchHook = "onEpochBegin" | "onEpochEnd" | "onTrainBatchBegin" | "onTrainBatchEnd" | "onTestBatchBegin" | "onTestBatchEnd";
/** The hooks that get logs of numbers only. */
type RunHook = "onTrainBegin" | "onTrainEnd" | "onTestBegin" | "onTestEnd";

/** Keras' `CallbackList`: callbacks in the order given, then History, then ProgbarLogger, then what saves the state the others left. */
export class CallbackList {
  readonly callbacks: readonly Callback[];
  /** The one that `fit` returns. */
  readonly history: History | null;

  /** Adds the defaults and hands out model and parameters. */
  constructor(callbacks: readonly Callback[], options: CallbackListOptions) {
    const list = [...callbacks];
    let history = list.findLast((callback): callback is History => callback instanceof History) ?? null;
    if (!history && options.addHistory) list.push(history = new History());
    if (options.addProgbar && !list.some((callback) => callback instanceof ProgbarLogger)) list.push(new ProgbarLogger());
    this.history = history;
    this.callbacks = [...list.filter((callback) => !callback.runsLast), ...list.filter((callback) => callback.runsLast)];
    if (history) options.model.history = history;
    for (const callback of this.callbacks) {
      callback.setModel(options.model);
      callback.setParams(options.params);
    }
  }

  /** A hook of an epoch or a batch. The callbacks share one sorted copy of the logs, and each sees what those before it added. */
  async at(hook: BatchHook, index: number, logs: Logs = {}): Promise<void> {
    const shared = sorted(logs);
    for (const callback of this.callbacks) await callback[hook](index, shared);
  }

  /** A hook of a whole run. */
  async run(hook: RunHook, logs: Logs = {}): Promise<void> {
    const shared = sorted(logs);
    for (const callback of this.callbacks) await callback[hook](shared);
  }

  /** `predict`'s begin and end. */
  async predict(hook: "onPredictBegin" | "onPredictEnd"): Promise<void> {
    for (const callback of this.callbacks) await callback[hook]();
  }

  /** Before one of `predict`'s batches. */
  async predictBatchBegin(batch: number): Promise<void> {
    for (const callback of this.callbacks) await callback.onPredictBatchBegin(batch);
  }

  /** After one of `predict`'s batches. */
  async predictBatchEnd(batch: number, logs: PredictLogs): Promise<void> {
    for (const callback of this.callbacks) await callback.onPredictBatchEnd(batch, logs);
  }
}

function sorted(logs: Logs): Logs {
  return Object.fromEntries(Object.entries(logs).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}
