/** Weights in Keras' files (`model.weights.h5`, `task.weights.h5`, `*.weights.h5`), by the tables of groups in a spec. */

import { nearest, OnnxHubError } from "../../errors.ts";
import { createHdf5, type Hdf5Data } from "../../formats/hdf5.ts";
import type { ExpandedCheckpoints, ExpandedKerasGroup } from "../../spec/types.ts";
import { enumerate } from "../enumerate.ts";
import { openWeightStore, type StoredVariable, type WeightStore } from "./weight_store.ts";

/** A weight as the model knows it: a `WeightInfo` will do. */
export interface NamedShape {
  readonly path: string;
  readonly shape: readonly number[];
}

/** How weights are read. */
export interface ReadWeightsOptions<W extends NamedShape> {
  /** Gives the array that a weight is read into; a new one each by default. */
  readonly onto?: (weight: W) => Float32Array;
}

/** What was read. */
export interface ReadWeights {
  readonly weights: ReadonlyMap<string, Float32Array>;
  /** Variables of the file that the model has no place for (the optimizer's aside). */
  readonly extra: readonly string[];
}

type Found<W> = readonly [W, StoredVariable];

const FLOATS: ReadonlySet<string> = new Set(["float16", "bfloat16", "float32", "float64"]);

/**
 * Reads weights as float32, one at a time, from `*.weights.h5` or from `*.weights.json` and its shards; float16, bfloat16 and float64 are converted.
 * Groups under their old names are found (`legacy` in the table; `_layer_checkpoint_dependencies` for `layers`). The whole file is checked before
 * the first weight is read: an error leaves all arrays as they were.
 *
 * Throws "preset/weights-missing" with every missing name, "preset/weights-shape", "preset/weights-count" where a group has another number of
 * variables, "preset/weights-dtype", "preset/weights-unmapped" for a weight that the table lacks, and the errors of the file format.
 */
export function readKerasWeights<W extends NamedShape>(
  path: string,
  groups: readonly ExpandedKerasGroup[],
  weights: readonly W[],
  options: ReadWeightsOptions<W> = {},
): ReadWeights {
  const { onto = ({ shape }: W) => new Float32Array(shape.reduce((a, b) => a * b, 1)) } = options;
  checkMapped(path, groups, weights);
  const store = openWeightStore(path);
  try {
    const used = new Set<string>();
    const found = locate(store, groups, weights, used);
    for (const [weight, variable] of found) checkVariable(path, weight, variable);
    const result = new Map<string, Float32Array>();
    for (const [weight, variable] of found) {
      const into = onto(weight);
      if (into.length !== variable.size) {
        throw new OnnxHubError("preset/weights-shape", "The array given for a weight has another size", {
          path: weight.path,
          expected: `${variable.size} elements`,
          found: `${into.length}`,
        });
      }
      variable.read(into);
      result.set(weight.path, into);
    }
    const extra = store.groups().filter((group) => !used.has(group) && group !== "optimizer");
    return { weights: result, extra: extra.flatMap((group) => store.variables(group).map((variable) => variable.path)) };
  } finally {
    store.close();
  }
}

/** Every weight must be in the table once: else it would be lost without a word. */
function checkMapped(path: string, groups: readonly ExpandedKerasGroup[], weights: readonly NamedShape[], remedy?: string): void {
  const mapped = new Set(groups.flatMap(({ vars }) => vars));
  const lost = weights.filter((weight) => !mapped.has(weight.path)).map((weight) => weight.path);
  if (lost.length > 0) {
    throw new OnnxHubError("preset/weights-unmapped", "KerasHub's format has no place for some weights", {
      path,
      expected: "weights that the spec's checkpoints.kerashub lists",
      found: enumerate(lost),
      remedy,
    });
  }
}

function locate<W extends NamedShape>(
  store: WeightStore,
  groups: readonly ExpandedKerasGroup[],
  weights: readonly W[],
  used: Set<string>,
): Found<W>[] {
  const byPath = new Map(weights.map((weight) => [weight.path, weight]));
  const found: Found<W>[] = [];
  const missing: { weight: string; place: string }[] = [];
  for (const { group, vars, legacy } of groups) {
    // A group that none of the wanted weights is in is another part's.
    if (!vars.some((path) => byPath.has(path))) continue;
    let variables: readonly StoredVariable[] = [];
    for (const candidate of [group, ...legacy].flatMap(spellings)) {
      variables = store.variables(candidate);
      used.add(candidate);
      if (variables.length > 0) break;
    }
    if (variables.length > vars.length) {
      throw new OnnxHubError("preset/weights-count", "A group has more variables than the layer has weights", {
        path: `${store.path}, ${group || "/"}`,
        expected: `${vars.length} (${vars.join(", ")})`,
        found: `${variables.length}`,
        remedy: "Is this the file of another configuration?",
      });
    }
    vars.forEach((path, index) => {
      const weight = byPath.get(path);
      const variable = variables.find((candidate) => candidate.index === index);
      if (!weight) return;
      if (variable) found.push([weight, variable]);
      else missing.push({ weight: path, place: `${group === "" ? "" : `${group}/`}vars/${index}` });
    });
  }
  if (missing.length > 0) throw missingError(store, missing);
  return found;
}

/** A group's path, and how writers of Keras' 2.13 time spelled it. */
function spellings(group: string): string[] {
  const old = group.replaceAll("layers", "_layer_checkpoint_dependencies");
  return old === group ? [group] : [group, old];
}

function missingError(store: WeightStore, missing: readonly { weight: string; place: string }[]): OnnxHubError {
  const groups = store.groups();
  const place = missing[0].place.replace(/\/?vars\/[0-9]+$/, "");
  const near = nearest(place, groups.filter((group) => group !== place));
  const one = missing.length === 1;
  return new OnnxHubError("preset/weights-missing", `${one ? "A weight is" : `${missing.length} weights are`} missing in the file`, {
    path: store.path,
    expected: enumerate(missing.map(({ weight, place }) => `${weight} at ${place}`)),
    found: groups.length === 0 ? "no weights at all" : near ? `the nearest group is ${near}` : `groups such as ${enumerate(groups, 3)}`,
    remedy: "Is this the file of another model or configuration?",
  });
}

function checkVariable(path: string, weight: NamedShape, variable: StoredVariable): void {
  const where = `${path}, ${variable.path}`;
  if (variable.shape.length !== weight.shape.length || variable.shape.some((size, i) => size !== weight.shape[i])) {
    throw new OnnxHubError("preset/weights-shape", `The weight ${weight.path} has another shape`, {
      path: where,
      expected: `[${weight.shape.join(", ")}]`,
      found: `[${variable.shape.join(", ")}]`,
      remedy: "Is this the file of another configuration?",
    });
  }
  if (!FLOATS.has(variable.dtype)) {
    throw new OnnxHubError("preset/weights-dtype", `The weight ${weight.path} is not of floating-point numbers`, {
      path: where,
      expected: [...FLOATS].join(", "),
      found: variable.dtype,
    });
  }
}

/**
 * Weights by name, to write those of a table. `remedy` is what to do where they aren't the same.
 *
 * Throws "preset/weights-unmapped" for a weight that the table lacks, "preset/weights-missing" for one in the table that there is none of.
 */
export function weightsByPath<W extends NamedShape>(
  path: string,
  groups: readonly ExpandedKerasGroup[],
  weights: readonly W[],
  remedy?: string,
): ReadonlyMap<string, W> {
  checkMapped(path, groups, weights, remedy);
  const byPath = new Map(weights.map((weight) => [weight.path, weight]));
  const absent = groups.flatMap(({ vars }) => vars).filter((name) => !byPath.has(name));
  if (absent.length === 0) return byPath;
  throw new OnnxHubError("preset/weights-missing", "The model lacks weights that KerasHub's format has", {
    path,
    expected: enumerate(absent),
    remedy,
  });
}

/** A variable that is not a weight: the optimizer's iterations (an int), learning rate (a float), slots. */
export interface KerasVariable {
  readonly shape: readonly number[];
  readonly data: Hdf5Data;
}

/** What a weights file holds beside weights. */
export interface WriteWeightsOptions {
  /** Under `optimizer`: the variables in Keras' order, iterations and learning rate first. `name` is Keras' ("adam"). */
  readonly optimizer?: { readonly name: string; readonly variables: readonly KerasVariable[] };
  /** The names of the preprocessor and its tokenizer, which have groups but no variables. */
  readonly preprocessor?: { readonly name: string; readonly tokenizer?: string };
}

/**
 * Writes a `*.weights.h5` as Keras does: every group of the table with its `name`, those without weights too. `data` gives a weight's values when its turn
 * comes, so that only one need be in memory. Not atomic: see `writeFileAtomic`.
 *
 * Throws what `weightsByPath` throws.
 */
export async function writeKerasWeights<W extends NamedShape>(
  path: string,
  groups: readonly ExpandedKerasGroup[],
  weights: readonly W[],
  data: (weight: W) => Float32Array | Promise<Float32Array>,
  options: WriteWeightsOptions = {},
): Promise<void> {
  const byPath = weightsByPath(path, groups, weights);
  const file = await createHdf5(path);
  try {
    for (const { group, name, vars } of groups) {
      file.group(group === "" ? "vars" : `${group}/vars`, { name });
      for (const [index, weightPath] of vars.entries()) {
        const weight = byPath.get(weightPath)!;
        file.dataset(`${group === "" ? "" : `${group}/`}vars/${index}`, weight.shape, await data(weight));
      }
    }
    const { optimizer, preprocessor } = options;
    if (optimizer) {
      file.group("optimizer/vars", { name: optimizer.name });
      optimizer.variables.forEach(({ shape, data }, index) => file.dataset(`optimizer/vars/${index}`, shape, data));
    }
    if (preprocessor) {
      file.group("preprocessor/vars", { name: preprocessor.name });
      if (preprocessor.tokenizer !== undefined) file.group("preprocessor/tokenizer/vars", { name: preprocessor.tokenizer });
    }
  } catch (error) {
    file.abandon();
    throw error;
  }
  file.close();
}

/** The optimizer's variables in an open weights file, in Keras' order; none where it has none. */
export interface StoredOptimizer {
  /** The name that Keras gave the optimizer: `adam_1`; undefined where the file says none. */
  readonly name: string | undefined;
  /** `optimizer/vars/0`, …: nothing of them is read yet. */
  readonly variables: readonly StoredVariable[];
}

/** Opens a weights file for whoever takes the optimizer's variables; throws the errors of the file format. */
export function readKerasOptimizer<T>(path: string, take: (stored: StoredOptimizer) => T): T {
  const store = openWeightStore(path);
  try {
    return take({ name: store.name("optimizer"), variables: store.variables("optimizer") });
  } finally {
    store.close();
  }
}

/** The kerashub part of a spec's checkpoints. */
export type KerasCheckpoint = NonNullable<ExpandedCheckpoints["kerashub"]>;

const INPUT = /^layers\/input_layer(_[0-9]+)?$/;

/**
 * The table of groups of a whole task in one file, as `save_weights` writes it: the backbone nested under its class' name, its inputs
 * (sorted by name) beside the head's.
 */
export function wholeTaskGroups({ backbone, groups, head_groups: head }: KerasCheckpoint): ExpandedKerasGroup[] {
  const prefix = `layers/${snakeCase(backbone.class_name)}`;
  const nest = (path: string): string => path === "" ? prefix : `${prefix}/${path}`;
  const inputs = groups.filter(({ group }) => INPUT.test(group)).sort((a, b) => a.name < b.name ? -1 : 1);
  return [
    ...inputs.map((group, i) => ({ ...group, group: i === 0 ? "layers/input_layer" : `layers/input_layer_${i}` })),
    ...head,
    ...groups.filter(({ group }) => !INPUT.test(group)).map((entry) => ({
      ...entry,
      group: nest(entry.group),
      legacy: entry.legacy.map(nest),
    })),
  ];
}

/** A class' name as Keras spells it in files: MyV3Backbone is my_v3_backbone. */
export function snakeCase(name: string): string {
  return name.replace(/\W+/g, "").replace(/(.)([A-Z][a-z]+)/g, "$1_$2").replace(/([a-z])([A-Z])/g, "$1_$2").toLowerCase();
}
