/** transformers.js' layout of a model's folder: what its files are called, and saving one whole or not at all. */

import { writeDirectoryAtomic } from "../../formats/atomic.ts";
import type { ConfigValue } from "../../spec/types.ts";

/** The files and folders of an export. */
export const EXPORT_FILES = { config: "config.json", models: "onnx" } as const;

/** What the weights of an exported model can be. */
export type OnnxDType = "float32" | "float16";

/** The model file of each dtype, and what transformers.js calls the dtype. */
export const MODEL_FILES: Readonly<Record<OnnxDType, { readonly file: string; readonly dtype: string }>> = {
  float32: { file: "model.onnx", dtype: "fp32" },
  float16: { file: "model_fp16.onnx", dtype: "fp16" },
};

/** KerasHub's names of inputs, and Hugging Face's. All others are computed inside the graph. */
export const INPUT_NAMES: Readonly<Record<string, string>> = {
  token_ids: "input_ids",
  padding_mask: "attention_mask",
  segment_ids: "token_type_ids",
};

/** What a pipeline of transformers.js presupposes of a head. */
interface Pipeline {
  readonly name: string;
  /** Values that the head's configuration must have, where it has such an entry, */
  readonly config: Readonly<Record<string, ConfigValue>>;
  /** because of this. */
  readonly reason: string;
}

/** The pipeline for each task. */
export const PIPELINES: Readonly<Record<string, Pipeline>> = {
  masked_lm: { name: "fill-mask", config: {}, reason: "" },
  text_classifier: { name: "text-classification", config: { activation: "linear" }, reason: "it applies softmax to the outputs itself" },
};

/** Files that an export may have written, and that must not outlive it. */
const OWN =
  /^(onnx\/model(_fp16)?\.onnx(_data(_[0-9]+)?)?|tokenizer\.json|tokenizer_config\.json|special_tokens_map\.json|vocab\.(txt|json)|merges\.txt|[^/]*\.(spm|model))$/;

/** Files that only a preset of KerasHub has. */
const KERASHUB = /^(model\.weights\.(h5|json)|task\.json|task\.weights\.h5|preprocessor\.json|metadata\.json)$/;

/**
 * Saves an export: `build` writes its files into the directory it is given, which then takes the place of `path` as a whole. A checkpoint in the
 * same folder (`model.safetensors`) stays.
 *
 * Throws "format/directory-foreign" for a directory with files in it that is neither an export nor a checkpoint, or that is a preset of KerasHub's,
 * and what `writeDirectoryAtomic` throws.
 */
export function saveExportDirectory(path: string, build: (temporary: string) => void | Promise<void>): Promise<void> {
  return writeDirectoryAtomic(path, build, {
    accept: (names) => names.includes(EXPORT_FILES.config) && !names.some((name) => KERASHUB.test(name)),
    obsolete: (name) => OWN.test(name),
  });
}
