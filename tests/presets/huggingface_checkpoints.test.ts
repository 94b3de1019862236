/** What a Hugging Face checkpoint may be, and what a bad one gets: one error each, with the file and the field. */

import assert from "node:assert/strict";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { float32ToBfloat16, float32ToFloat16 } from "../../formats/float16.ts";
import { openSafetensors, type SafetensorsData, type SafetensorsEntry, writeSafetensors } from "../../formats/safetensors.ts";
import { models } from "../../mod.ts";
import { fixture } from "../golden/goldens.ts";
import { refused } from "../models/refused.ts";
import { warningsOf } from "../models/warnings.ts";

/** A tensor to write; its type in `dtype` is also its values'. */
interface Tensor {
  shape: readonly number[];
  values: Float32Array<ArrayBuffer>;
  dtype: "float32" | "float16" | "bfloat16" | "int32";
}
type Tensors = Map<string, Tensor>;
type Json = Record<string, unknown>;

let home: string;
let count = 0;
before(() => void (home = fs.mkdtempSync(join(tmpdir(), "onnxhub-checkpoints-"))));
after(() => fs.rmSync(home, { recursive: true, force: true }));

function readTensors(folder: string): Tensors {
  const file = openSafetensors(fixture(`huggingface/${folder}/model.safetensors`));
  const found: Tensors = new Map();
  for (const [name, { shape, size }] of file.tensors) {
    const values = new Float32Array(size);
    file.read(name, values);
    found.set(name, { shape, values, dtype: "float32" });
  }
  file.close();
  return found;
}

const DATA: Readonly<Record<Tensor["dtype"], (values: Float32Array) => SafetensorsData>> = {
  float32: (values) => values,
  float16: float32ToFloat16,
  bfloat16: float32ToBfloat16,
  int32: (values) => Int32Array.from(values),
};

const entriesOf = (tensors: Tensors): SafetensorsEntry[] =>
  [...tensors].map(([name, { shape, values, dtype }]) => ({ name, shape, dtype, data: DATA[dtype](values) }));

/** A copy of a fixture's folder with another configuration and other tensors; what `files` writes comes last. */
async function altered(
  folder: string,
  { config = () => {}, tensors = () => {}, files = () => {} }: {
    config?: (config: Json) => void;
    tensors?: (tensors: Tensors) => void;
    files?: (directory: string, tensors: Tensors) => void | Promise<void>;
  },
): Promise<string> {
  const directory = join(home, `checkpoint-${count++}`);
  fs.mkdirSync(directory);
  const json = JSON.parse(fs.readFileSync(fixture(`huggingface/${folder}/config.json`), "utf8"));
  config(json);
  fs.writeFileSync(join(directory, "config.json"), JSON.stringify(json));
  const all = readTensors(folder);
  tensors(all);
  await writeSafetensors(join(directory, "model.safetensors"), entriesOf(all), { metadata: { format: "pt" } });
  await files(directory, all);
  return directory;
}

const WEIGHTS = "model.safetensors";
const INDEX = "model.safetensors.index.json";

/** Splits the weights of a folder over two files, with an index. */
async function shard(directory: string, tensors: Tensors, change: (map: Record<string, string>) => void = () => {}): Promise<void> {
  fs.rmSync(join(directory, WEIGHTS));
  const names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
  const map: Record<string, string> = {};
  for (const [i, name] of names.entries()) {
    const part = new Map([...tensors].filter((_, j) => j % 2 === i));
    for (const tensor of part.keys()) map[tensor] = name;
    await writeSafetensors(join(directory, name), entriesOf(part), {});
  }
  change(map);
  fs.writeFileSync(join(directory, INDEX), JSON.stringify({ metadata: {}, weight_map: map }));
}

/** The weights of a backbone that was loaded. */
async function backboneWeights(directory: string): Promise<Map<string, number[]>> {
  const backbone = await models.Backbone.fromPreset(directory);
  const values = await backbone.getWeights();
  const found = new Map(backbone.weights.map(({ path }, i) => [path, [...values[i].data]]));
  await backbone.dispose();
  return found;
}

const rename = (tensors: Tensors, change: (name: string) => string): void => {
  for (const [name, tensor] of [...tensors]) {
    tensors.delete(name);
    tensors.set(change(name), tensor);
  }
};

describe("a checkpoint is the same", () => {
  const same = (what: string, alter: Parameters<typeof altered>[1]) =>
    it(what, async () => {
      const expected = await backboneWeights(fixture("huggingface/bert_masked_lm"));
      assert.deepEqual(await backboneWeights(await altered("bert_masked_lm", alter)), expected);
    });
  // BERT's pooler is missing in all of them.
  const { warn } = console;
  before(() => void (console.warn = () => {}));
  after(() => void (console.warn = warn));

  same("in shards", { files: (directory, tensors) => shard(directory, tensors) });
  same("without the task's prefix", { tensors: (tensors) => rename(tensors, (name) => name.replace(/^bert\./, "")) });
  same("with the names of old releases", {
    tensors: (tensors) =>
      rename(tensors, (name) => name.replace(/LayerNorm\.weight$/, "LayerNorm.gamma").replace(/LayerNorm\.bias$/, "LayerNorm.beta")),
  });
  same("with buffers and heads beside it that other models use", {
    tensors: (tensors) => {
      tensors.set("bert.embeddings.position_ids", { shape: [1, 10], values: new Float32Array(10), dtype: "int32" });
      tensors.set("cls.seq_relationship.weight", { shape: [2, 16], values: new Float32Array(32), dtype: "float32" });
      tensors.set("cls.predictions.decoder.weight", tensors.get("bert.embeddings.word_embeddings.weight")!);
      tensors.set("qa_outputs.bias", { shape: [2], values: new Float32Array(2), dtype: "float32" });
    },
  });

  it("in bfloat16 and float16, to their rounding", async () => {
    const expected = await backboneWeights(fixture("huggingface/roberta_masked_lm"));
    for (const [dtype, step] of [["bfloat16", 2 ** -8], ["float16", 2 ** -11]] as const) {
      const directory = await altered("roberta_masked_lm", { tensors: (all) => all.forEach((tensor) => void (tensor.dtype = dtype)) });
      const found = await backboneWeights(directory);
      for (const [path, values] of expected) {
        // The positions are sums of two roundings.
        values.forEach((value, i) => assert.ok(Math.abs(found.get(path)![i] - value) <= 4 * step * Math.max(1, Math.abs(value)), path));
      }
    }
  });

  it("with a number of layers that the user chose: the first ones", async () => {
    const all = await backboneWeights(fixture("huggingface/roberta_masked_lm"));
    const backbone = await models.RobertaBackbone.fromPreset(fixture("huggingface/roberta_masked_lm"), { numLayers: 1 });
    const path = "transformer_layer_0/self_attention_layer/query/kernel";
    assert.deepEqual([...backbone.parameters.get(path)], all.get(path));
    assert.ok(backbone.weights.every(({ path }) => !path.startsWith("transformer_layer_1")));
    await backbone.dispose();
  });
});

describe("a head", () => {
  it("that the checkpoint lacks is fresh, and its weights are named once", async () => {
    let task: models.Task | undefined;
    const said = await warningsOf(async () => {
      task = await models.RobertaTextClassifier.fromPreset(fixture("huggingface/roberta_masked_lm"), { numClasses: 3, preprocessor: null });
    });
    assert.deepEqual(said, [], "a number of classes asks for a fresh head");
    const again = await warningsOf(() => models.RobertaTextClassifier.fromPreset(fixture("huggingface/roberta_masked_lm")));
    assert.equal(again.length, 1);
    assert.match(again[0], /pooled_dense\/kernel, pooled_dense\/bias, logits\/kernel, logits\/bias/);
    assert.deepEqual(task!.weights.at(-1)!.shape, [3]);
    await task!.dispose();
    await task!.backbone.dispose();
  });
  it("of which a part is missing is refused", async () => {
    const directory = await altered("roberta_masked_lm", { tensors: (all) => void all.delete("lm_head.dense.bias") });
    await refused(() => models.MaskedLM.fromPreset(directory), "preset/weights-missing", /lm_head\.dense\.bias/);
  });
  it("BERT's pooler is missed where it counts only", async () => {
    const folder = fixture("huggingface/bert_masked_lm");
    assert.deepEqual(await warningsOf(() => models.MaskedLM.fromPreset(folder)), []);
    assert.match((await warningsOf(() => models.Backbone.fromPreset(folder))).join(), /pooled_dense\/kernel, pooled_dense\/bias/);
  });
  it("gets as many classes as the configuration has labels, two where it has none", async () => {
    const folder = fixture("huggingface/bert_classifier");
    const task = await models.TextClassifier.fromPreset(folder);
    assert.equal(task.config.num_classes, 3);
    const directory = await altered("bert_classifier", {
      config: (config) => {
        delete config.id2label;
        delete config.label2id;
      },
    });
    await refused(
      () => models.TextClassifier.fromPreset(directory),
      "preset/weights-shape",
      /classifier\.weight/,
      /expected \[2, 16\], found \[3, 16\]/,
    );
  });
});

describe("a bad checkpoint: its weights", () => {
  const QUERY = "roberta.encoder.layer.0.attention.self.query.weight";
  const cases: readonly [what: string, alter: Parameters<typeof altered>[1], code: string, ...says: RegExp[]][] = [
    [
      "a missing tensor",
      { tensors: (all) => void all.delete(QUERY) },
      "preset/weights-missing",
      /query\.weight for transformer_layer_0/,
      /model\.safetensors/,
    ],
    [
      "a missing row to add",
      { tensors: (all) => void all.delete("roberta.embeddings.token_type_embeddings.weight") },
      "preset/weights-missing",
      /token_type/,
    ],
    [
      "a tensor under two names",
      { tensors: (all) => void all.set("encoder.layer.0.attention.self.query.weight", all.get(QUERY)!) },
      "preset/weights-duplicate",
      /query\.weight/,
      /found both/,
    ],
    [
      "a layer more than the configuration has",
      { tensors: (all) => void all.set(QUERY.replace("layer.0", "layer.2"), all.get(QUERY)!) },
      "preset/weights-extra",
      /layer\.2\.attention/,
    ],
    ["a layer less", { config: (config) => void (config.num_hidden_layers = 3) }, "preset/weights-missing", /layer\.2\./],
    [
      "a transposed tensor",
      { tensors: (all) => void all.set(QUERY, { ...all.get(QUERY)!, shape: [8, 32] }) },
      "preset/weights-shape",
      /\[16, 16\]/,
      /\[8, 32\]/,
    ],
    [
      "a flat tensor",
      { tensors: (all) => void all.set(QUERY, { ...all.get(QUERY)!, shape: [256] }) },
      "preset/weights-shape",
      /found \[256\]/,
    ],
    ["integers", { tensors: (all) => void all.set(QUERY, { ...all.get(QUERY)!, dtype: "int32" }) }, "preset/weights-dtype", /I32/],
    [
      "a row to add of another width",
      {
        tensors: (all) =>
          void all.set("roberta.embeddings.token_type_embeddings.weight", { shape: [1, 8], values: new Float32Array(8), dtype: "float32" }),
      },
      "preset/weights-shape",
      /token_type/,
    ],
    ["no weights", { files: (directory) => fs.rmSync(join(directory, WEIGHTS)) }, "preset/no-weights", /model\.safetensors/],
    [
      "pickled weights only",
      {
        files: (directory) => {
          fs.rmSync(join(directory, WEIGHTS));
          fs.writeFileSync(join(directory, "pytorch_model.bin"), "pickle");
        },
      },
      "preset/no-weights",
      /format that isn't read/,
      /pytorch_model\.bin/,
      /save_pretrained/,
    ],
    [
      "a truncated file",
      { files: (directory) => fs.truncateSync(join(directory, WEIGHTS), 9000) },
      "format/safetensors-truncated",
      /model\.safetensors/,
    ],
    ["an empty file", { files: (directory) => fs.truncateSync(join(directory, WEIGHTS), 0) }, "format/safetensors-truncated"],
    [
      "a header of absurd length",
      {
        files: (directory) => {
          const bytes = fs.readFileSync(join(directory, WEIGHTS));
          bytes.writeBigUInt64LE(1n << 60n);
          fs.writeFileSync(join(directory, WEIGHTS), bytes);
        },
      },
      "format/safetensors-header",
      /header length/,
    ],
    [
      "overlapping offsets",
      {
        files: (directory) =>
          editHeader(
            directory,
            (text) => text.replace(/"data_offsets":\[(\d+),(\d+)\]/, (_, a, b) => `"data_offsets":[${+a + 4},${+b + 4}]`),
          ),
      },
      "format/safetensors-offsets",
    ],
    [
      "a shape of absurd size",
      { files: (directory) => editHeader(directory, (text) => text.replace(/"shape":\[16,16\]/, '"shape":[4294967296,1024]')) },
      "format/safetensors-offsets",
      /bytes for \[4294967296, 1024\]/,
    ],
    [
      "a name twice",
      { files: (directory) => editHeader(directory, (text) => text.replaceAll("layer.1.", "layer.0.")) },
      "format/json-syntax",
      /each key once/,
    ],
  ];
  for (const [what, alter, code, ...says] of cases) {
    it(`${what} is refused`, async () => {
      const directory = await altered("roberta_masked_lm", alter);
      await refused(() => models.MaskedLM.fromPreset(directory), code, ...says);
    });
  }
  it("nothing of it is taken: an error leaves the weights as they were", async () => {
    const directory = await altered("roberta_masked_lm", {
      tensors: (all) => void all.set("lm_head.layer_norm.bias", { shape: [3], values: new Float32Array(3), dtype: "float32" }),
    });
    await refused(() => models.MaskedLM.fromPreset(directory), "preset/weights-shape", /lm_head\.layer_norm\.bias/);
    const backbone = await models.Backbone.fromPreset(directory);
    assert.ok(backbone.countParams() > 0);
    await backbone.dispose();
  });
});

/** Changes the header of a folder's weights without changing its length. */
function editHeader(directory: string, change: (text: string) => string): void {
  const path = join(directory, WEIGHTS);
  const bytes = fs.readFileSync(path);
  const length = Number(bytes.readBigUInt64LE());
  const text = change(bytes.toString("utf8", 8, 8 + length).trimEnd());
  const header = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(header.length));
  fs.writeFileSync(path, Buffer.concat([size, header, bytes.subarray(8 + length)]));
}

describe("a bad checkpoint: its shards", () => {
  const QUERY = "roberta.encoder.layer.0.attention.self.query.weight";
  const cases: readonly [
    what: string,
    files: (directory: string, tensors: Tensors) => void | Promise<void>,
    code: string,
    ...says: RegExp[],
  ][] = [
    [
      "a missing shard",
      async (directory, all) => {
        await shard(directory, all);
        fs.rmSync(join(directory, "model-00002-of-00002.safetensors"));
      },
      "preset/shards",
      /model-00002-of-00002\.safetensors/,
    ],
    [
      "a tensor that its shard doesn't have",
      (directory, all) => shard(directory, all, (map) => void (map["roberta.more"] = Object.values(map)[0])),
      "preset/shards",
      /roberta\.more/,
    ],
    [
      "a tensor that the index places elsewhere",
      (directory, all) => shard(directory, all, (map) => void (map[QUERY] = Object.values(map).find((name) => name !== map[QUERY])!)),
      "preset/shards",
      /query\.weight/,
    ],
    [
      "a tensor that the index leaves out",
      (directory, all) => shard(directory, all, (map) => void delete map[QUERY]),
      "preset/shards",
      /query\.weight/,
      /found nothing/,
    ],
    [
      "a path outside the folder",
      (directory, all) => shard(directory, all, (map) => void (map[QUERY] = "../model.safetensors")),
      "preset/shards",
      /\.\.\/model/,
    ],
    ["an absolute path", (directory, all) => shard(directory, all, (map) => void (map[QUERY] = "/etc/passwd")), "preset/shards", /passwd/],
    ["a tensor in two shards", async (directory, all) => {
      await shard(directory, all);
      const both = new Map([...all].filter(([name], i) => i % 2 === 1 || name === [...all.keys()][0]));
      await writeSafetensors(join(directory, "model-00002-of-00002.safetensors"), entriesOf(both), {});
    }, "preset/shards"],
    [
      "no map",
      (directory) => {
        fs.rmSync(join(directory, WEIGHTS));
        fs.writeFileSync(join(directory, INDEX), "[]");
      },
      "preset/shards",
      /weight_map/,
    ],
  ];
  for (const [what, files, code, ...says] of cases) {
    it(`${what} is refused`, async () => {
      const directory = await altered("roberta_masked_lm", { files });
      await refused(() => models.MaskedLM.fromPreset(directory), code, ...says);
    });
  }
});

describe("a bad checkpoint: its configuration", () => {
  const cases: readonly [what: string, config: (config: Json) => void, code: string, ...says: RegExp[]][] = [
    ["another architecture", (config) => void (config.model_type = "bart"), "preset/architecture", /bart/, /roberta/],
    ["a missing size", (config) => void delete config.hidden_size, "preset/config-missing", /hidden_size/],
    ["a size that is no number", (config) => void (config.hidden_size = "16"), "spec/config-value", /config\.json: hidden_size/],
    ["a size of nothing", (config) => void (config.num_hidden_layers = 0), "spec/config-value", /config\.json: num_hidden_layers/],
    [
      "more positions than it can have",
      (config) => void (config.max_position_embeddings = 2),
      "spec/config-value",
      /max_position_embeddings/,
    ],
    [
      "an activation that isn't known",
      (config) => void (config.hidden_act = "mish"),
      "spec/config-value",
      /config\.json: hidden_act/,
      /mish/,
    ],
    [
      "relative positions",
      (config) => void (config.position_embedding_type = "relative_key"),
      "spec/config-value",
      /position_embedding_type/,
    ],
    ["a decoder", (config) => void (config.is_decoder = true), "spec/config-value", /is_decoder/],
    ["another padding", (config) => void (config.pad_token_id = 0), "spec/config-value", /pad_token_id/],
    ["an output that isn't tied", (config) => void (config.tie_word_embeddings = false), "spec/config-value", /tie_word_embeddings/],
    [
      "quantized weights",
      (config) => void (config.quantization_config = { quant_method: "bitsandbytes" }),
      "preset/quantized",
      /bitsandbytes/,
    ],
    [
      "a vocabulary of absurd size",
      (config) => void (config.vocab_size = 2 ** 30),
      "preset/weights-shape",
      /word_embeddings/,
      /1073741824/,
    ],
    ["a width of absurd size", (config) => void (config.hidden_size = 2 ** 30), "preset/weights-shape"],
    [
      "positions of absurd number",
      (config) => void (config.max_position_embeddings = 2 ** 30),
      "preset/weights-shape",
      /position_embeddings/,
    ],
    ["a size beyond all sizes", (config) => void (config.vocab_size = 2 ** 50), "spec/value", /vocabulary_size/, /1125899906842624/],
    ["layers of absurd number", (config) => void (config.num_hidden_layers = 1e9), "preset/config-size", /num_hidden_layers/, /at most 42/],
    ["more layers than there are", (config) => void (config.num_hidden_layers = 30), "preset/weights-missing", /layer\.2\./],
  ];
  for (const [what, config, code, ...says] of cases) {
    it(`${what} is refused`, async () => {
      const directory = await altered("roberta_masked_lm", { config });
      const before = process.memoryUsage().rss;
      await refused(() => models.MaskedLM.fromPreset(directory), code, ...says);
      assert.ok(process.memoryUsage().rss - before < 1 << 30, "memory");
    });
  }
  for (
    const [what, text, code] of [
      ["no JSON", "{", "format/json-syntax"],
      ["a deep nest", `{"model_type": "roberta", "x": ${"[".repeat(100_000)}`, "format/json-depth"],
      ["a list", "[]", "preset/format"],
      ["a key twice", '{"model_type": "roberta", "model_type": "bert"}', "format/json-syntax"],
    ] as const
  ) {
    it(`${what} is refused`, async () => {
      const directory = await altered("roberta_masked_lm", { files: (place) => fs.writeFileSync(join(place, "config.json"), text) });
      await refused(() => models.MaskedLM.fromPreset(directory), code, /config\.json/);
    });
  }
  it("a larger file than any configuration is refused before it is read", async () => {
    const directory = await altered("roberta_masked_lm", { files: (place) => fs.truncateSync(join(place, "config.json"), 1 << 30) });
    await refused(() => models.MaskedLM.fromPreset(directory), "format/json-size", /config\.json/);
  });
  it("a class of another architecture is refused", () =>
    refused(
      () => models.BertMaskedLM.fromPreset(fixture("huggingface/roberta_masked_lm")),
      "preset/class",
      /BertBackbone/,
      /RobertaBackbone/,
    ));
  it("a task that the architecture doesn't have is refused", () =>
    refused(() => models.CausalLM.fromPreset(fixture("huggingface/roberta_masked_lm")), "preset/task", /masked_lm/));
});
