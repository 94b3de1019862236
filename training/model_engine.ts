/** The engine of real models: compiles the programs that are needed, runs them, lets the optimizer update the weights. */

import type { Provider } from "../codegen/ops/rule.ts";
import type { WeightInfo } from "../codegen/program.ts";
import { OnnxHubError } from "../errors.ts";
import type { Backend } from "../runtime/backend.ts";
import { isLoss, onceMoreAfterLoss } from "../runtime/device_loss.ts";
import { isBeginning, readSaved, type SavedOptimizer } from "../runtime/optimizer/saved_variables.ts";
import type { Parameters } from "../runtime/parameters.ts";
import { PlannedRunner } from "../runtime/planned_runner.ts";
import { cachedCompile } from "../runtime/program_cache.ts";
import type { RunResult } from "../runtime/runner.ts";
import type { Tensor } from "../runtime/tensor.ts";
import type { ExpandedSpec } from "../spec/types.ts";
import type { Batch, BatchResult, Engine } from "./engine.ts";
import { DeviceTraining } from "./device_training.ts";
import { HostTraining } from "./host_training.ts";
import { readState, writeState } from "./state_file.ts";
import { programRequest, trainedWeights } from "./training_program.ts";
import type { TrainingOptimizer, TrainingRun } from "./training_run.ts";
import type { TrainingSetup } from "./training_setup.ts";

/** What an engine is made of. */
export interface ModelEngineOptions {
  readonly spec: ExpandedSpec;
  readonly parameters: Parameters;
  /** Opens the backend when it is first needed. */
  readonly backend: () => Promise<Backend>;
  /** What programs are compiled for: "webgpu" where that is the backend, which then trains on the device. */
  readonly provider: Provider;
  /** How many training steps on a device come before the host gets a copy; by default as often as takes a twentieth of the time. */
  readonly syncEvery?: number;
  /** Threads of the optimizer on the host; default the processor's cores, at most 8. */
  readonly threads?: number;
  readonly setup: TrainingSetup;
  /** Runs the model without training it. */
  readonly infer: (x: Readonly<Record<string, Tensor>>) => Promise<RunResult>;
  /** Leaves out of a batch what needn't be computed. */
  readonly unpad: (x: Batch["x"]) => Batch["x"];
  /** The weights in order. */
  readonly weights: readonly WeightInfo[];
  /** The weights to train, asked anew whenever training goes on. */
  readonly trainable: () => readonly WeightInfo[];
  /** Of the dropout masks. */
  readonly seed: number;
  /** Files of weights; `check` throws where `save` will refuse the path or the model. */
  readonly files: { check?(path: string): void; save(path: string): Promise<void>; load(path: string): Promise<void> };
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
  #test: PlannedRunner | null = null;
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

  #trainable(): string[] {
    return this.#options.trainable().map(({ path }) => path);
  }

  /** Training of the weights that are to be trained now; another set of weights begins anew. */
  #ensureTraining(): TrainingRun {
    const { spec, setup, parameters, backend, threads, seed, provider, syncEvery } = this.#options;
    const trainable = this.#trainable();
    const key = keyOf(trainable);
    if (this.#training?.key === key) return this.#training.run;
    if (trainable.length === 0) {
      throw new OnnxHubError("training/nothing-trainable", "There is nothing to train: every weight is frozen", {
        path: "backbone.trainable",
        remedy: "Set `backbone.trainable = true`.",
      });
    }
    const previous = this.#training;
    const options = { spec, setup, parameters, backend, threads, trainable, seed, syncEvery };
    const run = provider === "webgpu" ? new DeviceTraining(options) : new HostTraining(options);
    this.#training = { key, run };
    previous?.run.dispose();
    return run;
  }

  /** Forward, backward, update. */
  async trainBatch(batch: Batch): Promise<BatchResult> {
    const training = this.#ensureTraining();
    const result = await this.#untilLoss(() => training.step(batch, this.#batches));
    this.#batches++;
    return result;
  }

  /** Brings weights and the optimizer's state that are on a device to the host. */
  async sync(): Promise<void> {
    await this.#untilLoss(async () => {
      await this.#options.parameters.sync();
      await this.#training?.run.optimizer.sync?.();
    });
  }

  /** Does something with the training that goes on; where it is lost with its device for good, the next one begins anew. */
  async #untilLoss<T>(body: () => Promise<T>): Promise<T> {
    try {
      return await body();
    } catch (error) {
      if (isLoss(error)) this.#training = null;
      throw error;
    }
  }

  /** What was trained on a device survives its loss from here on. */
  async endEpoch(): Promise<void> {
    if (this.#options.syncEvery === undefined) await this.sync();
  }

  /** Forward and loss, dropout off. */
  async testBatch({ x, y, sampleWeight }: Batch): Promise<BatchResult> {
    const { spec, provider, backend, parameters, setup: { optimizer: _, ...objective } } = this.#options;
    const request = { mode: "test", ...objective, provider, rowsOutside: provider === "cpu" } as const;
    this.#test ??= new PlannedRunner(spec, request, backend, parameters);
    const test = this.#test;
    const inputs = { x: this.#options.unpad(x), labels: y, sampleWeight };
    const result = await onceMoreAfterLoss(() => test.run(inputs), () => this.sync());
    return { loss: result.loss, size: result.symbols.batch, metrics: result.metrics };
  }

  /** Outputs, dropout off. */
  async predictBatch(x: Readonly<Record<string, Tensor>>): Promise<Readonly<Record<string, Tensor>>> {
    return (await this.#options.infer(x)).outputs;
  }

  /** Copies of all weights, in order. */
  async getWeights(): Promise<readonly Tensor<"float32">[]> {
    const { parameters } = this.#options;
    await this.sync();
    return this.weights.map(({ path, shape }) => ({ dtype: "float32" as const, shape, data: parameters.get(path).slice() }));
  }

  /** Replaces all weights. */
  setWeights(weights: readonly Tensor<"float32">[]): Promise<void> {
    this.weights.forEach(({ path }, i) => this.#options.parameters.set(path, weights[i]));
    return Promise.resolve();
  }

  /** Writes weights, optimizer state and the position in the random streams to one file. */
  async saveState(path: string): Promise<void> {
    const { parameters } = this.#options;
    const { optimizer } = this;
    await this.sync();
    const weights = new Map(this.weights.map(({ path }) => [path, parameters.get(path)]));
    await writeState(path, { weights, optimizer: optimizer.getState(), batches: this.#batches }, this.weights);
  }

  /** Takes up what {@linkcode saveState} wrote; a file of another model is an error, and then nothing is changed. */
  // deno-lint-ignore require-await -- a promise that rejects, not a throw
  async loadState(path: string): Promise<void> {
    const state = readState(path, this.weights);
    this.optimizer.setState(state.optimizer);
    for (const { path: weight, shape } of this.weights) {
      this.#options.parameters.set(weight, { shape, data: state.weights.get(weight)! });
    }
    this.#batches = state.batches;
  }

  /**
   * Reads the optimizer's variables of one of Keras' files. Changes nothing yet: what it gives takes them up, with the position in the random streams, or
   * warns as Keras does that they don't fit.
   */
  readOptimizer(saved: SavedOptimizer): () => void {
    const { spec, parameters, provider, setup } = this.#options;
    const { optimizer } = setup;
    const trainable = this.#trainable();
    const skip = (why: string) => console.warn(`Skipping variable loading for optimizer '${optimizer.name}', because ${why}.`);
    const state = readSaved(saved, {
      optimizer,
      weights: trainable.map((path) => parameters.info(path)),
      trained: () => {
        if (trainable.length === 0) return [];
        return trainedWeights(cachedCompile(spec, programRequest(setup, trainable, provider)), trainable, parameters);
      },
      hasBegun: this.#training?.key === keyOf(trainable),
    });
    if (typeof state === "string") return () => skip(state);
    if (isBeginning(state, optimizer)) return () => {};
    if (trainable.length === 0) return () => skip("every weight is frozen");
    return () => {
      let training: TrainingOptimizer;
      try {
        training = this.optimizer;
      } catch (error) {
        // A model that is only to be used may be larger than one that can be trained.
        if (!(error instanceof OnnxHubError) || error.code !== "backend/memory") throw error;
        return skip("training needs more memory than the machine has");
      }
      training.setState({ ...state, tensors: state.tensors ?? training.getState().tensors });
      this.#batches = state.batches;
    };
  }

  /** Throws where {@linkcode saveWeights} will refuse the path or the model. */
  checkWeightsPath(path: string): void {
    this.#options.files.check?.(path);
  }

  /** To Keras' `.weights.h5`, or `.safetensors`. */
  saveWeights(path: string): Promise<void> {
    return this.#options.files.save(path);
  }

  /** From Keras' `.weights.h5`, or `.safetensors`. */
  loadWeights(path: string): Promise<void> {
    return this.#options.files.load(path);
  }

  /** Frees the sessions. */
  async dispose(): Promise<void> {
    await Promise.all([this.#training?.run.dispose(), this.#test?.dispose()]);
  }
}

/** Tells sets of weights apart. */
function keyOf(paths: readonly string[]): string {
  return paths.join("\n");
}
