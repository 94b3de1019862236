/** Files of weights: of backbones, whole tasks and heads, in Keras' layout (`.weights.h5`) or under the weights' own paths (`.safetensors`). */

import { OnnxHubError } from "../errors.ts";
import { writeFileAtomic } from "../formats/atomic.ts";
import { writeShardedKerasWeights } from "../presets/kerashub/sharded_writing.ts";
import {
  type KerasCheckpoint,
  type KerasVariable,
  readKerasOptimizer,
  readKerasWeights,
  weightsByPath,
  wholeTaskGroups,
  writeKerasWeights,
  type WriteWeightsOptions,
} from "../presets/kerashub/weights.ts";
import { readOwnWeights, writeOwnWeights } from "../presets/own_weights.ts";
import type { WeightInfo } from "../codegen/program.ts";
import type { ExpandedKerasGroup } from "../spec/types.ts";
import type { ModelEngine } from "../training/model_engine.ts";
import type { Backbone } from "./backbone.ts";
import { headWeights } from "./fresh_weights.ts";
import type { Model } from "./model.ts";
import type { Task } from "./task.ts";

/** The spec's table of KerasHub's names; throws "preset/no-format" for a spec without one. */
export function kerasCheckpoint(model: Model, remedy = "Add the table to the spec."): KerasCheckpoint {
  const checkpoint = model.expanded.checkpoints.kerashub;
  if (checkpoint) return checkpoint;
  throw new OnnxHubError("preset/no-format", `The spec ${model.expanded.name} doesn't say how KerasHub names its weights`, {
    path: "checkpoints.kerashub",
    remedy,
  });
}

/** The table, with the model's own names in place of the spec's: the root group bears the name of the model. */
function named(groups: readonly ExpandedKerasGroup[], root: string): ExpandedKerasGroup[] {
  return groups.map((group) => group.group === "" ? { ...group, name: root } : group);
}

/** Reads weights into a model's parameters: all of them or none. */
export function readInto(model: Model, path: string, groups: readonly ExpandedKerasGroup[], weights: readonly WeightInfo[]): void {
  const { parameters } = model;
  readKerasWeights(path, groups, weights, { onto: ({ path }) => parameters.room(path) });
  parameters.touch();
}

/** Writes some of a model's weights. */
export async function writeFrom(
  model: Model,
  path: string,
  groups: readonly ExpandedKerasGroup[],
  weights: readonly WeightInfo[],
  options: WriteWeightsOptions & { readonly root: string },
): Promise<void> {
  await writeKerasWeights(path, named(groups, options.root), weights, ({ path }) => model.parameters.get(path), options);
}

/** Writes a backbone's weights as Keras' shards: see `writeShardedKerasWeights`. */
export async function writeShardsFrom(backbone: Backbone, path: string, maximumBytes: number): Promise<void> {
  const groups = named(kerasCheckpoint(backbone).groups, backbone.name);
  await writeShardedKerasWeights(path, groups, backbone.weights, ({ path }) => backbone.parameters.get(path), maximumBytes);
}

/** The optimizer's variables as Keras stores them: all once training has begun, iterations and learning rate before. */
export function optimizerVariables(task: Task): WriteWeightsOptions["optimizer"] {
  const { optimizer, optimizerState } = task;
  if (!optimizer) return undefined;
  if (optimizerState) return { name: optimizer.name, variables: optimizerState.variables };
  const variables: KerasVariable[] = [{ shape: [], data: Int32Array.of(0) }];
  if (typeof optimizer.learningRate === "number") variables.push({ shape: [], data: Float32Array.of(optimizer.learningRate) });
  return { name: optimizer.name, variables };
}

/** What a file of weights is of: some weights of a model, and their places in Keras' layout. */
interface FilePart {
  readonly model: Model;
  readonly weights: readonly WeightInfo[];
  readonly groups: (table: KerasCheckpoint) => readonly ExpandedKerasGroup[];
}

const backbonePart = (backbone: Backbone): FilePart => ({ model: backbone, weights: backbone.weights, groups: ({ groups }) => groups });
const taskPart = (task: Task): FilePart => ({ model: task, weights: task.weights, groups: wholeTaskGroups });
const headPart = (task: Task): FilePart => ({ model: task, weights: headWeights(task), groups: (table) => table.head_groups });

/** What to do where Keras' layout has no place for a model's weights. */
const REMEDIES = {
  save: "Save to a path that ends in `.safetensors`: there any model's weights have a place.",
  load: "Load a file that was saved to a path that ends in `.safetensors`.",
} as const;

/**
 * The groups of Keras' layout that a path asks for, or undefined for one of own paths.
 *
 * Throws "preset/weights-name" for another suffix; "preset/weights-unmapped", "preset/weights-missing" or "preset/no-format" where Keras' layout has not
 * the very weights of the model.
 */
function layoutOf(
  { model, weights, groups }: FilePart,
  path: string,
  use: keyof typeof REMEDIES,
): readonly ExpandedKerasGroup[] | undefined {
  if (path.endsWith(".safetensors")) return undefined;
  if (!path.endsWith(".weights.h5")) {
    throw new OnnxHubError("preset/weights-name", "The filename must end in `.weights.h5` or `.safetensors`", {
      path,
      expected: "….weights.h5, as Keras has it, or ….safetensors, for any model",
      found: path,
    });
  }
  const remedy = REMEDIES[use];
  const found = groups(kerasCheckpoint(model, remedy));
  weightsByPath(path, found, weights, remedy);
  return found;
}

async function save(part: FilePart, path: string, options: () => WriteWeightsOptions = () => ({})): Promise<void> {
  const { model, weights } = part;
  const groups = layoutOf(part, path, "save");
  await writeFileAtomic(
    path,
    (temporary) =>
      groups
        ? writeFrom(model, temporary, groups, weights, { root: model.name, ...options() })
        : writeOwnWeights(temporary, weights, ({ path }) => model.parameters.get(path)),
  );
}

function load(part: FilePart, path: string, groups = layoutOf(part, path, "load")): void {
  const { model, weights } = part;
  if (groups) return readInto(model, path, groups, weights);
  readOwnWeights(path, weights, ({ path }) => model.parameters.room(path));
  model.parameters.touch();
}

/** Keras' `save_weights` of a backbone. */
export async function saveBackboneWeights(backbone: Backbone, path: string): Promise<void> {
  await save(backbonePart(backbone), path);
}

/** Keras' `load_weights` of a backbone. */
// deno-lint-ignore require-await -- a promise that rejects, not a throw
export async function loadBackboneWeights(backbone: Backbone, path: string): Promise<void> {
  load(backbonePart(backbone), path);
}

/** Throws what {@linkcode saveWeightsFile} will throw of a path and the model, whatever the weights will be. */
export function checkWeightsFile(task: Task, path: string): void {
  layoutOf(taskPart(task), path, "save");
}

/** Keras' `save_weights` of a task, its backbone with it; in Keras' layout the optimizer's variables too. */
export async function saveWeightsFile(task: Task, path: string): Promise<void> {
  await save(taskPart(task), path, () => ({ optimizer: optimizerVariables(task) }));
}

/** Keras' `load_weights` of a task: all weights or none, and the optimizer's variables where there is an engine that trains. */
// deno-lint-ignore require-await -- a promise that rejects, not a throw
export async function loadWeightsFile(task: Task, path: string, engine: ModelEngine | null): Promise<void> {
  const part = taskPart(task);
  const groups = layoutOf(part, path, "load");
  const takeUp = engine && groups && readKerasOptimizer(path, (stored) => engine.readOptimizer(stored));
  load(part, path, groups);
  takeUp?.();
}

/** KerasHub's `save_task_weights`: the head's weights. */
export async function saveTaskWeights(task: Task, path: string): Promise<void> {
  checkHasHead(task, path);
  await save(headPart(task), path, () => headOptions(task));
}

/** The head's weights, with the optimizer's first variables, as a preset has them. */
export async function writeTaskWeights(task: Task, path: string): Promise<void> {
  checkHasHead(task, path);
  const { model, weights, groups } = headPart(task);
  await writeFrom(model, path, groups(kerasCheckpoint(task)), weights, { root: task.name, ...headOptions(task) });
}

function checkHasHead(task: Task, path: string): void {
  if (headWeights(task).length > 0) return;
  throw new OnnxHubError("preset/no-task-weights", `Task ${task.name} has no weights not in the \`backbone\``, {
    path,
    remedy: "`saveTaskWeights()` has nothing to save.",
  });
}

/** What the head's file has beside weights. */
function headOptions(task: Task): WriteWeightsOptions {
  const { preprocessor, optimizer } = task;
  return {
    optimizer: optimizer ? optimizerVariables(task) : undefined,
    preprocessor: preprocessor ? { name: preprocessor.kerasName, tokenizer: preprocessor.tokenizer.kerasName } : undefined,
  };
}

/** KerasHub's `load_task_weights`. */
// deno-lint-ignore require-await -- a promise that rejects, not a throw
export async function loadTaskWeights(task: Task, path: string): Promise<void> {
  load(headPart(task), path);
}
