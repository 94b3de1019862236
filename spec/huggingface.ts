/** Configurations of Hugging Face transformers as a spec's own, and a spec's own as theirs. */

import { OnnxHubError } from "../errors.ts";
import { checkValue, type Config, longForm } from "./config.ts";
import { evaluate, functions, namesIn, type Place, type Scope } from "./expressions.ts";
import { describe } from "./schema/check.ts";
import type { SourceCheckpoints, SourceConfigEntry, Spec } from "./source.ts";
import type { ConfigValue } from "./types.ts";

/** Configurations for `expand`. */
export interface ConvertedConfig {
  readonly config: Readonly<Record<string, ConfigValue>>;
  /** The head's, where a task was named. */
  readonly taskConfig: Readonly<Record<string, ConfigValue>>;
}

/** A value that goes into a configuration of transformers. */
export interface HuggingFaceValue {
  readonly value: ConfigValue;
  /** Whether Python holds it as a float, so that 0 is written `0.0`. */
  readonly float: boolean;
}

type Table = NonNullable<SourceCheckpoints["huggingface"]>;

function tableOf({ file, source }: Spec): Table {
  const table = source.checkpoints?.huggingface;
  if (table) return table;
  throw new OnnxHubError("spec/no-huggingface", `${source.name} says nothing of Hugging Face's format`, { path: file });
}

/**
 * A spec's configuration from a transformers `config.json` (`file` names it in errors): what is absent or null is what transformers takes for it,
 * or left out where it has no default.
 *
 * Throws "spec/no-huggingface" for a spec without such names, and "spec/config-value" with the key of theirs for a value that the spec
 * cannot express.
 *
 * @example
 * ```ts
 * import { spec } from "onnxhub";
 * const { config } = spec.fromHuggingFace(await spec.load("xlm_roberta"), { vocab_size: 250002, max_position_embeddings: 514 });
 * console.log(config.vocabulary_size, config.max_sequence_length, config.layer_norm_epsilon); // 250002 512 1e-12
 * ```
 */
export function fromHuggingFace(
  spec: Spec,
  given: Readonly<Record<string, unknown>>,
  task?: string,
  file = "config.json",
): ConvertedConfig {
  const names = tableOf(spec);
  const { source } = spec;
  const theirs = withDefaults(names, given, file);
  const scope = scopeOf(theirs);
  checkRequired(names.requires ?? {}, theirs, scope, file, source.name);
  if (task !== undefined) checkRequired(names.head_requires?.[task] ?? {}, theirs, scope, file, `${source.name}'s ${task}`);

  const translate = (key: string, value: unknown): ConfigValue => {
    const values = names.config_values?.[key];
    if (values && !Object.hasOwn(values, String(value))) throw inexpressible(source.name, { file, path: key }, Object.keys(values), value);
    const offset = names.config_offsets?.[key] ?? 0;
    if (values) return values[String(value)];
    return offset !== 0 && typeof value === "number" ? value + offset : value as ConfigValue;
  };
  const convert = (mapping: Readonly<Record<string, string>>, entries: Readonly<Record<string, SourceConfigEntry>>) => {
    const config: Record<string, ConfigValue> = {};
    for (const [key, ours] of Object.entries(mapping)) {
      const value = lookUp(theirs, key);
      if (value === undefined || value === null) continue;
      config[ours] = translate(key, value);
      checkValue(longForm(entries[ours]), config[ours], { file, path: key });
    }
    return config;
  };
  const config = convert(names.config, source.config);
  for (const [ours, expression] of Object.entries(names.config_read ?? {})) {
    const value = computed(expression, scope, { file: spec.file, path: `checkpoints.huggingface.config_read.${ours}` });
    if (value !== undefined) config[ours] = value;
  }
  return { config, taskConfig: task === undefined ? {} : convert(names.head_config?.[task] ?? {}, source.heads?.[task]?.config ?? {}) };
}

function inexpressible(owner: string, { file, path }: Place, allowed: readonly unknown[], value: unknown): OnnxHubError {
  return new OnnxHubError("spec/config-value", `${owner} cannot express this configuration`, {
    path: `${file}: ${path}`,
    expected: allowed.length === 0 ? "none" : `${allowed.length > 1 ? "one of " : ""}${allowed.join(", ")}`,
    found: describe(value),
  });
}

/** Their configuration with what absent keys mean. */
function withDefaults({ config_defaults = {} }: Table, given: Readonly<Record<string, unknown>>, file: string): Record<string, unknown> {
  const all: Record<string, unknown> = { ...given };
  for (const [key, value] of Object.entries(config_defaults)) {
    if (all[key] === undefined || all[key] === null) all[key] = computed(value, scopeOf(all), { file, path: key });
  }
  return all;
}

/** A value, an expression evaluated; undefined for one over keys that are not there. */
function computed(value: ConfigValue, scope: Scope, place: Place): ConfigValue | undefined {
  if (typeof value !== "string") return value;
  if (namesIn(value, place).some((name) => !Object.hasOwn(scope, name) && !Object.hasOwn(functions, name) && name !== "none")) {
    return undefined;
  }
  return evaluate(value, scope, place) as ConfigValue;
}

/** The keys that expressions can name. */
function scopeOf(theirs: Readonly<Record<string, unknown>>): Scope {
  return Object.fromEntries(
    Object.entries(theirs).filter(([key, value]) => /^[a-z_][a-z0-9_]*$/i.test(key) && value !== undefined),
  ) as Scope;
}

function checkRequired(
  requires: NonNullable<Table["requires"]>,
  theirs: Readonly<Record<string, unknown>>,
  scope: Scope,
  file: string,
  owner: string,
): void {
  for (const [key, values] of Object.entries(requires)) {
    const value = lookUp(theirs, key);
    if (isNothing(value)) continue;
    const allowed = values.map((one) => computed(one, scope, { file, path: key }));
    if (!allowed.includes(undefined) && !allowed.includes(value as ConfigValue)) {
      throw inexpressible(owner, { file, path: key }, allowed, value);
    }
  }
}

/** Whether a value says nothing: absent, null, or an empty object or list. */
function isNothing(value: unknown): boolean {
  return value === undefined || value === null || (typeof value === "object" && Object.keys(value).length === 0);
}

/** The value under "a.b". */
function lookUp(object: unknown, path: string): unknown {
  return path.split(".").reduce<unknown>(
    (inner, key) =>
      typeof inner === "object" && inner !== null && Object.hasOwn(inner, key) ? (inner as Record<string, unknown>)[key] : undefined,
    object,
  );
}

/**
 * A transformers configuration from a spec's own, all of whose values must be given; keys "a.b" are the key b of an object a.
 * Null values are left out. Nothing is checked: convert it back with {@linkcode fromHuggingFace} to see what it says.
 */
export function toHuggingFace(spec: Spec, config: Config, task?: string, taskConfig: Config = {}): Record<string, HuggingFaceValue> {
  const names = tableOf(spec);
  const written: Record<string, HuggingFaceValue> = {};
  const convert = (mapping: Readonly<Record<string, string>>, entries: Readonly<Record<string, SourceConfigEntry>>, values: Config) => {
    const own = new Set(Object.keys(written));
    const done = new Set<string>();
    for (const [theirs, ours] of Object.entries(mapping)) {
      if (done.has(ours) || values[ours] === null || values[ours] === undefined) continue;
      const value = theirValue(names, theirs, values[ours]);
      // Of several keys that mean the same the first is written; a head's goes to its own key where the backbone's says something else.
      if (!own.has(theirs) || written[theirs].value === value) done.add(ours);
      if (!own.has(theirs)) written[theirs] = { value, float: longForm(entries[ours]).type === "float" };
    }
  };
  convert(names.config, spec.source.config, config);
  if (task !== undefined) convert(names.head_config?.[task] ?? {}, spec.source.heads?.[task]?.config ?? {}, taskConfig);
  const scope = { name: spec.source.name, ...config } as Scope;
  for (const [theirs, value] of Object.entries(names.config_written ?? {})) {
    const place = { file: spec.file, path: `checkpoints.huggingface.config_written.${theirs}` };
    const from = typeof value === "string" ? namesIn(value, place).filter((name) => Object.hasOwn(spec.source.config, name)) : [];
    const float = from.length > 0 && from.every((name) => longForm(spec.source.config[name]).type === "float");
    written[theirs] = { value: computed(value, scope, place) ?? null, float };
  }
  return Object.fromEntries(Object.entries(written).filter(([, { value }]) => value !== null));
}

/** Their value for one of ours; one that their table lacks stays as it is. */
function theirValue({ config_values, config_offsets }: Table, theirs: string, value: ConfigValue): ConfigValue {
  const values = config_values?.[theirs];
  if (values) return Object.entries(values).find(([, ours]) => ours === value)?.[0] ?? value;
  const offset = config_offsets?.[theirs] ?? 0;
  return offset !== 0 && typeof value === "number" ? value - offset : value;
}
