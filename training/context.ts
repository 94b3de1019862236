/** What the training functions run on: an engine, how raw data become its batches, and the seed. */

import type { MetricResult } from "../codegen/metrics.ts";
import type { CallbackModel, MetricDirections, Position } from "./callbacks/callback.ts";
import type { History } from "./callbacks/history.ts";
import { type Console, processConsole } from "./console.ts";
import type { InputInfo, Preprocess } from "./data.ts";
import type { Engine } from "./engine.ts";
import { RunningMetrics } from "./running_metrics.ts";

/** What a model hands to the training functions. */
export interface TrainingContext {
  readonly engine: Engine;
  /** Seeds the order of rows. */
  readonly seed: number;
  /** From raw rows to batches; none: `x` is numbers. */
  readonly preprocess?: Preprocess | null;
  /** The model's inputs, for checks of names. */
  readonly inputs?: readonly InputInfo[];
  /** Which way each metric improves, by the name it is logged under. */
  readonly metricDirections?: MetricDirections;
  /** What each metric's quotient is turned into. Default: nothing. */
  readonly metricResults?: Readonly<Record<string, MetricResult>>;
  /** The object that the user called `fit` on: `callback.model.owner`. */
  readonly owner?: unknown;
  /** Default: the process's. */
  readonly console?: Console;
}

/** One call of `fit`, `evaluate` or `predict`: what callbacks see, and what the loop keeps. */
export class Run implements CallbackModel {
  stopTraining = false;
  stopEvaluating = false;
  stopPredicting = false;
  history: History | null = null;
  startBatch = 0;
  epoch = 0;
  batch = 0;
  readonly context: TrainingContext;
  readonly metrics: RunningMetrics;
  readonly console: Console;
  #resume: Position | null = null;

  /** Nothing runs yet. */
  constructor(context: TrainingContext) {
    this.context = context;
    this.console = context.console ?? processConsole;
    this.metrics = new RunningMetrics(context.metricResults);
  }

  /** Where a callback asked to go on from. */
  get resume(): Position | null {
    return this.#resume;
  }

  get engine(): Engine {
    return this.context.engine;
  }

  get optimizer(): Engine["optimizer"] {
    return this.context.engine.optimizer;
  }

  get metricDirections(): MetricDirections {
    return this.context.metricDirections ?? {};
  }

  get owner(): unknown {
    return this.context.owner;
  }

  get position(): Position {
    return { epoch: this.epoch, batch: this.batch, sums: { ...this.metrics.sums } };
  }

  resumeAt(position: Position): void {
    this.#resume = position;
  }

  getWeights(): ReturnType<Engine["getWeights"]> {
    return this.engine.getWeights();
  }

  setWeights(weights: Parameters<Engine["setWeights"]>[0]): Promise<void> {
    return this.engine.setWeights(weights);
  }

  checkWeightsPath(path: string): void {
    this.engine.checkWeightsPath?.(path);
  }

  saveWeights(path: string): Promise<void> {
    return this.engine.saveWeights(path);
  }

  loadWeights(path: string): Promise<void> {
    return this.engine.loadWeights(path);
  }

  saveState(path: string): Promise<void> {
    return this.engine.saveState(path);
  }

  loadState(path: string): Promise<void> {
    return this.engine.loadState(path);
  }
}
