/** Which batches make up an epoch: Keras' rules for passes over the data, `stepsPerEpoch` and data that run out. */

import { OnnxHubError } from "../../errors.ts";
import type { BatchSource, LazyBatch, Pass } from "./source.ts";

const RAN_OUT = "Your input ran out of data; interrupting training. Make sure that your dataset or generator can generate at least " +
  "`stepsPerEpoch * epochs` batches. You may need a dataset that repeats.";

/**
 * Deals a source's batches out to epochs.
 *
 * Without `stepsPerEpoch` an epoch is one pass. With it, one pass goes on across epochs, and ends the epoch early, with a warning, when it runs out.
 */
export class Epochs {
  readonly #source: BatchSource;
  readonly #stepsPerEpoch: number | null;
  readonly #path: string;
  readonly #warn: (text: string) => void;
  #pass: Pass | null = null;
  readonly #firstPass: number;
  #passes: number;
  #inPass = 0; // batches taken from the pass
  #step = 0; // batches taken in the epoch
  #known: number | null;
  #over = false;

  /** `firstPass` numbers the first pass. Throws "data/endless" for an endless source without `stepsPerEpoch`. */
  constructor(
    source: BatchSource,
    stepsPerEpoch: number | null,
    options: { path: string; firstPass: number; warn: (text: string) => void },
  ) {
    if (source.batches === Infinity && stepsPerEpoch === null) {
      throw new OnnxHubError("data/endless", "When passing an infinitely repeating dataset, you must specify the number of steps", {
        path: options.path,
        remedy: "Pass `stepsPerEpoch` to fit, `validationSteps` for its validation data, `steps` to evaluate and predict.",
      });
    }
    this.#source = source;
    this.#stepsPerEpoch = stepsPerEpoch;
    this.#path = options.path;
    this.#warn = options.warn;
    this.#passes = this.#firstPass = options.firstPass;
    this.#known = source.batches === Infinity ? null : source.batches;
  }

  /** Batches in an epoch, where that is known. */
  get steps(): number | null {
    return this.#stepsPerEpoch ?? this.#known;
  }

  /** Starts an epoch. */
  async begin(): Promise<void> {
    this.#step = 0;
    this.#over = false;
    if (this.#pass && this.#stepsPerEpoch !== null) return;
    await this.#reopen();
  }

  /** The next batch of the epoch, or null after its last. */
  async next(): Promise<LazyBatch | null> {
    if (this.#over || (this.#stepsPerEpoch !== null && this.#step === this.#stepsPerEpoch)) return null;
    if (this.#known !== null && this.#inPass >= this.#known) return await this.#runOut();
    const batch = await this.#pass!.next();
    if (!batch) {
      this.#known ??= this.#stepsPerEpoch === null ? this.#inPass : null;
      return await this.#runOut();
    }
    this.#inPass++;
    this.#step++;
    return batch;
  }

  /** Ends an epoch. One without a batch throws "data/exhausted", or "data/empty" where there never was any. */
  async end(): Promise<void> {
    if (this.#step === 0) throw this.#noBatch();
    if (this.#stepsPerEpoch === null || (this.#known !== null && this.#inPass >= this.#known)) await this.close();
  }

  /** Goes on from a later epoch: takes what the epochs from `from` to `to` would have taken. */
  async skipEpochs(from: number, to: number): Promise<void> {
    if (this.#stepsPerEpoch === null) this.#passes += to - from;
    else {
      for (let epoch = from; epoch < to; epoch++) {
        await this.begin();
        while (await this.next()) { /* only taken, not read */ }
        await this.end();
      }
    }
  }

  /** Gives the current pass up; the next epoch starts another. */
  async close(): Promise<void> {
    const pass = this.#pass;
    this.#pass = null;
    await pass?.close();
  }

  async #reopen(): Promise<void> {
    await this.close();
    this.#pass = this.#source.open(this.#passes++);
    this.#inPass = 0;
  }

  async #runOut(): Promise<null> {
    this.#over = true;
    if (this.#stepsPerEpoch !== null) {
      this.#warn(RAN_OUT);
      await this.close();
    }
    return null;
  }

  #noBatch(): OnnxHubError {
    const never = this.#passes <= this.#firstPass + 1;
    return new OnnxHubError(
      never ? "data/empty" : "data/exhausted",
      never ? "The dataset must yield at least one batch. Received an empty one" : "Your input ran out of data",
      {
        path: this.#path,
        expected: "at least one batch an epoch",
        found: "none",
        remedy: never
          ? undefined
          : "A generator can be gone through only once: pass a function that makes it, an iterable that can start again, or `stepsPerEpoch`.",
      },
    );
  }
}
