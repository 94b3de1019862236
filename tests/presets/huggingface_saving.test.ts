/** Checkpoints that are written for transformers: the same files as its own, and back in the same weights. */

import assert from "node:assert/strict";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { float16ToFloat32, float32ToFloat16 } from "../../formats/float16.ts";
import { openSafetensors } from "../../formats/safetensors.ts";
import { models, spec } from "../../mod.ts";
import { fixture } from "../golden/goldens.ts";
import { refused } from "../models/refused.ts";

type TaskClass = typeof models.MaskedLM | typeof models.TextClassifier | typeof models.CausalLM;

const FOLDERS: readonly [folder: string, base: TaskClass][] = [
  ["xlm_roberta_masked_lm", models.MaskedLM],
  ["roberta_masked_lm", models.MaskedLM],
  ["camembert_masked_lm", models.MaskedLM],
  ["bert_classifier", models.TextClassifier],
  ["xlm_roberta_classifier", models.TextClassifier],
  ["llama_causal_lm", models.CausalLM],
];

let home: string;
let count = 0;
before(() => void (home = fs.mkdtempSync(join(tmpdir(), "onnxhub-huggingface-"))));
after(() => fs.rmSync(home, { recursive: true, force: true }));
const target = (): string => join(home, `saved-${count++}`);

const configOf = (directory: string): Record<string, unknown> => JSON.parse(fs.readFileSync(join(directory, "config.json"), "utf8"));

/** Every tensor of a file as float32. */
function tensorsOf(path: string): Map<string, { shape: readonly number[]; type: string; values: Float32Array }> {
  const file = openSafetensors(path);
  const found = new Map(
    [...file.tensors].map(([name, { shape, type, size }]) => {
      const values = new Float32Array(size);
      file.read(name, values);
      return [name, { shape, type, values }];
    }),
  );
  file.close();
  return found;
}

async function weightsOf(model: models.Task | models.Backbone): Promise<Map<string, Float32Array>> {
  const values = await model.getWeights();
  return new Map(model.weights.map(({ path }, i) => [path, values[i].data as Float32Array]));
}

async function disposeOf(task: models.Task): Promise<void> {
  await task.dispose();
  await task.backbone.dispose();
}

function tinyBackbone(options: Partial<models.XLMRobertaBackboneOptions> = {}): models.XLMRobertaBackbone {
  return new models.XLMRobertaBackbone({
    vocabularySize: 40,
    numLayers: 2,
    numHeads: 2,
    hiddenDim: 8,
    intermediateDim: 12,
    maxSequenceLength: 6,
    ...options,
  });
}

describe("a checkpoint that was loaded and is saved", () => {
  for (const [folder, base] of FOLDERS) {
    it(`${folder}: has the tensors of the original, and loads as the same weights, bit by bit`, async () => {
      const original = fixture(`huggingface/${folder}`);
      const task = await base.fromPreset(original, { preprocessor: null });
      const directory = target();
      await task.saveToHuggingFace(directory);
      assert.deepEqual(fs.readdirSync(directory).sort(), ["config.json", "model.safetensors"]);

      const [own, theirs] = [directory, original].map((place) => tensorsOf(join(place, "model.safetensors")));
      assert.deepEqual([...own.keys()].sort(), [...theirs.keys()].sort());
      // What is added while loading, and the positions that no token has, are written as zeros.
      const folded = /position_embeddings|token_type_embeddings/;
      for (const [name, { shape, type, values }] of theirs) {
        assert.deepEqual([own.get(name)!.shape, own.get(name)!.type], [shape, type], name);
        if (!folded.test(name) || folder.startsWith("bert")) assert.deepEqual(own.get(name)!.values, values, name);
      }
      const again = await base.fromPreset(directory, { preprocessor: null });
      assert.equal(again.constructor, task.constructor);
      assert.deepEqual(await weightsOf(again), await weightsOf(task));
      assert.deepEqual(again.backbone.config, task.backbone.config);
      assert.deepEqual(again.config, task.config);
      await disposeOf(task);
      await disposeOf(again);
    });

    it(`${folder}: says what the original's config.json says`, async () => {
      const original = fixture(`huggingface/${folder}`);
      const task = await base.fromPreset(original, { preprocessor: null });
      const directory = target();
      await task.saveToHuggingFace(directory);
      const [own, theirs] = [configOf(directory), configOf(original)];
      // Written in the older way, which every release reads; what no weight depends on.
      const {
        rope_parameters: rope,
        transformers_version: _,
        classifier_dropout,
        pad_token_id,
        max_position_embeddings,
        pretraining_tp,
        ...rest
      } = theirs;
      for (const [key, value] of Object.entries(rest)) if (value !== null) assert.deepEqual(own[key], value, key);
      if (rope) assert.equal(own.rope_theta, (rope as Record<string, unknown>).rope_theta);
      else assert.deepEqual([own.pad_token_id, own.max_position_embeddings], [pad_token_id, max_position_embeddings]);
      assert.deepEqual([classifier_dropout ?? null, pretraining_tp ?? 1], [null, 1]);
      await disposeOf(task);
    });
  }

  it("a backbone has names without the task's prefix, as transformers' own", async () => {
    const original = fixture("huggingface/xlm_roberta_model");
    const backbone = await models.XLMRobertaBackbone.fromPreset(original);
    const directory = target();
    await backbone.saveToHuggingFace(directory);
    const names = [...tensorsOf(join(original, "model.safetensors")).keys()].filter((name) => !name.startsWith("pooler."));
    assert.deepEqual([...tensorsOf(join(directory, "model.safetensors")).keys()].sort(), names.sort());
    assert.deepEqual(configOf(directory).architectures, ["XLMRobertaModel"]);
    const again = await models.Backbone.fromPreset(directory);
    assert.deepEqual(await weightsOf(again), await weightsOf(backbone));
    await backbone.dispose();
    await again.dispose();
  });
});

describe("saveToHuggingFace", () => {
  it("in float16 writes the nearest halves, and they are read back as such", async () => {
    const task = await models.MaskedLM.fromPreset(fixture("huggingface/roberta_masked_lm"), { preprocessor: null });
    const directory = target();
    await task.saveToHuggingFace(directory, { dtype: "float16" });
    assert.ok([...tensorsOf(join(directory, "model.safetensors")).values()].every(({ type }) => type === "F16"));
    assert.equal(configOf(directory).dtype, "float16");
    const again = await models.MaskedLM.fromPreset(directory, { preprocessor: null });
    const rounded = new Map([...await weightsOf(task)].map(([path, values]) => {
      const halves = new Float32Array(values.length);
      float16ToFloat32(float32ToFloat16(values), halves);
      return [path, halves];
    }));
    assert.deepEqual(await weightsOf(again), rounded);
    await disposeOf(task);
    await disposeOf(again);
  });

  it("splits the weights into files of at most the size that was asked for, with an index, and reads them back", async () => {
    const task = await models.MaskedLM.fromPreset(fixture("huggingface/bert_masked_lm"), { preprocessor: null });
    const directory = target();
    await task.saveToHuggingFace(directory, { maxShardSize: 6000 });
    const shards = fs.readdirSync(directory).filter((name) => name.endsWith(".safetensors")).sort();
    assert.ok(shards.length > 3);
    assert.equal(shards[0], `model-00001-of-0000${shards.length}.safetensors`);
    const index = JSON.parse(fs.readFileSync(join(directory, "model.safetensors.index.json"), "utf8"));
    const sizes = shards.map((name) =>
      [...tensorsOf(join(directory, name)).values()].reduce((sum, { values }) => sum + values.byteLength, 0)
    );
    assert.ok(sizes.every((size) => size <= 6000), `${sizes}`);
    assert.equal(index.metadata.total_size, sizes.reduce((a, b) => a + b));
    assert.equal(index.metadata.total_parameters * 4, index.metadata.total_size);
    for (const name of shards) for (const tensor of tensorsOf(join(directory, name)).keys()) assert.equal(index.weight_map[tensor], name);
    const again = await models.MaskedLM.fromPreset(directory, { preprocessor: null });
    assert.deepEqual(await weightsOf(again), await weightsOf(task));

    await again.saveToHuggingFace(directory, { maxShardSize: "1MB" });
    assert.deepEqual(fs.readdirSync(directory).sort(), ["config.json", "model.safetensors"], "the shards are gone");
    await disposeOf(task);
    await disposeOf(again);
  });

  it("keeps the tokenizer, which gives the same ids", async () => {
    const tokenizer = new models.XLMRobertaTokenizer({ proto: "examples/data/udhr-8k.spm" });
    const preprocessor = new models.XLMRobertaMaskedLMPreprocessor({ tokenizer, sequenceLength: 6, maskSelectionLength: 2 });
    const backbone = tinyBackbone({ vocabularySize: tokenizer.vocabularySize, layerNormEpsilon: 1e-12 });
    const task = new models.XLMRobertaMaskedLM({ backbone, preprocessor, layerNormEpsilon: 1e-12 });
    const directory = target();
    await task.saveToHuggingFace(directory);
    assert.deepEqual(fs.readdirSync(directory).filter((name) => name !== "model.safetensors").sort(), [
      "config.json",
      "sentencepiece.bpe.model",
      "special_tokens_map.json",
      "tokenizer.json",
      "tokenizer_config.json",
    ]);
    const again = await models.XLMRobertaMaskedLM.fromPreset(directory);
    const text = "All human beings are born free and equal in dignity and rights.";
    assert.deepEqual(again.preprocessor!.tokenizer.tokenize(text), tokenizer.tokenize(text));
    assert.equal(again.preprocessor!.sequenceLength, 6);
    fs.rmSync(join(directory, "sentencepiece.bpe.model"));
    const fast = await models.Tokenizer.fromPreset(directory);
    assert.deepEqual(fast.tokenize(text), tokenizer.tokenize(text));
    await disposeOf(task);
    await disposeOf(again);
  });

  it("Llama 3's frequencies come back", async () => {
    const backbone = new models.LlamaBackbone({
      vocabularySize: 30,
      numLayers: 1,
      numQueryHeads: 4,
      numKeyValueHeads: 2,
      hiddenDim: 16,
      intermediateDim: 8,
      ropeMaxWavelength: 500000,
      ropeFrequencyAdjustmentFactor: 8,
      ropeLowFreqFactor: 1,
      ropeHighFreqFactor: 4,
      ropePretrainingSequenceLength: 32,
      tieWordEmbeddings: true,
    });
    const directory = target();
    await backbone.saveToHuggingFace(directory);
    const { rope_scaling, rope_theta, head_dim, num_key_value_heads, tie_word_embeddings } = configOf(directory);
    assert.deepEqual([rope_theta, head_dim, num_key_value_heads, tie_word_embeddings], [500000, 4, 2, true]);
    assert.deepEqual(rope_scaling, {
      factor: 8,
      high_freq_factor: 4,
      low_freq_factor: 1,
      original_max_position_embeddings: 32,
      rope_type: "llama3",
    });
    const again = await models.LlamaBackbone.fromPreset(directory);
    assert.deepEqual(again.config, backbone.config);
    assert.deepEqual(await weightsOf(again), await weightsOf(backbone));
    await backbone.dispose();
    await again.dispose();
  });

  it("epsilons, activations and rates of dropout that KerasHub can't express come back", async () => {
    const backbone = tinyBackbone({ layerNormEpsilon: 1e-7, activation: "gelu_approximate", dropout: 0.2, attentionDropout: 0 });
    const task = new models.XLMRobertaTextClassifier({ backbone, numClasses: 5, dropout: 0.3 });
    const directory = target();
    await task.saveToHuggingFace(directory);
    const { hidden_act, classifier_dropout, attention_probs_dropout_prob, id2label } = configOf(directory);
    assert.deepEqual([hidden_act, classifier_dropout, attention_probs_dropout_prob], ["gelu_new", 0.3, 0]);
    assert.equal(Object.keys(id2label as object).length, 5);
    assert.match(fs.readFileSync(join(directory, "config.json"), "utf8"), /"attention_probs_dropout_prob": 0\.0,\n/);
    const again = await models.TextClassifier.fromPreset(directory);
    assert.deepEqual(again.backbone.config, backbone.config);
    assert.deepEqual(again.config, task.config);
    await disposeOf(task);
    await disposeOf(again);
  });
});

describe("what transformers can't express", () => {
  const cases: readonly [what: string, make: () => models.Backbone | models.Task, code: string, ...says: RegExp[]][] = [
    [
      "normalization first",
      () => tinyBackbone({ normalizeFirst: true }),
      "preset/inexpressible",
      /normalize_first/,
      /expected false, found true/,
    ],
    ["shared layers", () => tinyBackbone({ shareLayers: true }), "preset/inexpressible", /share_layers/],
    [
      "another epsilon in the head",
      () => new models.XLMRobertaMaskedLM({ backbone: tinyBackbone(), layerNormEpsilon: 1e-3 }),
      "preset/inexpressible",
      /heads\.masked_lm\.config\.layer_norm_epsilon/,
      /0\.001/,
    ],
    [
      "an activation of a classifier's outputs",
      () => new models.XLMRobertaTextClassifier({ backbone: tinyBackbone(), numClasses: 2, activation: "softmax" }),
      "preset/inexpressible",
      /heads\.text_classifier\.config\.activation/,
      /softmax/,
    ],
    [
      "a classifier of another width",
      () => new models.XLMRobertaTextClassifier({ backbone: tinyBackbone(), numClasses: 2, hiddenDim: 4 }),
      "preset/inexpressible",
      /heads\.text_classifier\.config\.hidden_dim/,
    ],
    [
      "dropout in Llama",
      () =>
        new models.LlamaBackbone({
          vocabularySize: 30,
          numLayers: 1,
          numQueryHeads: 2,
          numKeyValueHeads: 1,
          hiddenDim: 8,
          intermediateDim: 8,
          dropout: 0.1,
        }),
      "preset/inexpressible",
      /dropout/,
    ],
  ];
  for (const [what, make, code, ...says] of cases) {
    it(`${what} is refused, and nothing is written`, async () => {
      const model = make();
      const directory = target();
      await refused(() => model.saveToHuggingFace(directory), code, ...says);
      assert.equal(fs.existsSync(directory), false);
      await model.dispose();
    });
  }

  it("a variant of an architecture is refused with what was changed", async () => {
    const variant = spec.derive(await spec.load("xlm_roberta"), { merge: { limits: { sequence: 4 } } });
    const backbone = await models.fromSpec(variant, {
      config: { vocabulary_size: 40, num_layers: 1, num_heads: 2, hidden_dim: 8, intermediate_dim: 12 },
    });
    await refused(() => backbone.saveToHuggingFace(target()), "preset/inexpressible", /variant/);
    await backbone.dispose();
  });

  it("a value beyond float16 is refused with its weight", async () => {
    const backbone = tinyBackbone();
    backbone.parameters.get("embeddings_layer_norm/gamma")[3] = 1e5;
    await refused(
      () => backbone.saveToHuggingFace(target(), { dtype: "float16" }),
      "preset/float16",
      /embeddings_layer_norm\/gamma/,
      /100000/,
    );
    await backbone.dispose();
  });

  it("wrong options are refused", async () => {
    const backbone = tinyBackbone();
    const save = (options: object) => backbone.saveToHuggingFace(target(), options);
    await refused(() => save({ dtype: "int8" }), "model/option", /dtype/, /int8/);
    await refused(() => save({ maxShardSize: "five" }), "model/option", /maxShardSize/, /five/);
    await refused(() => save({ maxShardSize: 0 }), "model/option", /maxShardSize/);
    await refused(() => save({ shard: 1 }), "model/option", /shard/);
    await backbone.dispose();
  });

  it("a directory of something else, and a preset of KerasHub, are left alone", async () => {
    const backbone = tinyBackbone();
    const directory = target();
    fs.mkdirSync(directory);
    fs.writeFileSync(join(directory, "notes.txt"), "mine");
    await refused(() => backbone.saveToHuggingFace(directory), "format/directory-foreign");
    const preset = target();
    await tinyBackbone().saveToPreset(preset);
    await refused(() => backbone.saveToHuggingFace(preset), "format/directory-foreign");
    assert.deepEqual(fs.readdirSync(directory), ["notes.txt"]);
    await backbone.dispose();
  });
});
