/** Exports tasks as folders that transformers.js and any ONNX Runtime run. */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { standalone } from "../codegen/standalone.ts";
import { OnnxHubError } from "../errors.ts";
import type { JsonObject, JsonValue } from "../formats/json.ts";
import { formatCheckpointConfig, nestedConfig } from "../presets/huggingface/config.ts";
import { EXPORT_FILES, INPUT_NAMES, MODEL_FILES, type OnnxDType, PIPELINES, saveExportDirectory } from "../presets/onnx/layout.ts";
import { writeModelFile } from "../presets/onnx/model_file.ts";
import { toHuggingFace } from "../spec/huggingface.ts";
import { huggingFaceFiles } from "../text/huggingface.ts";
import { checkOptions } from "./options.ts";
import type { Task } from "./task.ts";
import { tokenizerOf } from "./tokenizer.ts";

export type { OnnxDType };

/** What `exportOnnx` takes. */
export interface OnnxExportOptions {
  /**
   * The weights' dtype, or several, each a file of its own; default `"float32"`. In `"float16"` softmax and norms still compute in float32, and the
   * outputs are float32.
   */
  dtype?: OnnxDType | readonly OnnxDType[];
  /** A classifier's classes by index; default LABEL_0, LABEL_1, …. */
  labels?: readonly string[];
  /** Weights in files beside the model's; default where the model would reach 2 GiB, which no model file may. */
  externalData?: boolean;
}

/** See `Task.exportOnnx`. */
export async function exportOnnx(task: Task, directory: string, options: OnnxExportOptions = {}): Promise<void> {
  checkOptions("exportOnnx", options, ["dtype", "labels", "externalData"]);
  const dtypes = dtypesOf(options.dtype ?? "float32");
  assertPipeline(task);
  const config = configOf(task, options.labels);
  const files = tokenizerFiles(task);
  await saveExportDirectory(directory, (temporary) => {
    mkdirSync(join(temporary, EXPORT_FILES.models));
    const chunks: Record<string, number> = {};
    for (const dtype of dtypes) {
      const name = MODEL_FILES[dtype].file;
      const count = writeModelFile(
        join(temporary, EXPORT_FILES.models, name),
        standalone(task.expanded, { inputs: INPUT_NAMES, dtype }),
        { externalData: options.externalData, values: (path) => task.parameters.get(path) },
      );
      if (count > 0) chunks[name] = count;
    }
    const settings: JsonObject = {
      ...!dtypes.includes("float32") && { dtype: MODEL_FILES[dtypes[0]].dtype },
      ...Object.keys(chunks).length > 0 && { use_external_data_format: chunks },
    };
    const whole = Object.keys(settings).length > 0 ? { ...config, "transformers.js_config": settings } : config;
    writeFileSync(join(temporary, EXPORT_FILES.config), formatCheckpointConfig(whole));
    for (const [name, bytes] of Object.entries(files)) writeFileSync(join(temporary, name), bytes);
  });
}

function dtypesOf(given: OnnxDType | readonly OnnxDType[]): readonly OnnxDType[] {
  const list = typeof given === "string" ? [given] : given;
  const known = Object.keys(MODEL_FILES);
  const wrong = list.find((dtype) => !known.includes(dtype));
  if (wrong === undefined && list.length > 0) return [...new Set(list)];
  throw new OnnxHubError("model/option", "Wrong value", {
    path: "exportOnnx.dtype",
    expected: `${known.join(" or ")}, or a list of them`,
    found: JSON.stringify(given),
  });
}

/** Throws "preset/inexpressible" where no pipeline of transformers.js makes of the outputs what this model means by them. */
function assertPipeline(task: Task): void {
  const { head } = task.expanded;
  const pipeline = PIPELINES[head!.task];
  if (!pipeline) {
    throw new OnnxHubError("preset/inexpressible", `A ${head!.task} model can't be exported yet`, {
      path: task.name,
      expected: `a task among ${Object.keys(PIPELINES).join(", ")}`,
      found: head!.task,
    });
  }
  for (const [name, wanted] of Object.entries(pipeline.config)) {
    const entry = head!.config[name];
    if (entry === undefined || entry.value === wanted) continue;
    throw new OnnxHubError("preset/inexpressible", `transformers.js can't be told of this head: ${pipeline.reason}`, {
      path: `${task.name}.${name}`,
      expected: JSON.stringify(wanted),
      found: JSON.stringify(entry.value),
    });
  }
}

/** The `config.json`: transformers' names for the model and its sizes. The graph itself needs none of it. */
function configOf(task: Task, labels: readonly string[] | undefined): JsonObject {
  const { spec } = task.backbone;
  const name = task.expanded.head!.task;
  const table = spec.source.checkpoints?.huggingface;
  const architecture = table?.classes?.tasks?.[name];
  if (!table || architecture === undefined) {
    throw new OnnxHubError("preset/no-format", "The spec doesn't say what Hugging Face calls this model", {
      path: `${spec.file}: checkpoints.huggingface${table ? `.classes.tasks.${name}` : ""}`,
      remedy: "Add it to the spec.",
    });
  }
  const config: JsonObject = {
    ...nestedConfig(toHuggingFace(spec, task.backbone.config, name, task.config)),
    model_type: table.model_type,
    architectures: [architecture],
  };
  return labels === undefined ? config : { ...config, ...labelNames(config, labels) };
}

function labelNames(config: JsonObject, labels: readonly string[]): JsonObject {
  const count = config.id2label ? Object.keys(config.id2label as JsonObject).length : 0;
  const twice = labels.find((label, i) => labels.indexOf(label) !== i);
  if (labels.length !== count || twice !== undefined) {
    throw new OnnxHubError("model/option", "The labels don't fit the classes", {
      path: "exportOnnx.labels",
      expected: count === 0 ? "none: the task has no classes" : `${count} different names`,
      found: twice === undefined ? String(labels.length) : `${JSON.stringify(twice)} twice`,
    });
  }
  return {
    id2label: Object.fromEntries(labels.map((label, i): [string, JsonValue] => [String(i), label])),
    label2id: Object.fromEntries(labels.map((label, i): [string, JsonValue] => [label, i])),
  };
}

/** The tokenizer's files; none where the task has no preprocessor. */
function tokenizerFiles({ preprocessor, expanded, backbone }: Task): Record<string, Uint8Array> {
  if (!preprocessor) return {};
  const { tokenizer } = preprocessor;
  return huggingFaceFiles(tokenizer.text, tokenizerOf(tokenizer.spec), {
    modelMaxLength: expanded.limits.sequence ?? preprocessor.sequenceLength,
    tokenizerClass: backbone.spec.source.checkpoints?.huggingface?.tokenizer_class,
  });
}
