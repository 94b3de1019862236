/** The batches of an epoch, each prepared while the one before it runs. */

import { OnnxHubError } from "../errors.ts";
import type { Epochs, Preparation, PreprocessCall } from "./data.ts";
import { prepare } from "./data.ts";
import type { Batch } from "./engine.ts";

/** A batch and its index in the epoch. */
export interface NumberedBatch {
  readonly step: number;
  readonly batch: Batch;
}

/** Hands out an epoch's batches with one prepared ahead. */
export class PreparedBatches {
  readonly #epochs: Epochs;
  readonly #preparation: Preparation;
  readonly #call: Omit<PreprocessCall, "step">;
  #step: number;
  #ahead: Promise<NumberedBatch | null> | null = null;

  /** `epochs` has begun; `firstStep` batches were taken already. */
  constructor(epochs: Epochs, preparation: Preparation, call: Omit<PreprocessCall, "step">, firstStep = 0) {
    this.#epochs = epochs;
    this.#preparation = preparation;
    this.#call = call;
    this.#step = firstStep;
  }

  /** Starts to prepare the next batch. To be called once the engine is at work on the current one. */
  prefetch(): void {
    if (this.#ahead) return;
    this.#ahead = this.#prepare();
    // It is awaited in next(), or in settle(); until then a failure isn't an unhandled one.
    this.#ahead.catch(() => {});
  }

  /** The next batch, or null after the last. */
  async next(): Promise<NumberedBatch | null> {
    this.prefetch();
    const ahead = this.#ahead;
    this.#ahead = null;
    return await ahead;
  }

  /** Waits until nothing is being prepared any more. */
  async settle(): Promise<void> {
    await this.#ahead?.catch(() => {});
    this.#ahead = null;
  }

  async #prepare(): Promise<NumberedBatch | null> {
    const lazy = await this.#epochs.next();
    if (!lazy) return null;
    const step = this.#step++;
    return { step, batch: await prepare(lazy(), { ...this.#call, step }, this.#preparation, `batch ${step}`) };
  }
}

/** The result of a batch's run. What is wrong with its data says in which batch: its indices are of the batch's rows, in their shuffled order. */
export async function inBatch<T>(step: number, running: Promise<T>): Promise<T> {
  try {
    return await running;
  } catch (error) {
    if (!(error instanceof OnnxHubError) || !error.code.startsWith("data/") || !error.path || error.path.startsWith("batch ")) throw error;
    const { code, what, path, expected, found, remedy } = error;
    throw new OnnxHubError(code, what, { path: `batch ${step}.${path}`, expected, found, remedy, cause: error });
  }
}
