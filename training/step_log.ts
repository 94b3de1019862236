/** What training did on a device since the host had all of it: what is computed again should the device be lost. */

import type { Tensor } from "../runtime/tensor.ts";
import type { Batch } from "./engine.ts";

/** A training step as it was asked for. */
export interface LoggedStep {
  readonly batch: Batch;
  /** What tells its dropout masks from those of others. */
  readonly step: number;
  /** The learning rate that was set; null where it follows a schedule. */
  readonly learningRate: number | null;
}

/** The steps since the host had everything, with copies of their batches. */
export class StepLog {
  #entries: (LoggedStep | "finalized")[] = [];
  #bytes = 0;

  /** In order; "finalized" for weights that became their averages. */
  get entries(): readonly (LoggedStep | "finalized")[] {
    return this.#entries;
  }

  /** The bytes of its batches. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a step. Its arrays are copied: whoever gave them may write to them. */
  add({ batch: { x, y, sampleWeight }, step, learningRate }: LoggedStep): void {
    const batch: Batch = {
      x: Object.fromEntries(Object.entries(x).map(([name, tensor]) => [name, this.#copy(tensor)])),
      y: y && this.#copy(y),
      sampleWeight: sampleWeight && this.#copy(sampleWeight),
    };
    this.#entries.push({ batch, step, learningRate });
  }

  /** Adds that the weights became their averages. */
  addFinalized(): void {
    this.#entries.push("finalized");
  }

  #copy(tensor: Tensor): Tensor {
    this.#bytes += tensor.data.byteLength;
    return { ...tensor, data: tensor.data.slice() } as Tensor;
  }

  /** Forgets all of it. */
  clear(): void {
    this.#entries = [];
    this.#bytes = 0;
  }
}
