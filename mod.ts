/**
 * OnnxHub: KerasHub's models for Deno and Bun. Pretrained language models that a script can load, fine-tune, evaluate and use.
 *
 * @module
 */

export * as callbacks from "./training/callbacks/mod.ts";
export * as codegen from "./codegen/index.ts";
export * as losses from "./training/loss_options.ts";
export * as metrics from "./training/metric_options.ts";
export * as models from "./models/index.ts";
export * as optimizers from "./training/optimizers.ts";
export * as presets from "./presets/index.ts";
export * as spec from "./spec/index.ts";
export * as text from "./text/index.ts";
export * from "./text/index.ts";
export { type ErrorCode, type ErrorDetails, nearest, OnnxHubError } from "./errors.ts";
export { RandomStream } from "./random.ts";
export { type NestedArray, type Tensor, tensor, type TensorDType, type TensorLike } from "./runtime/tensor.ts";
export { OptimizerState, type OptimizerStep } from "./runtime/optimizer/optimizer.ts";
export { getOptimizer } from "./runtime/optimizer/config.ts";
