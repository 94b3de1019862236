/** A KerasHub preset's directory: its files' names, and saving it whole or not at all. */

import * as fs from "node:fs";
import { join } from "node:path";
import { writeDirectoryAtomic } from "../../formats/atomic.ts";
import { formatJson } from "../../formats/json.ts";
import type { JsonObject } from "../../formats/json.ts";

/** The files of a preset. */
export const PRESET_FILES = {
  config: "config.json",
  task: "task.json",
  tokenizer: "tokenizer.json",
  preprocessor: "preprocessor.json",
  metadata: "metadata.json",
  weights: "model.weights.h5",
  shardedWeights: "model.weights.json",
  taskWeights: "task.weights.h5",
  tokenizerAssets: "assets/tokenizer",
} as const;

const NAMES: ReadonlySet<string> = new Set(Object.values(PRESET_FILES));
const SHARD = /^model_[0-9]{5}\.weights\.h5$/;

/** Writes one of the preset's JSON files as KerasHub does. */
export function writePresetJson(directory: string, name: string, value: JsonObject): void {
  fs.writeFileSync(join(directory, name), formatJson(value));
}

/**
 * Saves a preset: `build` writes its files into the directory it is given, which then takes the place of `path` as a whole. As with KerasHub, other files
 * that are there stay (a tokenizer saved before its backbone, notes); only what would contradict the new files goes: shards of old
 * weights, and with `task` the old head's weights.
 *
 * Throws "format/directory-foreign" for a directory with files in it of which none is a preset's, and what `writeDirectoryAtomic` throws.
 */
export function savePresetDirectory(
  path: string,
  saved: { readonly weights: boolean; readonly task: boolean },
  build: (temporary: string) => void | Promise<void>,
): Promise<void> {
  return writeDirectoryAtomic(path, build, {
    accept: (names) => names.some((name) => NAMES.has(name) || SHARD.test(name)),
    obsolete: (name) =>
      (saved.weights && (name === PRESET_FILES.shardedWeights || name === PRESET_FILES.weights || SHARD.test(name))) ||
      (saved.task && name === PRESET_FILES.taskWeights),
  });
}
