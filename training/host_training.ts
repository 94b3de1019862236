/** Training on a CPU backend: weights, gradients and slots are typed arrays on the host. */

import { OptimizerState, type OptimizerStep } from "../runtime/optimizer/optimizer.ts";
import { requireHostMemory } from "../runtime/memory.ts";
import { elements } from "../runtime/optimizer/placement.ts";
import { keptBytes } from "../runtime/optimizer/prepared_weight.ts";
import { PlannedRunner } from "../runtime/planned_runner.ts";
import type { TakeGradient } from "../runtime/runner.ts";
import { threadsOf } from "../runtime/threads.ts";
import type { Batch, BatchResult } from "./engine.ts";
import { programRequest, trainedWeights } from "./training_program.ts";
import type { TrainingOptimizer, TrainingRun, TrainingRunOptions } from "./training_run.ts";

/** Compiles the training program, and runs it batch by batch; gradients update their weights as they come. */
export class HostTraining implements TrainingRun {
  readonly #options: TrainingRunOptions;
  readonly #optimizer: OptimizerState;
  readonly #runner: PlannedRunner;

  /** Compiles the program; sessions are made by the first step. Throws "backend/memory" where weights and slots are more than the machine has. */
  constructor(options: TrainingRunOptions) {
    const { spec, setup, parameters, backend, threads, trainable } = options;
    const { optimizer } = setup;
    this.#options = options;
    this.#runner = new PlannedRunner(spec, programRequest(setup, trainable, "cpu"), backend, parameters);
    const { whole } = this.#runner;
    const weights = trainedWeights(whole, trainable, parameters);
    requireHostMemory(
      whole.program.weights.reduce((sum, { shape }) => sum + 4 * elements(shape), 0),
      keptBytes(weights, optimizer),
    );
    this.#optimizer = new OptimizerState({
      optimizer,
      weights,
      data: (path) => parameters.get(path),
      move: (path, from, copy) => parameters.move(path, from, copy),
      threads: threadsOf(threads),
      load: async (model, label) => (await backend()).load(model, label),
    });
  }

  /** See {@linkcode TrainingRun}. */
  get optimizer(): TrainingOptimizer {
    return this.#optimizer;
  }

  /** See {@linkcode TrainingRun}. Throws "backend/memory" before anything is allocated for a batch that can't fit. */
  async step({ x, y, sampleWeight }: Batch, step: number): Promise<BatchResult> {
    const { parameters, seed } = this.#options;
    const optimizer = this.#optimizer;
    const inputs = { x, labels: y, sampleWeight, lossScale: optimizer.lossScale, dropout: { seed, step } };
    let update: OptimizerStep | null = null;
    // Not before there is a gradient: a batch that is refused changes nothing.
    const begun = (): OptimizerStep => update ??= optimizer.beginStep();
    const take: TakeGradient = (path, gradient) => begun().update(path, gradient);
    const result = await this.#runner.run(inputs, optimizer.needsAllGradients ? undefined : take);
    if (optimizer.needsAllGradients) await optimizer.apply(result.gradients);
    else await begun().finish();
    parameters.touch();
    return { loss: result.loss, size: result.symbols.batch, metrics: result.metrics };
  }

  /** See {@linkcode TrainingRun}. */
  async dispose(): Promise<void> {
    await this.#runner.dispose();
    await this.#optimizer.dispose();
  }
}
