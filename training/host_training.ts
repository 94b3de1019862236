/** Training on a CPU backend: weights, gradients and slots are typed arrays on the host. */

import type { Program } from "../codegen/program.ts";
import { OptimizerState } from "../runtime/optimizer/optimizer.ts";
import { PlannedRunner } from "../runtime/planned_runner.ts";
import type { Batch, BatchResult } from "./engine.ts";
import type { TrainingOptimizer, TrainingRun, TrainingRunOptions } from "./training_run.ts";

/** Compiles the training program, and runs it batch by batch; gradients update their weights as they come. */
export class HostTraining implements TrainingRun {
  readonly #options: TrainingRunOptions;
  readonly #optimizer: OptimizerState;
  readonly #runner: PlannedRunner;

  /** Compiles the program; sessions are made by the first step. */
  constructor(options: TrainingRunOptions) {
    const { spec, setup, parameters, backend, trainable } = options;
    const { optimizer, ...objective } = setup;
    this.#options = options;
    this.#runner = new PlannedRunner(spec, { mode: "train", ...objective, trainable, rowsOutside: true }, backend, parameters);
    const reached = trainedBy(this.#runner.whole.program);
    this.#optimizer = new OptimizerState({
      optimizer,
      weights: trainable.filter((path) => reached.has(path)).map((path) => ({ path, shape: parameters.info(path).shape })),
      data: (path) => parameters.get(path),
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
    const update = optimizer.needsAllGradients ? null : optimizer.beginStep();
    const result = await this.#runner.run(inputs, update ? (path, gradient) => update.update(path, gradient) : undefined);
    if (update) await update.finish();
    else await optimizer.apply(result.gradients);
    parameters.touch();
    return { loss: result.loss, size: result.symbols.batch, metrics: result.metrics };
  }

  /** See {@linkcode TrainingRun}. */
  async dispose(): Promise<void> {
    await this.#runner.dispose();
    await this.#optimizer.dispose();
  }
}

/** The weights that a program gives gradients of. */
export function trainedBy({ stages }: Program): Set<string> {
  return new Set(stages.flatMap(({ outputs }) => outputs.flatMap((output) => "weight" in output ? [output.weight] : [])));
}
