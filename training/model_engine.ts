/** The engine of real models: compiles the programs that are needed, runs them, lets the optimizer update the weights. */

import type { Program, WeightInfo } from "../codegen/program.ts";
import { OnnxHubError } from "../errors.ts";
import type { Backend } from "../runtime/backend.ts";
import type { Parameters } from "../runtime/parameters.ts";
import { compiledProgram } from "../runtime/program_cache.ts";
import { ProgramRunner } from "../runtime/runner.ts";
import type { Tensor } from "../runtime/tensor.ts";
import type { ExpandedSpec } from "../spec/types.ts";
import type { Batch, BatchResult, Engine } from "./engine.ts";
import { HostTraining } from "./host_training.ts";
import { readState, writeState } from "./state_file.ts";
import type { TrainingOptimizer, TrainingRun } from "./training_run.ts";
import type { TrainingSetup } from "./training_setup.ts";

/** What an engine is made of. */
export interface ModelEngineOptions {
  readonly spec: ExpandedSpec;
  readonly parameters: Parameters;
  /** Opens the backend when it is first needed. */
  readonly backend: () => Promise<Backend>;
  readonly setup: TrainingSetup;
  /** The weights in order. */
  readonly weights: readonly WeightInfo[];
  /** The weights to train, asked anew whenever training goes on. */
  readonly trainable: () => readonly WeightInfo[];
  /** Of the dropout masks. */
  readonly seed: number;
  /** Keras' `.weights.h5` files. */
  readonly files: { save(path: string): Promise<void>; load(path: string): Promise<void> };
}

/** Everything of a training program that depends on which weights are trained. */
interface Training {
  readonly key: string;
  readonly run: TrainingRun;
}

/** Runs training, testing and prediction of one compiled model. */
export class ModelEngine implements Engine {
  readonly weights: readonly WeightInfo[];
  readonly #options: ModelEngineOptions;
  #training: Training | null = null;
  #test: ProgramRunner | null = null;
  #infer: ProgramRunner | null = null;
  /** Training batches so far: tells their dropout masks apart. */
  #batches = 0;

  /** Compiles nothing yet. */
  constructor(options: ModelEngineOptions) {
    this.#options = options;
    this.weights = options.weights;
  }

  /** The optimizer with its slots, made when training begins. */
  get optimizer(): TrainingOptimizer {
    return this.#ensureTraining().optimizer;
  }

  /** Whether training has begun. */
  get hasTrained(): boolean {
    return this.#training !== null;
  }

  #runner(program: Program): ProgramRunner {
    const { backend, parameters } = this.#options;
    return new ProgramRunner(program, backend, parameters);
  }

  /** Training of the weights that are to be trained now; another set of weights begins anew. */
  #ensureTraining(): TrainingRun {
    const { spec, setup, parameters, backend, seed } = this.#options;
    const trainable = this.#options.trainable().map(({ path }) => path);
    const key = trainable.join("\n");
    if (this.#training?.key === key) return this.#training.run;
    if (trainable.length === 0) {
      throw new OnnxHubError("training/nothing-trainable", "There is nothing to train: every weight is frozen", {
        path: "backbone.trainable",
        remedy: "Set `backbone.trainable = true`.",
      });
    }
    const previous = this.#training;
    const run = new HostTraining({ spec, setup, parameters, backend, trainable, seed });
    this.#training = { key, run };
    previous?.run.dispose();
    return run;
  }

  /** Forward, backward, update. */
  async trainBatch(batch: Batch): Promise<BatchResult> {
    const result = await this.#ensureTraining().step(batch, this.#batches);
    this.#batches++;
    return result;
  }

  /** Forward and loss, dropout off. */
  async testBatch({ x, y, sampleWeight }: Batch): Promise<BatchResult> {
    const { spec, setup: { optimizer: _, ...objective } } = this.#options;
    this.#test ??= this.#runner(compiledProgram(spec, { mode: "test", ...objective }));
    const result = await this.#test.run({ x, labels: y, sampleWeight });
    return { loss: result.loss, size: result.symbols.batch, metrics: result.metrics };
  }

  /** Outputs, dropout off. */
  async predictBatch(x: Readonly<Record<string, Tensor>>): Promise<Readonly<Record<string, Tensor>>> {
    this.#infer ??= this.#runner(compiledProgram(this.#options.spec, { mode: "infer" }));
    return (await this.#infer.run({ x })).outputs;
  }

  /** Copies of all weights, in order. */
  getWeights(): Promise<readonly Tensor<"float32">[]> {
    const { parameters } = this.#options;
    return Promise.resolve(
      this.weights.map(({ path, shape }) => ({ dtype: "float32" as const, shape, data: parameters.get(path).slice() })),
    );
  }

  /** Replaces all weights. */
  setWeights(weights: readonly Tensor<"float32">[]): Promise<void> {
    this.weights.forEach(({ path }, i) => this.#options.parameters.set(path, weights[i]));
    return Promise.resolve();
  }

  /** Writes weights, optimizer state and the position in the random streams to one file. */
  async saveState(path: string): Promise<void> {
    const { parameters } = this.#options;
    const weights = new Map(this.weights.map(({ path }) => [path, parameters.get(path)]));
    await writeState(path, { weights, optimizer: this.optimizer.getState(), batches: this.#batches }, this.weights);
  }

  /** Takes up what {@linkcode saveState} wrote; a file of another model is an error, and then nothing is changed. */
  // deno-lint-ignore require-await -- a promise that rejects, not a throw
  async loadState(path: string): Promise<void> {
    const state = readState(path, this.weights);
    this.optimizer.setState(state.optimizer);
    for (const { path: weight, shape } of this.weights) {
      this.#options.parameters.set(weight, { dtype: "float32", shape, data: state.weights.get(weight)! });
    }
    this.#batches = state.batches;
  }

  /** Keras' `.weights.h5`. */
  saveWeights(path: string): Promise<void> {
    return this.#options.files.save(path);
  }

  /** Keras' `.weights.h5`. */
  loadWeights(path: string): Promise<void> {
    return this.#options.files.load(path);
  }

  /** Frees the sessions. */
  async dispose(): Promise<void> {
    await Promise.all([this.#training?.run.dispose(), this.#test?.dispose(), this.#infer?.dispose()]);
  }
}
