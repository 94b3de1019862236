/** The callback that records what each epoch gave; `fit` returns it. */

import { Callback, type Logs } from "./callback.ts";

/**
 * Records the logs of every epoch, as Keras' `History`. `fit` adds one by itself and returns it.
 *
 * @example
 * ```ts
 * import { callbacks } from "onnxhub";
 * const history = new callbacks.History();
 * console.log(history.history, history.epoch); // {} []
 * ```
 */
export class History extends Callback {
  /** A list for each log, one value an epoch: `{ loss: [1.72, 1.2], val_loss: [1.23, 1.07] }`. */
  readonly history: Record<string, number[]> = {};
  /** The epochs that ran, counted from 0. */
  epoch: number[] = [];

  /** Starts the list of epochs anew. */
  override onTrainBegin(): void {
    this.epoch = [];
  }

  /** Records. */
  override onEpochEnd(epoch: number, logs: Logs): void {
    this.epoch.push(epoch);
    for (const [name, value] of Object.entries(logs)) (this.history[name] ??= []).push(value);
    this.model.history = this;
  }
}
