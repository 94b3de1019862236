/** Reads checkpoints of Hugging Face transformers. */

import { readFileSync } from "node:fs";
import { compile } from "../codegen/compile.ts";
import type { WeightInfo } from "../codegen/program.ts";
import { nearest, OnnxHubError } from "../errors.ts";
import { isJsonObject, type JsonObject, readJson } from "../formats/json.ts";
import { type Checkpoint, openCheckpoint } from "../presets/huggingface/checkpoint.ts";
import { checkCounts, readCheckpointConfig } from "../presets/huggingface/config.ts";
import { joinedShapes } from "../presets/huggingface/shapes.ts";
import { checkNothingExtra, readCheckpointWeights } from "../presets/huggingface/weights.ts";
import type { PresetSource } from "../presets/source.ts";
import { architectureNames, expand, type Spec } from "../spec/index.ts";
import type { ExpandedSpec, ExpandedTokenizer } from "../spec/types.ts";
import { tokenizerFiles, tokenizerFromFiles } from "../text/huggingface.ts";
import type { TextTokenizer } from "../text/tokenizer.ts";
import { builtInSpec } from "./built_in.ts";
import type { Model } from "./model.ts";
import type { OpenedPreset } from "./opened_preset.ts";
import { warnOfFreshWeights } from "./fresh_weights.ts";
import { baseClasses, classesOf, registeredArchitectures } from "./registry.ts";
import type { Task } from "./task.ts";
import { tokenizerOf } from "./tokenizer.ts";

/** The most tokens that a preprocessor takes by itself, where the model can have more. */
const SEQUENCE_LENGTH = 512;

const TOKENIZER_CONFIG = "tokenizer_config.json";

/** Opens a checkpoint whose config.json, at `path`, holds `theirs`; `custom` is the spec of an architecture that isn't built in. */
export function openHuggingFacePreset(source: PresetSource, theirs: JsonObject, path: string, custom: Spec | undefined): OpenedPreset {
  const modelType = String(theirs.model_type);
  const spec = custom ?? specOfModelType(modelType, path);
  const table = spec.source.checkpoints?.huggingface;
  if (table?.model_type !== modelType) {
    throw new OnnxHubError("preset/architecture", "The checkpoint is of another architecture than the spec", {
      path: `${path}: model_type`,
      expected: table ? table.model_type : `a type that ${spec.file} says, under checkpoints.huggingface`,
      found: modelType,
    });
  }
  const { config } = readCheckpointConfig(spec, theirs, path);
  let expansion: ExpandedSpec | undefined;
  const expanded = (): ExpandedSpec => expansion ??= expand(spec, { config });
  const classes = !custom && registeredArchitectures().includes(spec.source.name) ? classesOf(spec.source.name) : baseClasses(spec);

  /** Opens the weights, reads from them, closes them. */
  const withWeights = async <T>(read: (checkpoint: Checkpoint) => T): Promise<T> => {
    const checkpoint = await openCheckpoint(source);
    try {
      return read(checkpoint);
    } finally {
      checkpoint.close();
    }
  };
  const readInto = (checkpoint: Checkpoint, model: Model, part: WeightInfo["part"]): readonly string[] => {
    const { parameters, expanded } = model;
    const shapes = joinedShapes(expanded, model.weights);
    const weights = model.weights.filter((weight) => weight.part === part).map((weight) => ({
      path: weight.path,
      shape: shapes.get(weight.path)!,
    }));
    const { lacking } = readCheckpointWeights(checkpoint, expanded.checkpoints.huggingface!.weights, weights, {
      onto: (path) => parameters.room(path),
      unused: table.unused,
      mayLack: part === "head",
    });
    parameters.touch();
    return lacking;
  };

  return {
    source,
    spec,
    classes,
    backbone: { config },
    head: (task) => Promise.resolve({ config: readCheckpointConfig(spec, theirs, path, task).taskConfig }),
    preprocessor: async () => ({ config: { sequence_length: await sequenceLength(source, expanded().limits.sequence, theirs) } }),
    tokenizer: async () => {
      if (!classes.tokenizer || !spec.source.tokenizer) return undefined;
      const text = await readTokenizer(source, tokenizerOf(spec));
      return text && new classes.tokenizer({ text });
    },
    checkSizes: () => withWeights((checkpoint) => checkCounts(spec, config, checkpoint.tensors.size, path)),
    readBackbone: (backbone, task) =>
      withWeights((checkpoint) => {
        checkNothingExtra(checkpoint, expanded().checkpoints.huggingface!.weights, table.unused ?? []);
        const lacking = readInto(checkpoint, backbone, "backbone");
        warnOfFreshWeights(task ?? backbone, source, task && lacking.length > 0 ? lacking.filter(usedBy(task)) : lacking);
      }),
    readHead: (task) => withWeights((checkpoint) => readInto(checkpoint, task, "head")),
  };
}

/** Whether a task's outputs depend on a weight: a masked language model leaves BERT's pooler alone. */
function usedBy(task: Task): (weight: string) => boolean {
  const { graph } = compile(task.expanded, { mode: "infer" });
  const used = new Set(graph.nodes.flatMap(({ inputs }) => inputs.map(({ name }) => name)));
  return (weight) => used.has(weight);
}

/** The most tokens that the model and its tokenizer take, up to a preprocessor's default. */
async function sequenceLength(source: PresetSource, limit: number | undefined, theirs: JsonObject): Promise<number> {
  const file = await source.file(TOKENIZER_CONFIG);
  const options = file === undefined ? undefined : readJson(file);
  const lengths = [
    limit,
    theirs.max_position_embeddings,
    isJsonObject(options) ? options.model_max_length : undefined,
  ];
  return Math.min(SEQUENCE_LENGTH, ...lengths.filter((length): length is number => typeof length === "number" && length >= 1));
}

/** The tokenizer of the files that are there; undefined where none of them is. */
async function readTokenizer(source: PresetSource, tokenizer: ExpandedTokenizer): Promise<TextTokenizer | undefined> {
  const files: Record<string, Uint8Array> = {};
  const names = tokenizerFiles(tokenizer);
  for (const name of names) {
    const local = await source.file(name);
    if (local !== undefined) files[name] = readFileSync(local);
  }
  const options = [TOKENIZER_CONFIG, "special_tokens_map.json"];
  return Object.keys(files).some((name) => !options.includes(name)) ? tokenizerFromFiles(tokenizer, files, source.name) : undefined;
}

function specOfModelType(modelType: string, path: string): Spec {
  const types = new Map<string, string>();
  for (const name of architectureNames) {
    const type = builtInSpec(name).source.checkpoints?.huggingface?.model_type;
    if (type !== undefined && !types.has(type)) types.set(type, name);
  }
  const name = types.get(modelType);
  if (name !== undefined) return builtInSpec(name);
  const guess = nearest(modelType, types.keys());
  throw new OnnxHubError("preset/architecture", "There is no built-in spec for this checkpoint's architecture", {
    path: `${path}: model_type`,
    expected: `one of ${[...types.keys()].join(", ")}`,
    found: modelType,
    remedy: guess ? `Did you mean ${guess}?` : 'Give its spec: `fromPreset(preset, { spec: "path.json" })`.',
  });
}
