/** The built-in presets: what KerasHub publishes for the architectures that have a spec. */

import { nearest, OnnxHubError } from "../errors.ts";
import { architectures } from "../spec/architectures/index.ts";
import type { SourcePreset } from "../spec/index.ts";
import { builtIn } from "../spec/load.ts";

/** A built-in preset. */
export interface BuiltInPreset extends SourcePreset {
  /** The spec's name. */
  readonly architecture: string;
}

/** Which presets `list` gives. */
export interface PresetFilter {
  /** A spec's name: `"bert"`. */
  architecture?: string;
  /** A task's name in the specs: those whose architecture has it. */
  task?: string;
  /** Words that all occur in name, handle or description, in any case. */
  search?: string;
}

const presets: ReadonlyMap<string, BuiltInPreset> = new Map(
  Object.entries(architectures).flatMap(([architecture, spec]) =>
    ((spec as { presets?: readonly SourcePreset[] }).presets ?? []).map((preset) => [preset.name, { ...preset, architecture }])
  ),
);

/** The tasks that an architecture has a head for. */
function tasksOf(architecture: string): readonly string[] {
  return Object.keys(builtIn(architecture).source.heads ?? {});
}

/**
 * The built-in presets, all or some. Source: keras_hub's `cls.presets`.
 *
 * Throws "preset/filter" for an architecture or a task that there is none of.
 *
 * @example
 * ```ts
 * import { presets } from "onnxhub";
 * for (const { name, parameters, description } of presets.list({ task: "masked_lm", search: "multilingual" })) {
 *   console.log(name, parameters, description);
 * }
 * ```
 */
export function list(filter: PresetFilter = {}): BuiltInPreset[] {
  const { architecture, task, search = "" } = filter;
  const names = Object.keys(architectures);
  if (architecture !== undefined) known("architecture", architecture, names);
  if (task !== undefined) known("task", task, names.flatMap((name) => [...tasksOf(name)]));
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  return [...presets.values()].filter((preset) => {
    if (architecture !== undefined && preset.architecture !== architecture) return false;
    if (task !== undefined && !tasksOf(preset.architecture).includes(task)) return false;
    const text = `${preset.name} ${preset.handle} ${preset.description}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

function known(key: string, value: string, all: readonly string[]): void {
  if (all.includes(value)) return;
  const guess = nearest(value, all);
  throw new OnnxHubError("preset/filter", `There is no such ${key}`, {
    path: `presets.list.${key}`,
    expected: [...new Set(all)].sort().join(", "),
    found: value,
    remedy: guess ? `Did you mean \`${guess}\`?` : undefined,
  });
}

/** The built-in preset of a name, or undefined. */
export function get(name: string): BuiltInPreset | undefined {
  return presets.get(name);
}

/** The presets for a class by name: of its architecture, else of all; with a task those whose architecture has it. */
export function presetsOf(architecture: string | null, task: string | null = null): Readonly<Record<string, BuiltInPreset>> {
  // A class of an architecture whose spec isn't built in has none.
  if (architecture !== null && !(architecture in architectures)) return {};
  const found = list({ architecture: architecture ?? undefined, task: task ?? undefined });
  return Object.fromEntries(found.map((preset) => [preset.name, preset]));
}
