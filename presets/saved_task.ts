/** Which task a preset was saved for: what its task.json is of, or what the config.json of a checkpoint names. */

import { architectureNames, load } from "../spec/index.ts";
import { kerasHubClass, readKerasObject, readPresetConfig } from "./kerashub/config.ts";
import { PRESET_FILES } from "./kerashub/directory.ts";
import type { PresetSource } from "./source.ts";

/**
 * The task's name in the specs ("masked_lm"); undefined for a backbone alone, or a head that no built-in spec has.
 *
 * Fetches the preset's small files only. Throws what reading them throws.
 */
export async function savedTask(source: PresetSource): Promise<string | undefined> {
  const path = await source.file(PRESET_FILES.config);
  if (path === undefined) return undefined;
  const found = readPresetConfig(path);
  if (found.format === "huggingface") {
    const { architectures } = found.config;
    const names: readonly unknown[] = Array.isArray(architectures) ? architectures : [];
    return await taskOf(({ huggingface }) => huggingface?.classes?.tasks ?? {}, (name) => names.includes(name));
  }
  const file = await source.file(PRESET_FILES.task);
  const object = readKerasObject(file);
  const saved = object && kerasHubClass(object, file!);
  return await taskOf(
    ({ kerashub }) => Object.fromEntries(Object.entries(kerashub?.tasks ?? {}).map(([task, { class_name }]) => [task, class_name])),
    (name) => name === saved,
  );
}

type Checkpoints = NonNullable<Awaited<ReturnType<typeof load>>["source"]["checkpoints"]>;

/** The first task of a built-in spec whose class is the wanted one. */
async function taskOf(
  classes: (checkpoints: Checkpoints) => Readonly<Record<string, string>>,
  isWanted: (className: string) => boolean,
): Promise<string | undefined> {
  for (const name of architectureNames) {
    const { source } = await load(name);
    const task = Object.entries(classes(source.checkpoints ?? {})).find(([, className]) => isWanted(className))?.[0];
    if (task !== undefined) return task;
  }
  return undefined;
}
