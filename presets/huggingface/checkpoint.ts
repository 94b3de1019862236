/** The tensors of a Hugging Face checkpoint: one safetensors file, or shards with an index of which holds what. */

import { OnnxHubError } from "../../errors.ts";
import type { ReadTarget } from "../../formats/elements.ts";
import { isJsonObject, readJson } from "../../formats/json.ts";
import { openSafetensors, type SafetensorsReader, type SafetensorsTensor } from "../../formats/safetensors.ts";
import type { PresetSource } from "../source.ts";
import { CHECKPOINT_FILES, noWeights, SHARD_NAME } from "./files.ts";

/** An open checkpoint. */
export interface Checkpoint {
  /** The file, or the index of the files. */
  readonly path: string;
  /** Every tensor by its name. */
  readonly tensors: ReadonlyMap<string, SafetensorsTensor>;
  /** Where a tensor is, for errors. */
  where(name: string): string;
  /** Reads `count` elements from element `start` on into the beginning of `into`. */
  read(name: string, into: ReadTarget, start: number, count: number): void;
  close(): void;
}

/**
 * Opens the weights of a checkpoint: `model.safetensors`, or what `model.safetensors.index.json` lists. Headers only are read.
 *
 * Throws "preset/no-weights" where there are none that can be read, "preset/shards" for an index that doesn't agree with its files, and
 * what `openSafetensors` and `readJson` throw.
 */
export async function openCheckpoint(source: PresetSource): Promise<Checkpoint> {
  const single = await source.file(CHECKPOINT_FILES.weights);
  if (single !== undefined) {
    const file = openSafetensors(single);
    return { ...file, path: single, where: (name) => `${single}, ${name}`, read: file.read, close: file.close };
  }
  const index = await source.file(CHECKPOINT_FILES.index);
  if (index === undefined) throw noWeights(source.name, await source.list());
  return await openShards(source, index);
}

async function openShards(source: PresetSource, index: string): Promise<Checkpoint> {
  const places = readIndex(index);
  const files = new Map<string, SafetensorsReader>();
  const close = (): void => files.forEach((file) => file.close());
  try {
    for (const name of new Set(places.values())) {
      const local = await source.file(name);
      if (local === undefined) {
        throw new OnnxHubError("preset/shards", "A file of the checkpoint is missing", {
          path: index,
          expected: name,
          found: (await source.list()).slice(0, 10).join(", "),
          remedy: "Download it again.",
        });
      }
      files.set(name, openSafetensors(local));
    }
    const tensors = new Map<string, SafetensorsTensor>();
    for (const [name, file] of files) {
      for (const [tensor, description] of file.tensors) {
        if (tensors.has(tensor)) throw shardError(index, tensor, "in one file", `in ${places.get(tensor)} and ${name}`);
        if (places.get(tensor) !== name) throw shardError(index, tensor, name, places.get(tensor) ?? "nothing");
        tensors.set(tensor, description);
      }
    }
    for (const [tensor, name] of places) if (!tensors.has(tensor)) throw shardError(index, tensor, `in ${name}`, "not there");
    const fileOf = (name: string): SafetensorsReader => files.get(places.get(name)!)!;
    return {
      path: index,
      tensors,
      where: (name) => `${fileOf(name).path}, ${name}`,
      read: (name, into, start, count) => fileOf(name).read(name, into, start, count),
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

function shardError(index: string, tensor: string, expected: string, found: string): OnnxHubError {
  return new OnnxHubError("preset/shards", "The index doesn't agree with the files", {
    path: `${index}, weight_map[${JSON.stringify(tensor)}]`,
    expected,
    found,
    remedy: "Download the checkpoint again.",
  });
}

/** The names of the files that an index lists: what else a download needs. */
export function checkpointShards(index: string): string[] {
  return [...new Set(readIndex(index).values())].sort();
}

/** Tensor → file. */
function readIndex(path: string): Map<string, string> {
  const index = readJson(path);
  const map = isJsonObject(index) ? index.weight_map : undefined;
  if (!isJsonObject(map)) {
    throw new OnnxHubError("preset/shards", "No index of shards", { path: `${path}, weight_map`, expected: "an object of file names" });
  }
  const places = new Map<string, string>();
  for (const [tensor, name] of Object.entries(map)) {
    if (typeof name !== "string" || !SHARD_NAME.test(name)) {
      throw new OnnxHubError("preset/shards", "A shard that can't be opened", {
        path: `${path}, weight_map[${JSON.stringify(tensor)}]`,
        expected: "a file name like model-00001-of-00002.safetensors",
        found: JSON.stringify(name),
      });
    }
    places.set(tensor, name);
  }
  return places;
}
