/** Every example on KerasHub's page about XLMRobertaMaskedLM, in its TypeScript form, on presets in the fixtures. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { codegen, losses, models, optimizers } from "../../mod.ts";
import type { Tensor } from "../../runtime/tensor.ts";

const preset = (name: string): string => fileURLToPath(new URL(`../fixtures/kerashub/${name}`, import.meta.url));
const XLM_ROBERTA = preset("xlm_roberta_tiny");

/** A dataset of raw strings. Labels are inferred. */
const features = ["The quick brown fox jumped.", "I forgot my homework."];

/** A preprocessed dataset where 0 is the mask token. */
const integers = {
  token_ids: [[1, 2, 0, 4, 0, 6, 7, 8], [1, 2, 0, 4, 0, 6, 7, 8]],
  padding_mask: [[1, 1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1, 1]],
  mask_positions: [[2, 4], [2, 4]],
};
/** The original masked values. */
const labels = [[3, 5], [3, 5]];

/** Copies of the weights of a part, by path. */
function snapshot(model: models.Task, part: "backbone" | "head"): Map<string, Float32Array> {
  return new Map(model.weights.filter((weight) => weight.part === part).map(({ path }) => [path, model.parameters.get(path).slice()]));
}

/** The weights of a snapshot that are other ones now. */
function changed(model: models.Task, before: ReadonlyMap<string, Float32Array>): string[] {
  return [...before].filter(([path, data]) => model.parameters.get(path).some((value, i) => value !== data[i])).map(([path]) => path);
}

/** The program that training compiles now. */
function trainingGraph(model: models.Task): codegen.Graph {
  const request = { ...codegen.trainingRequest(model.expanded), trainable: model.trainableWeights.map(({ path }) => path) };
  return codegen.compile(model.expanded, request).graph;
}

/** The layers that a graph goes back through: from the scopes of its nodes. */
function backwardScopes(graph: codegen.Graph): string[] {
  const prefix = "gradient of ";
  return [...new Set(graph.nodes.flatMap(({ scope }) => scope.startsWith(prefix) ? [scope.slice(prefix.length)] : []))];
}

describe("raw string inputs and a pretrained backbone", () => {
  it("fit, are compiled anew with another learning rate, and fit again with the backbone frozen", async () => {
    const maskedLM = await models.XLMRobertaMaskedLM.fromPreset(XLM_ROBERTA);
    const all = [...snapshot(maskedLM, "backbone"), ...snapshot(maskedLM, "head")];
    const { history } = await maskedLM.fit({ x: features, batchSize: 2, verbose: 0 });
    assert.deepEqual(Object.keys(history), ["loss", "sparse_categorical_accuracy"]);
    assert.ok(history.loss[0] > 0 && Number.isFinite(history.loss[0]));
    assert.ok(changed(maskedLM, new Map(all)).includes("embeddings/token_embedding/embeddings"));

    // Re-compile (e.g., with a new learning rate).
    maskedLM.compile({
      loss: new losses.SparseCategoricalCrossentropy({ fromLogits: true }),
      optimizer: new optimizers.Adam(5e-5),
    });
    assert.equal(maskedLM.optimizer?.learningRate, 5e-5);
    // Access backbone programmatically (e.g., to change `trainable`).
    maskedLM.backbone.trainable = false;
    const [backbone, head] = [snapshot(maskedLM, "backbone"), snapshot(maskedLM, "head")];
    // Fit again.
    await maskedLM.fit({ x: features, batchSize: 2, verbose: 0 });
    assert.deepEqual(changed(maskedLM, backbone), []);
    assert.deepEqual(changed(maskedLM, head), [...head.keys()]);
    await maskedLM.dispose();
  });

  it("leave a frozen backbone without a backward pass, the token embeddings that the head shares with it included", async () => {
    const maskedLM = await models.XLMRobertaMaskedLM.fromPreset(XLM_ROBERTA);
    assert.equal(maskedLM.trainableWeights.length, 41);
    assert.ok(backwardScopes(trainingGraph(maskedLM)).some((scope) => scope.startsWith("transformer_layer_0/")));
    maskedLM.backbone.trainable = false;
    assert.deepEqual(maskedLM.trainableWeights.map(({ path }) => path), [
      "mlm_head/output_bias",
      "mlm_head/intermediate_dense/kernel",
      "mlm_head/intermediate_dense/bias",
      "mlm_head/intermediate_layer_norm/gamma",
      "mlm_head/intermediate_layer_norm/beta",
    ]);
    const graph = trainingGraph(maskedLM);
    const beyond = backwardScopes(graph).filter((scope) => scope !== "loss" && !scope.startsWith("mlm_head/"));
    assert.deepEqual(beyond, []);
    const gradients = graph.outputs.flatMap(({ name }) => name.startsWith("gradients/") ? [name.slice("gradients/".length)] : []);
    assert.deepEqual(gradients, maskedLM.trainableWeights.map(({ path }) => path));
    await maskedLM.trainOnBatch(features);
    // Iterations, the learning rate, and two moments for each of the five.
    assert.equal(maskedLM.optimizerState!.variables.length, 2 + 2 * 5);
    maskedLM.backbone.trainable = true;
    await maskedLM.trainOnBatch(features);
    assert.equal(maskedLM.optimizerState!.variables.length, 2 + 2 * 41);
    await maskedLM.dispose();
  });

  it("are evaluated and predicted", async () => {
    const maskedLM = await models.XLMRobertaMaskedLM.fromPreset(XLM_ROBERTA);
    const logs = await maskedLM.evaluate({ x: features, batchSize: 2, verbose: 0 });
    assert.deepEqual(Object.keys(logs), ["loss", "sparse_categorical_accuracy"]);
    const logits = await maskedLM.predict({ x: features, batchSize: 1, verbose: 0 }) as Tensor;
    assert.deepEqual(logits.shape, [2, 4, 2502]);
    await maskedLM.dispose();
  });
});

describe("preprocessed integer data", () => {
  it("fits a model without preprocessor", async () => {
    const maskedLM = await models.XLMRobertaMaskedLM.fromPreset(XLM_ROBERTA, { preprocessor: null });
    const { history } = await maskedLM.fit({ x: integers, y: labels, batchSize: 2, verbose: 0, epochs: 3 });
    assert.equal(history.loss.length, 3);
    assert.ok(history.loss[2] < history.loss[0], `${history.loss}`);
    const logits = await maskedLM.predict({ x: integers, verbose: 0 }) as Tensor;
    assert.deepEqual(logits.shape, [2, 2, 2502]);
    await maskedLM.dispose();
  });

  it("is taken as nested arrays, typed arrays with a shape, and tensors alike", async () => {
    const shaped = (rows: number[][]) => ({ data: Int32Array.from(rows.flat()), shape: [rows.length, rows[0].length] });
    const forms = [integers, Object.fromEntries(Object.entries(integers).map(([name, rows]) => [name, shaped(rows)]))];
    const losses: number[] = [];
    for (const x of forms) {
      const maskedLM = await models.XLMRobertaMaskedLM.fromPreset(XLM_ROBERTA, { preprocessor: null });
      losses.push((await maskedLM.testOnBatch(x, x === integers ? labels : shaped(labels))).loss);
      await maskedLM.dispose();
    }
    assert.equal(losses[0], losses[1]);
  });
});

describe("fromPreset", () => {
  it("is called on a base class, which finds the class, or on the class itself", async () => {
    const causalLM = await models.CausalLM.fromPreset(preset("llama_tiny_causal_lm"));
    const classifier = await models.TextClassifier.fromPreset(preset("bert_tiny_masked_lm"), { numClasses: 2 });
    const own = await models.BertTextClassifier.fromPreset(preset("bert_tiny_masked_lm"), { numClasses: 2, loadWeights: false });
    assert.ok(causalLM instanceof models.LlamaCausalLM);
    assert.ok(classifier instanceof models.BertTextClassifier && own instanceof models.BertTextClassifier);
    const logits = await classifier.predictOnBatch({ token_ids: [[2, 5, 3]], segment_ids: [[0, 0, 0]] }) as Tensor;
    assert.deepEqual(logits.shape, [1, 2]);
    await Promise.all([causalLM, classifier, own].map((model) => model.dispose()));
  });
});

describe("a custom backbone and vocabulary", () => {
  const proto = `${XLM_ROBERTA}/assets/tokenizer/vocabulary.spm`;

  it("make a masked language model", async () => {
    const tokenizer = new models.XLMRobertaTokenizer({ proto });
    const preprocessor = new models.XLMRobertaMaskedLMPreprocessor({ tokenizer, sequenceLength: 16, maskSelectionLength: 3 });
    const backbone = new models.XLMRobertaBackbone({
      vocabularySize: tokenizer.vocabularySize,
      numLayers: 2,
      numHeads: 2,
      hiddenDim: 16,
      intermediateDim: 32,
      maxSequenceLength: 16,
    });
    const maskedLM = new models.XLMRobertaMaskedLM({ backbone, preprocessor });
    // The two properties.
    assert.equal(maskedLM.backbone, backbone);
    assert.equal(maskedLM.preprocessor, preprocessor);
    assert.equal(maskedLM.name, "xlm_roberta_masked_lm");
    const { history } = await maskedLM.fit({ x: features, batchSize: 2, verbose: 0 });
    // Near the loss of guessing, the share of the label slots that are guessed at: a text has few tokens, the rest of its three slots weigh nothing.
    assert.ok(history.loss[0] > 0 && history.loss[0] < Math.log(2502) + 0.5);
    const { sequence_output } = await backbone.predict({ token_ids: [[0, 5, 6, 2]], padding_mask: [[1, 1, 1, 1]] });
    assert.deepEqual(sequence_output.shape, [1, 4, 16]);
    await maskedLM.dispose();
    await backbone.dispose();
  });

  it("classify pairs of texts", async () => {
    const tokenizer = new models.XLMRobertaTokenizer({ proto });
    const preprocessor = new models.XLMRobertaTextClassifierPreprocessor({ tokenizer, sequenceLength: 16 });
    const { x } = preprocessor.call([["free and equal"], ["in dignity"]]);
    const row = Array.from(x.token_ids.data.subarray(0, 16));
    // <s> first </s> </s> second </s> <pad> …
    const [first, second] = tokenizer.tokenize(["free and equal", "in dignity"]);
    const packed = [0, ...first, 2, 2, ...second, 2];
    assert.deepEqual(row, [...packed, ...new Array(16 - packed.length).fill(1)].slice(0, 16));
    const backbone = new models.XLMRobertaBackbone({
      vocabularySize: tokenizer.vocabularySize,
      numLayers: 1,
      numHeads: 2,
      hiddenDim: 16,
      intermediateDim: 32,
      maxSequenceLength: 16,
    });
    const classifier = new models.XLMRobertaTextClassifier({ backbone, preprocessor, numClasses: 3 });
    const segments = [["free and equal", "born free"], ["in dignity", "and rights"]];
    const { history } = await classifier.fit({ x: segments, y: [0, 2], batchSize: 2, verbose: 0 });
    assert.deepEqual(Object.keys(history), ["loss", "sparse_categorical_accuracy"]);
    assert.deepEqual((await classifier.predict({ x: segments, verbose: 0 }) as Tensor).shape, [2, 3]);
    await classifier.dispose();
    await backbone.dispose();
  });
});
