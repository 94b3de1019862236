/** Reads a configuration of Hugging Face transformers as a spec's own. */

import { OnnxHubError } from "../errors.ts";
import { describe } from "./schema/check.ts";
import type { Spec } from "./source.ts";
import type { ConfigValue } from "./types.ts";

/** Configurations for `expand`. */
export interface ConvertedConfig {
  readonly config: Readonly<Record<string, ConfigValue>>;
  /** The head's, where a task was named. */
  readonly taskConfig: Readonly<Record<string, ConfigValue>>;
}

/**
 * A spec's configuration from a transformers `config.json`: keys that are absent or null are left out.
 *
 * Throws "spec/no-huggingface" for a spec without such names, and "spec/config-value" for a value that the spec cannot express.
 *
 * @example
 * ```ts
 * import { spec } from "onnxhub";
 * const { config } = spec.fromHuggingFace(await spec.load("xlm_roberta"), { vocab_size: 250002, max_position_embeddings: 514 });
 * console.log(config); // { vocabulary_size: 250002, max_sequence_length: 512 }
 * ```
 */
export function fromHuggingFace({ file, source }: Spec, theirs: Readonly<Record<string, unknown>>, task?: string): ConvertedConfig {
  const names = source.checkpoints?.huggingface;
  if (!names) throw new OnnxHubError("spec/no-huggingface", `${source.name} says nothing of Hugging Face's format`, { path: file });
  const convert = (mapping: Readonly<Record<string, string>>): Record<string, ConfigValue> => {
    const config: Record<string, ConfigValue> = {};
    for (const [key, ours] of Object.entries(mapping)) {
      const value = lookUp(theirs, key);
      if (value !== undefined && value !== null) config[ours] = translate(key, value);
    }
    return config;
  };
  const translate = (key: string, value: unknown): ConfigValue => {
    const values = names.config_values?.[key];
    if (values && !Object.hasOwn(values, String(value))) {
      throw new OnnxHubError("spec/config-value", `${source.name} cannot express this configuration`, {
        path: `config.json: ${key}`,
        expected: `one of ${Object.keys(values).join(", ")}`,
        found: describe(value),
      });
    }
    const offset = names.config_offsets?.[key] ?? 0;
    return values ? values[String(value)] : offset !== 0 ? Number(value) + offset : value as ConfigValue;
  };
  return { config: convert(names.config), taskConfig: task === undefined ? {} : convert(names.head_config?.[task] ?? {}) };
}

/** The value under "a.b". */
function lookUp(object: unknown, path: string): unknown {
  return path.split(".").reduce<unknown>(
    (inner, key) => typeof inner === "object" && inner !== null ? (inner as Record<string, unknown>)[key] : undefined,
    object,
  );
}
