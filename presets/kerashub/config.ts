/** The JSON files of a KerasHub preset: serialized Keras objects read and checked, and built for saving. */

import { OnnxHubError } from "../../errors.ts";
import { isJsonObject, JsonFloat, type JsonObject, type JsonValue, readJson } from "../../formats/json.ts";
import type { ConfigValue, ExpandedConfigEntry } from "../../spec/types.ts";

/** A serialized Keras object. */
export interface KerasObject extends JsonObject {
  readonly module: string;
  readonly class_name: string;
  readonly config: JsonObject;
  /** "keras_hub>ClassName"; null for Keras' own classes. */
  readonly registered_name: string | null;
}

/** A class as KerasHub registers it. */
export interface KerasClass {
  readonly class_name: string;
  readonly module: string;
}

/** A preset's config.json by its format. */
export type PresetConfig =
  | { readonly format: "kerashub"; readonly config: KerasObject }
  | { readonly format: "huggingface"; readonly modelType: string; readonly config: JsonObject };

/** The KerasHub release whose files these are like: it goes into metadata.json. */
export const WRITTEN_AS = { keras_version: "3.15.1", keras_hub_version: "0.32.0.dev0" } as const;

const MAXIMUM_BYTES = 16 << 20;

/**
 * Reads a preset's config.json, given its path, and tells its format: `registered_name` means KerasHub, `model_type` Hugging Face.
 *
 * Throws "preset/format" for another format, and what `parseKerasObject` and `readJson` throw.
 */
export function readPresetConfig(path: string): PresetConfig {
  const config = readJson(path, { maximumBytes: MAXIMUM_BYTES });
  if (isJsonObject(config)) {
    if (config.registered_name !== undefined) return { format: "kerashub", config: parseKerasObject(config, path) };
    if (typeof config.model_type === "string") return { format: "huggingface", modelType: config.model_type, config };
  }
  throw new OnnxHubError("preset/format", "A config.json of an unknown format", {
    path,
    expected: "an object with `registered_name` (KerasHub) or `model_type` (Hugging Face)",
    found: isJsonObject(config) ? `the keys ${Object.keys(config).slice(0, 8).join(", ")}` : kindOf(config),
  });
}

/** Reads a file that holds one serialized Keras object: task.json, tokenizer.json, preprocessor.json. Undefined where there is no such file. */
export function readKerasObject(path: string | undefined): KerasObject | undefined {
  return path === undefined ? undefined : parseKerasObject(readJson(path, { maximumBytes: MAXIMUM_BYTES }), path);
}

/** Checks a serialized Keras object; `path` names it in errors ("preset/object"). */
export function parseKerasObject(value: JsonValue | undefined, path: string): KerasObject {
  if (!isJsonObject(value)) throw objectError(path, "a serialized Keras object", kindOf(value));
  const { class_name, config, registered_name = null, module = "" } = value;
  if (typeof class_name !== "string") throw objectError(`${path}, class_name`, "a class' name", kindOf(class_name));
  if (!isJsonObject(config)) throw objectError(`${path}, config`, "an object", kindOf(config));
  if (registered_name !== null && typeof registered_name !== "string") {
    throw objectError(`${path}, registered_name`, "a name like keras_hub>ClassName", kindOf(registered_name));
  }
  return { module: typeof module === "string" ? module : "", class_name, config, registered_name };
}

/** An object inside another's config: a task's `backbone`, a preprocessor's `tokenizer`. Null where the config says null or nothing. */
export function nestedObject({ class_name, config }: KerasObject, key: string, path: string): KerasObject | null {
  const value = config[key];
  return value === undefined || value === null ? null : parseKerasObject(value, `${path}, ${class_name}.config.${key}`);
}

/**
 * The KerasHub class of an object: "ClassName" for `keras_hub>ClassName` and, in old presets, `keras_nlp>ClassName`.
 *
 * Throws "preset/class" for what is not KerasHub's.
 */
export function kerasHubClass({ class_name, registered_name }: KerasObject, path: string): string {
  const match = /^keras_(?:hub|nlp)>([A-Za-z_][A-Za-z0-9_]*)$/.exec(registered_name ?? "");
  if (!match) {
    throw new OnnxHubError("preset/class", "Not a class of KerasHub's", {
      path: `${path}, registered_name`,
      expected: "keras_hub>… or keras_nlp>…",
      found: registered_name ?? `null (class ${class_name})`,
    });
  }
  return match[1];
}

/** What a config has beside arguments: what every Keras layer has, where it is saved, and the objects it is made of (which may be null). */
const OTHER_KEYS: ReadonlySet<string> = new Set(["name", "trainable", "dtype", "config_file", "backbone", "preprocessor", "tokenizer"]);

/** The arguments in an object's config: without the layer's name, dtype and file, and without the objects inside it. "preset/object" for a value that is none. */
export function hyperparameters({ config }: KerasObject, path: string): Record<string, ConfigValue> {
  const found: Record<string, ConfigValue> = Object.create(null);
  for (const [key, value] of Object.entries(config)) {
    if (OTHER_KEYS.has(key) || isSerialized(value)) continue;
    found[key] = plainValue(value, `${path}, config.${key}`);
  }
  return found;
}

function isSerialized(value: JsonValue | undefined): boolean {
  return isJsonObject(value) && typeof value.class_name === "string";
}

function plainValue(value: JsonValue | undefined, path: string): ConfigValue {
  if (value instanceof JsonFloat) return value.value;
  if (Array.isArray(value)) return value.map((item, i) => plainValue(item, `${path}[${i}]`));
  if (typeof value === "object" && value !== null || value === undefined) {
    throw objectError(path, "a number, text, boolean, null or list", kindOf(value));
  }
  return value as ConfigValue;
}

/** The name of an object's dtype policy ("float32", "mixed_bfloat16"), or undefined where the config has none. "preset/dtype" for quantized ones. */
export function dtypePolicyName({ config: { dtype } }: KerasObject, path: string): string | undefined {
  if (dtype === undefined || dtype === null) return undefined;
  if (typeof dtype === "string") return dtype;
  const policy = parseKerasObject(dtype, `${path}, config.dtype`);
  const { name } = policy.config;
  if (policy.class_name !== "DTypePolicy" || typeof name !== "string") {
    throw new OnnxHubError("preset/dtype", "Quantized weights", {
      path: `${path}, config.dtype`,
      expected: "a DTypePolicy",
      found: policy.class_name,
      remedy: "Save the preset in float32 or bfloat16.",
    });
  }
  return name;
}

function objectError(path: string, expected: string, found: string): OnnxHubError {
  return new OnnxHubError("preset/object", "Not a serialized Keras object", { path, expected, found });
}

function kindOf(value: JsonValue | undefined): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  return isJsonObject(value) ? "an object" : JSON.stringify(value);
}

/** A KerasHub object of a class. */
export function kerasObject({ module, class_name }: KerasClass, config: JsonObject): KerasObject {
  return { module, class_name, config, registered_name: `keras_hub>${class_name}` };
}

/** A layer's, model's or tokenizer's config: its name, dtype policy, then its own arguments. */
export function layerConfig(name: string, dtype: string, config: JsonObject): JsonObject {
  const policy: KerasObject = { module: "keras", class_name: "DTypePolicy", config: { name: dtype }, registered_name: null };
  return { name, trainable: true, dtype: policy, ...config };
}

/**
 * A configuration as KerasHub's own config has it: floats written as floats, and nothing that KerasHub lacks.
 *
 * Throws "preset/inexpressible" with the field that KerasHub lacks where its value is not the default.
 */
export function typedConfig(entries: Readonly<Record<string, ExpandedConfigEntry>>): JsonObject {
  const config: Record<string, JsonValue> = {};
  for (const [key, entry] of Object.entries(entries)) {
    if (entry.kerashub) config[key] = typed(entry.value, entry.type === "float");
    else if (!same(entry.value, entry.default)) {
      throw new OnnxHubError("preset/inexpressible", "KerasHub's format has no field for this", {
        path: `config.${key}`,
        expected: `the default, ${JSON.stringify(entry.default)}`,
        found: JSON.stringify(entry.value),
        remedy: "Save the weights with `saveWeights` to a `.safetensors` file and keep the hyperparameters, or use the default.",
      });
    }
  }
  return config;
}

function typed(value: ConfigValue, float: boolean): JsonValue {
  if (typeof value === "number" && float) return new JsonFloat(value);
  return Array.isArray(value) ? value.map((item) => typed(item, float)) : value as JsonValue;
}

function same(a: ConfigValue, b: ConfigValue | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** A tokenizer's config: int32, with what subclasses add in `config`. `file` is where it will be. */
export function tokenizerObject(type: KerasClass, name: string, config: JsonObject, file = "tokenizer.json"): KerasObject {
  return kerasObject(type, layerConfig(name, "int32", { config_file: file, ...config }));
}

/** A preprocessor with its tokenizer. */
export function preprocessorObject(
  type: KerasClass,
  name: string,
  tokenizer: KerasObject,
  config: JsonObject,
  file = "preprocessor.json",
): KerasObject {
  return kerasObject(type, layerConfig(name, "float32", { tokenizer, config_file: file, ...config }));
}

/** A backbone. */
export function backboneObject(type: KerasClass, name: string, config: JsonObject, dtype = "float32"): KerasObject {
  return kerasObject(type, layerConfig(name, dtype, config));
}

/** A task: its backbone and preprocessor, its name, then the head's arguments. */
export function taskObject(
  type: KerasClass,
  name: string,
  parts: { readonly backbone: KerasObject; readonly preprocessor: KerasObject | null },
  config: JsonObject = {},
): KerasObject {
  return kerasObject(type, { backbone: parts.backbone, preprocessor: parts.preprocessor, name, ...config });
}

/** metadata.json: the versions whose format this is, the backbone's parameters, when (local time), and which tasks the backbone has, sorted. */
export function presetMetadata(parameterCount: number, tasks: readonly string[], date: Date): JsonObject {
  const two = (n: number): string => String(n).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return {
    ...WRITTEN_AS,
    parameter_count: parameterCount,
    date_saved: `${day}@${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`,
    tasks: [...new Set(tasks)].sort(),
  };
}
