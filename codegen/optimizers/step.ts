/** A whole optimizer step as graphs: Keras' loss scale, accumulation, clipping, decay and averaging around an update rule. */

import { GraphBuilder } from "../ir/builder.ts";
import type { Graph, Value } from "../ir/types.ts";
import { updateRules } from "./rules.ts";
import type { OptimizedWeight, OptimizerHyperparameters, OptimizerName, Slot, UpdateRule, UpdateValues } from "./types.ts";

const f32 = Math.fround;

/** How gradients are clipped: every element, every weight's norm, or the norm of them all. */
export interface Clip {
  readonly by: "value" | "norm" | "global_norm";
  readonly limit: number;
}

/** Everything about an optimizer that its graphs depend on. */
export interface StepSettings<K extends OptimizerName = OptimizerName> {
  readonly optimizer: K;
  readonly hyperparameters: OptimizerHyperparameters[K];
  /** Whether the learning rate follows a schedule. */
  readonly hasSchedule: boolean;
  readonly weightDecay: number | null;
  readonly clip: Clip | null;
  /** What the loss was multiplied by before the gradients were taken. */
  readonly lossScaleFactor: number | null;
  /** How many batches' gradients make one update; null for one. */
  readonly gradientAccumulationSteps: number | null;
  /** Whether averages of the weights are kept. */
  readonly useEma: boolean;
}

/** A weight with what the optimizer does to it. */
export interface StepWeight extends OptimizedWeight {
  /** Whether weight decay passes it by. */
  readonly excludedFromDecay?: boolean;
}

type AnyRule = UpdateRule<OptimizerHyperparameters[OptimizerName]>;

function ruleOf(settings: StepSettings): AnyRule {
  return updateRules[settings.optimizer] as AnyRule;
}

/** The slots that a weight needs. */
export function slotsOf(settings: StepSettings, weight: OptimizedWeight): readonly Slot[] {
  return ruleOf(settings).slots(weight, settings.hyperparameters);
}

/** The optimizer's own scalars with their initial values. */
export function scalarsOf(settings: StepSettings): readonly { readonly name: string; readonly initial: number }[] {
  return ruleOf(settings).scalars ?? [];
}

/** The prefix of a graph output's name: the output `next_w` replaces the input `w`. */
export const NEXT = "next_";

/** Values by name; one that isn't defined becomes an input of the graph when it is first read. */
class Inputs {
  readonly #known = new Map<string, Value>();
  readonly #b: GraphBuilder;

  constructor(b: GraphBuilder) {
    this.#b = b;
  }

  read = (name: string, shape: readonly number[] = []): Value => {
    const known = this.#known.get(name);
    if (known) return known;
    const value = this.#b.input(name, "float32", shape);
    this.#known.set(name, value);
    return value;
  };

  /** Gives a name to a computed value. */
  define(name: string, value: Value): void {
    this.#known.set(name, value);
  }
}

/** The gradient unscaled and, when accumulating, the mean of all; before clipping. */
function preparedGradient(b: GraphBuilder, inputs: Inputs, settings: StepSettings, { shape }: OptimizedWeight, prefix: string): Value {
  const g = unscaled(b, inputs.read(`${prefix}g`, shape), settings);
  const steps = settings.gradientAccumulationSteps;
  return steps === null ? g : b.div(b.add(g, inputs.read(`${prefix}accumulated`, shape)), steps);
}

function unscaled(b: GraphBuilder, g: Value, { lossScaleFactor }: StepSettings): Value {
  return lossScaleFactor === null ? g : b.div(g, f32(lossScaleFactor));
}

function clipped(b: GraphBuilder, inputs: Inputs, g: Value, clip: Clip | null): Value {
  if (clip === null) return g;
  const limit = f32(clip.limit);
  if (clip.by === "value") return b.min(b.max(g, -limit), limit);
  if (clip.by === "global_norm") return b.mul(g, inputs.read("clip_scale"));
  return b.div(b.mul(g, limit), b.max(b.sqrt(b.sum(b.square(g))), limit));
}

/** What all gradients are multiplied by so that their global norm is within the limit; NaN when that norm isn't finite. */
export function globalClipScale(b: GraphBuilder, squaredNorm: Value, limit: number): Value {
  const norm = b.sqrt(squaredNorm);
  const scale = b.mul(f32(limit), b.min(b.div(1, norm), f32(1 / limit)));
  return b.add(scale, b.sub(norm, norm));
}

function updateWeight(b: GraphBuilder, inputs: Inputs, settings: StepSettings, weight: StepWeight, prefix: string, gradient?: Value): void {
  const rule = ruleOf(settings);
  const slots = new Map(slotsOf(settings, weight).map((slot) => [slot.name, slot]));
  const decay = rule.weightDecay?.(weight, settings.hyperparameters, settings.weightDecay) ??
    (rule.weightDecay ? null : settings.weightDecay);
  const g = clipped(b, inputs, gradient ?? preparedGradient(b, inputs, settings, weight, prefix), settings.clip);
  let w = inputs.read(`${prefix}w`, weight.shape);
  if (decay !== null && !weight.excludedFromDecay) w = b.sub(w, b.mul(b.mul(w, f32(decay)), inputs.read("lr")));
  const values: UpdateValues = {
    w,
    g,
    get lr() {
      return inputs.read("lr");
    },
    get t() {
      return inputs.read("t");
    },
    slot: (name) => inputs.read(prefix + name, slots.get(name)!.shape),
    scalar: (name) => inputs.read(name),
  };
  const result = rule.update(b, values, { hyperparameters: settings.hyperparameters, hasSchedule: settings.hasSchedule }, weight);
  b.output(`${NEXT}${prefix}w`, result.w);
  for (const [name, value] of Object.entries(result.slots)) b.output(`${NEXT}${prefix}${name}`, value);
}

/**
 * The update of one weight.
 *
 * Inputs, float32, each only if it is used: `w`, `g`, `accumulated` and the slots by name; scalars `lr`, `t`, `clip_scale` (of the global
 * norm) and the optimizer's own, as updated for this step. Outputs: `next_w` and `next_` of every slot that changes.
 */
export function updateGraph(settings: StepSettings, weight: StepWeight): Graph {
  const b = new GraphBuilder("update");
  updateWeight(b, new Inputs(b), settings, weight, "");
  return b.finish();
}

/** The gradient kept for a later update: `g`, `accumulated` → `next_accumulated`. */
export function accumulateGraph(settings: StepSettings, { shape }: OptimizedWeight): Graph {
  const b = new GraphBuilder("accumulate");
  const g = b.input("g", "float32", shape);
  b.output(`${NEXT}accumulated`, b.add(unscaled(b, g, settings), b.input("accumulated", "float32", shape)));
  return b.finish();
}

/** The sum of squares of one prepared gradient: `g`, `accumulated` → the scalar `squared_norm`. */
export function squaredNormGraph(settings: StepSettings, weight: OptimizedWeight): Graph {
  const b = new GraphBuilder("squared_norm");
  b.output("squared_norm", b.sum(b.square(preparedGradient(b, new Inputs(b), settings, weight, ""))));
  return b.finish();
}

/** The moving average of one weight: `w`, `average`, the scalar `ema_momentum` → `next_average`. */
export function averageGraph({ shape }: OptimizedWeight): Graph {
  const b = new GraphBuilder("average");
  const w = b.input("w", "float32", shape);
  const average = b.input("average", "float32", shape);
  const momentum = b.input("ema_momentum", "float32", []);
  b.output(`${NEXT}average`, b.add(b.mul(momentum, average), b.mul(b.sub(1, momentum), w)));
  return b.finish();
}

/** What is computed once a step: `t` and the optimizer's scalars → `next_` of these; `squared_norm` (of all gradients) → `clip_scale`. */
export function scalarGraph(settings: StepSettings): Graph {
  const b = new GraphBuilder("scalars");
  const inputs = new Inputs(b);
  for (const scalar of ruleOf(settings).scalars ?? []) {
    b.output(NEXT + scalar.name, scalar.update(b, inputs.read(scalar.name), inputs.read("t"), settings.hyperparameters));
  }
  if (settings.clip?.by === "global_norm") {
    b.output("clip_scale", globalClipScale(b, inputs.read("squared_norm"), settings.clip.limit));
  }
  return b.finish();
}

/**
 * The optimizer's update of all weights as one graph, for `optimizer.onnx`.
 *
 * Inputs and outputs as in {@linkcode updateGraph}, those of a weight under its path (`path/w`, `path/g`, `path/momentum`); the
 * optimizer's own scalars are given as they were before the step. Averages of the weights are no part of it: see {@linkcode averageGraph}.
 */
export function optimizerGraph(settings: StepSettings, weights: readonly StepWeight[]): Graph {
  const b = new GraphBuilder("optimizer");
  const inputs = new Inputs(b);
  const gradients = weights.map((weight) => b.scoped(weight.path, () => preparedGradient(b, inputs, settings, weight, `${weight.path}/`)));
  if (settings.clip?.by === "global_norm" && gradients.length > 0) {
    const total = gradients.map((g) => b.sum(b.square(g))).reduce((x, y) => b.add(x, y));
    inputs.define("clip_scale", globalClipScale(b, total, settings.clip.limit));
  }
  for (const { name, update } of ruleOf(settings).scalars ?? []) {
    const next = update(b, inputs.read(name), inputs.read("t"), settings.hyperparameters);
    inputs.define(name, next);
    b.output(NEXT + name, next);
  }
  weights.forEach((weight, i) => b.scoped(weight.path, () => updateWeight(b, inputs, settings, weight, `${weight.path}/`, gradients[i])));
  return b.finish();
}
