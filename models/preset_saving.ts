/** Writes models as KerasHub's preset directories. */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { OnnxHubError } from "../errors.ts";
import type { JsonObject, JsonValue } from "../formats/json.ts";
import { JsonFloat } from "../formats/json.ts";
import {
  backboneObject,
  type KerasObject,
  preprocessorObject,
  presetMetadata,
  taskObject,
  tokenizerObject,
  typedConfig,
} from "../presets/kerashub/config.ts";
import { PRESET_FILES, savePresetDirectory, writePresetJson } from "../presets/kerashub/directory.ts";
import { weightBytes } from "../presets/kerashub/sharded_writing.ts";
import { WordPieceTokenizer } from "../text/wordpiece.ts";
import { headWeights } from "./fresh_weights.ts";
import type { Backbone } from "./backbone.ts";
import { assertBuiltIn } from "./built_in.ts";
import { checkOptions } from "./options.ts";
import type { Preprocessor } from "./preprocessor.ts";
import { sizeInBytes } from "./shard_size.ts";
import type { Task } from "./task.ts";
import { type Tokenizer, tokenizerOf } from "./tokenizer.ts";
import { kerasCheckpoint, writeFrom, writeShardsFrom, writeTaskWeights } from "./weight_files.ts";

/** What `saveToPreset` takes. */
export interface SaveOptions {
  /** The date that goes into metadata.json; default now. */
  date?: Date;
  /**
   * The most that one file of the backbone's weights may hold, as KerasHub's `max_shard_size`: in gigabytes of 2^30 bytes, or text with its unit (`"5GB"`,
   * `"200MiB"`). Weights that are more go into several files, which takes KerasHub 0.21. `null`: never. Default 10.
   */
  maxShardSize?: number | string | null;
}

/** The options' values. */
interface Settings {
  readonly date: Date;
  /** In bytes. */
  readonly maximumShard: number;
}

function settingsOf(options: SaveOptions): Settings {
  checkOptions("saveToPreset", options, ["date", "maxShardSize"]);
  const { date = new Date(), maxShardSize = 10 } = options;
  const maximumShard = maxShardSize === null ? Infinity : sizeInBytes("saveToPreset.maxShardSize", maxShardSize, "gigabytes");
  return { date, maximumShard };
}

/** KerasHub's arguments of each tokenizer, as its config has them. */
const TOKENIZER_CONFIG: Readonly<Record<ReturnType<typeof tokenizerOf>["type"], (tokenizer: Tokenizer) => JsonObject>> = {
  sentencepiece: () => ({ proto: null, sequence_length: null, add_bos: false, add_eos: false }),
  wordpiece: ({ text, spec }) => {
    const { lowercase = false } = tokenizerOf(spec);
    const normalization = text instanceof WordPieceTokenizer ? text.normalization : { lowercase, stripAccents: lowercase };
    return {
      vocabulary: null,
      sequence_length: null,
      lowercase: normalization.lowercase,
      strip_accents: normalization.stripAccents,
      split: true,
      suffix_indicator: "##",
      oov_token: "[UNK]",
      special_tokens: null,
      special_tokens_in_strings: false,
    };
  },
  bpe: () => ({ sequence_length: null, add_prefix_space: false, unsplittable_tokens: null }),
};

/** Which of a preprocessor's numbers Python holds as floats. */
const FLOATS: ReadonlySet<string> = new Set(["mask_selection_rate", "mask_token_rate", "random_token_rate"]);

function configObject(backbone: Backbone): KerasObject {
  assertBuiltIn(backbone.spec, "KerasHub");
  return backboneObject(kerasCheckpoint(backbone).backbone, backbone.name, typedConfig(backbone.expanded.config));
}

async function writeBackbone(directory: string, backbone: Backbone, { date, maximumShard }: Settings): Promise<void> {
  const config = configObject(backbone);
  writePresetJson(directory, PRESET_FILES.config, config);
  const { tasks: own = {}, other_tasks = [] } = backbone.spec.source.checkpoints!.kerashub!;
  const tasks = [...Object.keys(own).map((task) => TASK_NAMES[task] ?? task), ...other_tasks];
  writePresetJson(directory, PRESET_FILES.metadata, presetMetadata(backbone.countParams(), tasks, date));
  const { groups } = kerasCheckpoint(backbone);
  if (weightBytes(backbone.weights) > maximumShard) {
    await writeShardsFrom(backbone, join(directory, PRESET_FILES.shardedWeights), maximumShard);
  } else await writeFrom(backbone, join(directory, PRESET_FILES.weights), groups, backbone.weights, { root: backbone.name });
}

/** KerasHub's names of the tasks. */
const TASK_NAMES: Readonly<Record<string, string>> = { masked_lm: "MaskedLM", text_classifier: "TextClassifier", causal_lm: "CausalLM" };

/** See `Backbone.saveToPreset`. */
export async function saveBackbone(backbone: Backbone, directory: string, options: SaveOptions): Promise<void> {
  const settings = settingsOf(options);
  await savePresetDirectory(directory, { weights: true, task: false }, (temporary) => writeBackbone(temporary, backbone, settings));
}

function tokenizerConfig(tokenizer: Tokenizer): KerasObject {
  const type = tokenizer.spec.source.checkpoints?.kerashub?.tokenizer;
  if (!type) {
    throw new OnnxHubError("preset/no-format", "The spec doesn't say what KerasHub calls this tokenizer", {
      path: `${tokenizer.spec.file}: checkpoints.kerashub.tokenizer`,
    });
  }
  return tokenizerObject(type, tokenizer.kerasName, TOKENIZER_CONFIG[tokenizerOf(tokenizer.spec).type](tokenizer));
}

function writeTokenizer(directory: string, tokenizer: Tokenizer): void {
  writePresetJson(directory, PRESET_FILES.tokenizer, tokenizerConfig(tokenizer));
  const assets = join(directory, PRESET_FILES.tokenizerAssets);
  mkdirSync(assets, { recursive: true });
  for (const [name, bytes] of Object.entries(tokenizer.text.assets())) writeFileSync(join(assets, name), bytes);
}

function preprocessorConfig(preprocessor: Preprocessor): KerasObject {
  const { spec } = preprocessor.tokenizer;
  const type = spec.source.checkpoints?.kerashub?.tasks?.[preprocessor.task]?.preprocessor;
  if (!type) {
    throw new OnnxHubError("preset/no-format", "The spec doesn't say what KerasHub calls this preprocessor", {
      path: `${spec.file}: checkpoints.kerashub.tasks.${preprocessor.task}.preprocessor`,
    });
  }
  const config = Object.fromEntries(
    Object.entries(preprocessor.getConfig()).map((
      [key, value],
    ) => [key, FLOATS.has(key) ? new JsonFloat(Number(value)) : value as JsonValue]),
  );
  return preprocessorObject(type, preprocessor.kerasName, tokenizerConfig(preprocessor.tokenizer), config);
}

function writePreprocessor(directory: string, preprocessor: Preprocessor): void {
  writePresetJson(directory, PRESET_FILES.preprocessor, preprocessorConfig(preprocessor));
  writeTokenizer(directory, preprocessor.tokenizer);
}

/** See `Tokenizer.saveToPreset`. */
export async function saveTokenizer(tokenizer: Tokenizer, directory: string): Promise<void> {
  await savePresetDirectory(directory, { weights: false, task: false }, (temporary) => writeTokenizer(temporary, tokenizer));
}

/** See `Preprocessor.saveToPreset`. */
export async function savePreprocessor(preprocessor: Preprocessor, directory: string): Promise<void> {
  await savePresetDirectory(directory, { weights: false, task: false }, (temporary) => writePreprocessor(temporary, preprocessor));
}

/** See `Task.saveToPreset`. */
export async function saveTask(task: Task, directory: string, options: SaveOptions): Promise<void> {
  const settings = settingsOf(options);
  const { backbone, preprocessor } = task;
  const head = task.expanded.head!;
  const type = kerasCheckpoint(task).tasks[head.task];
  if (!type) {
    throw new OnnxHubError("preset/no-format", "The spec doesn't say what KerasHub calls this task", {
      path: `${backbone.spec.file}: checkpoints.kerashub.tasks.${head.task}`,
    });
  }
  const parts = { backbone: configObject(backbone), preprocessor: preprocessor && preprocessorConfig(preprocessor) };
  const object = taskObject(type, task.name, parts, typedConfig(head.config));
  await savePresetDirectory(directory, { weights: true, task: true }, async (temporary) => {
    await writeBackbone(temporary, backbone, settings);
    writePresetJson(temporary, PRESET_FILES.task, object);
    if (headWeights(task).length > 0) await writeTaskWeights(task, join(temporary, PRESET_FILES.taskWeights));
    if (preprocessor) writePreprocessor(temporary, preprocessor);
  });
}
