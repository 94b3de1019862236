/** Keras' progress bar, to the byte. */

import { OnnxHubError } from "../errors.ts";
import { type Console, processConsole } from "./console.ts";
import { exponential, fixed, integer } from "./python_format.ts";

/** What a {@linkcode ProgressBar} can be made with. */
export interface ProgressBarOptions {
  /** Steps expected, or null where that isn't known. */
  readonly target: number | null;
  /** Characters of the bar itself. Default: 20. */
  readonly width?: number;
  /** 0 prints nothing, 1 a bar that moves, 2 one line at the end. Default: 1. */
  readonly verbose?: 0 | 1 | 2;
  /** Seconds that pass at least between two updates. Default: 0.05. */
  readonly interval?: number;
  /** Metrics that are shown as they are, all others being averaged over the steps. Default: none. */
  readonly statefulMetrics?: readonly string[];
  /** Metrics that are averaged, all others being shown as they are. Only one of the two lists can be given. */
  readonly statelessMetrics?: readonly string[];
  /** What a step is called. Default: "step". */
  readonly unitName?: string;
  /** Where to print. Default: the process's standard output. */
  readonly console?: Console;
}

/** A progress bar that prints what Keras' `Progbar` (`keras/src/utils/progbar.py`) prints, byte for byte. */
export class ProgressBar {
  /** Steps expected; may be set once it is known. */
  target: number | null;
  readonly #width: number;
  readonly #verbose: 0 | 1 | 2;
  readonly #interval: number;
  readonly #unit: string;
  readonly #console: Console;
  readonly #averaged: (metric: string) => boolean;
  readonly #values = new Map<string, { sum: number; count: number }>();
  readonly #start: number;
  #seen = 0;
  #lastUpdate = 0;
  #afterFirstStep: number | null = null;
  #previousWidth = 0;

  /** Starts the clock. Throws "training/option" when both lists of metrics are given. */
  constructor(options: ProgressBarOptions) {
    const { statefulMetrics, statelessMetrics } = options;
    if (statefulMetrics && statelessMetrics) {
      throw new OnnxHubError("training/option", "Only one of `statefulMetrics` or `statelessMetrics` can be provided", {
        path: "ProgressBar",
        remedy: "Drop one of the two lists: each says that all other metrics are of the other kind.",
      });
    }
    this.target = options.target;
    this.#width = options.width ?? 20;
    this.#verbose = options.verbose ?? 1;
    this.#interval = options.interval ?? 0.05;
    this.#unit = options.unitName ?? "step";
    this.#console = options.console ?? processConsole;
    this.#averaged = statelessMetrics ? (name) => statelessMetrics.includes(name) : (name) => !statefulMetrics?.includes(name);
    this.#start = this.#console.clock();
  }

  /** Shows step `current` (from 1) with its values; `finalize` (default: whether the target is reached) ends the line. */
  update(current: number, values: Iterable<readonly [string, number]> = [], finalize?: boolean): void {
    const final = finalize ?? (this.target !== null && current >= this.target);
    for (const [name, value] of values) this.#take(name, value, current, final);
    this.#seen = current;
    const now = this.#console.clock();
    const duration = this.#stepDuration(current, now);
    if (this.#verbose === 1) {
      if (now - this.#lastUpdate < this.#interval && !final) return;
      this.#printBar(current, now, duration, final);
    } else if (this.#verbose === 2 && final && this.target) {
      const elapsed = `${fixed(now - this.#start, 0)}s`;
      this.#console.write(
        `${this.#counter(current, this.target)} - ${elapsed} -${this.#durationText(duration)}${this.#metricsText(false)}\n`,
      );
    }
    this.#lastUpdate = now;
  }

  /** Shows `steps` more. */
  add(steps: number, values: Iterable<readonly [string, number]> = []): void {
    this.update(this.#seen + steps, values);
  }

  #take(name: string, value: number, current: number, final: boolean): void {
    if (!this.#averaged(name) || final) {
      this.#values.set(name, { sum: value, count: 1 });
      return;
    }
    const steps = Math.max(current - this.#seen, 1);
    const before = this.#values.get(name) ?? { sum: 0, count: 0 };
    this.#values.set(name, { sum: before.sum + value * steps, count: before.count + steps });
  }

  /** The first step is left out of the estimate once there are others: it is rarely like them. */
  #stepDuration(current: number, now: number): number {
    if (current === 0) return 0;
    const duration = this.#afterFirstStep !== null && current > 1
      ? (now - this.#afterFirstStep) / (current - 1)
      : (now - this.#start) / current;
    if (current === 1) this.#afterFirstStep = now;
    return duration;
  }

  #printBar(current: number, now: number, duration: number, final: boolean): void {
    let message = this.#console.dynamic ? "\b".repeat(this.#previousWidth) + "\r" : "\n";
    let bar: string;
    let hidden = 0; // characters that take no room on the screen
    if (this.target) {
      bar = `\x1b[1m${this.#counter(current, this.target)}\x1b[0m `;
      hidden += 8;
      const done = Math.trunc(this.#width * (current / this.target));
      if (done > 0) {
        bar += `\x1b[32m${"━".repeat(done)}\x1b[0m`;
        hidden += 9;
      }
      bar += `\x1b[37m${"━".repeat(Math.max(0, this.#width - done))}\x1b[0m`;
      hidden += 9;
    } else bar = `${integer(current, 7)}/Unknown`;
    const time = this.target && !final ? remaining(duration * (this.target - current)) : `${fixed(now - this.#start, 0)}s`;
    hidden += 8;
    const info = ` \x1b[1m${time}\x1b[0m${this.#durationText(duration)}${this.#metricsText(true)}`;
    message += bar + info;
    const width = length(bar) + length(info) - hidden;
    message += " ".repeat(Math.max(0, this.#previousWidth - width));
    if (final) message += "\n";
    this.#console.write(message);
    this.#previousWidth = width;
  }

  #counter(current: number, target: number): string {
    return `${integer(current, Math.trunc(Math.log10(target)) + 1)}/${integer(target)}`;
  }

  #durationText(duration: number): string {
    if (duration >= 1 || duration === 0) return ` ${fixed(duration, 0)}s/${this.#unit}`;
    if (duration >= 1e-3) return ` ${fixed(duration * 1e3, 0)}ms/${this.#unit}`;
    return ` ${fixed(duration * 1e6, 0)}us/${this.#unit}`;
  }

  /** In the one-line form Keras compares the value itself, not its magnitude, so that -0.5 prints as -5.0000e-01. */
  #metricsText(magnitude: boolean): string {
    let text = "";
    for (const [name, { sum, count }] of this.#values) {
      const mean = sum / Math.max(1, count);
      text += ` - ${name}: ${(magnitude ? Math.abs(mean) : mean) > 1e-3 ? fixed(mean, 4) : exponential(mean, 4)}`;
    }
    return text;
  }
}

/** Python counts characters where JavaScript counts UTF-16 units. */
function length(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/** `h:mm:ss`, `m:ss` or seconds. */
function remaining(eta: number): string {
  if (eta > 3600) {
    return `${integer(Math.floor(eta / 3600))}:${integer(Math.floor((eta % 3600) / 60), 2, true)}:${integer(eta % 60, 2, true)}`;
  }
  if (eta > 60) return `${integer(Math.floor(eta / 60))}:${integer(eta % 60, 2, true)}`;
  return `${integer(eta)}s`;
}
