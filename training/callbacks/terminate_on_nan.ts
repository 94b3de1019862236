/** The callback that ends training when the loss is no number any more. */

import { OnnxHubError } from "../../errors.ts";
import { floatRepr } from "../python_format.ts";
import { Callback, type Logs } from "./callback.ts";
import { checkOptions } from "./monitor_callback.ts";

/** What {@linkcode TerminateOnNaN} takes. */
export interface TerminateOnNaNOptions {
  /** Whether to throw "training/nan-loss" at once, before any callback's `onTrainEnd`. Default: false. */
  readonly raiseError?: boolean;
}

/** Stops training when the loss is NaN or infinite, as Keras' `TerminateOnNaN`. */
export class TerminateOnNaN extends Callback {
  readonly raiseError: boolean;

  /** Throws "training/unknown-option". */
  constructor(options: TerminateOnNaNOptions = {}) {
    super();
    checkOptions("TerminateOnNaN", options, ["raiseError"]);
    this.raiseError = options.raiseError ?? false;
  }

  /** Looks at the loss. */
  override onBatchEnd(batch: number, logs: Logs): void {
    if (logs.loss === undefined || Number.isFinite(logs.loss)) return;
    if (this.raiseError) {
      throw new OnnxHubError("training/nan-loss", `NaN or Inf loss encountered at batch ${batch}`, {
        path: `batch ${batch}`,
        expected: "a finite loss",
        found: floatRepr(logs.loss),
        remedy: "Lower the learning rate or clip the gradients (`globalClipnorm`), and look for NaN in the input.",
      });
    }
    this.model.console.write(`Batch ${batch}: Invalid loss, terminating training\n`);
    this.model.stopTraining = true;
  }
}
