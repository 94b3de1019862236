/** The callback that ends training when a value stops improving. */

import { OnnxHubError } from "../../errors.ts";
import type { Tensor } from "../../runtime/tensor.ts";
import type { Logs } from "./callback.ts";
import { checkOptions, MonitorCallback, type MonitorOptions } from "./monitor_callback.ts";

/** What {@linkcode EarlyStopping} takes. */
export interface EarlyStoppingOptions extends MonitorOptions {
  /** Least change that counts as an improvement. Default: 0. */
  readonly minDelta?: number;
  /** Epochs without improvement after which training stops. Default: 0. */
  readonly patience?: number;
  /** 1 says what it does. Default: 0. */
  readonly verbose?: 0 | 1;
  /** A value that has to be beaten too for the patience to start anew. Default: null. */
  readonly baseline?: number | null;
  /** Whether the weights of the best epoch come back at the end. Default: false. */
  readonly restoreBestWeights?: boolean;
  /** Epochs before which nothing is watched. Default: 0. */
  readonly startFromEpoch?: number;
}

/**
 * Stops training when a value has stopped improving, as Keras' `EarlyStopping`.
 *
 * @example
 * ```ts
 * import { callbacks } from "onnxhub";
 * const stop = new callbacks.EarlyStopping({ monitor: "val_loss", patience: 3, restoreBestWeights: true });
 * console.log(stop.patience); // 3
 * ```
 */
export class EarlyStopping extends MonitorCallback {
  readonly patience: number;
  readonly verbose: 0 | 1;
  readonly baseline: number | null;
  readonly restoreBestWeights: boolean;
  readonly startFromEpoch: number;
  /** Epochs since the last improvement. */
  wait = 0;
  /** The epoch that training stopped in, from 0; 0 also where it didn't. */
  stoppedEpoch = 0;
  /** The best epoch so far, from 0. */
  bestEpoch = 0;
  #bestWeights: readonly Tensor<"float32">[] | null = null;

  /** Throws "training/unknown-option" and "training/option". */
  constructor(options: EarlyStoppingOptions = {}) {
    checkOptions("EarlyStopping", options, [
      "monitor",
      "minDelta",
      "patience",
      "verbose",
      "mode",
      "baseline",
      "restoreBestWeights",
      "startFromEpoch",
    ]);
    for (const name of ["patience", "startFromEpoch"] as const) {
      const value: unknown = options[name] ?? 0;
      if (typeof value === "number" && value >= 0) continue;
      throw new OnnxHubError("training/option", "That is no number of epochs", {
        path: `EarlyStopping.${name}`,
        expected: "a number, 0 or more",
        found: typeof value === "string" ? JSON.stringify(value) : String(value),
      });
    }
    super(options, null, options.minDelta);
    this.patience = options.patience ?? 0;
    this.verbose = options.verbose ?? 0;
    this.baseline = options.baseline ?? null;
    this.restoreBestWeights = options.restoreBestWeights ?? false;
    this.startFromEpoch = options.startFromEpoch ?? 0;
  }

  /** Forgets an earlier run. */
  override onTrainBegin(): void {
    this.wait = 0;
    this.stoppedEpoch = 0;
    this.best = null;
    this.bestEpoch = 0;
    this.#bestWeights = null;
  }

  /** Watches. */
  override async onEpochEnd(epoch: number, logs: Logs): Promise<void> {
    this.direction();
    const current = this.watched(logs);
    if (current === undefined) {
      this.model.console.warn(
        `Early stopping conditioned on metric \`${this.monitor}\` which is not available. Available metrics are: ${
          Object.keys(logs).join(",")
        }`,
      );
      return;
    }
    if (epoch < this.startFromEpoch) return;
    if (this.restoreBestWeights && !this.#bestWeights) await this.#keep(epoch);
    this.wait++;
    if (this.isImprovement(current, this.best)) {
      this.best = current;
      this.bestEpoch = epoch;
      if (this.restoreBestWeights) await this.#keep(epoch);
      if (this.baseline === null || this.isImprovement(current, this.baseline)) this.wait = 0;
      return;
    }
    if (this.wait >= this.patience && epoch > 0) {
      this.stoppedEpoch = epoch;
      this.model.stopTraining = true;
    }
  }

  /** Says that it stopped, and brings the best weights back. */
  override async onTrainEnd(): Promise<void> {
    const { console } = this.model;
    if (this.stoppedEpoch > 0 && this.verbose > 0) console.write(`Epoch ${this.stoppedEpoch + 1}: early stopping\n`);
    if (!this.restoreBestWeights || !this.#bestWeights) return;
    if (this.verbose > 0) console.write(`Restoring model weights from the end of the best epoch: ${this.bestEpoch + 1}.\n`);
    await this.model.setWeights(this.#bestWeights);
  }

  async #keep(epoch: number): Promise<void> {
    this.#bestWeights = await this.model.getWeights();
    this.bestEpoch = epoch;
  }
}
