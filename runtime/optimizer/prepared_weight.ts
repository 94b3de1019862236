/** A weight made ready for an optimizer: its slots, and the kernels or graphs that update it. */

import type { Graph } from "../../codegen/ir/types.ts";
import { encode } from "../../codegen/onnx/encode.ts";
import { accumulateGraph, averageGraph, slotsOf, squaredNormGraph, type StepWeight, updateGraph } from "../../codegen/optimizers/step.ts";
import type { Slot } from "../../codegen/optimizers/types.ts";
import type { Optimizer } from "./config.ts";
import { Kernel, type KernelCache } from "./kernel.ts";

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
  readonly tensors: Record<string, Float32Array<ArrayBuffer>>;
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

/** Makes the slots of a weight and compiles its updates; weights of one kind share kernels through the cache. */
export function prepareWeight({ path, shape }: TrainedWeight, optimizer: Optimizer, kernels: KernelCache): PreparedWeight {
  const { settings } = optimizer;
  // A kernel tells scalars of the step from tensors by their rank.
  const weight: StepWeight = {
    path,
    shape: shape.length === 0 ? [1] : shape,
    excludedFromDecay: optimizer.isExcludedFromWeightDecay(path),
  };
  const slots = slotsOf(settings, weight);
  const tensors: PreparedWeight["tensors"] = {};
  for (const { name, shape, initial } of slots) tensors[name] = filled(shape, initial);
  if (settings.gradientAccumulationSteps !== null) tensors.accumulated = filled(shape, 0);
  if (settings.useEma) tensors.average = filled(shape, 0);
  // These consist of elementwise ops and whole sums: always kernels.
  const compile = (graph: Graph): Kernel => Kernel.compile(graph, weight.shape, kernels)!;
  const graph = updateGraph(settings, weight);
  return {
    weight,
    shape,
    slots,
    tensors,
    update: Kernel.compile(graph, weight.shape, kernels) ?? onnxUpdate(graph),
    squaredNorm: settings.clip?.by === "global_norm" ? compile(squaredNormGraph(settings, weight)) : null,
    accumulate: settings.gradientAccumulationSteps !== null ? compile(accumulateGraph(settings, weight)) : null,
    average: settings.useEma ? compile(averageGraph(weight)) : null,
  };
}

function filled(shape: readonly number[], value: number): Float32Array<ArrayBuffer> {
  const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
  return value === 0 ? data : data.fill(value);
}

function onnxUpdate(graph: Graph): OnnxUpdate {
  const model = encode(graph);
  return { graph, model, key: model.join() };
}
