/** Configurations, weights and counts of models, and what is left after `dispose`. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { models, spec } from "../../mod.ts";
import { refused } from "./refused.ts";

const preset = (name: string): string => fileURLToPath(new URL(`../fixtures/kerashub/${name}`, import.meta.url));
const TINY = preset("xlm_roberta_tiny");

/** The configuration in a preset's file, without its dtype. */
function savedConfig(name: string, file: string): Record<string, unknown> {
  const { dtype: _, ...config } = JSON.parse(readFileSync(`${preset(name)}/${file}`, "utf8")).config as Record<string, unknown>;
  return config;
}

describe("getConfig and fromConfig", () => {
  it("are KerasHub's of a backbone, and make the same backbone again", async () => {
    const backbone = await models.XLMRobertaBackbone.fromPreset(TINY);
    const config = backbone.getConfig();
    const saved = savedConfig("xlm_roberta_tiny", "config.json");
    for (const [key, value] of Object.entries(saved)) assert.deepEqual(config[key], value, key);
    const again = models.XLMRobertaBackbone.fromConfig(config);
    assert.equal(again.constructor, models.XLMRobertaBackbone);
    assert.deepEqual(again.getConfig(), config);
    assert.equal(spec.hash(again.expanded), spec.hash(backbone.expanded));
    // KerasHub's own configuration is enough.
    const { trainable: _, ...bare } = saved;
    assert.equal(spec.hash(models.XLMRobertaBackbone.fromConfig(bare as typeof config).expanded), spec.hash(backbone.expanded));
    await Promise.all([backbone.dispose(), again.dispose()]);
  });

  it("make the same task again", async () => {
    const classifier = await models.XLMRobertaTextClassifier.fromPreset(preset("xlm_roberta_tiny_classifier"));
    const config = classifier.getConfig();
    const saved = savedConfig("xlm_roberta_tiny_classifier", "task.json");
    for (const key of Object.keys(saved)) {
      if (key !== "backbone" && key !== "preprocessor") assert.deepEqual(config[key], saved[key], key);
    }
    const again = models.XLMRobertaTextClassifier.fromConfig(config);
    assert.equal(again.constructor, models.XLMRobertaTextClassifier);
    assert.deepEqual(again.getConfig(), config);
    assert.equal(spec.hash(again.expanded), spec.hash(classifier.expanded));
    assert.deepEqual(again.weights, classifier.weights);
    await Promise.all([classifier.dispose(), again.dispose()]);
  });

  it("are KerasHub's of a preprocessor", async () => {
    const preprocessor = await models.XLMRobertaMaskedLMPreprocessor.fromPreset(TINY);
    const saved = savedConfig("xlm_roberta_tiny", "preprocessor.json");
    for (const [key, value] of Object.entries(preprocessor.getConfig())) assert.deepEqual(value, saved[key], key);
    assert.equal(preprocessor.getConfig().mask_selection_length, 4);
  });

  it("say that a base class can't be made from numbers alone", async () => {
    await refused(() => models.MaskedLM.fromConfig({}), "model/abstract", /class of an architecture/);
  });
});

describe("weights", () => {
  it("are copied out and in, a task's with its backbone's", async () => {
    const model = await models.XLMRobertaMaskedLM.fromPreset(TINY);
    const weights = await model.getWeights();
    assert.equal(weights.length, 41);
    assert.deepEqual(weights.map(({ shape }) => shape), model.weights.map(({ shape }) => shape));
    weights[0].data.fill(7);
    assert.notEqual((await model.getWeights())[0].data[0], 7);
    const other = await models.XLMRobertaMaskedLM.fromPreset(TINY, { loadWeights: false });
    await other.setWeights(weights);
    assert.deepEqual(await other.getWeights(), weights);
    assert.deepEqual(await other.backbone.getWeights(), weights.slice(0, 36));
    await Promise.all([model.dispose(), other.dispose()]);
  });

  it("are one set for all tasks over a backbone", async () => {
    const maskedLM = await models.XLMRobertaMaskedLM.fromPreset(TINY, { preprocessor: null });
    const classifier = new models.XLMRobertaTextClassifier({ backbone: maskedLM.backbone, numClasses: 2 });
    const before = await maskedLM.backbone.getWeights();
    await classifier.fit({ x: { token_ids: [[0, 5, 6, 2], [0, 7, 8, 2]] }, y: [0, 1], verbose: 0 });
    const after = await maskedLM.backbone.getWeights();
    assert.notDeepEqual(after, before);
    assert.deepEqual((await classifier.getWeights()).slice(0, 36), after);
    await classifier.dispose();
    assert.deepEqual(await maskedLM.backbone.getWeights(), after);
    await maskedLM.dispose();
  });

  it("are as many as KerasHub counts, without being made", async () => {
    const tiny = await models.XLMRobertaMaskedLM.fromPreset(TINY);
    assert.equal(tiny.backbone.countParams(), 44704);
    assert.equal(tiny.countParams(), 47510);
    await tiny.dispose();
    const sizes = { vocabularySize: 250002, maxSequenceLength: 512 };
    const base = new models.XLMRobertaBackbone({ ...sizes, numLayers: 12, numHeads: 12, hiddenDim: 768, intermediateDim: 3072 });
    const large = new models.XLMRobertaBackbone({ ...sizes, numLayers: 24, numHeads: 16, hiddenDim: 1024, intermediateDim: 4096 });
    assert.equal(base.countParams(), 277450752);
    assert.equal(large.countParams(), 558837760);
    assert.equal(new models.XLMRobertaMaskedLM({ backbone: base }).countParams(), 278292882);
    assert.deepEqual([base.weights.length, large.weights.length], [196, 388]);
  });
});

describe("a model that was disposed of", () => {
  const x = { token_ids: [[0, 5, 6, 2]], padding_mask: [[1, 1, 1, 1]], mask_positions: [[1]] };

  it("refuses everything that needs its weights", async () => {
    const model = await models.XLMRobertaMaskedLM.fromPreset(TINY, { preprocessor: null });
    await model.trainOnBatch(x, [[5]]);
    await model.dispose();
    const uses: Record<string, () => unknown> = {
      fit: () => model.fit({ x, y: [[5]], verbose: 0 }),
      evaluate: () => model.evaluate({ x, y: [[5]], verbose: 0 }),
      predict: () => model.predict({ x, verbose: 0 }),
      trainOnBatch: () => model.trainOnBatch(x, [[5]]),
      call: () => model.call(x),
      compile: () => model.compile(),
      getWeights: () => model.getWeights(),
      setWeights: () => model.setWeights([]),
      saveWeights: () => model.saveWeights("never.weights.h5"),
      loadWeights: () => model.loadWeights("never.weights.h5"),
      saveToPreset: () => model.saveToPreset("never"),
    };
    for (const use of Object.values(uses)) await refused(use, "model/disposed", /xlm_roberta_masked_lm/);
    await model.dispose();
  });

  it("leaves its backbone, without which a task is gone too", async () => {
    const model = await models.XLMRobertaMaskedLM.fromPreset(TINY, { preprocessor: null });
    const { mask_positions: _, ...inputs } = x;
    const another = new models.XLMRobertaMaskedLM({ backbone: model.backbone });
    await model.dispose();
    assert.deepEqual((await model.backbone.predict(inputs)).sequence_output.shape, [1, 4, 16]);
    await another.trainOnBatch(x, [[5]]);
    await model.backbone.dispose();
    await refused(() => another.call(x), "model/disposed", /backbone/);
    await refused(() => another.trainOnBatch(x, [[5]]), "model/disposed", /backbone/);
    await another.dispose();
  });
});
