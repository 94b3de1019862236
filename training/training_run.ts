/** What carries out training steps, wherever the weights live: on the host with a CPU backend, or on a device. */

import type { Backend } from "../runtime/backend.ts";
import type { OptimizerSnapshot } from "../runtime/optimizer/optimizer.ts";
import type { OptimizerVariable } from "../runtime/optimizer/variables.ts";
import type { Parameters } from "../runtime/parameters.ts";
import type { ExpandedSpec } from "../spec/types.ts";
import type { Batch, BatchResult, OptimizerHandle } from "./engine.ts";
import type { TrainingSetup } from "./training_setup.ts";

/** The optimizer of a run, with what its files hold. */
export interface TrainingOptimizer extends OptimizerHandle {
  /** In Keras' order and under its paths. */
  readonly variables: readonly OptimizerVariable[];
  /** Brings what `variables` and `getState` give to the host, where it is on a device. */
  sync?(): Promise<void>;
  /** A copy of all that training goes on from. */
  getState(): OptimizerSnapshot;
  /** Goes on from a snapshot. */
  setState(state: OptimizerSnapshot): void;
}

/** Training of one set of weights. */
export interface TrainingRun {
  readonly optimizer: TrainingOptimizer;
  /** Forward, backward, update. `step` tells the dropout masks of a batch from those of others. */
  step(batch: Batch, step: number): Promise<BatchResult>;
  /** Frees sessions and slots. */
  dispose(): Promise<void>;
}

/** What a run is made of. */
export interface TrainingRunOptions {
  readonly spec: ExpandedSpec;
  readonly setup: TrainingSetup;
  readonly parameters: Parameters;
  /** Opens the backend when it is first needed. */
  readonly backend: () => Promise<Backend>;
  /** Threads of the optimizer on the host; default the processor's cores, at most 8. */
  readonly threads?: number;
  /** Paths of the weights to train, in order. */
  readonly trainable: readonly string[];
  /** Of the dropout masks. */
  readonly seed: number;
  /** How many steps on a device come before the host gets a copy; by default as often as takes a twentieth of the time. */
  readonly syncEvery?: number;
}
