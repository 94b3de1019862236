/** What backbones and tasks have in common: weights by KerasHub's names, counts, a place to run. */

import type { WeightInfo } from "../codegen/program.ts";
import { nearest, OnnxHubError } from "../errors.ts";
import type { Provider } from "../codegen/ops/rule.ts";
import type { Backend, BackendChoice, BackendName } from "../runtime/backend.ts";
import { openBackend } from "../runtime/backends.ts";
import { onceMoreAfterLoss } from "../runtime/device_loss.ts";
import type { Parameters } from "../runtime/parameters.ts";
import { Inference } from "../runtime/inference.ts";
import type { WeightFormat } from "../runtime/held_weights.ts";
import { type OutputChange, outputChange } from "../runtime/output_change.ts";
import type { RunResult } from "../runtime/runner.ts";
import type { Tensor, TensorLike } from "../runtime/tensor.ts";
import type { ExpandedSpec } from "../spec/types.ts";
import { showAs } from "./inspect.ts";

/** Where and how a model runs. */
export interface RunOptions {
  /** Where it runs; default `"wasm"`. `{ name: "webgpu", syncEvery: 100 }` says how often what a GPU trains is copied to the host. */
  backend?: BackendChoice;
  /** Threads of the backend; default the processor's cores. Fixed by the first model of the process. */
  threads?: number;
  /** The seed of everything random: initial weights, dropout, masks, shuffling. Default 0. */
  seed?: number;
}

/** What {@linkcode Model.quantize} takes. */
const MODES: readonly WeightFormat[] = ["int8", "float16", "float32"];

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
  /** In float32, while the other is not. */
  #exact: Inference | null = null;
  #quantization: WeightFormat = "float32";
  #disposed = false;

  /** Subclasses expand the spec and make the parameters. */
  protected constructor(name: string, expanded: ExpandedSpec, parameters: Parameters, { backend = "wasm", seed = 0, threads }: RunOptions) {
    this.name = name;
    this.expanded = expanded;
    this.parameters = parameters;
    if (typeof backend !== "string") checkSettings(backend);
    if (!Number.isSafeInteger(seed)) {
      throw new OnnxHubError("model/option", "A seed is a whole number", {
        path: `${name}.seed`,
        expected: "a whole number",
        found: String(seed),
      });
    }
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
    const backend = await this.#opened();
    if (!backend.device?.isLost) return backend;
    const lost = this.#backend;
    await this.parameters.sync();
    if (this.#backend === lost) this.#backend = null;
    return await this.#opened();
  }

  /** The backend as it was opened first; one that couldn't be is tried again. */
  async #opened(): Promise<Backend> {
    const opening = this.#backend ??= openBackend(this.backendName, { threads: this.run.threads });
    try {
      return await opening;
    } catch (error) {
      if (this.#backend === opening) this.#backend = null;
      throw error;
    }
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
    return await onceMoreAfterLoss(() => this.inference().run({ x: this.unpad(x) }), () => this.sync());
  }

  /** What runs the model. */
  protected inference(): Inference {
    this.assertAlive();
    return this.#inference ??= new Inference(this.expanded, this.provider, () => this.backend(), this.parameters, this.#quantization);
  }

  /** What the session that infers holds the weights in: "float32" until {@linkcode quantize}. */
  get quantization(): WeightFormat {
    return this.#quantization;
  }

  /**
   * Infers with weights in fewer bits from now on: `predict`, `call` and all that is made of them. Source: `keras.Model.quantize`; unlike there the weights
   * themselves stay what they are, in float32, so that saving is as ever and `quantize("float32")` takes it back. Training a quantized model is an error, and
   * `evaluate` and `testOnBatch` go on in float32. A backbone and a task over it are quantized each by itself.
   *
   * - `"int8"`: weights of matrix products with one scale a column (a quarter of the memory), activations quantized when they come, with one scale a
   *   tensor: what a row gives depends a little on the batch that it is in. `bench/quantize.ts` measures both.
   * - `"float16"`: weights and products rounded as in an exported float16 model. Processors convert the weights to float32, so that it saves neither time
   *   nor memory there: it shows what float16 does to the outputs.
   *
   * Vocabularies are looked up in the host's float32 weights in any case. {@linkcode compareQuantized} says how much changes.
   *
   * Throws "model/quantize-mode" for another mode, "model/quantize-backend" on WebGPU; the first run throws "model/float16" for a weight that float16 cannot
   * hold and "model/not-finite".
   */
  async quantize(mode: WeightFormat): Promise<void> {
    this.assertAlive();
    if (!MODES.includes(mode)) {
      const guess = nearest(String(mode), MODES);
      throw new OnnxHubError("model/quantize-mode", "There is no such quantization", {
        path: "quantize.mode",
        expected: `one of ${MODES.join(", ")}`,
        found: String(mode),
        remedy: guess ? `Did you mean "${guess}"?` : undefined,
      });
    }
    if (mode !== "float32" && this.backendName === "webgpu") {
      throw new OnnxHubError("model/quantize-backend", `Weights are quantized for processors alone, and ${this.name} runs on a GPU`, {
        path: "quantize",
        expected: 'the backend "wasm", "native" or "auto"',
        found: "webgpu",
        remedy: 'Make the model with `backend: "wasm"`.',
      });
    }
    if (mode === this.#quantization) return;
    const stale = [this.#inference, this.#exact];
    this.#quantization = mode;
    this.#inference = this.#exact = null;
    await Promise.all(stale.map((inference) => inference?.dispose()));
  }

  /**
   * How far the quantized model's outputs are from those in float32, for one batch of named inputs: by name of the output. Both run.
   *
   * @example
   * ```ts
   * import { models } from "onnxhub";
   * const backbone = new models.XLMRobertaBackbone({
   *   vocabularySize: 100, numLayers: 2, numHeads: 2, hiddenDim: 16, intermediateDim: 32, maxSequenceLength: 8,
   * });
   * await backbone.quantize("int8");
   * const change = await backbone.compareQuantized({ token_ids: [[0, 5, 6, 2]], padding_mask: [[1, 1, 1, 1]] });
   * console.log(change.sequence_output.greatest, change.sequence_output.mean);
   * await backbone.dispose();
   * ```
   */
  async compareQuantized(x: Readonly<Record<string, TensorLike>>): Promise<Record<string, OutputChange>> {
    const [exact, found] = await this.exactAndQuantized(x);
    return Object.fromEntries(Object.entries(exact).map(([name, tensor]) => [name, outputChange(tensor, found[name])]));
  }

  /** The outputs for one batch in float32, and as the model is quantized. */
  protected async exactAndQuantized(x: Readonly<Record<string, TensorLike>>): Promise<[Record<string, Tensor>, Record<string, Tensor>]> {
    this.assertAlive();
    if (this.#quantization === "float32") {
      throw new OnnxHubError("model/not-quantized", `${this.name} is not quantized: there is nothing to compare`, {
        remedy: 'Call `quantize("int8")` first.',
      });
    }
    this.#exact ??= new Inference(this.expanded, this.provider, () => this.backend(), this.parameters);
    const exact = await this.#exact.run({ x: this.unpad(x) });
    const found = await this.infer(x);
    return [exact.outputs, found.outputs];
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
      if (shape.join() === weights[i]?.shape?.join()) return;
      throw new OnnxHubError("model/weight-shape", `These values don't fit the weight ${path}`, {
        path: `setWeights[${i}]`,
        expected: `[${shape.join(", ")}]`,
        found: Array.isArray(weights[i]?.shape) ? `[${weights[i].shape.join(", ")}]` : "no tensor",
      });
    });
    infos.forEach(({ path }, i) => this.parameters.set(path, weights[i]));
  }

  /** Frees sessions and weights. Anything afterwards is an error. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    await Promise.all([this.#inference?.dispose(), this.#exact?.dispose()]);
    this.#inference = this.#exact = null;
    this.parameters.dispose();
  }
}

function checkSettings(backend: Exclude<BackendChoice, string>): void {
  if (typeof backend?.name !== "string") {
    throw new OnnxHubError("backend/unknown", "There is no such backend", {
      path: "backend",
      expected: 'a backend\'s name, or settings such as { name: "webgpu", syncEvery: 1 }',
      found: JSON.stringify(backend) ?? String(backend),
    });
  }
  const { syncEvery } = backend;
  if (syncEvery === undefined || (Number.isInteger(syncEvery) && syncEvery >= 1)) return;
  throw new OnnxHubError("backend/sync-every", "That is no number of steps after which to copy what was trained", {
    path: "backend.syncEvery",
    expected: "a whole number, 1 or more",
    found: String(syncEvery),
  });
}

showAs(Model, (model) => `${model.constructor.name} "${model.name}" (${model.countParams().toLocaleString("en-US")} parameters)`);
