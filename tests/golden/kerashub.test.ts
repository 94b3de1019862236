/** Every architecture and task against KerasHub's own: outputs, losses of training, weights' names; the class that a preset gets. */

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { models } from "../../mod.ts";
import type { Tensor } from "../../runtime/tensor.ts";
import { assertLogs, assertTensor, fixture, type Golden, type GoldenArray, optimizerOf, readFixture } from "./goldens.ts";

/** A recorded model and how it is loaded. */
interface Case {
  readonly preset: string;
  /** By the class of its own, where it has one. */
  readonly own: ((preset: string) => Promise<models.Task>) | null;
  /** The class that all ways of loading must give. */
  readonly type: abstract new (options: never) => models.Task;
  readonly backbone: abstract new (...options: never[]) => models.Backbone;
  /** The base class that dispatches. */
  readonly base: typeof models.MaskedLM | typeof models.TextClassifier | typeof models.CausalLM;
  /** The spec's file, where the architecture is not built in. */
  readonly spec?: URL;
}

const architecture = (name: string): URL => new URL(`../fixtures/architectures/${name}.json`, import.meta.url);

const CASES: readonly Case[] = [
  {
    preset: "xlm_roberta_tiny_classifier",
    own: (preset) => models.XLMRobertaTextClassifier.fromPreset(preset),
    type: models.XLMRobertaTextClassifier,
    backbone: models.XLMRobertaBackbone,
    base: models.TextClassifier,
  },
  {
    preset: "bert_tiny_masked_lm",
    own: (preset) => models.BertMaskedLM.fromPreset(preset),
    type: models.BertMaskedLM,
    backbone: models.BertBackbone,
    base: models.MaskedLM,
  },
  {
    preset: "bert_tiny_classifier",
    own: (preset) => models.BertTextClassifier.fromPreset(preset),
    type: models.BertTextClassifier,
    backbone: models.BertBackbone,
    base: models.TextClassifier,
  },
  {
    preset: "roberta_tiny_masked_lm",
    own: (preset) => models.RobertaMaskedLM.fromPreset(preset),
    type: models.RobertaMaskedLM,
    backbone: models.RobertaBackbone,
    base: models.MaskedLM,
  },
  {
    preset: "roberta_tiny_classifier",
    own: (preset) => models.RobertaTextClassifier.fromPreset(preset),
    type: models.RobertaTextClassifier,
    backbone: models.RobertaBackbone,
    base: models.TextClassifier,
  },
  {
    preset: "llama_tiny_causal_lm",
    own: (preset) => models.LlamaCausalLM.fromPreset(preset),
    type: models.LlamaCausalLM,
    backbone: models.LlamaBackbone,
    base: models.CausalLM,
  },
  {
    preset: "gpt2_tiny_causal_lm",
    own: null,
    type: models.CausalLM,
    backbone: models.Backbone,
    base: models.CausalLM,
    spec: architecture("gpt2"),
  },
  {
    preset: "albert_tiny_masked_lm",
    own: null,
    type: models.MaskedLM,
    backbone: models.Backbone,
    base: models.MaskedLM,
    spec: architecture("albert"),
  },
];

/** KerasHub's names of the weights of each preset's model, in its order. */
const weightPaths = readFixture<Readonly<Record<string, readonly string[]>>>("kerashub_weight_paths.json");

/** Outputs by name; a single one under the name it has here. */
function named(outputs: NonNullable<Golden["backbone_output"]>): Readonly<Record<string, GoldenArray>> {
  return "shape" in outputs ? { sequence_output: outputs as GoldenArray } : outputs;
}

for (const { preset, own, type, backbone, base, spec } of CASES) {
  const golden = readFixture<Golden>(`kerashub/${preset}/golden.json`);
  const directory = fixture(`kerashub/${preset}`);
  const [first] = golden.batches;
  const load = (): Promise<models.Task> => base.fromPreset(directory, spec ? { spec } : {});

  describe(`${preset} computes what KerasHub computes`, () => {
    let model: models.Task;
    before(async () => {
      model = await load();
    });
    after(() => model.dispose());

    it(`as ${type.name}, from ${base.name}${own ? " and from its own class" : " with a spec of its own"}`, async () => {
      assert.ok(model instanceof type, model.constructor.name);
      assert.ok(model.backbone instanceof backbone, model.backbone.constructor.name);
      if (!own) return;
      const same = await own(directory);
      assert.equal(same.constructor, type);
      assert.equal(model.constructor, type);
      await same.dispose();
    });

    it("with the weights that KerasHub has, in its order", () => {
      assert.deepEqual(model.weights.map(({ path }) => path), weightPaths[preset]);
    });

    if (golden.backbone_output) {
      it("the backbone's outputs within 1e-5", async () => {
        const expected = named(golden.backbone_output!);
        const inputs = Object.keys(model.backbone.expanded.inputs);
        const found = await model.backbone.predict(Object.fromEntries(Object.entries(first.x).filter(([name]) => inputs.includes(name))));
        assert.deepEqual(Object.keys(found).sort(), Object.keys(expected).sort());
        for (const [name, output] of Object.entries(expected)) assertTensor(found[name], output, 1e-5, name);
      });
    }

    it("the logits within 1e-5", async () => {
      assertTensor(await model.predictOnBatch(first.x) as Tensor, golden.logits, 1e-5, "logits");
    });
  });

  describe(`${preset} trains as in KerasHub`, () => {
    for (const [name, { optimizer, steps }] of Object.entries(golden.runs)) {
      it(`with ${name}: every loss within 1e-5 of it, and the metrics`, async () => {
        const model = await load();
        model.compile({ optimizer: optimizerOf(optimizer!) });
        assert.equal(steps.length, golden.batches.length);
        for (const [i, { x, y, sample_weight }] of golden.batches.entries()) {
          assertLogs(await model.trainOnBatch(x, y, sample_weight), steps[i], 1e-5, `step ${i}`);
        }
        await model.dispose();
      });
    }
  });
}
