/** The callback that prints the progress bar. */

import { ProgressBar } from "../progress_bar.ts";
import { Callback, type CallbackParams, type Logs } from "./callback.ts";

/** Prints Keras' progress bar. `fit`, `evaluate` and `predict` add one by themselves unless `verbose` is 0. */
export class ProgbarLogger extends Callback {
  #bar: ProgressBar | null = null;
  #verbose: 0 | 1 | 2 = 1;
  #epochs = 1;
  #target: number | null = null;
  #seen = 0;
  #inFit = false;

  /** Takes what to print from the parameters; "auto" is 1. */
  override setParams(params: CallbackParams): void {
    super.setParams(params);
    this.#verbose = params.verbose === "auto" ? 1 : params.verbose;
    this.#epochs = params.epochs;
    this.#target = params.steps;
  }

  /** From here on validation is silent. */
  override onTrainBegin(): void {
    this.#inFit = true;
  }

  /** A new bar for `evaluate`. */
  override onTestBegin(): void {
    if (!this.#inFit) this.#newBar();
  }

  /** A new bar for `predict`. */
  override onPredictBegin(): void {
    this.#newBar();
  }

  /** A new bar and, with several epochs, the line above it. */
  override onEpochBegin(epoch: number): void {
    this.#newBar();
    if (this.#verbose !== 0 && this.#epochs > 1) this.model.console.write(`Epoch ${epoch + 1}/${this.#epochs}\n`);
  }

  /** Moves the bar. */
  override onTrainBatchEnd(batch: number, logs: Logs): void {
    this.#update(batch, logs);
  }

  /** Moves `evaluate`'s bar. */
  override onTestBatchEnd(batch: number, logs: Logs): void {
    if (!this.#inFit) this.#update(batch, logs);
  }

  /** Moves `predict`'s bar. */
  override onPredictBatchEnd(batch: number): void {
    this.#update(batch, {});
  }

  /** Ends the line. */
  override onEpochEnd(_epoch: number, logs: Logs): void {
    this.#finish(logs);
  }

  /** Ends `evaluate`'s line. */
  override onTestEnd(logs: Logs): void {
    if (!this.#inFit) this.#finish(logs);
  }

  /** Ends `predict`'s line. */
  override onPredictEnd(): void {
    this.#finish({});
  }

  #newBar(): ProgressBar {
    this.#seen = 0;
    this.#bar = new ProgressBar({ target: this.#target, verbose: this.#verbose, statelessMetrics: [], console: this.model.console });
    return this.#bar;
  }

  #update(batch: number, logs: Logs): void {
    const bar = this.#bar ?? this.#newBar();
    this.#seen = batch + 1;
    if (this.#verbose === 1) bar.update(this.#seen, Object.entries(logs), false);
  }

  #finish(logs: Logs): void {
    const bar = this.#bar ?? this.#newBar();
    if (this.#target === null) bar.target = this.#target = this.#seen;
    bar.update(this.#target, Object.entries(logs), true);
  }
}
