/** The options that say which model is meant, and the model that they mean. */

import { nearest, OnnxHubError } from "../errors.ts";
import { expand, type ExpandedSpec, load, type Spec } from "../spec/index.ts";
import type { OptionValues } from "./command.ts";
import { configValues } from "./values.ts";

/** Options of every command. */
export const modelOptions = {
  task: { type: "string", value: "NAME", about: "The head to put on the backbone: masked_lm, text_classifier, …" },
  config: { type: "string", value: "NAME=VALUE", multiple: true, about: "A hyperparameter; may be given many times" },
  "task-config": { type: "string", value: "NAME=VALUE", multiple: true, about: "A hyperparameter of the head, as num_classes" },
} as const;

/** Their values. */
export type ModelValues = OptionValues<typeof modelOptions>;

/** Loads a spec and reads the values that were given for it. */
export async function loadModel(
  file: string,
  values: ModelValues,
): Promise<{ spec: Spec; config: ReturnType<typeof configValues>; taskConfig: ReturnType<typeof configValues> }> {
  const spec = await load(file);
  const { task } = values;
  const heads = spec.source.heads ?? {};
  if (task !== undefined && !Object.hasOwn(heads, task)) {
    const guess = nearest(task, Object.keys(heads));
    throw new OnnxHubError("cli/option-value", `${spec.source.name} has no task ${task}`, {
      expected: Object.keys(heads).length > 0 ? `one of ${Object.keys(heads).join(", ")}` : "no --task: it has no heads",
      remedy: guess && `Did you mean --task ${guess}?`,
    });
  }
  if (task === undefined && values["task-config"].length > 0) {
    throw new OnnxHubError("cli/missing-option", "--task-config is given without --task", { remedy: "Say which task it is for." });
  }
  const config = configValues("config", values.config, spec.source.config);
  const taskConfig = configValues("task-config", values["task-config"], task === undefined ? {} : heads[task].config ?? {});
  return { spec, config, taskConfig };
}

/** The expanded model that the options mean. */
export async function expandModel(file: string, values: ModelValues): Promise<ExpandedSpec> {
  const { spec, config, taskConfig } = await loadModel(file, values);
  try {
    return expand(spec, { config, task: values.task, taskConfig });
  } catch (error) {
    throw error instanceof OnnxHubError ? withFlags(error) : error;
  }
}

/** A missing value's error with the flag that gives it. */
function withFlags(error: OnnxHubError): OnnxHubError {
  if (error.code !== "spec/missing-config") return error;
  const option = /\bheads\b/.test(error.path ?? "") ? "task-config" : "config";
  return new OnnxHubError(error.code, error.what, {
    path: error.path,
    expected: error.expected,
    remedy: `Give each by \`--${option} name=value\`: they have no default.`,
    cause: error,
  });
}
