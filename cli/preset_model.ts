/** The option that says which task of a preset is meant, and the model that it means. */

import { nearest, OnnxHubError } from "../errors.ts";
import type { Backbone } from "../models/backbone.ts";
import type { Task } from "../models/task.ts";
import type { Option } from "./command.ts";

/** The option. */
export const taskOption = {
  type: "string",
  value: "NAME",
  about: "masked_lm, text_classifier, causal_lm, or backbone for that alone; default what it was saved as",
} as const satisfies Option;

const BACKBONE = "backbone";

/** A preset's model: the task of the option's value, else the task that the preset was saved for, else the backbone. Loads the models, which takes a moment. */
export async function openModel(
  preset: string,
  named: string | undefined,
  { loadWeights }: { loadWeights: boolean },
): Promise<Backbone | Task> {
  const { Backbone, CausalLM, MaskedLM, TextClassifier } = await import("../models/index.ts");
  const classes = { masked_lm: MaskedLM, text_classifier: TextClassifier, causal_lm: CausalLM };
  const isTask = (name: string): name is keyof typeof classes => Object.hasOwn(classes, name);
  if (named !== undefined && named !== BACKBONE && !isTask(named)) {
    const names = [...Object.keys(classes), BACKBONE];
    const guess = nearest(named, names);
    throw new OnnxHubError("cli/option-value", `There is no task ${named}`, {
      expected: `one of ${names.join(", ")}`,
      remedy: guess && `Did you mean --task ${guess}?`,
    });
  }
  const name = named ?? await savedAs(preset) ?? BACKBONE;
  if (!isTask(name)) return await Backbone.fromPreset(preset, { loadWeights });
  return await classes[name].fromPreset(preset, { loadWeights, compile: false });
}

async function savedAs(preset: string): Promise<string | undefined> {
  const { openPreset } = await import("../presets/handles.ts");
  const { savedTask } = await import("../presets/saved_task.ts");
  return await savedTask(await openPreset(preset));
}
