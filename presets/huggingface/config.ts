/** A transformers config.json: its sizes and settings by a spec's names, and a spec's written as transformers does. */

import { OnnxHubError } from "../../errors.ts";
import { formatJson, isJsonObject, JsonFloat, type JsonObject, type JsonValue } from "../../formats/json.ts";
import { type Config, type ConvertedConfig, fromHuggingFace, type HuggingFaceValue, type Spec } from "../../spec/index.ts";
import { namesIn } from "../../spec/expressions.ts";
import type { SourceConfigEntry, SourceHuggingFaceWeight } from "../../spec/source.ts";

/**
 * A checkpoint's configuration by a spec's names. Settings that change what is computed and that the spec cannot express are
 * errors ("spec/config-value"), as are missing sizes ("preset/config-missing") and quantized weights ("preset/quantized"), each with the
 * key in the file.
 */
export function readCheckpointConfig(spec: Spec, theirs: JsonObject, path: string, task?: string): ConvertedConfig {
  if (isJsonObject(theirs.quantization_config)) {
    throw new OnnxHubError("preset/quantized", "Quantized checkpoints can't be loaded", {
      path: `${path}: quantization_config`,
      expected: "none",
      found: JSON.stringify(theirs.quantization_config.quant_method ?? "a quantization"),
      remedy: "Load one in float32, float16 or bfloat16.",
    });
  }
  const converted = fromHuggingFace(spec, { ...theirs, num_labels: labelCount(theirs, path) }, task, path);
  const names = Object.entries(spec.source.checkpoints!.huggingface!.config);
  const missing = Object.entries(spec.source.config).filter(([ours, entry]) => isRequired(entry) && converted.config[ours] === undefined)
    .map(([ours]) => names.find(([, name]) => name === ours)?.[0] ?? ours);
  if (missing.length === 0) return converted;
  throw new OnnxHubError("preset/config-missing", "The configuration lacks sizes", {
    path,
    expected: missing.join(", "),
    found: `the keys ${Object.keys(theirs).slice(0, 12).join(", ")}`,
  });
}

function isRequired(entry: SourceConfigEntry): boolean {
  return typeof entry === "string" || entry.default === undefined;
}

/** How many labels a classifier has: as many as have a name; transformers leaves the names out where they are its default, two. */
function labelCount({ id2label, num_labels }: JsonObject, path: string): JsonValue {
  if (id2label === undefined || id2label === null) return num_labels ?? 2;
  if (isJsonObject(id2label)) return Object.keys(id2label).length;
  throw new OnnxHubError("spec/config-value", "The labels' names must be an object", { path: `${path}: id2label`, expected: "an object" });
}

/**
 * Requires that what a spec repeats, its layers, is not more than the checkpoint has tensors: expanding the spec for a number that nobody checked could
 * take as long as that number says.
 *
 * Throws "preset/config-size" with the key in the file.
 */
export function checkCounts(spec: Spec, config: Config, tensors: number, path: string): void {
  const table = spec.source.checkpoints!.huggingface!;
  const names = new Set(repeated(table.weights));
  for (const [theirs, ours] of Object.entries(table.config)) {
    const count = config[ours];
    if (!names.has(ours) || typeof count !== "number" || count <= tensors) continue;
    throw new OnnxHubError("preset/config-size", "The configuration says more than the checkpoint has tensors for", {
      path: `${path}: ${theirs}`,
      expected: `at most ${tensors}, the number of tensors`,
      found: String(count),
    });
  }
}

/** The names that decide how often an entry of a table stands. */
function repeated(entries: readonly SourceHuggingFaceWeight[]): string[] {
  return entries.flatMap((entry) => [
    ...(typeof entry.repeat === "string" ? namesIn(entry.repeat, { file: "", path: "" }) : []),
    ...("weights" in entry ? repeated(entry.weights) : []),
  ]);
}

/** The text of a config.json as transformers writes it: sorted keys, two spaces. */
export function formatCheckpointConfig(entries: Readonly<Record<string, JsonValue | undefined>>): string {
  return `${formatJson(sorted(entries) as JsonObject, 2)}\n`;
}

function sorted(value: JsonValue | undefined): JsonValue | undefined {
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]));
}

/** Values under keys "a.b" as nested objects; `num_labels` as the names of that many labels. */
export function nestedConfig(values: Readonly<Record<string, HuggingFaceValue>>): JsonObject {
  const config: Record<string, JsonValue> = {};
  for (const [key, { value, float }] of Object.entries(values)) {
    const json = float && typeof value === "number" ? new JsonFloat(value) : value as JsonValue;
    const [outer, inner] = key.split(".");
    if (inner === undefined) config[outer] = json;
    else config[outer] = { ...config[outer] as JsonObject | undefined, [inner]: json };
  }
  const { num_labels: labels, ...others } = config;
  if (typeof labels !== "number") return others;
  const names = Array.from({ length: labels }, (_, i) => [String(i), `LABEL_${i}`] as const);
  return {
    ...others,
    id2label: Object.fromEntries(names),
    label2id: Object.fromEntries(names.map(([i, name]) => [name, Number(i)])),
  };
}
