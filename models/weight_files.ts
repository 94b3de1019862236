/** Keras' `.weights.h5` files of whole tasks and of heads. */

import { OnnxHubError } from "../errors.ts";
import { writeFileAtomic } from "../formats/atomic.ts";
import { writeShardedKerasWeights } from "../presets/kerashub/sharded_writing.ts";
import {
  type KerasCheckpoint,
  type KerasVariable,
  readKerasOptimizer,
  readKerasWeights,
  wholeTaskGroups,
  writeKerasWeights,
  type WriteWeightsOptions,
} from "../presets/kerashub/weights.ts";
import type { WeightInfo } from "../codegen/program.ts";
import type { ExpandedKerasGroup } from "../spec/types.ts";
import type { ModelEngine } from "../training/model_engine.ts";
import type { Backbone } from "./backbone.ts";
import type { Model } from "./model.ts";
import type { Task } from "./task.ts";

/** The spec's table of KerasHub's names; throws "preset/no-format" for a spec without one. */
export function kerasCheckpoint(model: Model): KerasCheckpoint {
  const checkpoint = model.expanded.checkpoints.kerashub;
  if (checkpoint) return checkpoint;
  throw new OnnxHubError("preset/no-format", `The spec ${model.expanded.name} doesn't say how KerasHub names its weights`, {
    path: "checkpoints.kerashub",
    remedy: "Add the table to the spec.",
  });
}

/** The table, with the model's own names in place of the spec's: the root group bears the name of the model. */
function named(groups: readonly ExpandedKerasGroup[], root: string): ExpandedKerasGroup[] {
  return groups.map((group) => group.group === "" ? { ...group, name: root } : group);
}

function checkName(path: string): void {
  if (path.endsWith(".weights.h5")) return;
  throw new OnnxHubError("preset/weights-name", "The filename must end in `.weights.h5`", { path, expected: "….weights.h5", found: path });
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

/** Keras' `save_weights` of a backbone. */
export async function saveBackboneWeights(backbone: Backbone, path: string): Promise<void> {
  checkName(path);
  const { groups } = kerasCheckpoint(backbone);
  await writeFileAtomic(path, (temporary) => writeFrom(backbone, temporary, groups, backbone.weights, { root: backbone.name }));
}

/** Keras' `load_weights` of a backbone. */
// deno-lint-ignore require-await -- a promise that rejects, not a throw
export async function loadBackboneWeights(backbone: Backbone, path: string): Promise<void> {
  checkName(path);
  readInto(backbone, path, kerasCheckpoint(backbone).groups, backbone.weights);
}

/** Keras' `save_weights` of a task, its backbone with it. */
export async function saveWeightsFile(task: Task, path: string): Promise<void> {
  checkName(path);
  const groups = wholeTaskGroups(kerasCheckpoint(task));
  const optimizer = optimizerVariables(task);
  await writeFileAtomic(path, (temporary) => writeFrom(task, temporary, groups, task.weights, { root: task.name, optimizer }));
}

/** Keras' `load_weights` of a task: all weights or none, and the optimizer's variables where there is an engine that trains. */
// deno-lint-ignore require-await -- a promise that rejects, not a throw
export async function loadWeightsFile(task: Task, path: string, engine: ModelEngine | null): Promise<void> {
  checkName(path);
  const takeUp = engine && readKerasOptimizer(path, (stored) => engine.readOptimizer(stored));
  readInto(task, path, wholeTaskGroups(kerasCheckpoint(task)), task.weights);
  takeUp?.();
}

/** KerasHub's `save_task_weights`: the head's weights. */
export async function saveTaskWeights(task: Task, path: string): Promise<void> {
  checkName(path);
  await writeFileAtomic(path, (temporary) => writeTaskWeights(task, temporary));
}

/** The head's weights, with the optimizer's first variables, as a preset has them. */
export async function writeTaskWeights(task: Task, path: string): Promise<void> {
  const { preprocessor, optimizer } = task;
  const head = task.weights.filter(({ part }) => part === "head");
  if (head.length === 0) {
    throw new OnnxHubError("preset/no-task-weights", `Task ${task.name} has no weights not in the \`backbone\``, {
      path,
      remedy: "`saveTaskWeights()` has nothing to save.",
    });
  }
  await writeFrom(task, path, kerasCheckpoint(task).head_groups, head, {
    root: task.name,
    optimizer: optimizer ? optimizerVariables(task) : undefined,
    preprocessor: preprocessor ? preprocessorNames(task) : undefined,
  });
}

/** The names of the groups of a preprocessor and its tokenizer. */
function preprocessorNames(task: Task): WriteWeightsOptions["preprocessor"] {
  const { preprocessor } = task;
  return { name: preprocessor!.kerasName, tokenizer: preprocessor!.tokenizer.kerasName };
}

/** KerasHub's `load_task_weights`. */
// deno-lint-ignore require-await -- a promise that rejects, not a throw
export async function loadTaskWeights(task: Task, path: string): Promise<void> {
  checkName(path);
  readInto(task, path, kerasCheckpoint(task).head_groups, task.weights.filter(({ part }) => part === "head"));
}
