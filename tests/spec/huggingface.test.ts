/** Tests the names of Hugging Face's files: every weight has a tensor of the right size, configurations convert. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { lowerModel } from "../../codegen/lowering/model.ts";
import { expand, fromHuggingFace, load, parseSpec } from "../../spec/index.ts";
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

describe("fromHuggingFace", () => {
  it("converts names, offsets and values", async () => {
    const theirs = { vocab_size: 100, max_position_embeddings: 514, hidden_act: "gelu_new", layer_norm_eps: 1e-12, unknown: 1 };
    const { config, taskConfig } = fromHuggingFace(await load("xlm_roberta"), theirs, "masked_lm");
    assert.deepEqual(config, { vocabulary_size: 100, max_sequence_length: 512, layer_norm_epsilon: 1e-12, activation: "gelu_approximate" });
    assert.deepEqual(taskConfig, { layer_norm_epsilon: 1e-12 });
  });
  it("reads nested keys, the newer place last", async () => {
    const { config } = fromHuggingFace(await load("llama"), {
      rope_theta: 1000,
      rope_parameters: { rope_theta: 500000, factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 8192 },
    });
    assert.deepEqual(config, {
      rope_max_wavelength: 500000,
      rope_frequency_adjustment_factor: 8,
      rope_low_freq_factor: 1,
      rope_high_freq_factor: 4,
      rope_pretraining_sequence_length: 8192,
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
