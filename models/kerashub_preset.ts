/** Reads presets in KerasHub's format. */

import { readFileSync } from "node:fs";
import { nearest, OnnxHubError } from "../errors.ts";
import {
  dtypePolicyName,
  hyperparameters,
  kerasHubClass,
  type KerasObject,
  nestedObject,
  readKerasObject,
} from "../presets/kerashub/config.ts";
import { PRESET_FILES } from "../presets/kerashub/directory.ts";
import { shardNames } from "../presets/kerashub/weight_store.ts";
import type { PresetSource } from "../presets/source.ts";
import type { Spec } from "../spec/index.ts";
import type { ConfigValue } from "../spec/types.ts";
import { assetNames } from "../text/tokenizer.ts";
import { builtInSpec } from "./built_in.ts";
import { headWeights } from "./fresh_weights.ts";
import type { OpenedPreset, SavedPart } from "./opened_preset.ts";
import { baseClasses, classesOf, registeredArchitectures } from "./registry.ts";
import { tokenizerFromAssets, tokenizerOf } from "./tokenizer.ts";
import { kerasCheckpoint, readInto } from "./weight_files.ts";

const POLICIES = ["float32", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16"];

/** Opens a preset whose config.json, at `path`, holds `config`; `custom` is the spec of an architecture that isn't built in. */
export function openKerasHubPreset(source: PresetSource, config: KerasObject, path: string, custom: Spec | undefined): OpenedPreset {
  const className = kerasHubClass(config, path);
  const policy = dtypePolicyName(config, path);
  if (policy !== undefined && !POLICIES.includes(policy)) {
    throw new OnnxHubError("preset/dtype", "A dtype policy that isn't known", { path, expected: POLICIES.join(", "), found: policy });
  }
  const spec = custom ?? specOfClass(className, path);
  const classes = custom ? baseClasses(spec) : classesOf(spec.source.name);
  const kerashub = spec.source.checkpoints?.kerashub;

  /** task.json, where it is of this task. */
  const savedTask = async (task: string): Promise<{ object: KerasObject; path: string } | undefined> => {
    const file = await source.file(PRESET_FILES.task);
    const object = readKerasObject(file);
    return object && kerasHubClass(object, file!) === kerashub?.tasks?.[task]?.class_name ? { object, path: file! } : undefined;
  };

  return {
    source,
    spec,
    classes,
    backbone: partOf(config, path),
    async head(task) {
      const saved = await savedTask(task);
      if (!saved) return undefined;
      const { name, config } = partOf(saved.object, saved.path);
      const keys = Object.keys(spec.source.heads?.[task]?.config ?? {});
      return { name, config: Object.fromEntries(Object.entries(config).filter(([key]) => keys.includes(key))) };
    },
    async preprocessor(task) {
      const saved = await savedTask(task);
      const nested = saved && nestedObject(saved.object, "preprocessor", saved.path);
      const file = await source.file(PRESET_FILES.preprocessor);
      const object = nested ?? readKerasObject(file);
      const place = nested ? saved!.path : file!;
      if (!object || kerasHubClass(object, place) !== kerashub?.tasks?.[task]?.preprocessor?.class_name) return undefined;
      const { name, config: { config_file: _, ...own } } = partOf(object, place);
      return { name, config: own };
    },
    async tokenizer() {
      const file = await source.file(PRESET_FILES.tokenizer);
      const object = readKerasObject(file);
      if (!object || !classes.tokenizer) return undefined;
      const { name, config } = partOf(object, file!);
      const assets: Record<string, Uint8Array> = {};
      for (const asset of assetNames(tokenizerOf(spec))) {
        const local = await source.file(`${PRESET_FILES.tokenizerAssets}/${asset}`);
        if (local !== undefined) assets[asset] = new Uint8Array(readFileSync(local));
      }
      return new classes.tokenizer({ text: tokenizerFromAssets(spec, assets, tokenizerConfig(config, file!)), name });
    },
    async readBackbone(backbone) {
      const weights = await source.file(PRESET_FILES.weights) ?? await shardedWeights(source);
      if (weights === undefined) {
        throw new OnnxHubError("preset/no-weights", "The preset has no weights", {
          path: source.name,
          expected: `${PRESET_FILES.weights} or ${PRESET_FILES.shardedWeights}`,
          found: (await source.list()).join(", "),
          remedy: "Pass `loadWeights: false` for fresh ones.",
        });
      }
      readInto(backbone, weights, kerasCheckpoint(backbone).groups, backbone.weights);
    },
    async readHead(task) {
      const file = await source.file(PRESET_FILES.taskWeights);
      const weights = headWeights(task);
      if (file === undefined) return weights.map(({ path }) => path);
      readInto(task, file, kerasCheckpoint(task).head_groups, weights);
      return [];
    },
  };
}

/** The index of sharded weights, with every shard beside it. */
async function shardedWeights(source: PresetSource): Promise<string | undefined> {
  const index = await source.file(PRESET_FILES.shardedWeights);
  if (index !== undefined) { for (const shard of shardNames(index)) await source.file(shard); }
  return index;
}

function partOf(object: KerasObject, path: string): SavedPart {
  const config: Record<string, ConfigValue> = hyperparameters(object, path);
  return { name: typeof object.config.name === "string" ? object.config.name : undefined, config };
}

/** What a tokenizer's configuration may say of these; with anything else it would give other ids. */
const TOKENIZER_VALUES: Readonly<Record<string, ConfigValue>> = {
  sequence_length: null,
  add_bos: false,
  add_eos: false,
  add_prefix_space: false,
  split: true,
  suffix_indicator: "##",
};

/** What a tokenizer's configuration says beyond the spec: KerasHub strips accents only where it is told to. */
function tokenizerConfig(config: SavedPart["config"], path: string): Parameters<typeof tokenizerFromAssets>[2] {
  for (const [key, expected] of Object.entries(TOKENIZER_VALUES)) {
    const found = config[key] ?? expected;
    if (found === expected) continue;
    throw new OnnxHubError("preset/tokenizer", "A tokenizer's option that is not supported", {
      path: `${path}, config.${key}`,
      expected: JSON.stringify(expected),
      found: JSON.stringify(found),
    });
  }
  const { lowercase, strip_accents } = config;
  return typeof lowercase === "boolean" ? { lowercase, strip_accents: strip_accents === true } : {};
}

function specOfClass(className: string, path: string): Spec {
  const names = new Map(
    registeredArchitectures().map((name) => [builtInSpec(name).source.checkpoints!.kerashub!.backbone.class_name, name]),
  );
  const name = names.get(className);
  if (name) return builtInSpec(name);
  const guess = nearest(className, names.keys());
  throw new OnnxHubError("preset/architecture", "There is no built-in spec for this preset's architecture", {
    path,
    expected: `one of ${[...names.keys()].join(", ")}`,
    found: className,
    remedy: guess ? `Did you mean ${guess}?` : 'Give its spec: `fromPreset(preset, { spec: "path.json" })`.',
  });
}
