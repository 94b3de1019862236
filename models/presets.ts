/** Presets to models: opened by their format, dispatched to the right class, overrides applied. */

import { nearest, OnnxHubError } from "../errors.ts";
import { openPreset } from "../presets/handles.ts";
import { readPresetConfig } from "../presets/kerashub/config.ts";
import { PRESET_FILES } from "../presets/kerashub/directory.ts";
import { prepareBackend } from "../runtime/backends.ts";
import { load, type SourceConfigEntry, type Spec } from "../spec/index.ts";
import type { Backbone, BackboneOptions } from "./backbone.ts";
import { builtInSpec } from "./built_in.ts";
import type { BackboneOptionsByArchitecture } from "./generated/index.ts";
import { openHuggingFacePreset } from "./huggingface_preset.ts";
import { openKerasHubPreset } from "./kerashub_preset.ts";
import type { RunOptions } from "./model.ts";
import { headWeights, warnOfFreshWeights } from "./fresh_weights.ts";
import type { OpenedPreset } from "./opened_preset.ts";
import { camelCase } from "../spec/naming.ts";
import type { MaskedLMPreprocessorOptions, Preprocessor } from "./preprocessor.ts";
import type { Task, TaskOptions } from "./task.ts";
import type { Tokenizer } from "./tokenizer.ts";

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

/** A class that `fromPreset` is called on, whatever its constructor takes. */
export type PresetClass<M> = abstract new (...options: never[]) => M;

type Architecture = keyof BackboneOptionsByArchitecture;

/** What overrides a backbone's hyperparameters: on a class of its own (`A` a name) those of its architecture, on a base class those of any. */
export type BackboneOverrides<A extends string | null, Except extends PropertyKey = never> = Overrides<
  BackboneOptionsByArchitecture[A extends Architecture ? A : Architecture],
  keyof BackboneOptions | Except
>;

/** The hyperparameters among options, none of them needed. */
export type Overrides<O, Except extends PropertyKey> = O extends object ? Partial<Omit<O, Except>> : never;

/** What `fromPreset` of a backbone's class takes. */
export type BackboneLoadOptions<A extends string | null> = Omit<LoadOptions, "preprocessor" | "compile"> & BackboneOverrides<A>;

/** What `fromPreset` of a task's class takes: its head's hyperparameters (`O` are its options) go before the backbone's of the same name. */
export type TaskLoadOptions<A extends string | null, O> = LoadOptions & Overrides<O, keyof TaskOptions> & BackboneOverrides<A, keyof O>;

const LOAD_OPTIONS = ["loadWeights", "preprocessor", "spec", "name", "trainable", "compile", "backend", "threads", "seed"];

/** Opens a preset for a class; `architecture` null takes any. */
async function open(preset: string, architecture: string | null, custom: LoadOptions["spec"]): Promise<OpenedPreset> {
  const source = await openPreset(preset);
  const path = await source.file(PRESET_FILES.config);
  if (path === undefined) {
    throw new OnnxHubError("preset/no-config", "The preset has no config.json", {
      path: source.name,
      found: (await source.list()).join(", ") || "nothing",
      remedy: "Give the directory of a KerasHub preset, or of a Hugging Face checkpoint.",
    });
  }
  const found = readPresetConfig(path);
  const spec = custom === undefined || isSpec(custom) ? custom : await load(custom);
  const opened = found.format === "kerashub"
    ? openKerasHubPreset(source, found.config, path, spec)
    : openHuggingFacePreset(source, found.config, path, spec);
  if (architecture !== null && opened.spec.source.name !== architecture) {
    throw new OnnxHubError("preset/class", "The preset is of another architecture than the class", {
      path,
      expected: classNameOf(builtInSpec(architecture)),
      found: classNameOf(opened.spec),
    });
  }
  return opened;
}

function classNameOf({ source }: Spec): string {
  return source.checkpoints?.kerashub?.backbone.class_name ?? source.name;
}

function isSpec(value: string | URL | Spec): value is Spec {
  return typeof value === "object" && "source" in value;
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

const BACKBONE_NAMES = ["trainable", "backend", "threads", "seed"] as const;

/** The backbone of a preset. See `Backbone.fromPreset`. */
export async function loadBackbone(architecture: string | null, preset: string, options: LoadOptions & object): Promise<Backbone> {
  prepareBackend(options.backend);
  const opened = await open(preset, architecture, options.spec);
  const keys = Object.keys(opened.spec.source.config);
  checkOverrides(options, LOAD_OPTIONS.filter((name) => name !== "preprocessor" && name !== "compile"), keys);
  if (options.loadWeights ?? true) await opened.checkSizes?.();
  const backbone = makeBackbone(opened, options, keys);
  if (options.loadWeights ?? true) await opened.readBackbone(backbone);
  return backbone;
}

/** The preset's backbone; of the options those in `keys` override its hyperparameters. */
function makeBackbone({ source, backbone, classes }: OpenedPreset, options: { name?: string }, keys: readonly string[]): Backbone {
  return within(source, () =>
    new classes.backbone({
      ...camel(backbone.config),
      ...overrides(options, keys),
      ...overrides(options, BACKBONE_NAMES),
      name: options.name ?? backbone.name,
    }));
}

/** What is wrong with values that a preset has says which preset: what refuses them knows the class and the spec alone. */
function within<T>({ name }: OpenedPreset["source"], make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof OnnxHubError) || error.path?.includes(name)) throw error;
    const { code, what, path, expected, found, remedy } = error;
    throw new OnnxHubError(code, what, { path: path ? `${name}: ${path}` : name, expected, found, remedy, cause: error });
  }
}

function checkOverrides(options: object, own: readonly string[], configKeys: readonly string[]): void {
  const known = [...own, ...configKeys.map(camelCase)];
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue;
    const guess = nearest(key, known);
    throw new OnnxHubError("model/option", `fromPreset has no option ${key}`, {
      path: `fromPreset.${key}`,
      expected: `one of ${known.join(", ")}`,
      found: key,
      remedy: guess ? `Did you mean \`${guess}\`?` : undefined,
    });
  }
}

/** The task of a preset. See `Task.fromPreset`. */
export async function loadTask(task: string, architecture: string | null, preset: string, options: LoadOptions & object): Promise<Task> {
  prepareBackend(options.backend);
  const opened = await open(preset, architecture, options.spec);
  const { spec, classes } = opened;
  const head = spec.source.heads?.[task];
  const own = classes.tasks[task];
  if (!head || !own) {
    throw new OnnxHubError("preset/task", "The architecture of this preset has no class for this task", {
      path: preset,
      expected: `one of ${Object.keys(spec.source.heads ?? {}).join(", ") || "none"}`,
      found: task,
      remedy: "Call `fromPreset` on the class of another task.",
    });
  }
  const headKeys = Object.keys(head.config ?? {});
  const backboneKeys = Object.keys(spec.source.config).filter((key) => !headKeys.includes(key));
  checkOverrides(options, LOAD_OPTIONS, [...backboneKeys, ...headKeys]);
  if (options.loadWeights ?? true) await opened.checkSizes?.();
  const saved = await opened.head(task);
  const given = overrides(options, headKeys);
  const backbone = makeBackbone(opened, { ...options, name: undefined }, backboneKeys);
  const preprocessor = options.preprocessor !== undefined
    ? options.preprocessor
    : await makePreprocessor(opened, task, { seed: options.seed });
  const model = within(opened.source, () =>
    new own.task({
      ...camel(saved?.config ?? {}),
      ...given,
      backbone,
      preprocessor,
      name: options.name ?? saved?.name,
      compile: options.compile,
      seed: options.seed,
    }));
  if (options.loadWeights ?? true) {
    await opened.readBackbone(backbone, model);
    // As with KerasHub, giving what has no default (a number of classes) asks for a fresh head.
    const fresh = headKeys.some((key) => camelCase(key) in given && isRequired(head.config![key]));
    if (!fresh) {
      const lacking = saved ? await opened.readHead(model) : headWeights(model).map(({ path }) => path);
      warnOfFreshWeights(model, opened.source, lacking);
    }
  }
  return model;
}

/** Whether a hyperparameter has no default. */
function isRequired(entry: SourceConfigEntry): boolean {
  return typeof entry === "string" || !("default" in entry || entry.nullable);
}

/** The preset's preprocessor for a task, or one with defaults over its tokenizer; null where there is no tokenizer. */
async function makePreprocessor(opened: OpenedPreset, task: string, options: object): Promise<Preprocessor | null> {
  const type = opened.classes.tasks[task]?.preprocessor;
  const tokenizer = type && await opened.tokenizer();
  if (!type || !tokenizer) return null;
  const saved = await opened.preprocessor(task);
  return within(opened.source, () => new type({ ...camel(saved?.config ?? {}), ...options, tokenizer, name: saved?.name }));
}

/** See `Tokenizer.fromPreset`. */
export async function loadTokenizer(architecture: string | null, preset: string): Promise<Tokenizer> {
  const opened = await open(preset, architecture, undefined);
  return await opened.tokenizer() ?? noTokenizer(opened);
}

function noTokenizer({ source }: OpenedPreset): never {
  throw new OnnxHubError("preset/no-tokenizer", "The preset has no tokenizer", { path: source.name, expected: PRESET_FILES.tokenizer });
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
  return await makePreprocessor(opened, task, options) ?? noTokenizer(opened);
}
