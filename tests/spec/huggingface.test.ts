/** Tests the names of Hugging Face's files: every weight has a tensor of the right size, configurations convert. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { lowerModel } from "../../codegen/lowering/model.ts";
import { expand, fromHuggingFace, load, parseSpec, toHuggingFace } from "../../spec/index.ts";
import { type Loose, throwsError, tinySpec } from "./expecting.ts";

interface Checkpoint {
  readonly folder: string;
  readonly spec: string;
  readonly task: string | null;
  readonly task_config: Loose;
  readonly config: Loose;
  readonly tensors: [string, number[]][];
}

const checkpoints = JSON.parse(readFileSync(new URL("../fixtures/spec/huggingface_headers.json", import.meta.url), "utf8")) as Checkpoint[];

describe("the tensors of", () => {
  for (const checkpoint of checkpoints) {
    it(`${checkpoint.folder} fill every weight`, async () => {
      const spec = await load(checkpoint.spec);
      const task = checkpoint.task ?? undefined;
      const { config, taskConfig } = fromHuggingFace(spec, checkpoint.config, task);
      const expanded = expand(spec, { config, task, taskConfig: { ...taskConfig, ...checkpoint.task_config } });
      const tensors = new Map(checkpoint.tensors);
      const names = expanded.checkpoints.huggingface!;
      assert.equal(names.model_type, checkpoint.config.model_type);
      const shapes = new Map(lowerModel(expanded, { training: false }).weights.list().map(({ path, shape }) => [path, shape]));
      assert.deepEqual(names.weights.map(({ weight }) => weight).sort(), [...shapes.keys()].sort());
      for (const { weight, tensor, aliases, skip_rows, optional, transform, add_row, add_row_aliases = [] } of names.weights) {
        const found = [tensor, ...aliases].find((name) => tensors.has(name));
        if (found === undefined) {
          assert.ok(optional, `nothing for ${weight}`);
          continue;
        }
        const [rows, ...rest] = tensors.get(found)!;
        const size = [rows - skip_rows, ...rest].reduce((a, b) => a * b);
        assert.equal(size, shapes.get(weight)!.reduce((a, b) => a * b), weight);
        if (transform === "transpose") assert.equal(rest.length, 1, weight);
        if (add_row) assert.ok([add_row, ...add_row_aliases].some((name) => tensors.has(name)), add_row);
      }
    });
  }
});

describe("toHuggingFace", () => {
  for (const { folder, spec: name, task, task_config, config: theirs } of checkpoints) {
    it(`gives back what ${folder} says`, async () => {
      const spec = await load(name);
      const labelled = { ...theirs, ...(task_config.num_classes === undefined ? {} : { num_labels: task_config.num_classes }) };
      const { config, taskConfig } = fromHuggingFace(spec, labelled, task ?? undefined);
      const expanded = expand(spec, { config, task: task ?? undefined, taskConfig });
      const values = (entries: Loose): Loose =>
        Object.fromEntries(Object.entries(entries).map(([key, entry]) => [key, (entry as Loose).value]));
      const written = toHuggingFace(
        spec,
        values(expanded.config as Loose) as never,
        task ?? undefined,
        values((expanded.head?.config ?? {}) as Loose) as never,
      );
      const nested: Record<string, unknown> = {};
      for (const [key, { value }] of Object.entries(written)) {
        const parts = key.split(".");
        const last = parts.pop()!;
        (parts.reduce((inner, part) => inner[part] ??= {}, nested as Loose) as Loose)[last] = value;
      }
      assert.deepEqual(fromHuggingFace(spec, nested, task ?? undefined), { config, taskConfig });
      for (const key of ["attention_probs_dropout_prob", "type_vocab_size", "pad_token_id", "head_dim", "initializer_range"]) {
        if (theirs[key] !== null && key in nested) assert.equal(nested[key], theirs[key], key);
      }
    });
  }
});

describe("fromHuggingFace", () => {
  it("converts names, offsets and values; what is absent is what transformers takes for it", async () => {
    const theirs = { vocab_size: 100, max_position_embeddings: 514, hidden_act: "gelu_new", layer_norm_eps: 1e-10, unknown: 1 };
    const { config, taskConfig } = fromHuggingFace(await load("xlm_roberta"), theirs, "masked_lm");
    assert.deepEqual(config, {
      vocabulary_size: 100,
      max_sequence_length: 512,
      layer_norm_epsilon: 1e-10,
      activation: "gelu_approximate",
      dropout: 0.1,
      attention_dropout: null,
    });
    assert.deepEqual(taskConfig, { layer_norm_epsilon: 1e-10 });
    const bare = fromHuggingFace(await load("bert"), {}).config;
    assert.deepEqual([bare.layer_norm_epsilon, bare.activation, bare.num_segments, bare.dropout], [1e-12, "gelu", 2, 0.1]);
  });
  it("keeps the two rates of dropout apart where they differ", async () => {
    const bert = await load("bert");
    const { config } = fromHuggingFace(bert, { hidden_dropout_prob: 0.1, attention_probs_dropout_prob: 0 });
    assert.deepEqual([config.dropout, config.attention_dropout], [0.1, 0]);
    const head = fromHuggingFace(bert, { hidden_dropout_prob: 0.3, classifier_dropout: null, num_labels: 3 }, "text_classifier").taskConfig;
    assert.deepEqual(head, { num_classes: 3, dropout: 0.3 });
    assert.equal(fromHuggingFace(bert, { classifier_dropout: 0 }, "text_classifier").taskConfig.dropout, 0);
  });
  it("reads nested keys, the newer place last", async () => {
    const { config } = fromHuggingFace(await load("llama"), {
      num_attention_heads: 8,
      rope_theta: 1000,
      rope_parameters: { rope_theta: 500000, factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 },
    });
    assert.deepEqual(config, {
      num_query_heads: 8,
      num_key_value_heads: 8,
      layer_norm_epsilon: 1e-6,
      tie_word_embeddings: false,
      activation: "silu",
      rope_max_wavelength: 500000,
      rope_frequency_adjustment_factor: 8,
      rope_low_freq_factor: 1,
      rope_high_freq_factor: 4,
      rope_pretraining_sequence_length: 8192,
    });
  });
  const unlike: [spec: string, task: string | undefined, theirs: Record<string, unknown>, path: string][] = [
    ["bert", undefined, { position_embedding_type: "relative_key" }, "position_embedding_type"],
    ["bert", undefined, { is_decoder: true }, "is_decoder"],
    ["bert", undefined, { add_cross_attention: true }, "add_cross_attention"],
    ["bert", undefined, { pruned_heads: { 0: [1] } }, "pruned_heads"],
    ["bert", "masked_lm", { tie_word_embeddings: false }, "tie_word_embeddings"],
    ["xlm_roberta", undefined, { pad_token_id: 0 }, "pad_token_id"],
    ["llama", undefined, { attention_bias: true }, "attention_bias"],
    ["llama", undefined, { mlp_bias: true }, "mlp_bias"],
    ["llama", undefined, { attention_dropout: 0.1 }, "attention_dropout"],
    ["llama", undefined, { hidden_size: 64, num_attention_heads: 4, head_dim: 32 }, "head_dim"],
    ["llama", undefined, { rope_scaling: { type: "linear", factor: 2 } }, "rope_scaling.type"],
    ["llama", undefined, { rope_parameters: { rope_type: "yarn", factor: 2 } }, "rope_parameters.rope_type"],
  ];
  for (const [name, task, theirs, path] of unlike) {
    it(`refuses ${path} of ${name} where it says what the spec cannot`, async () => {
      const spec = await load(name);
      throwsError(() => fromHuggingFace(spec, theirs, task), { code: "spec/config-value", path: `config.json: ${path}` });
    });
  }
  it("takes what says the same as nothing", async () => {
    const { config } = fromHuggingFace(await load("bert"), { position_embedding_type: "absolute", is_decoder: false, pruned_heads: {} });
    assert.equal(config.dropout, 0.1);
  });
  it("refuses a number of the wrong kind under their name for it", async () => {
    const bert = await load("bert");
    throwsError(() => fromHuggingFace(bert, { hidden_size: "768" }), { code: "spec/config-value", path: "config.json: hidden_size" });
    throwsError(() => fromHuggingFace(bert, { num_hidden_layers: 1.5 }), {
      code: "spec/config-value",
      path: "config.json: num_hidden_layers",
    });
  });
  it("refuses a value that the spec cannot express", async () => {
    const bert = await load("bert");
    throwsError(() => fromHuggingFace(bert, { hidden_act: "mish" }), {
      code: "spec/config-value",
      path: "config.json: hidden_act",
      says: ["mish", "gelu"],
    });
  });
  it("refuses a spec that has no such names", () =>
    throwsError(() => fromHuggingFace(parseSpec(tinySpec(), "tiny.json"), {}), { code: "spec/no-huggingface" }));
});
