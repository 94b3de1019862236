/** The base of the callbacks that watch one value: which way is better, and whether a value is an improvement. */

import { nearest, OnnxHubError } from "../../errors.ts";
import { Callback, type Logs } from "./callback.ts";

/** Which way a watched value improves; "auto" takes it from the metric. */
export type MonitorMode = "auto" | "min" | "max";

/** What every watching callback takes. */
export interface MonitorOptions {
  /** The log to watch. Default: "val_loss". */
  readonly monitor?: string;
  /** Default: "auto". */
  readonly mode?: MonitorMode;
}

/** Throws "training/unknown-option" for an option that a callback doesn't have, with the nearest one that it has. */
export function checkOptions(owner: string, options: object, known: readonly string[]): void {
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    const suggestion = nearest(name, known);
    throw new OnnxHubError("training/unknown-option", `Unknown option \`${name}\``, {
      path: `${owner}.${name}`,
      expected: `one of ${known.join(", ")}`,
      remedy: suggestion === undefined ? undefined : `Did you mean \`${suggestion}\`?`,
    });
  }
}

/** Watches a value in the logs, as Keras' `MonitorCallback`. */
export abstract class MonitorCallback extends Callback {
  readonly monitor: string;
  readonly mode: MonitorMode;
  readonly minDelta: number;
  /** The best value so far, or null. */
  best: number | null;
  #sign: 1 | -1 | null = null;

  /** Throws "training/option" for an unknown mode, and a least change that is no number. */
  constructor(options: MonitorOptions, baseline: number | null = null, minDelta = 0) {
    super();
    const { monitor = "val_loss", mode = "auto" } = options;
    if (!["auto", "min", "max"].includes(mode)) {
      throw new OnnxHubError("training/option", "Unknown mode", {
        path: `${new.target.name}.mode`,
        expected: '"auto", "min" or "max"',
        found: JSON.stringify(mode),
      });
    }
    if (!Number.isFinite(minDelta)) {
      throw new OnnxHubError("training/option", "The least change is a number", {
        path: `${new.target.name}.minDelta`,
        expected: "a finite number",
        found: String(minDelta),
      });
    }
    this.monitor = monitor;
    this.mode = mode;
    this.best = baseline;
    this.minDelta = Math.abs(minDelta);
  }

  /** 1 where greater is better, -1 where less is; throws "training/monitor" where "auto" can't tell. */
  protected direction(): 1 | -1 {
    if (this.#sign !== null) return this.#sign;
    const metric = this.monitor.replace(/^val_/, "");
    const known = this.model.metricDirections;
    if (this.mode !== "auto") this.#sign = this.mode === "min" ? -1 : 1;
    else if (Object.hasOwn(known, metric)) this.#sign = known[metric] === "up" ? 1 : -1;
    else if (metric === "loss") this.#sign = -1;
    else {
      throw new OnnxHubError(
        "training/monitor",
        `${this.constructor.name} callback received monitor=${this.monitor}, but whether that metric should be maximized or minimized can't be ` +
          "determined automatically",
        {
          path: `${this.constructor.name}.monitor`,
          expected: `a value that training logs: ${
            ["loss", ...Object.keys(known).filter((name) => name !== "loss")].join(", ")
          }, with or without val_`,
          remedy: "Pass `mode: 'max'` to monitor the highest value, or `mode: 'min'` to use the lowest.",
        },
      );
    }
    return this.#sign;
  }

  /** Whether a value is better than the reference by more than `minDelta`; in float32, as Keras compares. Anything is better than null. */
  protected isImprovement(value: number, reference: number | null): boolean {
    const direction = this.direction();
    if (reference === null) return true;
    const shifted = Math.fround(value - direction * this.minDelta);
    return direction === 1 ? shifted > Math.fround(reference) : shifted < Math.fround(reference);
  }

  /** The watched value, or undefined. */
  protected watched(logs: Logs): number | undefined {
    return Object.hasOwn(logs, this.monitor) ? logs[this.monitor] : undefined;
  }
}
