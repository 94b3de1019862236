/** The callback that sets the learning rate before each epoch. */

import { OnnxHubError } from "../../errors.ts";
import { floatRepr } from "../python_format.ts";
import { Callback, type Logs } from "./callback.ts";
import { checkOptions } from "./monitor_callback.ts";

/** What {@linkcode LearningRateScheduler} takes. */
export interface LearningRateSchedulerOptions {
  /** The epoch, from 0, and the rate so far, to the rate of that epoch. */
  readonly schedule: (epoch: number, learningRate: number) => number;
  /** 1 says what it does. Default: 0. */
  readonly verbose?: 0 | 1;
}

/**
 * Sets the learning rate before each epoch, as Keras' `LearningRateScheduler`; adds `learning_rate` to the logs.
 *
 * @example
 * ```ts
 * import { callbacks } from "onnxhub";
 * const scheduler = new callbacks.LearningRateScheduler({ schedule: (epoch, rate) => (epoch < 10 ? rate : rate * Math.exp(-0.1)) });
 * console.log(scheduler.schedule(0, 0.01)); // 0.01
 * ```
 */
export class LearningRateScheduler extends Callback {
  readonly schedule: (epoch: number, learningRate: number) => number;
  readonly verbose: 0 | 1;

  /** Takes the function alone too. Throws "training/option" for what is none. */
  constructor(options: LearningRateSchedulerOptions | LearningRateSchedulerOptions["schedule"]) {
    super();
    const named: LearningRateSchedulerOptions = typeof options === "function" ? { schedule: options } : options;
    checkOptions("LearningRateScheduler", Object(named), ["schedule", "verbose"]);
    if (typeof named?.schedule !== "function") {
      throw new OnnxHubError("training/option", "The schedule is a function", {
        path: "LearningRateScheduler.schedule",
        expected: "a function of the epoch and the learning rate",
        found: String(named?.schedule ?? named),
      });
    }
    this.schedule = named.schedule;
    this.verbose = named.verbose ?? 0;
  }

  /** Sets the rate. In an epoch that a restored run goes on with in the middle, the rate is set already. */
  override onEpochBegin(epoch: number): void {
    if (this.model.startBatch > 0) return;
    const { optimizer, console } = this.model;
    const rate: unknown = this.schedule(epoch, optimizer.learningRate);
    if (typeof rate !== "number") {
      throw new OnnxHubError("training/schedule", "The output of the `schedule` function should be a float", {
        path: "LearningRateScheduler.schedule",
        expected: "a number",
        found: rate === null ? "null" : typeof rate,
      });
    }
    optimizer.learningRate = rate;
    if (this.verbose > 0) console.write(`\nEpoch ${epoch + 1}: LearningRateScheduler setting learning rate to ${floatRepr(rate)}.\n`);
  }

  /** Adds the rate to the logs. */
  override onEpochEnd(_epoch: number, logs: Logs): void {
    logs.learning_rate = this.model.optimizer.learningRate;
  }
}
