/** The model classes: KerasHub's names, and the base classes that dispatch to them. */

import "./base_classes.ts";

export { Backbone, type BackboneOptions } from "./backbone.ts";
export { CausalLM, type CausalLMOptions } from "./causal_lm.ts";
export type { CompileOptions } from "./compilation.ts";
export { fromSpec, type FromSpecOptions } from "./from_spec.ts";
export * from "./generated/index.ts";
export type { HuggingFaceSaveOptions } from "./huggingface_saving.ts";
export { type FilledMask, type FillMaskOptions, MaskedLM, type MaskedLMOptions } from "./masked_lm.ts";
export { Model, type RunOptions } from "./model.ts";
export type { WeightFormat } from "../runtime/held_weights.ts";
export type { OutputChange } from "../runtime/output_change.ts";
export type { OnnxDType, OnnxExportOptions } from "./onnx_export.ts";
export {
  CausalLMPreprocessor,
  type CausalLMPreprocessorOptions,
  MaskedLMPreprocessor,
  type MaskedLMPreprocessorOptions,
  type PreprocessedBatch,
  Preprocessor,
  type PreprocessorOptions,
  TextClassifierPreprocessor,
  type TextClassifierPreprocessorOptions,
} from "./preprocessor.ts";
export { Task, type TaskOptions } from "./task.ts";
export { TextClassifier, type TextClassifierOptions } from "./text_classifier.ts";
export { Tokenizer, type TokenizerOptions } from "./tokenizer.ts";
