/** What a model's user gets for bad input: one OnnxHubError each, that says what, where, and what would be right. */

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { callbacks, losses, models, optimizers } from "../../mod.ts";
import { refused } from "./refused.ts";

const CONFIG = { vocabularySize: 40, numLayers: 1, numHeads: 2, hiddenDim: 8, intermediateDim: 16, maxSequenceLength: 6 };

const x = {
  token_ids: [[0, 5, 39, 2], [0, 7, 39, 2]],
  padding_mask: [[1, 1, 1, 1], [1, 1, 1, 1]],
  mask_positions: [[2], [2]],
};
const y = [[6], [8]];

describe("bad input to a masked language model", () => {
  let maskedLM: models.XLMRobertaMaskedLM;
  before(() => {
    maskedLM = new models.XLMRobertaMaskedLM({ backbone: new models.XLMRobertaBackbone(CONFIG) });
  });
  after(async () => {
    await maskedLM.dispose();
    await maskedLM.backbone.dispose();
  });
  const fit = (data: object) => maskedLM.fit({ x, y, verbose: 0, ...data } as Parameters<typeof maskedLM.fit>[0]);

  it("good input is taken", async () => {
    assert.equal((await fit({})).history.loss.length, 1);
  });
  it("a token id beyond the vocabulary is refused with its place and the range", () =>
    refused(
      () => fit({ x: { ...x, token_ids: [[0, 5, 40, 2], [0, 7, 39, 2]] } }),
      "data/range",
      /x\.token_ids\[\d\]\[2\]/,
      /0 to 39/,
      /found 40/,
    ));
  it("a negative token id is refused", () =>
    refused(() => fit({ x: { ...x, token_ids: [[0, 5, -1, 2], [0, 7, 39, 2]] } }), "data/range", /found -1/));
  it("a mask position beyond the sequence is refused", () =>
    refused(() => fit({ x: { ...x, mask_positions: [[4], [2]] } }), "data/range", /x\.mask_positions/, /0 to 3/, /found 4/));
  it("a label that is no class is refused", () =>
    refused(() => fit({ y: [[6], [40]] }), "data/range", /y\[\d\]\[0\]/, /0 to 39/, /found 40/));
  it("a fraction as a token id is refused", () =>
    refused(() => fit({ x: { ...x, token_ids: [[0, 5.5, 39, 2], [0, 7, 39, 2]] } }), "data/integer", /5\.5/, /token_ids/));
  it("a sequence longer than the model takes is refused with both lengths", () => {
    const long = { token_ids: [[0, 1, 2, 3, 4, 5, 6]], padding_mask: [[1, 1, 1, 1, 1, 1, 1]], mask_positions: [[1]] };
    return refused(() => fit({ x: long, y: [[1]] }), "data/too-long", /at most 6/, /found 7/);
  });
  it("ragged rows are refused", () =>
    refused(() => fit({ x: { ...x, token_ids: [[0, 5, 39, 2], [0, 7, 39]] } }), "data/ragged", /token_ids/));
  it("empty data are refused", () =>
    refused(() => fit({ x: { token_ids: [], padding_mask: [], mask_positions: [] }, y: [] }), "data/empty"));
  it("an empty iterable of batches is refused", () => refused(() => fit({ x: (function* () {})(), y: undefined }), "data/empty"));
  it("inputs of different numbers of rows are refused", () =>
    refused(() => fit({ x: { ...x, mask_positions: [[2]] } }), "data/rows", /mask_positions|cardinality/));
  it("inputs whose sequences differ are refused with both sizes", () =>
    refused(() => fit({ x: { ...x, padding_mask: [[1, 1, 1], [1, 1, 1]] } }), "data/shape", /padding_mask/, /sequence = 4/));
  it("labels of another shape are refused", () => refused(() => fit({ y: [[6, 7], [8, 9]] }), "data/shape", /\by\b/, /masks = 1/));
  it("labels without a class for every slot are refused", () => refused(() => fit({ y: [6, 8] }), "data/shape", /\by\b/));
  it("missing labels are refused", () => refused(() => fit({ y: undefined }), "data/labels", /labels/));
  it("a missing input is refused by name", () =>
    refused(() => fit({ x: { token_ids: x.token_ids, padding_mask: x.padding_mask } }), "data/inputs", /mask_positions/));
  it("an unknown input is refused with the nearest", () =>
    refused(
      () => fit({ x: { token_id: x.token_ids, padding_mask: x.padding_mask, mask_positions: x.mask_positions } }),
      "data/inputs",
      /token_id/,
      /token_ids/,
    ));
  it("text without a preprocessor is refused", () => refused(() => fit({ x: ["Hello"], y: undefined }), "data/text", /preprocessor/));
  it("NaN in the weights of the labels is refused with its place", () =>
    refused(() => fit({ sampleWeight: [[1], [NaN]] }), "data/nan", /sampleWeight/, /element/));
  it("an unknown option is refused with the nearest", () => refused(() => fit({ batchsize: 2 }), "training/unknown-option", /batchSize/));
  it("a batch size of 0 is refused", () => refused(() => fit({ batchSize: 0 }), "training/option", /batchSize/, /above 0/));
  it("fit before compile is refused in Keras' words", async () => {
    const fresh = new models.XLMRobertaMaskedLM({ backbone: maskedLM.backbone, compile: false });
    await refused(() => fresh.fit({ x, y }), "training/not-compiled", /You must call `compile\(\)` before using the model/);
    await refused(() => fresh.evaluate({ x, y }), "training/not-compiled");
  });
  it("an unknown optimizer is refused with the nearest", () =>
    refused(() => maskedLM.compile({ optimizer: "adm" }), "optimizer/unknown", /adam/));
  it("an unknown loss is refused with the nearest", () =>
    refused(() => maskedLM.compile({ loss: "sparse_crossentropy" }), "loss/unknown", /sparse_categorical_crossentropy/));
  it("an unknown metric is refused", () => refused(() => maskedLM.compile({ weightedMetrics: ["acuracy"] }), "metric/unknown", /accuracy/));
  it("an unknown option of compile is refused", () =>
    refused(() => maskedLM.compile({ metric: ["accuracy"] } as object), "model/option", /Did you mean `metrics`\?/));
  it("an unknown option of an optimizer is refused", () =>
    refused(() => new optimizers.Adam({ learningrate: 1 } as object), "optimizer/option", /learningRate/));
  it("two metrics of one name are refused", () =>
    refused(() => maskedLM.compile({ metrics: ["accuracy"], weightedMetrics: ["accuracy"] }), "metric/duplicate"));
  it("a metric that wants other labels than the loss is refused", async () => {
    const other = new models.XLMRobertaMaskedLM({ backbone: maskedLM.backbone });
    other.compile({ loss: new losses.SparseCategoricalCrossentropy({ fromLogits: true }), weightedMetrics: ["mse"] });
    await refused(() => other.fit({ x, y, verbose: 0 }), "metric/labels", /mean_squared_error/);
    await other.dispose();
  });
  it("a backbone's missing input is refused by name", async () => {
    await refused(() => maskedLM.backbone.predict({}), "data/missing-input", /token_ids/);
  });
});

describe("bad hyperparameters", () => {
  const make = (options: object) => () => new models.XLMRobertaBackbone({ ...CONFIG, ...options });
  it("a missing one is named", () => {
    const { vocabularySize: _, ...rest } = CONFIG;
    return refused(() => new models.XLMRobertaBackbone(rest as typeof CONFIG), "spec/missing-config", /vocabulary_size/);
  });
  it("an unknown one is refused with the nearest", () => refused(make({ numLayer: 2 }), "model/option", /Did you mean `numLayers`\?/));
  it("one of another type is refused", () => refused(make({ numLayers: "two" }), "spec/config-value", /num_layers/, /two/));
  it("one out of bounds is refused", () => refused(make({ dropout: 1.5 }), "spec/config-value", /dropout/, /1\.5/));
  it("a width too small for the heads is refused with the layer", () =>
    refused(make({ hiddenDim: 1 }), "spec/value", /self_attention|encoder/, /found 0/));
});

describe("bad data in a later batch", () => {
  it("says in which batch it is, in fit, evaluate and predict", async () => {
    const maskedLM = new models.XLMRobertaMaskedLM({ backbone: new models.XLMRobertaBackbone(CONFIG) });
    const labels = { x, y: [[6], [40]], batchSize: 1, shuffle: false, verbose: 0 } as const;
    await refused(() => maskedLM.fit(labels), "data/range", /\(at batch 1\.y\[0\]\[0\]\)/, /found 40/);
    const { shuffle: _, ...tested } = labels;
    await refused(() => maskedLM.evaluate(tested), "data/range", /batch 1\.y\[0\]\[0\]/);
    const wrong = { ...x, token_ids: [x.token_ids[0], [0, 7, 99, 2]] };
    await refused(
      () => maskedLM.predict({ x: wrong, batchSize: 1, verbose: 0 }),
      "data/range",
      /batch 1\.x\.token_ids\[0\]\[2\]/,
      /found 99/,
    );
    await maskedLM.dispose();
  });
});

describe("bad use of a model", () => {
  it("Task itself can't be made, and says what can", () =>
    refused(() => new models.Task({ backbone: new models.XLMRobertaBackbone(CONFIG) }), "model/abstract", /models\.MaskedLM/));
  it("a backbone of another architecture is refused", () =>
    refused(
      () => new models.BertMaskedLM({ backbone: new models.XLMRobertaBackbone(CONFIG) }),
      "model/backbone",
      /expected bert, found xlm_roberta/,
    ));
  it("a model that was disposed of says so", async () => {
    const backbone = new models.XLMRobertaBackbone(CONFIG);
    const task = new models.XLMRobertaMaskedLM({ backbone });
    await task.dispose();
    await refused(() => task.fit({ x, y }), "model/disposed", /xlm_roberta_masked_lm/);
    await refused(() => task.predict({ x }), "model/disposed");
    await backbone.dispose();
    await refused(() => backbone.predict(x), "model/disposed", /xlm_roberta_backbone/);
  });
  it("a backend that there isn't is refused", async () => {
    const backbone = new models.XLMRobertaBackbone({ ...CONFIG, backend: "webgl" as "wasm" });
    await refused(() => backbone.predict({ token_ids: [[0]] }), "backend/unknown", /"wasm"/, /webgl/);
  });
  it("a number of threads that makes no sense is refused", async () => {
    const backbone = new models.XLMRobertaBackbone({ ...CONFIG, threads: 0 });
    await refused(() => backbone.predict({ token_ids: [[0]] }), "backend/threads", /1 to 64/, /found 0/);
  });
  it("weights of another shape or number are refused, and nothing is changed", async () => {
    const backbone = new models.XLMRobertaBackbone(CONFIG);
    const weights = await backbone.getWeights();
    await refused(() => backbone.setWeights(weights.slice(1)), "model/weight-count");
    await refused(() => backbone.setWeights([...weights.slice(1), weights[0]]), "model/weight-shape", /setWeights\[0\]/);
    const data = weights.map((weight) => weight.data) as unknown as typeof weights;
    await refused(() => backbone.setWeights(data), "model/weight-shape", /found no tensor/);
    assert.deepEqual(await backbone.getWeights(), weights);
  });
  it("settings that are no backend, seeds that are no whole number, and metrics that are no list are refused", async () => {
    for (const backend of [null, {}] as unknown as "wasm"[]) {
      await refused(() => new models.XLMRobertaBackbone({ ...CONFIG, backend }), "backend/unknown", /syncEvery/);
    }
    for (const seed of [NaN, 1.5, "a" as unknown as number]) {
      await refused(() => new models.XLMRobertaBackbone({ ...CONFIG, seed }), "model/option", /seed/, new RegExp(`found ${seed}`));
    }
    const task = new models.XLMRobertaMaskedLM({ backbone: new models.XLMRobertaBackbone(CONFIG) });
    await refused(
      () => task.compile({ metrics: "accuracy" as unknown as [] }),
      "model/option",
      /compile\.metrics/,
      /list/,
      /found "accuracy"/,
    );
    task.compile({ loss: new losses.Expression("(y_true") });
    await refused(() => task.fit({ x, y, verbose: 0 }), "codegen/expression", /closing parenthesis\)/);
  });
  it("callbacks' numbers and functions that are none are refused", async () => {
    for (const patience of [NaN, -1, "2" as unknown as number]) {
      await refused(() => new callbacks.EarlyStopping({ patience }), "training/option", /EarlyStopping\.patience/, /0 or more/);
    }
    await refused(() => new callbacks.EarlyStopping({ minDelta: NaN }), "training/option", /minDelta/, /found NaN/);
    await refused(() => new callbacks.LearningRateScheduler(5 as unknown as () => number), "training/option", /schedule/, /found 5/);
  });
  it("a preset that isn't there is refused", () =>
    refused(() => models.MaskedLM.fromPreset("no/such/preset"), "preset/not-found", /no\/such\/preset/));
  it("Task.fromPreset says to use a task's class", () =>
    refused(() => models.Task.fromPreset("."), "preset/abstract", /TextClassifier\.fromPreset/));
});
