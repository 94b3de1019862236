/** Where the variables of a Keras weights file are: one HDF5 file, or shards with an index of which holds what. */

import { dirname, join } from "node:path";
import { OnnxHubError } from "../../errors.ts";
import { type Hdf5Dataset, type Hdf5Reader, openHdf5 } from "../../formats/hdf5.ts";
import { isJsonObject, readJson } from "../../formats/json.ts";

/** The variables of a weights file by group: `layers/dense` has `layers/dense/vars/0`, `layers/dense/vars/1`, … */
export interface WeightStore {
  readonly path: string;
  /** The variables of a group in order; none where the group is missing or empty. */
  variables(group: string): readonly StoredVariable[];
  /** The name that Keras gave what the group is of: `adam_1`; undefined where the file says none. */
  name(group: string): string | undefined;
  /** Every group that has variables, sorted. */
  groups(): string[];
  close(): void;
}

/** A variable of a file. */
export interface StoredVariable extends Hdf5Dataset {
  /** Its place: `layers/dense/vars/0`. */
  readonly path: string;
  /** Its number in the group. */
  readonly index: number;
}

/**
 * Opens `*.weights.h5`, or `*.weights.json` with its shards beside it (at any size of the parts).
 *
 * Throws the errors of `openHdf5` and `readJson`, and "preset/shards" for an index that names no plain files beside it.
 */
export function openWeightStore(path: string): WeightStore {
  return path.endsWith(".json") ? openSharded(path) : openSingle(path);
}

/** The variables of one file's group. Keras numbers them from 0 without a gap. */
function readGroup(file: Hdf5Reader, group: string): StoredVariable[] {
  const vars = group === "" ? "vars" : `${group}/vars`;
  if (file.kind(vars) !== "group") return [];
  const indices = file.keys(vars).filter((name) => /^(0|[1-9][0-9]{0,8})$/.test(name)).map(Number).sort((a, b) => a - b);
  return indices.map((index) => ({ ...file.dataset(`${vars}/${index}`), path: `${vars}/${index}`, index }));
}

/** The name that one file's group bears. */
function readName(file: Hdf5Reader, group: string): string | undefined {
  const vars = group === "" ? "vars" : `${group}/vars`;
  return file.kind(vars) === "group" ? file.attributes(vars).name : undefined;
}

function openSingle(path: string): WeightStore {
  const file = openHdf5(path);
  return {
    path,
    variables: (group) => readGroup(file, group),
    name: (group) => readName(file, group),
    groups: () => groupsOf(file.datasets()),
    close: () => file.close(),
  };
}

/** The groups of dataset paths like `layers/dense/vars/0`. */
function groupsOf(datasets: readonly string[]): string[] {
  const groups = new Set<string>();
  for (const path of datasets) {
    const match = /^(?:(.+)\/)?vars\/[0-9]+$/.exec(path);
    if (match) groups.add(match[1] ?? "");
  }
  return [...groups];
}

function openSharded(path: string): WeightStore {
  const places = readIndex(path);
  const files = new Map<string, Hdf5Reader>();
  const open = (name: string): Hdf5Reader => {
    let file = files.get(name);
    if (!file) files.set(name, file = openHdf5(join(dirname(path), name)));
    return file;
  };
  return {
    path,
    variables(group: string): StoredVariable[] {
      const found = (places.get(group) ?? []).flatMap((name) => readGroup(open(name), group));
      return found.sort((a, b) => a.index - b.index);
    },
    name: (group) => places.get(group)?.map((name) => readName(open(name), group)).find((name) => name !== undefined),
    groups: () => [...places.keys()].sort(),
    close(): void {
      for (const file of files.values()) file.close();
    },
  };
}

/** The names of the shards of an index, sorted: what else a download needs. */
export function shardNames(path: string): string[] {
  return [...new Set([...readIndex(path).values()].flat())].sort();
}

/** Group → files. */
function readIndex(path: string): Map<string, readonly string[]> {
  const index = readJson(path);
  const map = isJsonObject(index) ? index.weight_map : undefined;
  if (!isJsonObject(map)) {
    throw new OnnxHubError("preset/shards", "No index of shards", { path: `${path}, weight_map`, expected: "an object of file names" });
  }
  const places = new Map<string, readonly string[]>();
  for (const [variables, value] of Object.entries(map)) {
    const names = Array.isArray(value) ? value : [value];
    for (const name of names) {
      // A plain name beside the index: nothing else of the machine may be opened by a downloaded file.
      if (typeof name !== "string" || !/^[A-Za-z0-9_][A-Za-z0-9_.-]*\.weights\.h5$/.test(name)) {
        throw new OnnxHubError("preset/shards", "A shard that can't be opened", {
          path: `${path}, weight_map["${variables}"]`,
          expected: "a file name like model_00000.weights.h5",
          found: JSON.stringify(name),
        });
      }
    }
    places.set(variables.replace(/^\/+/, "").replace(/(^|\/)vars$/, ""), names as string[]);
  }
  return places;
}
