/** The built-in presets, against KerasHub's table of them. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { models, OnnxHubError, presets, spec } from "../../mod.ts";

const table = readFileSync(new URL("../fixtures/kerashub_presets.tsv", import.meta.url), "utf8").trim().split("\n").slice(1)
  .map((line) => line.split("\t"));
/** Spec names by the class of their backbone. */
const architectures = new Map<string, string>();
for (const name of spec.architectureNames) {
  const backbone = (await spec.load(name)).source.checkpoints?.kerashub?.backbone.class_name;
  if (backbone) architectures.set(backbone, name);
}

describe("the built-in presets", () => {
  it("are all of KerasHub's whose architecture has a spec, with its handles and counts", () => {
    const expected = table.filter(([backbone]) => architectures.has(backbone))
      .map(([backbone, name, parameters, handle]) => ({
        name,
        handle,
        parameters: Number(parameters),
        architecture: architectures.get(backbone),
      }));
    assert.ok(expected.length >= 48);
    const found = presets.list().filter(({ handle }) => handle.startsWith("kaggle://")).map(({ description: _, ...rest }) => rest);
    const byName = (a: { name: string }, b: { name: string }) => a.name < b.name ? -1 : 1;
    assert.deepEqual(found.sort(byName), expected.sort(byName));
  });

  it("have each a name of its own and a description", () => {
    const all = presets.list();
    assert.equal(new Set(all.map(({ name }) => name)).size, all.length);
    for (const { name, description } of all) assert.match(description, /^[A-Z0-9].{10,}\.$/, name);
  });

  it("are got by name", () => {
    const preset = presets.get("xlm_roberta_base_multi")!;
    assert.deepEqual({ ...preset, description: "" }, {
      name: "xlm_roberta_base_multi",
      handle: "kaggle://keras/xlm_roberta/keras/xlm_roberta_base_multi/3",
      parameters: 277450752,
      description: "",
      architecture: "xlm_roberta",
    });
    assert.equal(presets.get("toString"), undefined);
  });

  it("are listed by architecture, task and words", () => {
    const names = (filter: presets.PresetFilter) => presets.list(filter).map(({ name }) => name);
    assert.deepEqual(names({ architecture: "roberta" }), ["roberta_base_en", "roberta_large_en"]);
    assert.ok(names({ task: "masked_lm" }).includes("bert_base_en"));
    assert.ok(!names({ task: "masked_lm" }).includes("llama2_7b_en"));
    assert.ok(names({ task: "causal_lm" }).includes("llama2_7b_en"));
    assert.ok(!names({ task: "causal_lm" }).includes("bert_base_en"));
    assert.deepEqual(names({ architecture: "bert", search: "SENTIMENT sst-2" }), ["bert_tiny_en_uncased_sst2"]);
    assert.deepEqual(names({ architecture: "bert", search: "sentiment french" }), []);
  });

  it("are not listed by what there is none of", () => {
    const refused = (filter: presets.PresetFilter, guess: RegExp) =>
      assert.throws(() => presets.list(filter), (error) => {
        assert.ok(error instanceof OnnxHubError && error.code === "preset/filter");
        assert.match(error.message, guess);
        return true;
      });
    refused({ architecture: "brt" }, /`bert`/);
    refused({ task: "mask_lm" }, /`masked_lm`/);
  });
});

describe("the presets of a class", () => {
  it("are its architecture's", () => {
    assert.deepEqual(Object.keys(models.RobertaBackbone.presets), ["roberta_base_en", "roberta_large_en"]);
    assert.deepEqual(Object.keys(models.RobertaMaskedLM.presets), ["roberta_base_en", "roberta_large_en"]);
    assert.deepEqual(models.RobertaTokenizer.presets, models.RobertaBackbone.presets);
    assert.equal(models.RobertaBackbone.presets.roberta_base_en.parameters, 124052736);
  });

  it("are, of a base class, all that have its task", () => {
    const all = presets.list().map(({ name }) => name);
    assert.deepEqual(Object.keys(models.Backbone.presets), all);
    assert.deepEqual(Object.keys(models.Tokenizer.presets), all);
    assert.deepEqual(Object.keys(models.Task.presets), all);
    assert.deepEqual(Object.keys(models.CausalLM.presets), presets.list({ task: "causal_lm" }).map(({ name }) => name));
    assert.deepEqual(Object.keys(models.MaskedLM.presets), presets.list({ task: "masked_lm" }).map(({ name }) => name));
  });
});
