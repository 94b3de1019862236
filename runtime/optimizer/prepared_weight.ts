/** Weights made ready for an optimizer: their slots, and the kernels or graphs that update them. */

import type { Graph } from "../../codegen/ir/types.ts";
import { encode } from "../../codegen/onnx/encode.ts";
import {
  accumulateGraph,
  averageGraph,
  slotsOf,
  squaredNormGraph,
  type StepSettings,
  type StepWeight,
  updateGraph,
} from "../../codegen/optimizers/step.ts";
import type { Slot } from "../../codegen/optimizers/types.ts";
import type { Optimizer } from "./config.ts";
import { Kernel, type KernelCache } from "./kernel.ts";
import { type KernelMemory, stagingMemory } from "./kernel_memory.ts";
import { elements, keptTensors, placeWeights } from "./placement.ts";

/** A weight to be trained. */
export interface TrainedWeight {
  readonly path: string;
  readonly shape: readonly number[];
}

/** One weight with its slots and what updates it. */
export interface PreparedWeight {
  /** The weight as graphs see it: of rank 1 at least. */
  readonly weight: StepWeight;
  /** The shape that it really has. */
  readonly shape: readonly number[];
  readonly slots: readonly Slot[];
  readonly tensors: Record<string, Float32Array>;
  /** Where kernels work on it. */
  readonly memory: KernelMemory;
  /** Where the weight's values live meanwhile; null where they stay where they are. */
  readonly home: Float32Array | null;
  readonly update: Kernel | OnnxUpdate;
  readonly squaredNorm: Kernel | null;
  readonly accumulate: Kernel | null;
  readonly average: Kernel | null;
}

/** An update that a backend runs. */
export interface OnnxUpdate {
  readonly graph: Graph;
  readonly model: Uint8Array<ArrayBuffer>;
  readonly key: string;
}

function describe({ path, shape }: TrainedWeight, optimizer: Optimizer) {
  // A kernel tells scalars of the step from tensors by their rank.
  const graphShape = shape.length === 0 ? [1] : shape;
  const weight: StepWeight = { path, shape: graphShape, excludedFromDecay: optimizer.isExcludedFromWeightDecay(path) };
  const slots = slotsOf(optimizer.settings, weight);
  return { path, weight, shape, slots, kept: keptTensors(optimizer.settings, graphShape, slots) };
}

/** The bytes of all that an optimizer keeps for weights. */
export function keptBytes(weights: readonly TrainedWeight[], optimizer: Optimizer): number {
  return weights.reduce(
    (sum, weight) => describe(weight, optimizer).kept.reduce((bytes, { shape }) => bytes + 4 * elements(shape), sum),
    0,
  );
}

/**
 * Makes the slots of weights, large ones in memories where kernels reach them, with room for the weights themselves if they `move` there;
 * compiles their updates. Weights of one kind share kernels through the cache.
 */
export function prepareWeights(
  weights: readonly TrainedWeight[],
  optimizer: Optimizer,
  kernels: KernelCache,
  { moves, workers }: { readonly moves: boolean; readonly workers: number },
): PreparedWeight[] {
  const { settings } = optimizer;
  const described = weights.map((weight) => describe(weight, optimizer));
  const memories = placeWeights(described, moves, workers);
  return described.map(({ path, weight, shape, slots, kept }) => {
    const memory = memories.get(path);
    const room = (shape: readonly number[]): Float32Array => (memory?.allocate(elements(shape)) ?? new Float32Array(elements(shape)));
    const home = memory && moves ? room(shape) : null;
    const tensors: PreparedWeight["tensors"] = {};
    for (const { name, shape, initial } of kept) {
      tensors[name] = room(shape);
      if (initial !== 0) tensors[name].fill(initial);
    }
    return { weight, shape, slots, tensors, memory: memory ?? stagingMemory(), home, ...compileUpdates(settings, weight, kernels) };
  });
}

function compileUpdates(
  settings: StepSettings,
  weight: StepWeight,
  kernels: KernelCache,
): Pick<PreparedWeight, "update" | "squaredNorm" | "accumulate" | "average"> {
  // These consist of elementwise ops and whole sums: always kernels.
  const compile = (graph: Graph): Kernel => Kernel.compile(graph, weight.shape, kernels)!;
  const graph = updateGraph(settings, weight);
  return {
    update: Kernel.compile(graph, weight.shape, kernels) ?? onnxUpdate(graph),
    squaredNorm: settings.clip?.by === "global_norm" ? compile(squaredNormGraph(settings, weight)) : null,
    accumulate: settings.gradientAccumulationSteps !== null ? compile(accumulateGraph(settings, weight)) : null,
    average: settings.useEma ? compile(averageGraph(weight)) : null,
  };
}

function onnxUpdate(graph: Graph): OnnxUpdate {
  const model = encode(graph);
  return { graph, model, key: model.join() };
}
