/** The running values of loss and metrics: sums over batches, in float32 as Keras keeps them. */

import type { MetricResult } from "../codegen/metrics.ts";
import type { Logs } from "./callbacks/callback.ts";
import type { BatchResult } from "./engine.ts";

/** What becomes of a metric's quotient. Keras computes it in float32. */
const results: Readonly<Record<MetricResult, (quotient: number) => number>> = {
  mean: (quotient) => quotient,
  sqrt: (quotient) => Math.fround(Math.sqrt(quotient)),
  exp: (quotient) => Math.fround(Math.exp(quotient)),
};

/** Two sums, whose quotient is the value. */
export interface Sums {
  readonly total: number;
  readonly count: number;
}

/** Sums up batches and gives the values so far. */
export class RunningMetrics {
  readonly #kinds: Readonly<Record<string, MetricResult>>;
  #sums: Record<string, Sums> = {};

  /** `kinds` says of a metric what its quotient is turned into; none: it stays. */
  constructor(kinds: Readonly<Record<string, MetricResult>> = {}) {
    this.#kinds = kinds;
  }

  /** The sums so far, to go on from. */
  get sums(): Readonly<Record<string, Sums>> {
    return this.#sums;
  }

  /** Starts anew, or from sums. */
  reset(sums: Readonly<Record<string, Sums>> = {}): void {
    this.#sums = { ...sums };
  }

  /** Adds a batch: its loss weighs as much as it has rows. */
  add(result: BatchResult): void {
    this.#add("loss", Math.fround(Math.fround(result.loss) * result.size), result.size);
    for (const [name, { total, count }] of Object.entries(result.metrics)) this.#add(name, total, count);
  }

  /** The values by name; 0 where nothing was counted. */
  logs(): Logs {
    return Object.fromEntries(
      Object.entries(this.#sums).map(([name, { total, count }]) => {
        const quotient = count === 0 ? 0 : Math.fround(total / count);
        return [name, results[this.#kinds[name] ?? "mean"](quotient)];
      }),
    );
  }

  #add(name: string, total: number, count: number): void {
    const before = this.#sums[name] ?? { total: 0, count: 0 };
    this.#sums[name] = { total: Math.fround(before.total + Math.fround(total)), count: Math.fround(before.count + Math.fround(count)) };
  }
}
