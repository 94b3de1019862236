/** What a model consists of and will cost, found out by compiling it, without running anything. */

import { OnnxHubError } from "../errors.ts";
import type { ExpandedSpec } from "../spec/types.ts";
import { compile } from "./compile.ts";
import { flopsOf, peakBytes, type Sizes } from "./cost.ts";
import { formatShape, symbolsOf } from "./ir/dims.ts";
import { type LoweredModel, lowerModel } from "./lowering/model.ts";
import { slotsOf, type StepSettings } from "./optimizers/step.ts";
import { optimizerNames, updateRules } from "./optimizers/rules.ts";
import type { WeightInfo } from "./program.ts";
import { trainingRequest } from "./training_request.ts";

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
   * `slots` beside the weights. Each tensor is counted once: a runtime that copies its inputs and outputs takes more.
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
  /** The optimizer's settings; default the task's own optimizer at Keras' defaults. */
  readonly optimizer?: StepSettings;
}

/**
 * Explains an expanded spec: its layers with shapes, parameters and FLOPs, and the memory that inference and training will take.
 *
 * Throws "codegen/size" for a size that isn't the model's or beyond its limit, and whatever `compile` throws.
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
export function explain(spec: ExpandedSpec, { sizes: given = {}, optimizer = ownOptimizer(spec) }: ExplainOptions = {}): Explanation {
  const lowered = lowerModel(spec, { training: false });
  const sizes = sizesOf(lowered, spec, given);
  const weights = lowered.weights.list();
  const elementsOf = new Map(weights.map(({ path, shape }) => [path, shape.reduce((a, b) => a * b, 1)]));
  const counted = new Set<string>();
  const layers = lowered.layers.map(({ path, layer, output, weights: own, nodes }) => {
    const fresh = own.filter((weight) => !counted.has(weight) && counted.add(weight));
    return {
      path,
      type: layer.layer,
      outputShape: formatShape(output.shape),
      parameters: fresh.reduce((sum, weight) => sum + elementsOf.get(weight)!, 0),
      flops: flopsOf(lowered.g.nodes.slice(...nodes), sizes),
    };
  });
  const parameters = [...elementsOf.values()].reduce((a, b) => a + b, 0);
  const inference = compile(spec, { mode: "infer" }).graph;
  const activations = peakBytes(inference, sizes);
  const training = spec.head && compile(spec, trainingRequest(spec));
  const trained = training?.program.stages[0].outputs.flatMap((output) => output.role === "gradient" ? [output.weight] : []) ?? [];
  const gradients = trained.reduce((sum, path) => sum + 4 * elementsOf.get(path)!, 0);
  const isTrained = new Set(trained);
  const slots = weights.filter(({ path }) => isTrained.has(path)).flatMap((weight) => slotsOf(optimizer, weight))
    .reduce((sum, { shape }) => sum + 4 * shape.reduce((a, b) => a * b, 1), 0);
  // The gradients are outputs, alive at the end: the peak has them in it.
  const trainingActivations = training && Math.max(0, peakBytes(training.graph, sizes) - gradients);
  return {
    name: spec.name,
    task: spec.head?.task ?? null,
    layers,
    weights,
    parameters,
    sizes,
    flops: { inference: flopsOf(inference.nodes, sizes), training: training && flopsOf(training.graph.nodes, sizes) },
    memory: {
      weights: 4 * parameters,
      activations,
      inference: 4 * parameters + activations,
      gradients,
      slots,
      trainingActivations,
      training: trainingActivations === null ? null : 4 * parameters + trainingActivations + gradients + slots,
    },
  };
}

/** A size for every symbol of the model's inputs. */
function sizesOf({ inputs }: LoweredModel, { name, limits }: ExpandedSpec, given: Sizes): Sizes {
  const symbols = new Set(Object.values(inputs).flatMap(({ value }) => [...symbolsOf(value.shape)]));
  for (const [symbol, size] of Object.entries(given)) {
    if (!symbols.has(symbol)) {
      throw new OnnxHubError("codegen/size", `${name} has no dimension \`${symbol}\``, {
        path: "sizes",
        expected: `one of ${[...symbols].join(", ")}`,
      });
    }
    const limit = limits[symbol] ?? Number.MAX_SAFE_INTEGER;
    if (Number.isInteger(size) && size >= 1 && size <= limit) continue;
    throw new OnnxHubError("codegen/size", `That is no size for the dimension \`${symbol}\``, {
      path: "sizes",
      expected: `a whole number from 1 to ${limit}`,
      found: String(size),
    });
  }
  return Object.fromEntries([...symbols].map((symbol) => [symbol, given[symbol] ?? limits[symbol] ?? 1]));
}

/** The optimizer that the task names, Adam where there is none, at its defaults. */
function ownOptimizer({ head }: ExpandedSpec): StepSettings {
  const name = optimizerNames.find((name) => name.toLowerCase() === head?.compile.optimizer.name.toLowerCase()) ?? "Adam";
  const { weightDecay, ...hyperparameters } = updateRules[name].defaults;
  return {
    optimizer: name,
    hyperparameters,
    hasSchedule: false,
    weightDecay,
    clip: null,
    lossScaleFactor: null,
    gradientAccumulationSteps: null,
    useEma: false,
  };
}
