/** The callback that lowers the learning rate when a value stops improving. */

import { OnnxHubError } from "../../errors.ts";
import { floatRepr } from "../python_format.ts";
import type { Logs } from "./callback.ts";
import { checkOptions, MonitorCallback, type MonitorOptions } from "./monitor_callback.ts";

/** What {@linkcode ReduceLROnPlateau} takes. */
export interface ReduceLROnPlateauOptions extends MonitorOptions {
  /** What the rate is multiplied by, below 1. Default: 0.1. */
  readonly factor?: number;
  /** Epochs without improvement after which the rate goes down. Default: 10. */
  readonly patience?: number;
  /** 1 says what it does. Default: 0. */
  readonly verbose?: 0 | 1;
  /** Least change that counts as an improvement. Default: 1e-4. */
  readonly minDelta?: number;
  /** Epochs to wait after a reduction before watching again. Default: 0. */
  readonly cooldown?: number;
  /** The rate goes no lower. Default: 0. */
  readonly minLr?: number;
}

/**
 * Multiplies the learning rate by a factor when a value has stopped improving, as Keras' `ReduceLROnPlateau`; adds `learning_rate` to the logs.
 *
 * @example
 * ```ts
 * import { callbacks } from "onnxhub";
 * const reduce = new callbacks.ReduceLROnPlateau({ factor: 0.2, patience: 5, minLr: 1e-6 });
 * console.log(reduce.factor); // 0.2
 * ```
 */
export class ReduceLROnPlateau extends MonitorCallback {
  readonly factor: number;
  readonly patience: number;
  readonly verbose: 0 | 1;
  readonly cooldown: number;
  readonly minLr: number;
  /** Epochs since the last improvement. */
  wait = 0;
  /** Epochs of the cooldown that are left. */
  cooldownCounter = 0;

  /** Throws "training/option" for a factor of 1 or more. */
  constructor(options: ReduceLROnPlateauOptions = {}) {
    checkOptions("ReduceLROnPlateau", options, ["monitor", "factor", "patience", "verbose", "mode", "minDelta", "cooldown", "minLr"]);
    super(options, null, options.minDelta ?? 1e-4);
    this.factor = options.factor ?? 0.1;
    if (!(this.factor < 1)) {
      throw new OnnxHubError("training/option", "ReduceLROnPlateau does not support a factor >= 1.0", {
        path: "ReduceLROnPlateau.factor",
        expected: "a number below 1",
        found: String(this.factor),
      });
    }
    this.patience = options.patience ?? 10;
    this.verbose = options.verbose ?? 0;
    this.cooldown = options.cooldown ?? 0;
    this.minLr = options.minLr ?? 0;
  }

  /** Forgets an earlier run. */
  override onTrainBegin(): void {
    this.best = null;
    this.wait = 0;
    this.cooldownCounter = 0;
  }

  /** Watches. */
  override onEpochEnd(epoch: number, logs: Logs): void {
    this.direction();
    logs.learning_rate = this.model.optimizer.learningRate;
    const current = this.watched(logs);
    if (current === undefined) {
      this.model.console.warn(
        `Learning rate reduction is conditioned on metric \`${this.monitor}\` which is not available. Available metrics are: ${
          Object.keys(logs).join(",")
        }.`,
      );
      return;
    }
    if (this.cooldownCounter > 0) {
      this.cooldownCounter--;
      this.wait = 0;
    }
    if (this.isImprovement(current, this.best)) {
      this.best = current;
      this.wait = 0;
    } else if (this.cooldownCounter === 0 && ++this.wait >= this.patience && this.#reduce(epoch)) {
      this.cooldownCounter = this.cooldown;
      this.wait = 0;
    }
  }

  #reduce(epoch: number): boolean {
    const { optimizer, console } = this.model;
    const before = optimizer.learningRate;
    if (!(before > Math.fround(this.minLr))) return false;
    const rate = Math.max(before * this.factor, this.minLr);
    optimizer.learningRate = rate;
    if (this.verbose > 0) console.write(`\nEpoch ${epoch + 1}: ReduceLROnPlateau reducing learning rate to ${floatRepr(rate)}.\n`);
    return true;
  }
}
