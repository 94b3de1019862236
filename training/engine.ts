/** What the training loop needs from whatever runs the model: the boundary between `training/` and the running program. */

import type { WeightInfo } from "../codegen/program.ts";
import type { Tensor } from "../runtime/tensor.ts";

/** One batch: named inputs, labels, and weights of the labels. The first axis of each is the batch. */
export interface Batch {
  readonly x: Readonly<Record<string, Tensor>>;
  readonly y?: Tensor;
  readonly sampleWeight?: Tensor;
}

/** What one batch gave. A metric's value is total / count; sums over batches give the running value. */
export interface BatchResult {
  /** Mean loss of this batch (Keras' `sum_over_batch_size`). */
  readonly loss: number;
  /** Examples in the batch: the weight of `loss` in the epoch's mean. */
  readonly size: number;
  readonly metrics: Readonly<Record<string, { readonly total: number; readonly count: number }>>;
}

/** The optimizer as callbacks and checkpoints see it. */
export interface OptimizerHandle {
  /** Updates applied so far. */
  readonly iterations: number;
  /** The current learning rate (float32). Setting it throws "optimizer/schedule" when the rate follows a schedule. */
  learningRate: number;
  readonly hasSchedule: boolean;
  /** Keras' end of `fit`: with EMA, the weights become their averages. */
  finalizeWeights(): Promise<void>;
}

/** Runs batches. Everything is asynchronous; one call at a time. */
export interface Engine {
  readonly weights: readonly WeightInfo[];
  readonly optimizer: OptimizerHandle;
  /** Forward, backward, update. */
  trainBatch(batch: Batch): Promise<BatchResult>;
  /** Called at the end of every epoch of training. */
  endEpoch?(): Promise<void>;
  /** Forward and loss, dropout off. */
  testBatch(batch: Batch): Promise<BatchResult>;
  /** Outputs, dropout off. With one output its name is the only key. */
  predictBatch(x: Readonly<Record<string, Tensor>>): Promise<Readonly<Record<string, Tensor>>>;
  /** Copies, in the order of `weights`: training on doesn't change them. */
  getWeights(): Promise<readonly Tensor<"float32">[]>;
  setWeights(weights: readonly Tensor<"float32">[]): Promise<void>;
  /** All that training goes on from: weights, optimizer slots and counters, the learning rate, the position in the random streams. */
  saveState(path: string): Promise<void>;
  loadState(path: string): Promise<void>;
  /** Throws where `saveWeights` will refuse the path or the model: before anything is trained in vain. */
  checkWeightsPath?(path: string): void;
  /** To Keras' `.weights.h5`, or `.safetensors`. */
  saveWeights(path: string): Promise<void>;
  loadWeights(path: string): Promise<void>;
}
