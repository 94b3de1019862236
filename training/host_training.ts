/** Training on a CPU backend: weights, gradients and slots are typed arrays on the host. */

import { compile, type Compiled, type CompileRequest } from "../codegen/compile.ts";
import type { Sizes } from "../codegen/cost.ts";
import type { Program } from "../codegen/program.ts";
import { firstThatFits, type MemoryPlan } from "../runtime/memory.ts";
import { sizesOf } from "../runtime/feeds.ts";
import { OptimizerState } from "../runtime/optimizer/optimizer.ts";
import { ProgramRunner } from "../runtime/runner.ts";
import type { Batch, BatchResult } from "./engine.ts";
import type { TrainingOptimizer, TrainingRun, TrainingRunOptions } from "./training_run.ts";

/** Compiles the training program, and runs it batch by batch: as one graph where that fits into the backend's memory, else in stages. */
export class HostTraining implements TrainingRun {
  readonly #options: TrainingRunOptions;
  readonly #optimizer: OptimizerState;
  readonly #request: CompileRequest & { readonly mode: "train" };
  readonly #whole: Compiled;
  #staged: Compiled | null = null;
  readonly #runners = new Map<Compiled, ProgramRunner>();

  /** Compiles the program; sessions are made by the first step. */
  constructor(options: TrainingRunOptions) {
    const { spec, setup, parameters, backend, trainable } = options;
    this.#options = options;
    this.#request = { mode: "train", ...setup, trainable, rowsOutside: true };
    this.#whole = compile(spec, this.#request);
    const reached = trainedBy(this.#whole.program);
    this.#optimizer = new OptimizerState({
      optimizer: setup.optimizer,
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
    const runner = await this.#runnerFor(sizesOf(this.#whole.program, inputs));
    const update = optimizer.needsAllGradients ? null : optimizer.beginStep();
    const result = await runner.run(inputs, update ? (path, gradient) => update.update(path, gradient) : undefined);
    if (update) await update.finish();
    else await optimizer.apply(result.gradients);
    parameters.touch();
    return { loss: result.loss, size: result.symbols.batch, metrics: result.metrics };
  }

  async #runnerFor(sizes: Sizes): Promise<ProgramRunner> {
    const { spec, backend, parameters } = this.#options;
    const plan = (compiled: Compiled): MemoryPlan<Compiled> => ({ value: compiled, graphs: compiled.stageGraphs });
    const plans = [
      () => plan(this.#whole),
      () => plan(this.#staged ??= compile(spec, { ...this.#request, stagesFor: sizes })),
    ];
    const compiled = firstThatFits(plans, (await backend()).name, sizes);
    let runner = this.#runners.get(compiled);
    if (!runner) this.#runners.set(compiled, runner = new ProgramRunner(compiled.program, backend, parameters));
    return runner;
  }

  /** See {@linkcode TrainingRun}. */
  async dispose(): Promise<void> {
    await Promise.all([...this.#runners.values()].map((runner) => runner.dispose()));
    await this.#optimizer.dispose();
  }
}

/** The weights that a program gives gradients of. */
export function trainedBy({ stages }: Program): Set<string> {
  return new Set(stages.flatMap(({ outputs }) => outputs.flatMap((output) => "weight" in output ? [output.weight] : [])));
}
