/** Writes models as checkpoints of Hugging Face transformers. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { OnnxHubError } from "../errors.ts";
import { type JsonObject, type JsonValue, parseJson } from "../formats/json.ts";
import { formatCheckpointConfig, nestedConfig, readCheckpointConfig } from "../presets/huggingface/config.ts";
import { CHECKPOINT_FILES, saveCheckpointDirectory } from "../presets/huggingface/files.ts";
import { type CheckpointTensorType, writeCheckpointWeights } from "../presets/huggingface/writing.ts";
import { joinedShapes } from "../presets/huggingface/shapes.ts";
import { canonical, type Config, expand, type ExpandedSpec, toHuggingFace } from "../spec/index.ts";
import type { ConfigValue } from "../spec/types.ts";
import { huggingFaceFiles } from "../text/huggingface.ts";
import type { Backbone } from "./backbone.ts";
import { assertBuiltIn } from "./built_in.ts";
import { checkOptions } from "./options.ts";
import { sizeInBytes } from "./shard_size.ts";
import type { Task } from "./task.ts";
import { type Tokenizer, tokenizerOf } from "./tokenizer.ts";

/** What `saveToHuggingFace` takes. */
export interface HuggingFaceSaveOptions {
  /** What the weights are written in; default `"float32"`. */
  dtype?: CheckpointTensorType;
  /** The most that one file may hold: bytes, or text as transformers takes it (`"5GB"`, `"200MB"`, decimal). Default `"5GB"`. */
  maxShardSize?: number | string;
}

/** A model with what it says of its head. */
interface Parts {
  readonly model: Backbone | Task;
  readonly backbone: Backbone;
  /** The head's task and hyperparameters. */
  readonly task?: string;
  readonly taskConfig: Config;
  readonly tokenizer: Tokenizer | null;
}

/** See `Backbone.saveToHuggingFace`. */
export function saveBackboneToHuggingFace(backbone: Backbone, directory: string, options: HuggingFaceSaveOptions): Promise<void> {
  return save({ model: backbone, backbone, taskConfig: {}, tokenizer: null }, directory, options);
}

/** See `Task.saveToHuggingFace`. */
export function saveTaskToHuggingFace(task: Task, directory: string, options: HuggingFaceSaveOptions): Promise<void> {
  const { backbone, config, expanded, preprocessor } = task;
  const parts = { model: task, backbone, task: expanded.head!.task, taskConfig: config, tokenizer: preprocessor?.tokenizer ?? null };
  return save(parts, directory, options);
}

async function save(parts: Parts, directory: string, options: HuggingFaceSaveOptions): Promise<void> {
  checkOptions("saveToHuggingFace", options, ["dtype", "maxShardSize"]);
  const { dtype = "float32", maxShardSize = "5GB" } = options;
  if (dtype !== "float32" && dtype !== "float16") {
    throw new OnnxHubError("model/option", "Weights can't be written in this type", {
      path: "saveToHuggingFace.dtype",
      expected: "float32 or float16",
      found: String(dtype),
    });
  }
  const limit = sizeInBytes("saveToHuggingFace.maxShardSize", maxShardSize, "bytes");
  const { model, backbone, task } = parts;
  const config = configOf(parts, dtype);
  const tokenizer = tokenizerFilesOf(parts, config);
  const table = model.expanded.checkpoints.huggingface!.weights;
  const { prefix = "" } = backbone.spec.source.checkpoints!.huggingface!;
  const shapes = joinedShapes(model.expanded, model.weights);
  const weights = model.weights.map(({ path }) => ({ path, shape: shapes.get(path)! }));
  await saveCheckpointDirectory(directory, async (temporary) => {
    writeFileSync(join(temporary, CHECKPOINT_FILES.config), formatCheckpointConfig(config));
    for (const [name, bytes] of Object.entries(tokenizer)) writeFileSync(join(temporary, name), bytes);
    await writeCheckpointWeights(temporary, table, weights, (path) => model.parameters.get(path), {
      dtype,
      maximumBytes: limit,
      // A backbone by itself has no name of its own in its tensors' names.
      rename: (name) => task === undefined && name.startsWith(prefix) ? name.slice(prefix.length) : name,
    });
  });
}

function tokenizerFilesOf({ model, tokenizer }: Parts, config: JsonObject): Readonly<Record<string, Uint8Array>> {
  if (!tokenizer) return {};
  const { limits, checkpoints } = model.expanded;
  return huggingFaceFiles(tokenizer.text, tokenizerOf(tokenizer.spec), {
    modelMaxLength: limits.sequence ?? Number(config.max_position_embeddings),
    tokenizerClass: checkpoints.huggingface!.tokenizer_class,
  });
}

/** The configuration that goes into config.json; throws where it would not say what the model is. */
function configOf(parts: Parts, dtype: CheckpointTensorType): JsonObject {
  const { backbone, task, taskConfig, tokenizer } = parts;
  const { spec, config } = backbone;
  const table = spec.source.checkpoints?.huggingface;
  const architecture = task === undefined ? table?.classes?.backbone : table?.classes?.tasks?.[task];
  if (!table || architecture === undefined) {
    throw new OnnxHubError("preset/no-format", "The spec doesn't say what transformers calls this model", {
      path: `${spec.file}: checkpoints.huggingface.classes${task === undefined ? ".backbone" : `.tasks.${task}`}`,
    });
  }
  assertBuiltIn(spec, "transformers");
  const values = toHuggingFace(spec, config, task, taskConfig);
  const written: Record<string, JsonValue | undefined> = {
    ...nestedConfig(values),
    architectures: [architecture],
    dtype,
    model_type: table.model_type,
  };
  if (tokenizer) {
    const ids = { pad_token_id: tokenizer.padTokenId, bos_token_id: tokenizer.startTokenId, eos_token_id: tokenizer.endTokenId };
    for (const [key, id] of Object.entries(ids)) {
      if (!(key in written)) continue;
      const allowed = table.requires?.[key];
      if (allowed && !allowed.includes(id)) throw inexpressible(`config.json: ${key}`, allowed.join(", "), String(id));
      written[key] = id;
    }
  }
  assertExpressed(parts, written);
  return written as JsonObject;
}

/** Reads the configuration back: it must make the same model. */
function assertExpressed({ model, backbone: { spec, config }, task, taskConfig }: Parts, written: JsonObject): void {
  const plain = parseJson(formatCheckpointConfig(written), CHECKPOINT_FILES.config) as JsonObject;
  const back = readCheckpointConfig(spec, plain, CHECKPOINT_FILES.config, task);
  const make = (changes: Config = {}, taskChanges: Config = {}) =>
    computation(expand(spec, { config: { ...back.config, ...changes }, task, taskConfig: { ...back.taskConfig, ...taskChanges } }));
  const found = make();
  if (found === computation(model.expanded)) return;
  const differing = (mine: Config, theirs: Config, changed: (change: Config) => string): readonly [string, ConfigValue] | undefined =>
    Object.entries(mine).find(([key, value]) => canonical(value) !== canonical(theirs[key] ?? null) && changed({ [key]: value }) !== found);
  const own = differing(config, back.config, (change) => make(change));
  const head = own ? undefined : differing(taskConfig, back.taskConfig, (change) => make({}, change));
  const [key, value] = own ?? head ?? ["this combination of hyperparameters", "it"];
  const place = own ? key : `heads.${task}.config.${key}`;
  const entry = own ? spec.source.config[key] : spec.source.heads?.[task ?? ""]?.config?.[key];
  const expected = (own ? back.config : back.taskConfig)[key] ?? (typeof entry === "object" ? entry.default : undefined);
  throw inexpressible(`${spec.file}: ${place}`, JSON.stringify(expected ?? null), JSON.stringify(value));
}

/** All that decides what a model computes, as text to compare. */
function computation({ inputs, limits, blocks, backbone, head }: ExpandedSpec): string {
  const { weights, layers, outputs, inputs: more } = head ?? { weights: [], layers: [], outputs: {}, inputs: {} };
  return canonical({ inputs, limits, blocks, backbone, head: { weights, layers, outputs, inputs: more } });
}

function inexpressible(path: string, expected: string, found: string): OnnxHubError {
  return new OnnxHubError("preset/inexpressible", "transformers can't express this model", {
    path,
    expected,
    found,
    remedy: "Save it with `saveToPreset`, or the weights with `saveWeights` to a `.safetensors` file.",
  });
}
