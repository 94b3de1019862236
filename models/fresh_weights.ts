/** A task's own weights, and the warning of weights that a preset lacks. */

import type { WeightInfo } from "../codegen/program.ts";
import type { PresetSource } from "../presets/source.ts";
import type { Task } from "./task.ts";

/** Says, as transformers does, which of a model's weights were not there: they are fresh. */
export function warnOfFreshWeights({ name }: { readonly name: string }, source: PresetSource, lacking: readonly string[]): void {
  if (lacking.length === 0) return;
  console.warn(
    `${source.name} has no weights for ${lacking.join(", ")} of ${name}: they are freshly initialized. Train the model before using it.`,
  );
}

/** A task's own weights, without its backbone's. */
export function headWeights(task: Task): readonly WeightInfo[] {
  return task.weights.filter(({ part }) => part === "head");
}
