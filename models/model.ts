/** What backbones and tasks have in common: weights by KerasHub's names, counts, a place to run. */

import type { WeightInfo } from "../codegen/program.ts";
import { OnnxHubError } from "../errors.ts";
import type { Provider } from "../codegen/ops/rule.ts";
import type { Backend, BackendChoice, BackendName } from "../runtime/backend.ts";
import { openBackend } from "../runtime/backends.ts";
import type { Parameters } from "../runtime/parameters.ts";
import { Inference } from "../runtime/inference.ts";
import type { RunResult } from "../runtime/runner.ts";
import type { Tensor, TensorLike } from "../runtime/tensor.ts";
import type { ExpandedSpec } from "../spec/types.ts";
import { showAs } from "./inspect.ts";

/** Where and how a model runs. */
export interface RunOptions {
  /** Where it runs; default `"wasm"`. `{ name: "webgpu", syncEvery: 100 }` says how often a GPU's weights are copied to the host. */
  backend?: BackendChoice;
  /** Threads of the backend; default the processor's cores. Fixed by the first model of the process. */
  threads?: number;
  /** The seed of everything random: initial weights, dropout, masks, shuffling. Default 0. */
  seed?: number;
}

/** A model: an expanded spec with weights. */
export abstract class Model {
  /** Its name, Keras' way: `xlm_roberta_backbone`. */
  readonly name: string;
  /** The spec with every number filled in. */
  readonly expanded: ExpandedSpec;
  /** The weights, each once, shared between a task and its backbone. */
  readonly parameters: Parameters;
  /** Where and how it runs. */
  readonly run: Required<Pick<RunOptions, "backend" | "seed">> & Pick<RunOptions, "threads">;
  #backend: Promise<Backend> | null = null;
  #inference: Inference | null = null;
  #disposed = false;

  /** Subclasses expand the spec and make the parameters. */
  protected constructor(name: string, expanded: ExpandedSpec, parameters: Parameters, { backend = "wasm", seed = 0, threads }: RunOptions) {
    this.name = name;
    this.expanded = expanded;
    this.parameters = parameters;
    if (typeof backend !== "string") checkSyncEvery(backend);
    this.run = { backend, seed, threads };
  }

  /** All weights, in KerasHub's order. */
  abstract get weights(): readonly WeightInfo[];

  /** The weights that training changes, in order. */
  abstract get trainableWeights(): readonly WeightInfo[];

  /** Whether {@linkcode dispose} was called. */
  get isDisposed(): boolean {
    return this.#disposed;
  }

  /** The backend, opened on first use, and anew once its device was lost. */
  protected async backend(): Promise<Backend> {
    this.assertAlive();
    const open = () => openBackend(this.backendName, { threads: this.run.threads });
    const backend = await (this.#backend ??= open());
    if (!backend.device?.isLost) return backend;
    await this.parameters.sync();
    return await (this.#backend = open());
  }

  /** The backend's name, without its settings. */
  protected get backendName(): BackendName | "auto" {
    const { backend } = this.run;
    return typeof backend === "string" ? backend : backend.name;
  }

  /** What programs are compiled for. */
  protected get provider(): Provider {
    return this.backendName === "webgpu" ? "webgpu" : "cpu";
  }

  /** Brings weights that were trained on a device to the host: `parameters` then has them. Methods that read weights do so by themselves. */
  async sync(): Promise<void> {
    this.assertAlive();
    await this.parameters.sync();
  }

  /** Throws "model/disposed" once the model is gone. */
  protected assertAlive(): void {
    if (this.#disposed) throw new OnnxHubError("model/disposed", `${this.name} was disposed of`, { remedy: "Make a new model." });
  }

  /** Runs the model on one batch of named inputs, dropout off. */
  protected async infer(x: Readonly<Record<string, TensorLike>>): Promise<RunResult> {
    this.assertAlive();
    this.#inference ??= new Inference(this.expanded, this.provider, () => this.backend(), this.parameters);
    return await this.#inference.run({ x: this.unpad(x) });
  }

  /** The inputs without what needn't be computed; by default all. */
  protected unpad<T extends Readonly<Record<string, TensorLike>>>(x: T): T {
    return x;
  }

  /** How many parameters there are. */
  countParams(): number {
    return this.weights.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  }

  /** Copies of all weights, in order. */
  async getWeights(): Promise<Tensor<"float32">[]> {
    await this.sync();
    return this.weights.map(({ path, shape }) => ({ dtype: "float32" as const, shape, data: this.parameters.get(path).slice() }));
  }

  /** Replaces all weights; a list of another length or a tensor of another shape is an error, and then nothing is changed. */
  // deno-lint-ignore require-await -- a promise that rejects, not a throw
  async setWeights(weights: readonly Tensor<"float32">[]): Promise<void> {
    this.assertAlive();
    const infos = this.weights;
    if (weights.length !== infos.length) {
      throw new OnnxHubError("model/weight-count", `${this.name} has another number of weights`, {
        path: "setWeights",
        expected: String(infos.length),
        found: String(weights.length),
      });
    }
    infos.forEach(({ path, shape }, i) => {
      if (shape.join() === weights[i].shape.join()) return;
      throw new OnnxHubError("model/weight-shape", `These values don't fit the weight ${path}`, {
        path: `setWeights[${i}]`,
        expected: `[${shape.join(", ")}]`,
        found: `[${weights[i].shape.join(", ")}]`,
      });
    });
    infos.forEach(({ path }, i) => this.parameters.set(path, weights[i]));
  }

  /** Frees sessions and weights. Anything afterwards is an error. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    await this.#inference?.dispose();
    this.#inference = null;
    this.parameters.dispose();
  }
}

function checkSyncEvery({ syncEvery }: Exclude<BackendChoice, string>): void {
  if (syncEvery === undefined || (Number.isInteger(syncEvery) && syncEvery >= 1)) return;
  throw new OnnxHubError("backend/sync-every", "That is no number of steps after which to copy the weights", {
    path: "backend.syncEvery",
    expected: "a whole number, 1 or more",
    found: String(syncEvery),
  });
}

showAs(Model, (model) => `${model.constructor.name} "${model.name}" (${model.countParams().toLocaleString("en-US")} parameters)`);
