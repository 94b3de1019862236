/** Training on a CPU backend: weights, gradients and slots are typed arrays on the host. */

import { OptimizerState, type OptimizerStep } from "../runtime/optimizer/optimizer.ts";
import type { Heap } from "../runtime/backend.ts";
import type { RunInputs } from "../runtime/feeds.ts";
import { PART } from "../runtime/gradient.ts";
import { HeapWeights, kernelsReachHeaps } from "../runtime/heap_weights.ts";
import { requireHostMemory, roomInHeap } from "../runtime/memory.ts";
import { elements } from "../runtime/optimizer/placement.ts";
import { keptBytes } from "../runtime/optimizer/prepared_weight.ts";
import { type PlanInHeap, PlannedRunner } from "../runtime/planned_runner.ts";
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
  /** Where weights and gradients live while they are trained; null where there is none, or too little room. */
  #heap: Heap | null | undefined;
  /** Where gradients alone do; null where there is none. */
  #results: Heap | null | undefined;
  #weights: HeapWeights | null = null;

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
      heap: () => this.#heap ?? this.#results ?? null,
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
    const taken = optimizer.needsAllGradients ? undefined : take;
    const inHeap = await this.#inHeap(inputs);
    const result = inHeap ? await inHeap.runner.run(inputs, taken, inHeap.stays) : await this.#runner.run(inputs, taken);
    if (optimizer.needsAllGradients) await optimizer.apply(result.gradients);
    else await begun().finish();
    parameters.touch();
    return { loss: result.loss, size: result.symbols.batch, metrics: result.metrics };
  }

  /** The bytes of all gradients that come whole, and of the parts of one that doesn't. */
  #gradientBytes(): number {
    const { stages } = this.#runner.whole.program;
    const whole = stages.flatMap(({ outputs }) => outputs).filter(({ role }) => role === "gradient");
    return whole.reduce((sum, { shape }) => sum + 4 * elements(shape as readonly number[]), 8 * PART);
  }

  /** How a batch runs in the backend's heap with all weights, once these are there; null where there is none, or too little room. */
  async #inHeap(inputs: RunInputs): Promise<PlanInHeap | null> {
    const backend = await this.#options.backend();
    if (!backend.heap) {
      if (this.#results === undefined) this.#results = kernelsReachHeaps() ? backend.results?.(this.#gradientBytes()) ?? null : null;
      return null;
    }
    if (this.#heap === null) return null;
    const planned = () => this.#runner.inHeap(inputs, roomInHeap((this.#heap?.heldBytes ?? 0) - (this.#weights?.bytes ?? 0)));
    let plan = planned();
    if (plan && this.#heap === undefined) {
      // Not before: a batch that is refused starts no runtime.
      this.#heap = kernelsReachHeaps() ? await backend.heap() : null;
      if (this.#heap) this.#weights = new HeapWeights(this.#heap, this.#options.parameters, this.#runner.whole.program.weights);
      plan = planned();
    }
    if (plan && this.#weights?.moveIn()) return plan;
    // For good: moving all weights back and forth would take longer than copies of them.
    this.#heap = null;
    this.#weights?.moveOut();
    this.#weights = null;
    return null;
  }

  /** See {@linkcode TrainingRun}. */
  async dispose(): Promise<void> {
    this.#weights?.moveOut();
    await this.#runner.dispose();
    await this.#optimizer.dispose();
  }
}
