/** Presets to models and back: KerasHub's directories through the specs' tables, dispatched to the right class. */

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { nearest, OnnxHubError } from "../errors.ts";
import { recoverDirectory } from "../formats/atomic.ts";
import {
  dtypePolicyName,
  hyperparameters,
  kerasHubClass,
  type KerasObject,
  nestedObject,
  readKerasObject,
  readPresetConfig,
} from "../presets/kerashub/config.ts";
import { PRESET_FILES } from "../presets/kerashub/directory.ts";
import { load, type Spec } from "../spec/index.ts";
import type { Backbone } from "./backbone.ts";
import { builtInSpec } from "./built_in.ts";
import type { RunOptions } from "./model.ts";
import { camelCase } from "./options.ts";
import type { MaskedLMPreprocessorOptions, Preprocessor } from "./preprocessor.ts";
import { type ArchitectureClasses, baseClasses, classesOf, registeredArchitectures } from "./registry.ts";
import type { Task } from "./task.ts";
import { type Tokenizer, tokenizerFromAssets } from "./tokenizer.ts";
import { kerasCheckpoint, readInto } from "./weight_files.ts";

export { saveBackbone, type SaveOptions, savePreprocessor, saveTask, saveTokenizer } from "./preset_saving.ts";

/** What `fromPreset` takes beside overrides of hyperparameters. */
export interface LoadOptions extends RunOptions {
  /** Whether the preset's weights are read; false leaves fresh ones. Default true. */
  loadWeights?: boolean;
  /** Another preprocessor than the preset's, or null for none. */
  preprocessor?: Preprocessor | null;
  /** The spec of the preset's architecture, where it isn't a built-in one: a path, or what `spec.load` gave. */
  spec?: string | URL | Spec;
  /** The name of the model. */
  name?: string;
  /** Whether training changes the backbone; default true. */
  trainable?: boolean;
  /** Whether the task is compiled with what its spec says; default true. */
  compile?: boolean;
}

const LOAD_OPTIONS = ["loadWeights", "preprocessor", "spec", "name", "trainable", "compile", "backend", "threads", "seed"];

/** A preset that was found and whose config.json was read. */
interface OpenPreset {
  readonly directory: string;
  readonly config: KerasObject;
  readonly spec: Spec;
  readonly classes: ArchitectureClasses;
}

/** The directory that a preset's name or URL means. */
function directoryOf(preset: string): string {
  if (typeof preset !== "string") {
    throw new OnnxHubError("preset/identifier", "A preset identifier must be a string", { path: "preset", found: typeof preset });
  }
  const path = preset.startsWith("file:") ? fileURLToPath(preset) : preset;
  recoverDirectory(path);
  if (existsSync(path) && statSync(path).isDirectory()) return path;
  const scheme = /^[a-z]+:\/\//.exec(preset)?.[0];
  throw new OnnxHubError("preset/not-found", scheme ? `Presets of ${scheme} can't be fetched` : "There is no such preset directory", {
    path: preset,
    expected: "a local directory with a config.json",
    found: existsSync(path) ? "a file" : "nothing there",
    remedy: scheme ? "Download it, and give the directory." : undefined,
  });
}

/** Opens a preset for a class; `architecture` null takes any. */
async function open(preset: string, architecture: string | null, custom: LoadOptions["spec"]): Promise<OpenPreset> {
  const directory = directoryOf(preset);
  const found = readPresetConfig(directory);
  const path = join(directory, PRESET_FILES.config);
  if (found.format !== "kerashub") {
    throw new OnnxHubError("preset/format", "This is a Hugging Face checkpoint", {
      path,
      expected: "a preset in KerasHub's format",
      found: `model_type ${found.modelType}`,
    });
  }
  const className = kerasHubClass(found.config, path);
  const policy = dtypePolicyName(found.config, path);
  if (policy !== undefined && !["float32", "bfloat16", "float16", "mixed_bfloat16", "mixed_float16"].includes(policy)) {
    throw new OnnxHubError("preset/dtype", "A dtype policy that isn't known", {
      path,
      expected: "float32, bfloat16 or float16",
      found: policy,
    });
  }
  const spec = custom === undefined ? specOfClass(className, path) : isSpec(custom) ? custom : await load(custom);
  if (architecture !== null && spec.source.name !== architecture) {
    const wanted = builtInSpec(architecture).source.checkpoints?.kerashub?.backbone.class_name;
    throw new OnnxHubError("preset/class", "The preset is of another architecture than the class", {
      path,
      expected: wanted,
      found: className,
    });
  }
  const known = registeredArchitectures().includes(spec.source.name) && custom === undefined;
  return { directory, config: found.config, spec, classes: known ? classesOf(spec.source.name) : baseClasses(spec) };
}

function isSpec(value: string | URL | Spec): value is Spec {
  return typeof value === "object" && "source" in value;
}

function specOfClass(className: string, path: string): Spec {
  const classNames = new Map(
    registeredArchitectures().map((name) => [builtInSpec(name).source.checkpoints!.kerashub!.backbone.class_name, name]),
  );
  const name = classNames.get(className);
  if (name) return builtInSpec(name);
  const guess = nearest(className, classNames.keys());
  throw new OnnxHubError("preset/architecture", "There is no built-in spec for this preset's architecture", {
    path,
    expected: `one of ${[...classNames.keys()].join(", ")}`,
    found: className,
    remedy: guess ? `Did you mean ${guess}?` : 'Give its spec: `fromPreset(preset, { spec: "path.json" })`.',
  });
}

/** Keys of an object in camel case. */
function camel(values: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [camelCase(key), value]));
}

/** Options that are overrides of hyperparameters, of those that a list of names knows. */
function overrides(options: object, known: Iterable<string>): Record<string, unknown> {
  const names = new Set([...known].map(camelCase));
  return Object.fromEntries(Object.entries(options).filter(([key, value]) => names.has(key) && value !== undefined));
}

function only<K extends string>(options: object, names: readonly K[]): Record<string, unknown> {
  return overrides(options, names);
}

const BACKBONE_NAMES = ["trainable", "backend", "threads", "seed"] as const;

/** The backbone of a preset. See `Backbone.fromPreset`. */
export async function loadBackbone(architecture: string | null, preset: string, options: LoadOptions & object): Promise<Backbone> {
  const opened = await open(preset, architecture, options.spec);
  checkOverrides("fromPreset", options, Object.keys(opened.spec.source.config));
  const backbone = makeBackbone(opened, { ...options, name: options.name });
  if (options.loadWeights ?? true) readBackboneWeights(opened.directory, backbone);
  return backbone;
}

function makeBackbone({ config, spec, classes, directory }: OpenPreset, options: object & { name?: string }): Backbone {
  const name = typeof config.config.name === "string" ? config.config.name : undefined;
  return new classes.backbone({
    ...camel(hyperparameters(config, join(directory, PRESET_FILES.config))),
    ...overrides(options, Object.keys(spec.source.config)),
    ...only(options, BACKBONE_NAMES),
    name: options.name ?? name,
  });
}

function readBackboneWeights(directory: string, backbone: Backbone): void {
  const single = join(directory, PRESET_FILES.weights);
  const sharded = join(directory, PRESET_FILES.shardedWeights);
  if (!existsSync(single) && !existsSync(sharded)) {
    throw new OnnxHubError("preset/no-weights", "The preset has no weights", {
      path: directory,
      expected: `${PRESET_FILES.weights} or ${PRESET_FILES.shardedWeights}`,
      found: readdirSync(directory).sort().join(", "),
      remedy: "Pass `loadWeights: false` for fresh ones.",
    });
  }
  readInto(backbone, existsSync(single) ? single : sharded, kerasCheckpoint(backbone).groups, backbone.weights);
}

function checkOverrides(owner: string, options: object, configKeys: Iterable<string>): void {
  const known = [...LOAD_OPTIONS, ...[...configKeys].map(camelCase)];
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue;
    const guess = nearest(key, known);
    throw new OnnxHubError("model/option", `${owner} has no option ${key}`, {
      path: `${owner}.${key}`,
      expected: `one of ${known.join(", ")}`,
      found: key,
      remedy: guess ? `Did you mean \`${guess}\`?` : undefined,
    });
  }
}

/** The task of a preset. See `Task.fromPreset`. */
export async function loadTask(task: string, architecture: string | null, preset: string, options: LoadOptions & object): Promise<Task> {
  const opened = await open(preset, architecture, options.spec);
  const { directory, spec, classes } = opened;
  const head = spec.source.heads?.[task];
  const own = classes.tasks[task];
  if (!head || !own) {
    throw new OnnxHubError("preset/task", `The architecture of this preset has no class for this task`, {
      path: preset,
      expected: `one of ${Object.keys(spec.source.heads ?? {}).join(", ") || "none"}`,
      found: task,
      remedy: "Call `fromPreset` on the class of another task.",
    });
  }
  const headKeys = Object.keys(head.config ?? {});
  checkOverrides("fromPreset", options, [...Object.keys(spec.source.config), ...headKeys]);
  // A task saved as this one brings its head's configuration; another one's head is of no use.
  const path = join(directory, PRESET_FILES.task);
  const saved = readKerasObject(path);
  const matching = saved && kerasHubClass(saved, path) === spec.source.checkpoints?.kerashub?.tasks?.[task]?.class_name ? saved : undefined;
  const given = overrides(options, headKeys);
  const savedHead = matching ? camel(pick(hyperparameters(matching, path), headKeys)) : {};
  const savedName = matching && typeof matching.config.name === "string" ? matching.config.name : undefined;
  const backbone = makeBackbone(opened, { ...options, name: undefined });
  const preprocessor = options.preprocessor !== undefined
    ? options.preprocessor
    : findPreprocessor(opened, task, matching ? nestedObject(matching, "preprocessor", path) ?? undefined : undefined, {
      seed: options.seed,
    });
  const model = new own.task({
    ...savedHead,
    ...given,
    backbone,
    preprocessor,
    name: options.name ?? savedName,
    compile: options.compile,
    seed: options.seed,
  });
  if (options.loadWeights ?? true) {
    readBackboneWeights(directory, backbone);
    const headWeights = join(directory, PRESET_FILES.taskWeights);
    // Another number of classes asks for a fresh head.
    if (matching && existsSync(headWeights) && Object.keys(given).every((key) => same(given[key], savedHead[key]))) {
      readInto(model, headWeights, kerasCheckpoint(model).head_groups, model.weights.filter(({ part }) => part === "head"));
    }
  }
  return model;
}

function pick(values: Readonly<Record<string, unknown>>, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([key]) => keys.includes(key)));
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** The preset's preprocessor for a task, or one with defaults over its tokenizer; null where there is no tokenizer. */
function findPreprocessor(
  { directory, spec, classes }: OpenPreset,
  task: string,
  saved: KerasObject | undefined,
  options: { seed?: number } & object,
): Preprocessor | null {
  const type = classes.tasks[task]?.preprocessor;
  const tokenizerFile = join(directory, PRESET_FILES.tokenizer);
  if (!type || !classes.tokenizer || !existsSync(tokenizerFile)) return null;
  const path = join(directory, PRESET_FILES.preprocessor);
  const own = spec.source.checkpoints?.kerashub?.tasks?.[task]?.preprocessor?.class_name;
  const file = saved ?? readKerasObject(path);
  const matching = file && kerasHubClass(file, path) === own ? file : undefined;
  const { config_file: _, ...config } = matching ? hyperparameters(matching, path) : {};
  const name = matching && typeof matching.config.name === "string" ? matching.config.name : undefined;
  return new type({ ...camel(config), ...options, tokenizer: readTokenizer(directory, spec, classes), name });
}

/** The tokenizer of a preset directory. */
function readTokenizer(directory: string, spec: Spec, classes: ArchitectureClasses): Tokenizer {
  const path = join(directory, PRESET_FILES.tokenizer);
  const object = readKerasObject(path);
  if (!object || !classes.tokenizer) {
    throw new OnnxHubError("preset/no-tokenizer", "The preset has no tokenizer", { path: directory, expected: PRESET_FILES.tokenizer });
  }
  const config = hyperparameters(object, path);
  const assets = join(directory, PRESET_FILES.tokenizerAssets);
  const names = existsSync(assets) ? readdirSync(assets) : [];
  const files = Object.fromEntries(names.map((name) => [name, new Uint8Array(readFileSync(join(assets, name)))]));
  const text = tokenizerFromAssets(spec, files, typeof config.lowercase === "boolean" ? config.lowercase : undefined);
  return new classes.tokenizer({ text, name: typeof object.config.name === "string" ? object.config.name : undefined });
}

/** See `Tokenizer.fromPreset`. */
export async function loadTokenizer(architecture: string | null, preset: string): Promise<Tokenizer> {
  const { directory, spec, classes } = await open(preset, architecture, undefined);
  return readTokenizer(directory, spec, classes);
}

/** See `Preprocessor.fromPreset`. */
export async function loadPreprocessor(
  architecture: string | null,
  task: string | null,
  preset: string,
  options: Partial<Omit<MaskedLMPreprocessorOptions, "tokenizer">>,
): Promise<Preprocessor> {
  if (task === null) {
    throw new OnnxHubError("preset/abstract", "Do not call `Preprocessor.fromPreset()` directly", {
      remedy: "Call it on a task's preprocessor, e.g. `models.MaskedLMPreprocessor.fromPreset()`.",
    });
  }
  const opened = await open(preset, architecture, undefined);
  const preprocessor = findPreprocessor(opened, task, undefined, options);
  if (preprocessor) return preprocessor;
  throw new OnnxHubError("preset/no-tokenizer", "The preset has no tokenizer to make a preprocessor with", {
    path: opened.directory,
    expected: PRESET_FILES.tokenizer,
  });
}
