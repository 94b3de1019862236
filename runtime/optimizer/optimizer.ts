/** A running optimizer: applies gradients to weights in typed arrays, and keeps slots and counters as Keras does. */

import { NEXT, scalarGraph, scalarsOf, type StepSettings } from "../../codegen/optimizers/step.ts";
import { OnnxHubError } from "../../errors.ts";
import type { Backend, FeedTensor, Session } from "../backend.ts";
import type { Optimizer } from "./config.ts";
import { Kernel, type KernelCache } from "./kernel.ts";
import { checkedRate, kerasName } from "./options.ts";
import { type OnnxUpdate, type PreparedWeight, prepareWeight, type TrainedWeight } from "./prepared_weight.ts";
import { kerasVariables, type OptimizerVariable } from "./variables.ts";

export type { OptimizerVariable, TrainedWeight };

/** What a running optimizer is made from. */
export interface OptimizerStateOptions {
  readonly optimizer: Optimizer;
  /** The weights to train, in the model's order. */
  readonly weights: readonly TrainedWeight[];
  /** A weight's values, which updates change in place. */
  readonly data: (path: string) => Float32Array<ArrayBuffer>;
  /** Loads the ONNX graphs of update rules that are no kernel: Adafactor's and Muon's on matrices. Needed for these only. */
  readonly load?: Backend["load"];
  /** Where warnings go; default `console.warn`. */
  readonly warn?: (message: string) => void;
}

/** All that an optimizer goes on from. */
export interface OptimizerSnapshot {
  /** Batches seen: Keras' raw counter. */
  readonly batches: number;
  /** Null where the rate follows a schedule. */
  readonly learningRate: number | null;
  /** Slots, accumulators, averages (`path/momentum`) and scalars, by name. */
  readonly tensors: Readonly<Record<string, Float32Array<ArrayBuffer>>>;
}

/**
 * Applies an optimizer's updates. Elementwise rules run as WebAssembly kernels on the arrays where the weights live, others as ONNX
 * graphs. The order of a step is Keras': unscale, accumulate, clip, decay, update, average, count.
 *
 * @example
 * ```ts
 * import { optimizers, OptimizerState } from "onnxhub";
 * const kernel = Float32Array.of(1, 2, 3);
 * const state = new OptimizerState({
 *   optimizer: new optimizers.SGD(0.5),
 *   weights: [{ path: "dense/kernel", shape: [3] }],
 *   data: () => kernel,
 * });
 * await state.apply(new Map([["dense/kernel", Float32Array.of(1, 1, 1)]]));
 * console.log(kernel, state.iterations); // Float32Array [0.5, 1.5, 2.5] 1
 * ```
 */
export class OptimizerState {
  readonly #optimizer: Optimizer;
  readonly #settings: StepSettings;
  readonly #entries = new Map<string, PreparedWeight>();
  readonly #data: (path: string) => Float32Array<ArrayBuffer>;
  readonly #load?: Backend["load"];
  readonly #warn: (message: string) => void;
  readonly #sessions = new Map<string, Session>();
  readonly #scalars: Record<string, number>;
  readonly #scalarKernel: Kernel;
  #batches = 0;
  #rate: number;
  #warned = false;
  #disposed = false;

  /** Makes slots for all weights. */
  constructor({ optimizer, weights, data, load, warn = (message) => console.warn(message) }: OptimizerStateOptions) {
    this.#optimizer = optimizer;
    this.#settings = optimizer.settings;
    this.#data = data;
    this.#load = load;
    this.#warn = warn;
    this.#rate = typeof optimizer.learningRate === "number" ? Math.fround(optimizer.learningRate) : 0;
    this.#scalars = Object.fromEntries(scalarsOf(this.#settings).map(({ name, initial }) => [name, Math.fround(initial)]));
    const kernels: KernelCache = new Map();
    this.#scalarKernel = Kernel.compile(scalarGraph(this.#settings), [1], kernels)!;
    for (const weight of weights) this.#entries.set(weight.path, prepareWeight(weight, optimizer, kernels));
  }

  /** The paths of the trained weights, in order. */
  get paths(): readonly string[] {
    return [...this.#entries.keys()];
  }

  /** Updates so far: batches by accumulation steps, rounded down. */
  get iterations(): number {
    return Math.floor(this.#batches / (this.#settings.gradientAccumulationSteps ?? 1));
  }

  /** Batches so far: what schedules count by. */
  get batches(): number {
    return this.#batches;
  }

  /** Whether the learning rate follows a schedule. */
  get hasSchedule(): boolean {
    return this.#settings.hasSchedule;
  }

  /** What the loss is to be multiplied by before gradients are taken. */
  get lossScale(): number {
    return this.#settings.lossScaleFactor ?? 1;
  }

  /** The learning rate of the next update, float32. Setting it throws "optimizer/schedule" where it follows a schedule. */
  get learningRate(): number {
    const { learningRate } = this.#optimizer;
    return typeof learningRate === "number" ? this.#rate : Math.fround(learningRate.at(this.#batches));
  }

  set learningRate(rate: number) {
    if (this.hasSchedule) {
      throw new OnnxHubError(
        "optimizer/schedule",
        "This optimizer follows a learning-rate schedule, hence its learning rate is not settable",
        {
          path: "learningRate",
          remedy: "Make the optimizer with a number for `learningRate` if you need to set it.",
        },
      );
    }
    this.#rate = checkedRate(rate);
  }

  /**
   * Takes the gradients of one batch, by path, and updates weights and slots; while gradients accumulate it only adds them up. A weight
   * without a gradient stays as it is, with a warning the first time. Throws "optimizer/gradient" for an unknown path, for a
   * gradient of another size, and where there is none at all.
   */
  async apply(gradients: ReadonlyMap<string, Float32Array<ArrayBuffer>>): Promise<void> {
    const entries = this.#withGradients(gradients);
    const steps = this.#settings.gradientAccumulationSteps;
    if (steps !== null && (this.#batches + 1) % steps !== 0) {
      for (const [path, { accumulate, tensors }] of entries) accumulate!.run({ ...tensors, g: gradients.get(path)! }, {});
    } else {
      const scalars = this.#stepScalars(entries, gradients);
      for (const [path, entry] of entries) {
        const tensors = { ...entry.tensors, w: this.#data(path), g: gradients.get(path)! };
        if (entry.update instanceof Kernel) entry.update.run(tensors, scalars);
        else await this.#runOnnx(entry.update, tensors, scalars);
        entry.tensors.accumulated?.fill(0);
      }
    }
    this.#updateAverages();
    this.#batches++;
  }

  #withGradients(gradients: ReadonlyMap<string, Float32Array>): [string, PreparedWeight][] {
    if (this.#disposed) throw new OnnxHubError("optimizer/disposed", "This optimizer was disposed of");
    for (const [path, { length }] of gradients) {
      const entry = this.#entries.get(path);
      const expected = entry?.weight.shape.reduce((a, b) => a * b, 1);
      if (length !== expected) {
        throw new OnnxHubError("optimizer/gradient", entry ? "A gradient of the wrong size" : "A gradient of a weight that isn't trained", {
          path,
          expected: entry ? `${expected} elements` : `one of ${this.#entries.size} trained weights`,
          found: entry ? `${length}` : path,
        });
      }
    }
    const missing = this.paths.filter((path) => !gradients.has(path));
    if (gradients.size === 0 && missing.length > 0) throw new OnnxHubError("optimizer/gradient", "No gradients provided for any variable");
    if (missing.length > 0 && !this.#warned) {
      this.#warned = true;
      this.#warn(`Gradients do not exist for variables ${missing.join(", ")} when minimizing the loss.`);
    }
    return [...this.#entries].filter(([path]) => gradients.has(path));
  }

  /** Everything that is computed once for all weights of an update. */
  #stepScalars(
    entries: readonly [string, PreparedWeight][],
    gradients: ReadonlyMap<string, Float32Array<ArrayBuffer>>,
  ): Record<string, number> {
    let squaredNorm = 0;
    for (const [path, { squaredNorm: kernel, tensors }] of entries) {
      if (kernel) squaredNorm += kernel.run({ ...tensors, g: gradients.get(path)! }, {}).squared_norm;
    }
    const step = { lr: this.learningRate, t: Math.fround(this.iterations + 1), squared_norm: squaredNorm };
    const computed = this.#scalarKernel.run({}, { ...this.#scalars, ...step });
    for (const name of Object.keys(this.#scalars)) this.#scalars[name] = computed[NEXT + name];
    return { ...step, ...computed, ...this.#scalars };
  }

  #updateAverages(): void {
    const { useEma, emaMomentum, emaOverwriteFrequency } = this.#optimizer.options;
    if (!useEma) return;
    const scalars = { ema_momentum: this.iterations === 0 ? 0 : emaMomentum };
    const overwrite = emaOverwriteFrequency !== null && (this.iterations + 1) % emaOverwriteFrequency === 0;
    for (const [path, { average, tensors }] of this.#entries) {
      const w = this.#data(path);
      average!.run({ w, average: tensors.average }, scalars);
      if (overwrite) w.set(tensors.average);
    }
  }

  async #runOnnx(
    { graph, model, key }: OnnxUpdate,
    tensors: Record<string, Float32Array<ArrayBuffer>>,
    scalars: Record<string, number>,
  ): Promise<void> {
    if (!this.#load) {
      throw new OnnxHubError("optimizer/backend", `${this.#optimizer.className} needs a backend for its update of matrices`, {
        path: "load",
        remedy: "Give the optimizer's state a function that loads ONNX graphs.",
      });
    }
    const session = this.#sessions.get(key) ?? await this.#load(model, `${this.#optimizer.name}/update`);
    this.#sessions.set(key, session);
    const feeds: Record<string, FeedTensor> = {};
    for (const { name, shape } of graph.inputs) {
      feeds[name] = { dtype: "float32", shape: shape as number[], data: tensors[name] ?? Float32Array.of(scalars[name]) };
    }
    const outputs = await session.run(feeds);
    for (const { name } of graph.outputs) tensors[name.slice(NEXT.length)].set(outputs[name].data);
  }

  /** Keras' end of `fit`: with averages, the weights become their averages. */
  finalizeWeights(): Promise<void> {
    for (const [path, { tensors }] of this.#entries) if (tensors.average) this.#data(path).set(tensors.average);
    return Promise.resolve();
  }

  /** The variables in Keras' order and under its paths: what its optimizer files hold. */
  get variables(): readonly OptimizerVariable[] {
    return kerasVariables({
      name: this.#optimizer.name,
      batches: this.#batches,
      learningRate: this.hasSchedule ? null : this.#rate,
      weights: [...this.#entries.values()],
      scalars: this.#scalars,
    });
  }

  /** A copy of all that training goes on from. */
  getState(): OptimizerSnapshot {
    const tensors: Record<string, Float32Array<ArrayBuffer>> = {};
    for (const [name, data] of this.#named()) tensors[name] = data.slice();
    for (const [name, value] of Object.entries(this.#scalars)) tensors[name] = Float32Array.of(value);
    return { batches: this.#batches, learningRate: this.hasSchedule ? null : this.#rate, tensors };
  }

  /** Goes on from a snapshot, to the same bits. Throws "optimizer/state" for one of another optimizer or other weights. */
  setState({ batches, learningRate, tensors }: OptimizerSnapshot): void {
    const known = new Map<string, { readonly length: number }>([
      ...this.#named(),
      ...Object.keys(this.#scalars).map((name) => [name, { length: 1 }] as const),
    ]);
    for (const name of new Set([...known.keys(), ...Object.keys(tensors)])) {
      const expected = known.get(name)?.length;
      const found = tensors[name]?.length;
      if (expected !== found) {
        throw new OnnxHubError(
          "optimizer/state",
          `This state doesn't fit the optimizer ${kerasName(this.#optimizer.className)} and its weights`,
          {
            path: name,
            expected: expected === undefined ? "no such tensor" : `${expected} elements`,
            found: found === undefined ? "nothing" : `${found} elements`,
          },
        );
      }
    }
    if (!Number.isInteger(batches) || batches < 0 || (learningRate === null) !== this.hasSchedule) {
      throw new OnnxHubError("optimizer/state", "This state's counters don't fit the optimizer", {
        path: learningRate === null || this.hasSchedule ? "learningRate" : "batches",
        expected: this.hasSchedule ? "a schedule, and a whole number of batches" : "a learning rate, and a whole number of batches",
        found: `learningRate ${learningRate}, batches ${batches}`,
      });
    }
    for (const [name, data] of this.#named()) data.set(tensors[name]);
    for (const name of Object.keys(this.#scalars)) this.#scalars[name] = tensors[name][0];
    this.#batches = batches;
    if (learningRate !== null) this.#rate = learningRate;
  }

  *#named(): Iterable<[string, Float32Array<ArrayBuffer>]> {
    for (const [path, { tensors }] of this.#entries) {
      for (const [name, data] of Object.entries(tensors)) yield [`${path}/${name}`, data];
    }
  }

  /** Frees sessions and slots; applying gradients afterwards is an error. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    this.#entries.clear();
    for (const session of this.#sessions.values()) await session.dispose();
    this.#sessions.clear();
  }
}
