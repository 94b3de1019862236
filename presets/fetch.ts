/** Fetches a whole preset: every file that a model, its heads or its tokenizer can be made from. */

import { dirname } from "node:path";
import { OnnxHubError } from "../errors.ts";
import { checkpointShards } from "./huggingface/checkpoint.ts";
import { CHECKPOINT_FILES } from "./huggingface/files.ts";
import { readPresetConfig } from "./kerashub/config.ts";
import { PRESET_FILES } from "./kerashub/directory.ts";
import { shardNames } from "./kerashub/weight_store.ts";
import type { PresetSource } from "./source.ts";

/** What was fetched, or was there already. */
export interface FetchedPreset {
  /** The directory that the files are in. */
  readonly directory: string;
  /** The files' names in the preset, each with its local path. */
  readonly files: ReadonlyMap<string, string>;
}

/** The files with weights: one alone, or an index and what it names. */
interface WeightFiles {
  readonly whole: string;
  readonly index: string;
  shards(index: string): readonly string[];
}

/** The files of a format beside config.json and the weights; none is in every preset. */
const FORMATS: Readonly<Record<"kerashub" | "huggingface", { readonly weights: WeightFiles; readonly others: readonly string[] }>> = {
  kerashub: {
    weights: { whole: PRESET_FILES.weights, index: PRESET_FILES.shardedWeights, shards: shardNames },
    others: [
      PRESET_FILES.metadata,
      PRESET_FILES.task,
      PRESET_FILES.taskWeights,
      PRESET_FILES.preprocessor,
      PRESET_FILES.tokenizer,
      ...["vocabulary.spm", "vocabulary.txt", "vocabulary.json", "merges.txt"].map((name) => `${PRESET_FILES.tokenizerAssets}/${name}`),
    ],
  },
  huggingface: {
    weights: { whole: CHECKPOINT_FILES.weights, index: CHECKPOINT_FILES.index, shards: checkpointShards },
    others: [
      "generation_config.json",
      "tokenizer.json",
      "tokenizer_config.json",
      "special_tokens_map.json",
      "sentencepiece.bpe.model",
      "tokenizer.model",
      "vocab.txt",
      "vocab.json",
      "merges.txt",
    ],
  },
};

/**
 * Fetches all files of a preset that are of use here; those of other frameworks stay where they are.
 *
 * Throws "preset/no-config", what the source throws, and what is wrong with config.json or an index of weights.
 */
export async function fetchPreset(source: PresetSource): Promise<FetchedPreset> {
  const files = new Map<string, string>();
  const fetch = async (name: string): Promise<string | undefined> => {
    const local = await source.file(name);
    if (local !== undefined) files.set(name, local);
    return local;
  };
  const config = await fetch(PRESET_FILES.config);
  if (config === undefined) {
    throw new OnnxHubError("preset/no-config", "The preset has no config.json", {
      path: source.name,
      found: (await source.list()).slice(0, 10).join(", ") || "nothing",
      remedy: "Give a preset of KerasHub's or a checkpoint of Hugging Face's.",
    });
  }
  const { weights, others } = FORMATS[readPresetConfig(config).format];
  for (const name of others) await fetch(name);
  if (await fetch(weights.whole) === undefined) {
    const index = await fetch(weights.index);
    for (const shard of index === undefined ? [] : weights.shards(index)) {
      if (await fetch(shard) !== undefined) continue;
      throw new OnnxHubError("preset/shards", "A shard is missing", { path: `${source.name}/${weights.index}`, expected: shard });
    }
  }
  return { directory: dirname(config), files };
}
