/** Presets through the model classes: saved as KerasHub saves them, loaded to the same bits, dispatched, overridden, refused. */

import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { models, spec } from "../../mod.ts";
import type { Tensor } from "../../runtime/tensor.ts";
import { bytesOf, filesOf, hdf5Tree } from "./preset_files.ts";
import { refused } from "./refused.ts";
import { warningsOf } from "./warnings.ts";

const root = mkdtempSync(join(tmpdir(), "onnxhub-models-"));
after(() => rmSync(root, { recursive: true }));
const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/kerashub/${name}`, import.meta.url));
const architecture = (name: string): URL => new URL(`../fixtures/architectures/${name}.json`, import.meta.url);

const TINY = fixture("xlm_roberta_tiny");
const CLASSIFIER = fixture("xlm_roberta_tiny_classifier");

/** Inputs that every architecture here takes. */
const x = { token_ids: [[3, 7, 11, 2, 1, 1], [5, 4, 9, 8, 6, 2]], padding_mask: [[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1]] };
const masked = { ...x, mask_positions: [[1, 2], [4, 0]] };

async function logitsOf(model: models.Task): Promise<Float32Array> {
  const logits = await model.call(model instanceof models.MaskedLM ? masked : x) as Tensor<"float32">;
  return logits.data;
}

/** When a preset says that it was saved. */
function dateOf(preset: string): Date {
  const { date_saved } = JSON.parse(readFileSync(join(preset, "metadata.json"), "utf8")) as { date_saved: string };
  const [year, month, ...rest] = date_saved.split(/[-@:]/).map(Number);
  return new Date(year, month - 1, ...rest as [number, number, number, number]);
}

type Loader = { fromPreset(preset: string, options?: { spec?: URL }): Promise<models.Task> };

const PRESETS: Readonly<Record<string, { readonly base: Loader; readonly spec?: URL; readonly reordered?: boolean }>> = {
  xlm_roberta_tiny: { base: models.MaskedLM },
  xlm_roberta_tiny_classifier: { base: models.TextClassifier },
  bert_tiny_masked_lm: { base: models.MaskedLM },
  bert_tiny_classifier: { base: models.TextClassifier },
  roberta_tiny_masked_lm: { base: models.MaskedLM },
  roberta_tiny_classifier: { base: models.TextClassifier },
  llama_tiny_causal_lm: { base: models.CausalLM },
  gpt2_tiny_causal_lm: { base: models.CausalLM, spec: architecture("gpt2") },
  // It extends bert, whose hyperparameters come first then.
  albert_tiny_masked_lm: { base: models.MaskedLM, spec: architecture("albert"), reordered: true },
};

describe("a preset that is loaded and saved", () => {
  for (const [name, { base, spec, reordered }] of Object.entries(PRESETS)) {
    it(`is ${name} as KerasHub wrote it: file names, JSON to the byte, trees of the weights; and loads to the same bits`, async () => {
      const original = fixture(name);
      const copy = join(root, name);
      const options = spec ? { spec } : {};
      const model = await base.fromPreset(original, options);
      await model.saveToPreset(copy, { date: dateOf(original) });
      const files = filesOf(original).filter((file) => file !== "golden.json" && file !== "text.json");
      assert.deepEqual(filesOf(copy), files);
      for (const file of files) {
        if (file.endsWith(".h5")) assert.deepEqual(hdf5Tree(join(copy, file)), hdf5Tree(join(original, file)), file);
        else {
          const [found, expected] = [copy, original].map((directory) => readFileSync(join(directory, file), "latin1"));
          if (reordered) assert.deepEqual(JSON.parse(found), JSON.parse(expected), file);
          else assert.equal(found, expected, file);
        }
      }
      const again = await base.fromPreset(copy, options);
      assert.deepEqual(await logitsOf(again), await logitsOf(model));
      await Promise.all([model.dispose(), again.dispose()]);
    });
  }

  it("has its backbone alone, where the backbone is saved", async () => {
    const backbone = await models.Backbone.fromPreset(TINY);
    const copy = join(root, "backbone");
    await backbone.saveToPreset(copy, { date: dateOf(TINY) });
    assert.deepEqual(filesOf(copy), ["config.json", "metadata.json", "model.weights.h5"]);
    assert.deepEqual(hdf5Tree(join(copy, "model.weights.h5")), hdf5Tree(join(TINY, "model.weights.h5")));
    await backbone.saveWeights(join(root, "backbone.weights.h5"));
    assert.deepEqual(hdf5Tree(join(root, "backbone.weights.h5")), hdf5Tree(join(TINY, "model.weights.h5")));
    await backbone.dispose();
  });

  it("has its tokenizer and preprocessor alone, where these are saved", async () => {
    const preprocessor = await models.XLMRobertaMaskedLMPreprocessor.fromPreset(TINY);
    assert.equal(preprocessor.sequenceLength, 12);
    await preprocessor.saveToPreset(join(root, "preprocessor"));
    const tokenizer = await models.XLMRobertaTokenizer.fromPreset(TINY);
    await tokenizer.saveToPreset(join(root, "tokenizer"));
    const files = ["assets/tokenizer/vocabulary.spm", "tokenizer.json"];
    assert.deepEqual(filesOf(join(root, "tokenizer")), files);
    assert.deepEqual(filesOf(join(root, "preprocessor")), [files[0], "preprocessor.json", files[1]]);
    const original = bytesOf(TINY);
    for (const [file, bytes] of Object.entries(bytesOf(join(root, "preprocessor")))) assert.equal(bytes, original[file], file);
  });

  it("leaves nothing of an older preset behind that would contradict it, and foreign files alone", async () => {
    const path = join(root, "twice");
    const maskedLM = await models.MaskedLM.fromPreset(TINY);
    await maskedLM.saveToPreset(path);
    writeFileSync(join(path, "notes.md"), "mine");
    const classifier = await models.TextClassifier.fromPreset(CLASSIFIER);
    await classifier.saveToPreset(path);
    assert.equal(readFileSync(join(path, "notes.md"), "utf8"), "mine");
    const again = await models.TextClassifier.fromPreset(path);
    assert.deepEqual(await logitsOf(again), await logitsOf(classifier));
    await refused(() => classifier.saveToPreset(join(path, "assets")), "format/directory-foreign", /assets/);
    await Promise.all([maskedLM.dispose(), classifier.dispose(), again.dispose()]);
  });

  it("has the trained weights", async () => {
    const model = await models.MaskedLM.fromPreset(TINY, { preprocessor: null });
    await model.fit({ x: masked, y: [[3, 4], [5, 6]], verbose: 0, epochs: 2 });
    const path = join(root, "trained");
    await model.saveToPreset(path);
    const again = await models.MaskedLM.fromPreset(path);
    assert.equal(again.preprocessor, null);
    assert.deepEqual(await again.getWeights(), await model.getWeights());
    await Promise.all([model.dispose(), again.dispose()]);
  });
});

describe("fromPreset", () => {
  it("finds the class of the architecture from every base class", async () => {
    const backbone = await models.Backbone.fromPreset(TINY);
    const maskedLM = await models.MaskedLM.fromPreset(fixture("bert_tiny_masked_lm"));
    const classifier = await models.TextClassifier.fromPreset(fixture("roberta_tiny_classifier"));
    const causalLM = await models.CausalLM.fromPreset(fixture("llama_tiny_causal_lm"));
    assert.equal(backbone.constructor, models.XLMRobertaBackbone);
    assert.equal(maskedLM.constructor, models.BertMaskedLM);
    assert.equal(classifier.constructor, models.RobertaTextClassifier);
    assert.equal(causalLM.constructor, models.LlamaCausalLM);
    assert.equal((await models.Tokenizer.fromPreset(TINY)).constructor, models.XLMRobertaTokenizer);
    assert.equal((await models.MaskedLMPreprocessor.fromPreset(TINY)).constructor, models.XLMRobertaMaskedLMPreprocessor);
    await Promise.all([backbone, maskedLM, classifier, causalLM].map((model) => model.dispose()));
  });

  it("makes a task of another task's preset, with a fresh head", async () => {
    const classifier = await models.TextClassifier.fromPreset(TINY, { numClasses: 3 });
    assert.equal(classifier.constructor, models.XLMRobertaTextClassifier);
    assert.equal(classifier.preprocessor?.constructor, models.XLMRobertaTextClassifierPreprocessor);
    const maskedLM = await models.MaskedLM.fromPreset(TINY);
    assert.deepEqual(await classifier.backbone.getWeights(), await maskedLM.backbone.getWeights());
    await refused(() => models.TextClassifier.fromPreset(TINY), "spec/missing-config", /num_classes/);
    await Promise.all([classifier.dispose(), maskedLM.dispose()]);
  });

  it("leaves fresh weights, by the seed, with loadWeights: false, and then needs no weights", async () => {
    const bare = join(root, "bare");
    mkdirSync(bare);
    copyFileSync(join(TINY, "config.json"), join(bare, "config.json"));
    await refused(() => models.MaskedLM.fromPreset(bare), "preset/no-weights", /model\.weights\.h5/, /loadWeights: false/);
    const load = (preset: string, seed: number) => models.MaskedLM.fromPreset(preset, { loadWeights: false, seed });
    const [a, b, c] = await Promise.all([load(TINY, 1), load(bare, 1), load(bare, 2)]);
    assert.deepEqual(await a.getWeights(), await b.getWeights());
    assert.notDeepEqual(await b.getWeights(), await c.getWeights());
    const full = await models.MaskedLM.fromPreset(TINY);
    assert.notDeepEqual(await a.getWeights(), await full.getWeights());
    await Promise.all([a, b, c, full].map((model) => model.dispose()));
  });

  it("takes the preset's preprocessor, none, or another", async () => {
    const own = await models.XLMRobertaMaskedLM.fromPreset(TINY);
    assert.equal(own.preprocessor?.constructor, models.XLMRobertaMaskedLMPreprocessor);
    const none = await models.XLMRobertaMaskedLM.fromPreset(TINY, { preprocessor: null });
    assert.equal(none.preprocessor, null);
    const preprocessor = new models.XLMRobertaMaskedLMPreprocessor({
      tokenizer: await models.XLMRobertaTokenizer.fromPreset(TINY),
      sequenceLength: 8,
      maskSelectionLength: 2,
    });
    const other = await models.XLMRobertaMaskedLM.fromPreset(TINY, { preprocessor });
    assert.equal(other.preprocessor, preprocessor);
    await Promise.all([own, none, other].map((model) => model.dispose()));
  });

  it("overrides the name, hyperparameters of the backbone and of the head", async () => {
    const maskedLM = await models.XLMRobertaMaskedLM.fromPreset(TINY, { name: "mine", dropout: 0.25, trainable: false });
    assert.equal(maskedLM.name, "mine");
    assert.equal(maskedLM.backbone.name, "xlm_roberta_backbone");
    assert.equal(maskedLM.backbone.config.dropout, 0.25);
    assert.equal(maskedLM.trainableWeights.length, 5);
    const plain = await models.XLMRobertaMaskedLM.fromPreset(TINY);
    assert.equal(plain.name, "xlm_roberta_masked_lm_1");
    assert.deepEqual(await maskedLM.getWeights(), await plain.getWeights());
    const classifier = await models.XLMRobertaTextClassifier.fromPreset(CLASSIFIER, { dropout: 0.5, activation: "softmax" });
    assert.deepEqual([classifier.config.dropout, classifier.backbone.config.dropout], [0.5, 0]);
    const same = await models.XLMRobertaTextClassifier.fromPreset(CLASSIFIER);
    assert.deepEqual(await classifier.getWeights(), await same.getWeights());
    await Promise.all([maskedLM, plain, classifier, same].map((model) => model.dispose()));
  });

  it("gives a fresh head where the number of classes is given", async () => {
    const saved = await models.XLMRobertaTextClassifier.fromPreset(CLASSIFIER);
    const head = saved.weights.filter(({ part }) => part === "head").map(({ path }) => path);
    for (const numClasses of [4, 7]) {
      const fresh = await models.TextClassifier.fromPreset(CLASSIFIER, { numClasses });
      assert.deepEqual(fresh.parameters.info("logits/kernel").shape, [20, numClasses]);
      for (const { path, part } of fresh.weights) {
        if (part === "backbone") assert.deepEqual(fresh.parameters.get(path), saved.parameters.get(path), path);
      }
      for (const path of head.filter((path) => path.endsWith("kernel"))) {
        assert.notDeepEqual(fresh.parameters.get(path), saved.parameters.get(path), path);
      }
      await fresh.dispose();
    }
    await saved.dispose();
  });

  it("says which weights of a head are fresh, where it lacks them and no fresh ones were asked for", async () => {
    const lacking = join(root, "lacking");
    await (await models.MaskedLM.fromPreset(TINY)).saveToPreset(lacking);
    const load = async (options = {}) => void await (await models.MaskedLM.fromPreset(lacking, options)).dispose();
    assert.deepEqual(await warningsOf(load), []);
    rmSync(join(lacking, "task.weights.h5"));
    const [said, ...more] = await warningsOf(load);
    assert.match(said, /masked_lm.*freshly initialized/);
    for (const name of ["kernel", "bias", "gamma"]) assert.ok(said.includes(name), said);
    assert.deepEqual(more, []);
    rmSync(join(lacking, "task.json"));
    assert.equal((await warningsOf(load)).length, 1);
    assert.deepEqual(await warningsOf(() => load({ loadWeights: false })), []);
    assert.deepEqual(await warningsOf(() => models.TextClassifier.fromPreset(lacking, { numClasses: 2 })), []);
  });

  it("refuses the preset of another architecture, of no such task, and options that there aren't", async () => {
    await refused(() => models.BertMaskedLM.fromPreset(TINY), "preset/class", /expected BertBackbone/, /found XLMRobertaBackbone/);
    await refused(() => models.LlamaBackbone.fromPreset(TINY), "preset/class", /expected LlamaBackbone/);
    await refused(() => models.CausalLM.fromPreset(TINY), "preset/task", /causal_lm/, /masked_lm, text_classifier/);
    const options = { loadWeigths: false };
    await refused(() => models.MaskedLM.fromPreset(TINY, options as object), "model/option", /Did you mean `loadWeights`\?/);
    await refused(
      () => models.MaskedLM.fromPreset(TINY, { hiddenDim: 8 }),
      "preset/weights-shape",
      /token_embedding/,
      /2502, 8/,
      /2502, 16/,
    );
    await refused(() => models.MaskedLM.fromPreset(fixture("gpt2_tiny_causal_lm")), "preset/architecture", /GPT2Backbone/, /spec/);
    await refused(() => models.Task.fromPreset(TINY), "preset/abstract", /TextClassifier\.fromPreset/);
    const anyTask = models.Preprocessor as unknown as typeof models.MaskedLMPreprocessor;
    await refused(() => anyTask.fromPreset(TINY), "preset/abstract", /MaskedLMPreprocessor\.fromPreset/);
  });
});

describe("saveWeights and loadWeights", () => {
  it("carry all weights over, and the head's alone", async () => {
    const a = await models.XLMRobertaMaskedLM.fromPreset(TINY);
    const b = await models.XLMRobertaMaskedLM.fromPreset(TINY, { loadWeights: false });
    await a.saveWeights(join(root, "all.weights.h5"));
    await a.saveTaskWeights(join(root, "head.weights.h5"));
    await b.loadTaskWeights(join(root, "head.weights.h5"));
    const head = a.weights.filter(({ part }) => part === "head").map(({ path }) => path);
    for (const path of head) assert.deepEqual(b.parameters.get(path), a.parameters.get(path), path);
    assert.notDeepEqual(await b.getWeights(), await a.getWeights());
    await b.loadWeights(join(root, "all.weights.h5"));
    assert.deepEqual(await b.getWeights(), await a.getWeights());
    assert.deepEqual(await logitsOf(b), await logitsOf(a));
    await Promise.all([a.dispose(), b.dispose()]);
  });

  it("refuse another suffix, a file that isn't there, and another model's, without touching a weight", async () => {
    const model = await models.XLMRobertaMaskedLM.fromPreset(TINY);
    const before = await model.getWeights();
    await refused(() => model.saveWeights(join(root, "weights.h5")), "preset/weights-name", /\.weights\.h5/);
    await refused(() => model.loadWeights(join(root, "none.weights.h5")), "format/missing-file", /none/);
    await refused(
      () => model.loadWeights(join(fixture("bert_tiny_masked_lm"), "model.weights.h5")),
      "preset/weights-missing",
      /embeddings/,
    );
    assert.deepEqual(await model.getWeights(), before);
    await model.dispose();
  });
});

describe("what KerasHub can't express is refused with the field's name", () => {
  const sizes = { vocabularySize: 30, numLayers: 1, numHeads: 2, hiddenDim: 8, intermediateDim: 16, maxSequenceLength: 6 };
  for (const [option, value, field] of [["normalizeFirst", true, "normalize_first"], ["layerNormEpsilon", 1e-6, "layer_norm_epsilon"]]) {
    it(`${option}`, async () => {
      const backbone = new models.XLMRobertaBackbone({ ...sizes, [option as string]: value });
      const model = new models.XLMRobertaMaskedLM({ backbone });
      const path = join(root, "inexpressible");
      await refused(() => backbone.saveToPreset(path), "preset/inexpressible", new RegExp(`config\\.${field}`), new RegExp(`${value}`));
      await refused(() => model.saveToPreset(path), "preset/inexpressible", new RegExp(`config\\.${field}`));
      await refused(() => models.MaskedLM.fromPreset(path), "preset/not-found");
      await model.dispose();
    });
  }

  it("a layer that a patch put in", async () => {
    const base = await spec.load("xlm_roberta");
    const variant = spec.derive(base, {
      name: "gated",
      layers: [{ at: "blocks/encoder/feedforward_intermediate_dense", set: { use_bias: false } }],
    });
    const model = await models.fromSpec(variant, {
      task: "masked_lm",
      config: { vocabulary_size: 30, num_layers: 1, num_heads: 2, hidden_dim: 8, intermediate_dim: 16, max_sequence_length: 6 },
    });
    await refused(() => model.saveToPreset(join(root, "variant")), "preset/inexpressible", /blocks/);
    await model.dispose();
  });
});
