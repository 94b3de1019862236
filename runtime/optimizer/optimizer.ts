/** A running optimizer: applies gradients to weights in typed arrays, and keeps slots and counters as Keras does. */

import { NEXT, scalarGraph, scalarsOf, type StepSettings } from "../../codegen/optimizers/step.ts";
import { OnnxHubError } from "../../errors.ts";
import type { Backend, Heap } from "../backend.ts";
import type { Optimizer } from "./config.ts";
import { Kernel, type KernelCache } from "./kernel.ts";
import { OnnxUpdates } from "./onnx_updates.ts";
import { checkedRate } from "./options.ts";
import { moveIn, moveOut, type MoveWeight } from "./placement.ts";
import { type PreparedWeight, prepareWeights, type TrainedWeight } from "./prepared_weight.ts";
import { checkSnapshot, type OptimizerSnapshot } from "./snapshot.ts";
import { checkGradient, type OptimizerStep, PreparedStep } from "./step.ts";
import { canHaveThreads, KernelThreads } from "./threads.ts";
import { kerasVariables, type OptimizerVariable, variablePlaces } from "./variables.ts";

export type { OptimizerSnapshot, OptimizerStep, OptimizerVariable, TrainedWeight };

/** What a running optimizer is made from. */
export interface OptimizerStateOptions {
  readonly optimizer: Optimizer;
  /** The weights to train, in the model's order. */
  readonly weights: readonly TrainedWeight[];
  /** A weight's values, which updates change in place. */
  readonly data: (path: string) => Float32Array;
  /**
   * Lets `data` give a weight's values in a copy from now on, in place of `from`; where `data` doesn't give that any more, there is nothing
   * to do. Large weights move so, once before the first step, to where updates need no copies of them, and back when the optimizer is disposed
   * of. Default: all weights stay where they are.
   */
  readonly move?: MoveWeight;
  /** A memory that weights and gradients may live in instead, asked anew for every step; default none. */
  readonly heap?: () => Heap | null;
  /** How many threads update large weights, where the runtime has threads and `move` is given; default 1. Results don't depend on it. */
  readonly threads?: number;
  /** Loads the ONNX graphs of update rules that are no kernel: Adafactor's and Muon's on matrices. Needed for these only. */
  readonly load?: Backend["load"];
  /** Where warnings go; default `console.warn`. */
  readonly warn?: (message: string) => void;
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
  readonly #data: (path: string) => Float32Array;
  readonly #move?: MoveWeight;
  readonly #heap: () => Heap | null;
  readonly #onnx: OnnxUpdates;
  readonly #warn: (message: string) => void;
  readonly #scalars: Record<string, number>;
  readonly #scalarKernel: Kernel;
  readonly #threads: KernelThreads;
  #batches = 0;
  #rate: number;
  /** The step that has begun and isn't finished. */
  #step: PreparedStep | null = null;
  #warned = false;
  #disposed = false;

  /** Makes slots for all weights. */
  constructor(options: OptimizerStateOptions) {
    const { optimizer, weights, data, move, heap = () => null, threads = 1, load, warn = (message) => console.warn(message) } = options;
    this.#optimizer = optimizer;
    this.#settings = optimizer.settings;
    this.#data = data;
    this.#move = move;
    this.#heap = heap;
    this.#onnx = new OnnxUpdates(optimizer, load);
    this.#warn = warn;
    this.#rate = typeof optimizer.learningRate === "number" ? Math.fround(optimizer.learningRate) : 0;
    this.#scalars = Object.fromEntries(scalarsOf(this.#settings).map(({ name, initial }) => [name, Math.fround(initial)]));
    this.#scalarKernel = Kernel.compile(scalarGraph(this.#settings), [1])!;
    const workers = move && canHaveThreads() ? threads - 1 : 0;
    const kernels: KernelCache = new Map();
    const prepared = prepareWeights(weights, optimizer, kernels, { moves: move !== undefined, workers });
    for (const entry of prepared) this.#entries.set(entry.weight.path, entry);
    this.#threads = new KernelThreads(workers, [...kernels.values()], prepared.map(({ memory }) => memory));
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

  /** Whether an update depends on the gradients of all weights: clipped by their global norm. Then only {@linkcode apply} will do. */
  get needsAllGradients(): boolean {
    return this.#settings.clip?.by === "global_norm";
  }

  /**
   * Takes the gradients of one batch, by path, and updates weights and slots; while gradients accumulate it only adds them up. A weight
   * without a gradient stays as it is, with a warning the first time. Throws "optimizer/gradient" for an unknown path, for a
   * gradient of another size, and where there is none at all.
   */
  async apply(gradients: ReadonlyMap<string, Float32Array>): Promise<void> {
    this.#checkUsable();
    for (const [path, gradient] of gradients) checkGradient(this.#entries, path, gradient);
    this.#reportMissing(gradients);
    const step = this.#begin(gradients);
    for (const path of this.paths) if (gradients.has(path)) await step.update(path, gradients.get(path)!);
    await step.finish();
  }

  /**
   * Begins a step whose gradients come one by one, so that none has to be kept until all are there; the result is {@linkcode apply}'s to the
   * bit. The learning rate is the one of now. A step that isn't finished counts for nothing, though weights it updated stay so; another
   * one may begin. Throws "optimizer/step" where an update {@linkcode needsAllGradients}.
   *
   * @example
   * ```ts
   * import { optimizers, OptimizerState } from "onnxhub";
   * const weights = new Map([["a", Float32Array.of(1)], ["b", Float32Array.of(2)]]);
   * const state = new OptimizerState({
   *   optimizer: new optimizers.SGD(0.5),
   *   weights: [{ path: "a", shape: [1] }, { path: "b", shape: [1] }],
   *   data: (path) => weights.get(path)!,
   * });
   * const step = state.beginStep();
   * await step.update("b", Float32Array.of(1));
   * await step.update("a", Float32Array.of(2));
   * await step.finish();
   * console.log(weights.get("a"), weights.get("b"), state.iterations); // Float32Array [0] Float32Array [1.5] 1
   * ```
   */
  beginStep(): OptimizerStep {
    this.#checkUsable();
    if (this.needsAllGradients) {
      throw new OnnxHubError("optimizer/step", "Clipping by the global norm takes the gradients of all weights at once", {
        path: "globalClipnorm",
        remedy: "Call `apply` with all gradients, or clip each weight's gradient: `clipnorm`.",
      });
    }
    return this.#begin(new Map());
  }

  #checkUsable(): void {
    if (this.#disposed) throw new OnnxHubError("optimizer/disposed", "This optimizer was disposed of");
  }

  /** Begins a step; the gradients are those that a global norm is taken of. */
  #begin(gradients: ReadonlyMap<string, Float32Array>): PreparedStep {
    if (this.#move) moveIn(this.#entries, this.#data, this.#move, this.#heap());
    const steps = this.#settings.gradientAccumulationSteps;
    const updates = steps === null || (this.#batches + 1) % steps === 0;
    const scalars = updates ? this.#stepScalars(gradients) : null;
    return this.#step = new PreparedStep({
      entries: this.#entries,
      data: this.#data,
      onnx: this.#onnx,
      threads: this.#threads,
      heap: this.#heap(),
      scalars,
      check: (step) => {
        this.#checkUsable();
        if (step === this.#step) return;
        throw new OnnxHubError("optimizer/step", "This step is over", { remedy: "Begin another one." });
      },
      finished: (updated) => {
        this.#reportMissing(updated);
        this.#step = null;
        for (const name of Object.keys(this.#scalars)) this.#scalars[name] = scalars?.[name] ?? this.#scalars[name];
        this.#updateAverages();
        this.#batches++;
      },
    });
  }

  /** Throws where no weight has a gradient; warns, once, where one hasn't. */
  #reportMissing(given: ReadonlyMap<string, unknown> | ReadonlySet<string>): void {
    const missing = this.paths.filter((path) => !given.has(path));
    if (given.size === 0 && missing.length > 0) throw new OnnxHubError("optimizer/gradient", "No gradients provided for any variable");
    if (missing.length > 0 && !this.#warned) {
      this.#warned = true;
      this.#warn(`Gradients do not exist for variables ${missing.join(", ")} when minimizing the loss.`);
    }
  }

  /** Everything that is computed once for all weights of an update: the optimizer's own scalars as they are after it, too. */
  #stepScalars(gradients: ReadonlyMap<string, Float32Array>): Record<string, number> {
    let squaredNorm = 0;
    for (const [path, { squaredNorm: kernel, tensors, memory }] of this.#entries) {
      if (kernel && gradients.has(path)) {
        squaredNorm += kernel.run({ ...tensors, g: gradients.get(path)! }, {}, memory, this.#threads, this.#heap()).squared_norm;
      }
    }
    const step = { lr: this.learningRate, t: Math.fround(this.iterations + 1), squared_norm: squaredNorm };
    const computed = this.#scalarKernel.run({}, { ...this.#scalars, ...step });
    const next = Object.keys(this.#scalars).map((name) => [name, computed[NEXT + name]]);
    return { ...step, ...computed, ...Object.fromEntries(next) };
  }

  #updateAverages(): void {
    const { useEma, emaMomentum, emaOverwriteFrequency } = this.#optimizer.options;
    if (!useEma) return;
    const scalars = { ema_momentum: this.iterations === 0 ? 0 : emaMomentum };
    const overwrite = emaOverwriteFrequency !== null && (this.iterations + 1) % emaOverwriteFrequency === 0;
    for (const [path, { average, tensors, memory }] of this.#entries) {
      const w = this.#data(path);
      average!.run({ w, average: tensors.average }, scalars, memory, this.#threads, this.#heap());
      if (overwrite) w.set(tensors.average);
    }
  }

  /** Keras' end of `fit`: with averages, the weights become their averages. */
  finalizeWeights(): Promise<void> {
    for (const [path, { tensors }] of this.#entries) if (tensors.average) this.#data(path).set(tensors.average);
    return Promise.resolve();
  }

  /** The variables in Keras' order and under its paths: what its optimizer files hold. */
  get variables(): readonly OptimizerVariable[] {
    const weights = [...this.#entries.values()].map(({ weight: { path }, shape }) => ({ path, shape }));
    return kerasVariables(variablePlaces(this.#optimizer, weights), {
      batches: this.#batches,
      learningRate: this.hasSchedule ? null : this.#rate,
      tensors: Object.fromEntries(this.#named()),
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
    const lengths = new Map([
      ...[...this.#named()].map(([name, { length }]) => [name, length] as const),
      ...Object.keys(this.#scalars).map((name) => [name, 1] as const),
    ]);
    checkSnapshot({ batches, learningRate, tensors }, { optimizer: this.#optimizer.className, lengths, hasSchedule: this.hasSchedule });
    for (const [name, data] of this.#named()) data.set(tensors[name]);
    for (const name of Object.keys(this.#scalars)) this.#scalars[name] = tensors[name][0];
    this.#step = null;
    this.#batches = batches;
    if (learningRate !== null) this.#rate = learningRate;
  }

  *#named(): Iterable<[string, Float32Array]> {
    for (const [path, { tensors }] of this.#entries) {
      for (const [name, data] of Object.entries(tensors)) yield [`${path}/${name}`, data];
    }
  }

  /** Frees sessions and slots; applying gradients afterwards is an error. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    if (this.#move) moveOut(this.#entries, this.#move);
    this.#entries.clear();
    await this.#threads.dispose();
    await this.#onnx.dispose();
  }
}
