/** KerasHub's preset files: its own are read, and what is written is what it writes. */

import assert from "node:assert/strict";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { OnnxHubError } from "../../errors.ts";
import { createHdf5, openHdf5 } from "../../formats/hdf5.ts";
import { formatJson, JsonFloat, type JsonObject } from "../../formats/json.ts";
import {
  backboneObject,
  dtypePolicyName,
  hyperparameters,
  kerasHubClass,
  nestedObject,
  preprocessorObject,
  presetMetadata,
  readKerasObject,
  readPresetConfig,
  taskObject,
  tokenizerObject,
  typedConfig,
} from "../../presets/kerashub/config.ts";
import { openPreset } from "../../presets/handles.ts";
import { savePresetDirectory, writePresetJson } from "../../presets/kerashub/directory.ts";
import { shardNames, type StoredVariable } from "../../presets/kerashub/weight_store.ts";
import { readKerasOptimizer, readKerasWeights, snakeCase, wholeTaskGroups, writeKerasWeights } from "../../presets/kerashub/weights.ts";
import type { ExpandedConfigEntry, ExpandedKerasGroup } from "../../spec/types.ts";
import { checkpoint, TINIEST, TINY, weightsOf } from "./xlm_roberta_tables.ts";

const fixtures = fileURLToPath(new URL("../fixtures/", import.meta.url));
const tiny = join(fixtures, "kerashub/xlm_roberta_tiny");
const formats = join(fixtures, "kerashub-formats");
const { groups, head_groups: head } = checkpoint;
const all = [...groups, ...head];

let home: string;
beforeEach(() => {
  home = fs.mkdtempSync(join(tmpdir(), "onnxhub-preset-"));
});
afterEach(() => fs.rmSync(home, { recursive: true, force: true }));

function refused(action: () => unknown, code: string, ...messages: (string | RegExp)[]): void {
  assert.throws(action, (error) => {
    assert.ok(error instanceof OnnxHubError, String(error));
    assert.equal(error.code, code, error.message);
    for (const message of messages) {
      if (typeof message === "string") assert.ok(error.message.includes(message), error.message);
      else assert.match(error.message, message);
    }
    return true;
  });
}

/** Everything in an HDF5 file: groups with their attributes, datasets with shape, type and values. */
function tree(path: string): Record<string, unknown> {
  const file = openHdf5(path);
  const found: Record<string, unknown> = {};
  const visit = (group: string): void => {
    for (const name of file.keys(group)) {
      const at = group === "" ? name : `${group}/${name}`;
      if (file.kind(at) === "group") {
        found[at] = { ...file.attributes(at) };
        visit(at);
      } else {
        const { shape, dtype, size } = file.dataset(at);
        const values = new Float64Array(size);
        file.dataset(at).read(values);
        found[at] = { shape, dtype, values, attributes: { ...file.attributes(at) } };
      }
    }
  };
  visit("");
  file.close();
  return found;
}

describe("readKerasWeights", () => {
  it("reads the weights that KerasHub trained, to the digests that it gave of them", () => {
    const golden = JSON.parse(fs.readFileSync(join(tiny, "golden.json"), "utf8"));
    const digests: Record<string, { sum: number; abs_sum: number; head: number[] }> = golden.runs.adam.final_weights;
    const trained = join(fixtures, "kerashub/xlm_roberta_tiny_after_adam");
    const read = new Map([
      ...readKerasWeights(join(trained, "model.weights.h5"), groups, weightsOf(groups, TINY)).weights,
      ...readKerasWeights(join(trained, "task.weights.h5"), head, weightsOf(head, TINY)).weights,
    ]);
    assert.deepEqual([...read.keys()].sort(), Object.keys(digests).sort());
    for (const [path, { sum, abs_sum, head: first }] of Object.entries(digests)) {
      const values = read.get(path)!;
      const add = (of: (x: number) => number): number => values.reduce((total, x) => total + of(x), 0);
      assert.deepEqual([...values.slice(0, 4)], first, path);
      assert.ok(Math.abs(add((x) => x) - sum) < 1e-9 * abs_sum, path);
      assert.ok(Math.abs(add(Math.abs) - abs_sum) < 1e-9 * abs_sum, path);
    }
  });

  it("reads into the arrays it is given, and says what was left over", () => {
    const target = new Float32Array(16);
    const weights = [{ path: "embeddings_layer_norm/gamma", shape: [16] }];
    const { weights: read, extra } = readKerasWeights(join(tiny, "model.weights.h5"), groups, weights, { onto: () => target });
    assert.equal(read.get("embeddings_layer_norm/gamma"), target);
    assert.equal(target[0], Math.fround(1.0704869031906128));
    assert.equal(extra.length, 36 - 2);
    assert.ok(extra.includes("layers/token_and_position_embedding/token_embedding/vars/0"));
    assert.deepEqual(readKerasWeights(join(tiny, "task.weights.h5"), head, weightsOf(head, TINY)).extra, []);
  });

  it("reads bfloat16, exactly", () => {
    const { weights } = readKerasWeights(join(formats, "bf16.weights.h5"), groups, weightsOf(groups, TINIEST));
    assert.equal(weights.size, 36);
    assert.deepEqual([...weights.get("embeddings_layer_norm/gamma")!], [1, 1, 1, 1]);
    assert.equal(weights.get("embeddings/position_embedding/embeddings")![0], 0.01116943359375);
    for (const values of weights.values()) assert.ok(values.every((x) => new Uint16Array(new Float32Array([x]).buffer)[0] === 0));
  });

  it("reads a whole task from one file, the backbone nested in it", () => {
    const whole = wholeTaskGroups(checkpoint);
    const { weights, extra } = readKerasWeights(join(formats, "full.weights.h5"), whole, weightsOf(whole, TINIEST));
    assert.equal(weights.size, 41);
    assert.deepEqual(extra, []);
    const backbone = readKerasWeights(join(formats, "bf16.weights.h5"), groups, weightsOf(groups, TINIEST)).weights;
    for (const path of backbone.keys()) assert.ok(weights.has(path));
  });

  it("reads shards, a group's variables from wherever they are", () => {
    const path = join(formats, "preset_sharded/model.weights.json");
    assert.deepEqual(shardNames(path), ["model_00000.weights.h5", "model_00001.weights.h5"]);
    const { weights, extra } = readKerasWeights(path, groups, weightsOf(groups, TINIEST));
    assert.equal(weights.size, 36);
    assert.deepEqual(extra, []);
    assert.ok(weights.get("transformer_layer_1/feedforward_intermediate_dense/kernel")!.some((x) => x !== 0));
  });

  it("reads the same weights under every old name of their groups", async () => {
    const source = join(formats, "preset_legacy/model.weights.h5");
    const weights = weightsOf(groups, TINIEST);
    const { weights: expected } = readKerasWeights(source, groups, weights);
    const renamings: ((path: string) => string)[] = [
      (path) => path.replace(/\/(query|key|value|output)_dense$/, "/_$1_dense"),
      (path) => path.replaceAll("layers", "_layer_checkpoint_dependencies"),
      (path) => path.replaceAll("layers", "_layer_checkpoint_dependencies").replace(/\/(query|key|value|output)_dense$/, "/_$1_dense"),
    ];
    for (const [i, rename] of renamings.entries()) {
      const path = join(home, `${i}.weights.h5`);
      const renamed = groups.map((entry) => ({ ...entry, group: rename(entry.group) }));
      await writeKerasWeights(path, renamed, weights, ({ path }) => expected.get(path)!);
      assert.ok(openHdf5(path).has(renamed.find(({ name }) => name === "query")!.group));
      const { weights: read, extra } = readKerasWeights(path, groups, weights);
      assert.deepEqual(read, expected);
      assert.deepEqual(extra, []);
    }
  });

  it("prefers a name that holds variables to one that is an empty group", async () => {
    const path = join(home, "a.weights.h5");
    const file = await createHdf5(path);
    file.group("layers/query_dense/vars", { name: "query" });
    file.dataset("layers/_query_dense/vars/0", [2], new Float32Array([1, 2]));
    file.close();
    const table = [{ group: "layers/query_dense", name: "query", vars: ["w"], legacy: ["layers/_query_dense"] }];
    assert.deepEqual([...readKerasWeights(path, table, [{ path: "w", shape: [2] }]).weights.get("w")!], [1, 2]);
  });

  it("names every missing weight, its place, and the nearest group", () => {
    const weights = weightsOf(groups, TINY);
    const renamed = groups.map((entry) => ({ ...entry, group: entry.group.replace("layer_normalization", "layer_normalisation") }));
    refused(
      () => readKerasWeights(join(tiny, "model.weights.h5"), renamed, weights),
      "preset/weights-missing",
      join(tiny, "model.weights.h5"),
      "2 weights are missing",
      "embeddings_layer_norm/gamma at layers/layer_normalisation/vars/0",
      "embeddings_layer_norm/beta at layers/layer_normalisation/vars/1",
      "the nearest group is layers/layer_normalization",
    );
    refused(() => readKerasWeights(join(tiny, "task.weights.h5"), groups, weights), "preset/weights-missing", "36 weights", "and 16 more");
  });

  it("refuses another shape, with both, before any array is touched", () => {
    const weights = weightsOf(groups, { ...TINY, intermediate: 33 });
    refused(
      () => readKerasWeights(join(tiny, "model.weights.h5"), groups, weights, { onto: () => assert.fail("read too early") }),
      "preset/weights-shape",
      "layers/transformer_encoder/_feedforward_intermediate_dense/vars/0",
      "expected [16, 33], found [16, 32]",
    );
  });

  it("refuses a group with more variables than the layer has, integers, and weights without a place", async () => {
    const one = groups.map((entry) => entry.name === "embeddings_layer_norm" ? { ...entry, vars: entry.vars.slice(0, 1) } : entry);
    refused(
      () => readKerasWeights(join(tiny, "model.weights.h5"), one, weightsOf(one, TINY)),
      "preset/weights-count",
      "layers/layer_normalization",
      "1 (embeddings_layer_norm/gamma), found 2",
    );
    const path = join(home, "a.weights.h5");
    const file = await createHdf5(path);
    file.dataset("layers/dense/vars/0", [2], new Int32Array(2));
    file.close();
    const table = [{ group: "layers/dense", name: "dense", vars: ["w"], legacy: [] }];
    refused(() => readKerasWeights(path, table, [{ path: "w", shape: [2] }]), "preset/weights-dtype", "found int32");
    refused(() => readKerasWeights(path, table, [{ path: "lora_a", shape: [2] }]), "preset/weights-unmapped", "lora_a");
    const gamma = [{ path: "embeddings_layer_norm/gamma", shape: [16] }];
    const short = { onto: () => new Float32Array(3) };
    refused(() => readKerasWeights(join(tiny, "model.weights.h5"), groups, gamma, short), "preset/weights-shape", "16 elements, found 3");
  });

  it("refuses shards outside the directory, missing ones, and an index that is none", () => {
    const index = join(home, "model.weights.json");
    const weights = weightsOf(groups, TINIEST);
    const put = (map: unknown): void => fs.writeFileSync(index, JSON.stringify({ weight_map: map }));
    for (const name of ["../secret.weights.h5", "/etc/x.weights.h5", "a/b.weights.h5", "x.txt", 7, null]) {
      put({ "/layers/layer_normalization/vars": name });
      refused(() => readKerasWeights(index, groups, weights), "preset/shards", index, JSON.stringify(name));
    }
    put(["model_00000.weights.h5"]);
    refused(() => readKerasWeights(index, groups, weights), "preset/shards");
    put({ "/layers/layer_normalization/vars": ["model_00000.weights.h5"] });
    refused(() => readKerasWeights(index, groups, weights), "format/missing-file", "model_00000.weights.h5");
  });

  it("refuses truncated files and garbage", () => {
    const path = join(home, "a.weights.h5");
    const weights = weightsOf(groups, TINY);
    const whole = fs.readFileSync(join(tiny, "model.weights.h5"));
    for (const length of [0, 7, 50, 1000, whole.length - 1]) {
      fs.writeFileSync(path, whole.subarray(0, length));
      refused(() => readKerasWeights(path, groups, weights), length < 9 ? "format/hdf5-signature" : "format/hdf5-truncated", path);
    }
    fs.writeFileSync(path, "not at all");
    refused(() => readKerasWeights(path, groups, weights), "format/hdf5-signature", path);
    refused(() => readKerasWeights(join(home, "none.weights.h5"), groups, weights), "format/missing-file");
  });
});

const valuesOf = ({ size, read }: StoredVariable): number[] => {
  const values = new Float64Array(size);
  read(values);
  return [...values];
};

describe("writeKerasWeights", () => {
  const copy = async (name: string, table: readonly ExpandedKerasGroup[], options = {}): Promise<string> => {
    const weights = weightsOf(table, TINY);
    const { weights: values } = readKerasWeights(join(tiny, name), table, weights);
    const path = join(home, name);
    await writeKerasWeights(path, table, weights, ({ path }) => Promise.resolve(values.get(path)!), options);
    return path;
  };

  it("writes the tree of KerasHub's model.weights.h5: groups, names, shapes, types, values", async () => {
    assert.deepEqual(tree(await copy("model.weights.h5", groups)), tree(join(tiny, "model.weights.h5")));
  });

  it("writes the tree of KerasHub's task.weights.h5 with optimizer and preprocessor", async () => {
    const optimizer = {
      name: "adam_1",
      variables: [{ shape: [], data: new Int32Array([0]) }, { shape: [], data: new Float32Array([5e-5]) }],
    };
    const preprocessor = { name: "xlm_roberta_masked_lm_preprocessor", tokenizer: "xlm_roberta_tokenizer" };
    const path = await copy("task.weights.h5", head, { optimizer, preprocessor });
    assert.deepEqual(tree(path), tree(join(tiny, "task.weights.h5")));
    const [name, values] = readKerasOptimizer(path, ({ name, variables }) => [name, variables.map(valuesOf)]);
    assert.equal(name, "adam_1");
    assert.deepEqual(values, [[0], [Math.fround(5e-5)]]);
    assert.deepEqual(readKerasOptimizer(join(tiny, "model.weights.h5"), (stored) => stored), { name: undefined, variables: [] });
  });

  it("writes a whole task as save_weights does", async () => {
    const whole = wholeTaskGroups(checkpoint);
    const path = join(home, "full.weights.h5");
    await writeKerasWeights(path, whole, weightsOf(whole, TINIEST), ({ shape }) => new Float32Array(shape.reduce((a, b) => a * b, 1)));
    const names = (tree: Record<string, unknown>): string[] => Object.keys(tree).filter((name) => !/^(optimizer|preprocessor)/.test(name));
    assert.deepEqual(names(tree(path)), names(tree(join(formats, "full.weights.h5"))));
    const file = openHdf5(path);
    assert.deepEqual(["", "_1", "_2"].map((suffix) => file.attributes(`layers/input_layer${suffix}/vars`).name), [
      "padding_mask",
      "token_ids",
      "mask_positions",
    ]);
    file.close();
  });

  it("refuses to lose a weight or to make one up", async () => {
    const path = join(home, "a.weights.h5");
    const zeros = ({ shape }: { shape: readonly number[] }): Float32Array => new Float32Array(shape.reduce((a, b) => a * b, 1));
    const code = (expected: string) => (error: unknown): boolean => error instanceof OnnxHubError && error.code === expected;
    await assert.rejects(
      writeKerasWeights(path, groups, [...weightsOf(groups, TINIEST), { path: "lora/a", shape: [1] }], zeros),
      code("preset/weights-unmapped"),
    );
    await assert.rejects(writeKerasWeights(path, all, weightsOf(groups, TINIEST), zeros), code("preset/weights-missing"));
    await assert.rejects(writeKerasWeights(path, groups, weightsOf(groups, TINIEST), () => new Float32Array(1)), code("format/hdf5-shape"));
  });

  it("spells class names as Keras does", () => {
    assert.equal(snakeCase("XLMRobertaBackbone"), "xlm_roberta_backbone");
    assert.equal(snakeCase("GPT2Backbone"), "gpt2_backbone");
    assert.equal(snakeCase("BertBackbone"), "bert_backbone");
    assert.equal(snakeCase("DebertaV3Backbone"), "deberta_v3_backbone");
  });
});

describe("the JSON of a preset", () => {
  const int = (value: number): ExpandedConfigEntry => ({ type: "int", nullable: false, value, kerashub: true });
  const config: Record<string, ExpandedConfigEntry> = {
    vocabulary_size: int(2502),
    num_layers: int(2),
    num_heads: int(2),
    hidden_dim: int(16),
    intermediate_dim: int(32),
    dropout: { type: "float", nullable: false, value: 0, default: 0.1, kerashub: true },
    max_sequence_length: int(12),
    layer_norm_epsilon: { type: "float", nullable: false, value: 1e-5, default: 1e-5, kerashub: false },
  };

  it("is built byte for byte as KerasHub writes it", () => {
    const module = (name: string): string => `keras_hub.src.models.xlm_roberta.${name}`;
    const text = (name: string): string => fs.readFileSync(join(tiny, name), "utf8");
    const task = checkpoint.tasks.masked_lm;
    const backbone = backboneObject(checkpoint.backbone, "xlm_roberta_backbone", typedConfig(config));
    const tokenizer = tokenizerObject(checkpoint.tokenizer!, "xlm_roberta_tokenizer", {
      proto: null,
      sequence_length: null,
      add_bos: false,
      add_eos: false,
    });
    const preprocessor = preprocessorObject(
      { class_name: "XLMRobertaMaskedLMPreprocessor", module: module("xlm_roberta_masked_lm_preprocessor") },
      "xlm_roberta_masked_lm_preprocessor",
      tokenizer,
      {
        sequence_length: 12,
        truncate: "round_robin",
        mask_selection_rate: new JsonFloat(0.15),
        mask_selection_length: 4,
        mask_token_rate: new JsonFloat(0.8),
        random_token_rate: new JsonFloat(0.1),
      },
    );
    assert.equal(formatJson(backbone), text("config.json"));
    assert.equal(formatJson(tokenizer), text("tokenizer.json"));
    assert.equal(formatJson(preprocessor), text("preprocessor.json"));
    assert.equal(formatJson(taskObject(task, "xlm_roberta_masked_lm_1", { backbone, preprocessor })), text("task.json"));
    const saved = new Date(2026, 10, 22, 8, 34, 30);
    assert.equal(
      formatJson(presetMetadata(44704, ["TextEmbedder", "MaskedLM", "TextClassifier", "MaskedLM"], saved)),
      text("metadata.json"),
    );
  });

  it("is built byte for byte for a classifier without preprocessor", () => {
    const folder = join(fixtures, "kerashub/xlm_roberta_tiny_classifier");
    const backbone = backboneObject(checkpoint.backbone, "xlm_roberta_backbone_1", typedConfig(config));
    const type = { class_name: "XLMRobertaTextClassifier", module: "keras_hub.src.models.xlm_roberta.xlm_roberta_text_classifier" };
    const task = taskObject(type, "xlm_roberta_text_classifier", { backbone, preprocessor: null }, {
      num_classes: 4,
      activation: "linear",
      hidden_dim: 20,
      dropout: new JsonFloat(0),
    });
    assert.equal(formatJson(task), fs.readFileSync(join(folder, "task.json"), "utf8"));
  });

  it("refuses what KerasHub cannot express, and names it", () => {
    const epsilon = { ...config.layer_norm_epsilon, value: 1e-12 };
    refused(
      () => typedConfig({ ...config, layer_norm_epsilon: epsilon }),
      "preset/inexpressible",
      "config.layer_norm_epsilon",
      "found 1e-12",
    );
  });

  it("is read: format, class, hyperparameters, dtype, parts", () => {
    const preset = readPresetConfig(join(tiny, "config.json"));
    assert.ok(preset.format === "kerashub");
    assert.equal(kerasHubClass(preset.config, "config.json"), "XLMRobertaBackbone");
    assert.equal(dtypePolicyName(preset.config, "config.json"), "float32");
    assert.deepEqual({ ...hyperparameters(preset.config, "config.json") }, {
      vocabulary_size: 2502,
      num_layers: 2,
      num_heads: 2,
      hidden_dim: 16,
      intermediate_dim: 32,
      dropout: 0,
      max_sequence_length: 12,
    });
    const task = readKerasObject(join(tiny, "task.json"))!;
    const preprocessor = nestedObject(task, "preprocessor", "task.json")!;
    assert.deepEqual(nestedObject(task, "backbone", "task.json"), preset.config);
    assert.equal(kerasHubClass(nestedObject(preprocessor, "tokenizer", "task.json")!, "task.json"), "XLMRobertaTokenizer");
    assert.equal(hyperparameters(preprocessor, "task.json").mask_selection_rate, 0.15);
    const classifier = readKerasObject(join(fixtures, "kerashub/bert_tiny_classifier/task.json"))!;
    assert.equal(nestedObject(classifier, "preprocessor", "task.json"), null);
    assert.deepEqual({ ...hyperparameters(classifier, "task.json") }, { num_classes: 3, activation: "linear", dropout: 0 });
    assert.equal(readKerasObject(undefined), undefined);
    refused(() => readKerasObject(join(tiny, "none.json")), "format/missing-file", "none.json");
  });

  it("is read where old releases wrote it", () => {
    const preset = readPresetConfig(join(formats, "preset_legacy", "config.json"));
    assert.ok(preset.format === "kerashub");
    assert.equal(kerasHubClass(preset.config, "config.json"), "XLMRobertaBackbone");
    assert.equal(dtypePolicyName(preset.config, "config.json"), undefined);
    assert.equal(hyperparameters(preset.config, "config.json").dropout, 0.1);
  });

  it("is told from Hugging Face's, and from what is neither", () => {
    const put = (value: unknown): void => fs.writeFileSync(join(home, "config.json"), JSON.stringify(value));
    put({ model_type: "xlm-roberta", hidden_size: 8 });
    const preset = readPresetConfig(join(home, "config.json"));
    assert.ok(preset.format === "huggingface");
    assert.equal(preset.modelType, "xlm-roberta");
    put({ architecture: "resnet" });
    refused(() => readPresetConfig(join(home, "config.json")), "preset/format", "the keys architecture");
    put([1]);
    refused(() => readPresetConfig(join(home, "config.json")), "preset/format", "a list");
    fs.writeFileSync(join(home, "config.json"), '{"registered_name": ');
    refused(() => readPresetConfig(join(home, "config.json")), "format/json-syntax", "config.json:1:21");
    fs.writeFileSync(join(home, "config.json"), '{"a":'.repeat(100_000));
    refused(() => readPresetConfig(join(home, "config.json")), "format/json-depth");
  });

  it("is found where a killed save left the directory between two names", async () => {
    const path = join(home, "preset");
    fs.mkdirSync(join(home, ".preset.4194999-0123456789ab.replaced"));
    fs.cpSync(tiny, join(home, ".preset.4194999-0123456789ab.saving"), { recursive: true });
    const source = await openPreset(path);
    assert.equal(readPresetConfig((await source.file("config.json"))!).format, "kerashub");
    assert.ok(fs.existsSync(join(path, "model.weights.h5")));
  });

  it("is refused where it is damaged, with the file and the field", () => {
    const put = (value: JsonObject): void => writePresetJson(home, "config.json", value);
    put({ registered_name: "keras_hub>X", config: {} });
    refused(() => readPresetConfig(join(home, "config.json")), "preset/object", "config.json, class_name", "found nothing");
    put({ registered_name: "keras_hub>X", class_name: "X", config: [] });
    refused(() => readPresetConfig(join(home, "config.json")), "preset/object", "config.json, config", "a list");
    put({ registered_name: 3, class_name: "X", config: {} });
    refused(() => readPresetConfig(join(home, "config.json")), "preset/object", "registered_name");
    const object = {
      module: "m",
      class_name: "X",
      config: { dtype: { class_name: "DTypePolicyMap", config: {} }, a: {} },
      registered_name: "evil>X",
    };
    refused(() => kerasHubClass(object, "f.json"), "preset/class", "f.json, registered_name", "evil>X");
    refused(() => dtypePolicyName(object, "f.json"), "preset/dtype", "DTypePolicyMap");
    refused(() => hyperparameters(object, "f.json"), "preset/object", "f.json, config.a");
    refused(() => nestedObject(object, "a", "f.json"), "preset/object", "f.json, X.config.a");
  });
});

describe("savePresetDirectory", () => {
  const put = (files: Record<string, string>) => (directory: string): void => {
    for (const [name, text] of Object.entries(files)) fs.writeFileSync(join(directory, name), text);
  };

  it("keeps what was saved before and belongs with it, and drops what contradicts it", async () => {
    const path = join(home, "preset");
    fs.mkdirSync(path);
    put({ "tokenizer.json": "t", "model.weights.json": "i", "model_00000.weights.h5": "s", "task.weights.h5": "h", "notes.txt": "n" })(
      path,
    );
    await savePresetDirectory(path, { weights: true, task: false }, put({ "config.json": "c", "model.weights.h5": "w" }));
    assert.deepEqual(fs.readdirSync(path).sort(), ["config.json", "model.weights.h5", "notes.txt", "task.weights.h5", "tokenizer.json"]);
    await savePresetDirectory(path, { weights: true, task: true }, put({ "config.json": "c", "task.json": "j", "model.weights.h5": "w" }));
    assert.deepEqual(fs.readdirSync(path).sort(), ["config.json", "model.weights.h5", "notes.txt", "task.json", "tokenizer.json"]);
  });

  it("does not touch a directory that holds no preset", async () => {
    fs.writeFileSync(join(home, "thesis.txt"), "dear");
    await assert.rejects(
      savePresetDirectory(home, { weights: true, task: true }, () => assert.fail("built")),
      (error) => error instanceof OnnxHubError && error.code === "format/directory-foreign" && /thesis\.txt/.test(error.message),
    );
    assert.deepEqual(fs.readdirSync(home), ["thesis.txt"]);
  });
});
