/** Writes weights as Keras' shards: several `*.weights.h5`, and an index in JSON of which holds what. */

import { writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { OnnxHubError } from "../../errors.ts";
import { createHdf5 } from "../../formats/hdf5.ts";
import { formatJson, JsonFloat, type JsonObject } from "../../formats/json.ts";
import type { ExpandedKerasGroup } from "../../spec/types.ts";
import { type NamedShape, weightsByPath } from "./weights.ts";

/** A file, and what of the groups it holds. */
interface Shard<W> {
  readonly file: string;
  readonly parts: ShardPart<W>[];
}

/** A group in a shard, with those of its variables that are there. */
interface ShardPart<W> {
  /** `layers/dense/vars`. */
  readonly place: string;
  /** Undefined where the group began in an earlier shard: it bears its name there only. */
  readonly name?: string;
  readonly variables: { readonly index: number; readonly weight: W }[];
}

/** The bytes of a float32 array. */
const bytesOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, Float32Array.BYTES_PER_ELEMENT);

/** The bytes of weights as float32. */
export function weightBytes(weights: readonly NamedShape[]): number {
  return weights.reduce((sum, { shape }) => sum + bytesOf(shape), 0);
}

/**
 * Writes the index `path` (`model.weights.json`) and its shards beside it (`model_00000.weights.h5`, …) as Keras' `save_weights(path, max_shard_size)`
 * does: in its order, a new shard where the next weight would bring the one before over `maximumBytes`, even amid a group. `data` gives a
 * weight's values when its turn comes, so that only one need be in memory. Not atomic: see `writeDirectoryAtomic`.
 *
 * Throws "preset/shard-size" for weights that are larger than a shard, and what `weightsByPath` throws; nothing is written then.
 */
export async function writeShardedKerasWeights<W extends NamedShape>(
  path: string,
  groups: readonly ExpandedKerasGroup[],
  weights: readonly W[],
  data: (weight: W) => Float32Array | Promise<Float32Array>,
  maximumBytes: number,
): Promise<void> {
  const byPath = weightsByPath(path, groups, weights);
  checkSizes(weights, maximumBytes);
  const shards = split(basename(path).replace(/\.weights\.json$/, ""), groups, byPath, maximumBytes);
  for (const { file: name, parts } of shards) {
    const file = await createHdf5(join(dirname(path), name));
    try {
      for (const { place, name, variables } of parts) {
        file.group(place, name === undefined ? {} : { name });
        for (const { index, weight } of variables) file.dataset(`${place}/${index}`, weight.shape, await data(weight));
      }
    } catch (error) {
      file.abandon();
      throw error;
    }
    file.close();
  }
  writeFileSync(path, formatJson({ metadata: { total_size: new JsonFloat(weightBytes(weights)) }, weight_map: weightMap(shards) }));
}

function checkSizes(weights: readonly NamedShape[], maximumBytes: number): void {
  const over = weights.filter(({ shape }) => bytesOf(shape) > maximumBytes);
  if (over.length === 0) return;
  const largest = over.reduce((a, b) => bytesOf(b.shape) > bytesOf(a.shape) ? b : a);
  const bytes = bytesOf(largest.shape);
  throw new OnnxHubError("preset/shard-size", "A weight is larger than a file may be", {
    path: largest.path,
    expected: `at most ${maximumBytes} bytes`,
    found: `${bytes} bytes`,
    remedy: `Give a \`maxShardSize\` of ${bytes} bytes or more.`,
  });
}

function split<W extends NamedShape>(
  base: string,
  groups: readonly ExpandedKerasGroup[],
  byPath: ReadonlyMap<string, W>,
  maximumBytes: number,
): Shard<W>[] {
  const shards: Shard<W>[] = [];
  const begin = (): void => void shards.push({ file: `${base}_${String(shards.length).padStart(5, "0")}.weights.h5`, parts: [] });
  begin();
  let filled = 0;
  for (const { group, name, vars } of walked(groups)) {
    const place = group === "" ? "vars" : `${group}/vars`;
    let part: ShardPart<W> = { place, name, variables: [] };
    shards.at(-1)!.parts.push(part);
    for (const [index, weightPath] of vars.entries()) {
      const weight = byPath.get(weightPath)!;
      const bytes = bytesOf(weight.shape);
      if (filled + bytes > maximumBytes) {
        begin();
        filled = 0;
        shards.at(-1)!.parts.push(part = { place, variables: [] });
      }
      part.variables.push({ index, weight });
      filled += bytes;
    }
  }
  return shards;
}

/**
 * Groups in the order in which Keras walks a model: a layer before its parts, `layers` first among them, then the others by name with the private
 * ones last; the layers of a list in the list's order, which is the table's.
 */
function walked(groups: readonly ExpandedKerasGroup[]): ExpandedKerasGroup[] {
  // A list has no variables of its own, so no group of its own in the table.
  const owners = new Set(groups.map(({ group }) => group));
  const inList = new Map<string, number>();
  const keyOf = (group: string): string =>
    group.split("/").map((name, i, names) => {
      if (owners.has(names.slice(0, i).join("/"))) return name === "layers" ? "" : name.startsWith("_") ? `~${name}` : name;
      const place = names.slice(0, i + 1).join("/");
      if (!inList.has(place)) inList.set(place, inList.size);
      return String(inList.get(place)).padStart(9, "0");
    }).join("\0");
  const keyed = groups.map((entry) => ({ entry, key: entry.group === "" ? "" : `\0${keyOf(entry.group)}` }));
  return keyed.sort((a, b) => a.key < b.key ? -1 : a.key > b.key ? 1 : 0).map(({ entry }) => entry);
}

/** Group → file for one variable, → list of files for more, as Keras has it. */
function weightMap<W>(shards: readonly Shard<W>[]): JsonObject {
  const files = new Map<string, string[]>();
  const counts = new Map<string, number>();
  for (const { file, parts } of shards) {
    for (const { place, variables } of parts) {
      if (variables.length === 0) continue;
      files.set(place, [...files.get(place) ?? [], file]);
      counts.set(place, (counts.get(place) ?? 0) + variables.length);
    }
  }
  return Object.fromEntries([...files].map(([place, names]) => [`/${place}`, counts.get(place) === 1 ? names[0] : names]));
}
