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
 * does: in the order of a model's layers, a new shard where the next weight would bring the one before over `maximumBytes`, even amid a group. `data` gives a
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
  for (const { group, name, vars } of walked(groups, byPath.keys())) {
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

/** A place in a model: its group in the table, and the places in it. */
interface Place {
  readonly entries: ExpandedKerasGroup[];
  readonly parts: Map<string, Place>;
  /** The number of the first weight in it; Infinity without one. */
  first: number;
}

/**
 * Groups in the order in which Keras walks a model: a layer before its parts; of these `layers` first, then by name, the private ones last. The layers
 * of a list are in the model's order, which is that of its weights; a layer without any follows the one before it in the table.
 */
function walked(groups: readonly ExpandedKerasGroup[], weights: Iterable<string>): ExpandedKerasGroup[] {
  const numbers = new Map([...weights].map((path, i) => [path, i]));
  const root: Place = { entries: [], parts: new Map(), first: Infinity };
  for (const entry of groups) {
    const first = Math.min(...entry.vars.map((path) => numbers.get(path)!));
    let at = root;
    for (const name of entry.group === "" ? [] : entry.group.split("/")) {
      let part = at.parts.get(name);
      if (!part) at.parts.set(name, part = { entries: [], parts: new Map(), first: Infinity });
      part.first = Math.min(part.first, first);
      at = part;
    }
    at.entries.push(entry);
  }
  return flat(root);
}

function flat({ entries, parts }: Place): ExpandedKerasGroup[] {
  // A list has no variables of its own, so no group of its own in the table.
  const inside = entries.length > 0 ? byAttribute(parts) : byWeight([...parts.values()]);
  return [...entries, ...inside.flatMap(flat)];
}

function byAttribute(parts: ReadonlyMap<string, Place>): Place[] {
  const keys = [...parts.keys()].map((name) => ({ name, key: name === "layers" ? "" : name.startsWith("_") ? `~${name}` : name }));
  return keys.sort((a, b) => a.key < b.key ? -1 : 1).map(({ name }) => parts.get(name)!);
}

function byWeight(places: readonly Place[]): Place[] {
  let last = -1;
  const ranked = places.map((place) => ({ place, rank: last = Number.isFinite(place.first) ? place.first : last }));
  return ranked.sort((a, b) => a.rank - b.rank).map(({ place }) => place);
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
