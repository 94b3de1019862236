/** What a model consists of and will cost, found out by compiling it, without running anything. */

import type { ExpandedSpec } from "../spec/types.ts";
import { compile } from "./compile.ts";
import { bytesOf, flopsOf, peakBytes, type Sizes } from "./cost.ts";
import { formatShape } from "./ir/dims.ts";
import { lowerModel } from "./lowering/model.ts";
import type { WeightInfo } from "./program.ts";

/** One layer of the explanation. */
export interface ExplainedLayer {
  /** `transformer_layer_0/self_attention_layer/query`. */
  readonly path: string;
  /** The primitive: "dense", "norm", … */
  readonly type: string;
  /** With symbols: `[batch, sequence, 768]`. */
  readonly outputShape: string;
  /** Parameters of its own; those shared with an earlier layer are counted there. */
  readonly parameters: number;
  /** Of one forward pass, at the given sizes. */
  readonly flops: number;
}

/** A model, explained. */
export interface Explanation {
  readonly name: string;
  readonly task: string | null;
  readonly layers: readonly ExplainedLayer[];
  readonly weights: readonly WeightInfo[];
  readonly parameters: number;
  /** What the figures below are for. */
  readonly sizes: Sizes;
  /** Of matrix products: one forward pass, and one training step (null without a task). */
  readonly flops: { readonly inference: number; readonly training: number | null };
  /**
   * Bytes. `weights` and `activations` are what inference holds; training holds `trainingActivations`, `gradients` and the optimizer's
   * `slots` (two for Adam) beside the weights.
   */
  readonly memory: {
    readonly weights: number;
    readonly activations: number;
    readonly inference: number;
    readonly gradients: number;
    readonly slots: number;
    readonly trainingActivations: number | null;
    readonly training: number | null;
  };
}

/** Options of {@linkcode explain}. */
export interface ExplainOptions {
  /** Sizes of the symbolic dimensions; default a batch of 1 at the model's greatest sequence, 1 for what else there is. */
  readonly sizes?: Sizes;
  /** Values that the optimizer keeps for every parameter; default 2, as Adam does. */
  readonly slotsPerParameter?: number;
}

/**
 * Explains an expanded spec: its layers with shapes, parameters and FLOPs, and the memory that inference and training will take.
 *
 * @example
 * ```ts
 * import { codegen, spec } from "onnxhub";
 * const model = spec.expand(await spec.load("xlm_roberta"), {
 *   config: { vocabulary_size: 250002, num_layers: 12, num_heads: 12, hidden_dim: 768, intermediate_dim: 3072 },
 *   task: "masked_lm",
 * });
 * console.log(codegen.explain(model).parameters); // 278292882
 * ```
 */
export function explain(spec: ExpandedSpec, { sizes: given = {}, slotsPerParameter = 2 }: ExplainOptions = {}): Explanation {
  const lowered = lowerModel(spec, { training: false });
  const sizes: Record<string, number> = { ...spec.limits, ...given };
  for (const { value } of Object.values(lowered.inputs)) {
    for (const dim of value.shape) if (typeof dim === "string") sizes[dim] ??= 1;
  }
  const weights = lowered.weights.list();
  const sizeOf = new Map(weights.map(({ path, shape }) => [path, shape.reduce((a, b) => a * b, 1)]));
  const counted = new Set<string>();
  const layers = lowered.layers.map(({ path, layer, output, weights: own, nodes }) => {
    const fresh = own.filter((weight) => !counted.has(weight) && counted.add(weight));
    return {
      path,
      type: layer.layer,
      outputShape: formatShape(output.shape),
      parameters: fresh.reduce((sum, weight) => sum + sizeOf.get(weight)!, 0),
      flops: flopsOf(lowered.g.nodes.slice(...nodes), sizes),
    };
  });
  const parameters = [...sizeOf.values()].reduce((a, b) => a + b, 0);
  const inference = compile(spec, { mode: "infer" }).graph;
  const training = spec.head && compile(spec, { mode: "train", loss: spec.head.compile.loss }).graph;
  const activations = peakBytes(inference, sizes);
  const gradientOutputs = training?.outputs.filter(({ name }) => name.startsWith("gradients/")) ?? [];
  const gradients = gradientOutputs.reduce((sum, { value }) => sum + bytesOf(value, sizes), 0);
  const trainingActivations = training && Math.max(0, peakBytes(training, sizes) - gradients);
  const memory = {
    weights: 4 * parameters,
    activations,
    inference: 4 * parameters + activations,
    gradients,
    slots: slotsPerParameter * gradients,
    trainingActivations,
    training: trainingActivations === null ? null : 4 * parameters + trainingActivations + gradients + slotsPerParameter * gradients,
  };
  return {
    name: spec.name,
    task: spec.head?.task ?? null,
    layers,
    weights,
    parameters,
    sizes,
    flops: { inference: flopsOf(inference.nodes, sizes), training: training && flopsOf(training.nodes, sizes) },
    memory,
  };
}
