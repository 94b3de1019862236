/** Training of whole models: seeds, dropout, averages of weights, expressions as losses and metrics, checkpoints, going on after a kill. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { callbacks, losses, metrics, models, optimizers } from "../../mod.ts";
import type { Tensor } from "../../runtime/tensor.ts";
import { refused } from "./refused.ts";

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/kerashub/${name}`, import.meta.url));
const TINY = fixture("xlm_roberta_tiny");
const root = mkdtempSync(join(tmpdir(), "onnxhub-training-"));
after(() => rmSync(root, { recursive: true }));

const texts = ["All human beings are born free and equal.", "Everyone has the right to life.", "No one shall be held in slavery."];

/** A masked language model with fresh weights and dropout. */
async function fresh(seed: number, dropout = 0.1): Promise<models.XLMRobertaMaskedLM> {
  const tokenizer = await models.XLMRobertaTokenizer.fromPreset(TINY);
  const preprocessor = new models.XLMRobertaMaskedLMPreprocessor({ tokenizer, sequenceLength: 12, maskSelectionLength: 3, seed });
  const backbone = new models.XLMRobertaBackbone({
    vocabularySize: tokenizer.vocabularySize,
    numLayers: 2,
    numHeads: 2,
    hiddenDim: 16,
    intermediateDim: 32,
    dropout,
    maxSequenceLength: 12,
    seed,
  });
  return new models.XLMRobertaMaskedLM({ backbone, preprocessor });
}

/** A batch of integers and its labels. */
const x = { token_ids: [[0, 5, 6, 2], [0, 7, 8, 2]], padding_mask: [[1, 1, 1, 1], [1, 1, 1, 1]], mask_positions: [[1, 2], [2, 0]] };
const y = [[9, 10], [11, 12]];
const sampleWeight = [[1, 1], [1, 0]];

function loadTiny(): Promise<models.XLMRobertaMaskedLM> {
  return models.XLMRobertaMaskedLM.fromPreset(TINY, { preprocessor: null });
}

/** The greatest difference between two lists of weights. */
function difference(a: readonly Tensor<"float32">[], b: readonly Tensor<"float32">[]): number {
  return Math.max(...a.flatMap(({ data }, i) => Array.from(data, (value, j) => Math.abs(value - b[i].data[j]))));
}

describe("a seed", () => {
  it("given, two trainings with dropout are the same to the bit, and another seed's is another", async () => {
    const results = [];
    for (const seed of [1, 1, 2]) {
      const model = await fresh(seed);
      const { history } = await model.fit({ x: texts, batchSize: 2, epochs: 3, verbose: 0, validationData: { x: texts } });
      results.push({ history, weights: await model.getWeights() });
      await model.dispose();
      await model.backbone.dispose();
    }
    assert.deepEqual(results[0], results[1]);
    assert.notDeepEqual(results[0].history, results[2].history);
    assert.notDeepEqual(results[0].weights, results[2].weights);
  });

  it("draws other masks of dropout for each batch, and none in evaluation", async () => {
    const model = await fresh(3, 0.5);
    model.preprocessor = null;
    // Nothing is learned at a rate of zero: what differs from batch to batch is the dropout.
    model.compile({ optimizer: new optimizers.SGD(0) });
    const trained = [];
    for (let i = 0; i < 3; i++) trained.push((await model.trainOnBatch(x, y)).loss);
    assert.equal(new Set(trained).size, 3);
    const tested = [(await model.testOnBatch(x, y)).loss, (await model.testOnBatch(x, y)).loss];
    assert.equal(tested[0], tested[1]);
    assert.ok(!trained.includes(tested[0]));
    await model.dispose();
  });
});

describe("a moving average of the weights", () => {
  it("takes their place at the end of fit", async () => {
    const steps = 4;
    const momentum = 0.8;
    // The same updates without averaging, averaged by hand; the first weights are the first average.
    const plain = await loadTiny();
    plain.compile({ optimizer: new optimizers.Adam(0.01) });
    let averages: Float64Array[] = [];
    for (let step = 0; step < steps; step++) {
      await plain.trainOnBatch(x, y);
      const weights = await plain.getWeights();
      averages = weights.map(({ data }, w) =>
        Float64Array.from(data, (value, i) => step === 0 ? value : momentum * averages[w][i] + (1 - momentum) * value)
      );
    }
    const averaged = await loadTiny();
    averaged.compile({ optimizer: new optimizers.Adam({ learningRate: 0.01, useEma: true, emaMomentum: momentum }) });
    await averaged.fit({ x, y, batchSize: 2, epochs: steps, shuffle: false, verbose: 0 });
    const found = await averaged.getWeights();
    const expected = found.map((weight, w) => ({ ...weight, data: Float32Array.from(averages[w]) }));
    assert.ok(difference(found, expected) < 1e-6);
    assert.ok(difference(found, await plain.getWeights()) > 1e-3);
    await Promise.all([plain.dispose(), averaged.dispose()]);
  });
});

describe("a loss or metric of one's own", () => {
  it("written as an expression is the built-in one: values, metrics and training", async () => {
    const built = await loadTiny();
    const own = await loadTiny();
    built.compile({
      loss: new losses.SparseCategoricalCrossentropy({ fromLogits: true }),
      optimizer: new optimizers.Adam(0.01),
      metrics: ["accuracy"],
      weightedMetrics: [new metrics.SparseCategoricalCrossentropy({ fromLogits: true, name: "nats" })],
    });
    own.compile({
      loss: new losses.Expression("-pick(log_softmax(y_pred), y_true)"),
      optimizer: new optimizers.Adam(0.01),
      metrics: [new metrics.Expression("equal(argmax(y_pred), y_true)", { name: "accuracy" })],
      weightedMetrics: [new metrics.Expression("-pick(log_softmax(y_pred), y_true)", { name: "nats", direction: "down" })],
    });
    for (let step = 0; step < 4; step++) {
      const [a, b] = [await built.trainOnBatch(x, y, sampleWeight), await own.trainOnBatch(x, y, sampleWeight)];
      assert.deepEqual(Object.keys(b), ["loss", "accuracy", "nats"]);
      assert.deepEqual(Object.keys(a), Object.keys(b));
      assert.ok(Math.abs(a.loss - b.loss) < 1e-5 * a.loss, `${a.loss} and ${b.loss}`);
      assert.ok(Math.abs(a.nats - b.nats) < 1e-5 * a.nats, `${a.nats} and ${b.nats}`);
      assert.equal(a.accuracy, b.accuracy);
    }
    const keyless = (model: models.Task, list: readonly Tensor<"float32">[]) =>
      list.filter((_, i) => !model.weights[i].path.endsWith("key/bias"));
    assert.ok(difference(keyless(built, await built.getWeights()), keyless(own, await own.getWeights())) < 1e-5);
    await Promise.all([built.dispose(), own.dispose()]);
  });

  it("takes labels of the predictions' shape", async () => {
    const load = () => models.TextClassifier.fromPreset(fixture("bert_tiny_classifier"), { activation: "softmax" });
    const [built, own] = await Promise.all([load(), load()]);
    built.compile({ loss: "mse", optimizer: new optimizers.SGD(0.1), metrics: ["mae"] });
    own.compile({
      loss: new losses.Expression("mean(square(y_true - y_pred), axis=-1)", { labels: "like_predictions" }),
      optimizer: new optimizers.SGD(0.1),
      metrics: [new metrics.Expression("mean(abs(y_true - y_pred), axis=-1)", { name: "mean_absolute_error", labels: "like_predictions" })],
    });
    const input = { token_ids: x.token_ids, padding_mask: x.padding_mask };
    for (let step = 0; step < 3; step++) {
      const logs = [];
      for (const model of [built, own]) logs.push(await model.trainOnBatch(input, [[1, 0, 0], [0, 0.5, 0.5]]));
      assert.deepEqual(Object.keys(logs[0]), ["loss", "mean_absolute_error"]);
      for (const name of Object.keys(logs[0])) assert.ok(Math.abs(logs[0][name] - logs[1][name]) < 1e-6, name);
    }
    await Promise.all([built.dispose(), own.dispose()]);
  });

  it("weighs what it is asked to weigh", async () => {
    const model = await loadTiny();
    const plain = new losses.SparseCategoricalCrossentropy({ fromLogits: true });
    const focal = new losses.Expression("-pick(log_softmax(y_pred), y_true) * (1 - pick(softmax(y_pred), y_true)) ** 2", { name: "focal" });
    const values = [];
    for (const loss of [plain, focal]) {
      model.compile({ loss, weightedMetrics: [] });
      values.push((await model.testOnBatch(x, y)).loss);
    }
    const logits = await model.predictOnBatch(x) as Tensor<"float32">;
    let [crossEntropy, focused] = [0, 0];
    y.flat().forEach((label, slot) => {
      const row = logits.data.subarray(2502 * slot, 2502 * (slot + 1));
      const total = row.reduce((sum, logit) => sum + Math.exp(logit), 0);
      const probability = Math.exp(row[label]) / total;
      crossEntropy -= Math.log(probability) / 4;
      focused -= Math.log(probability) * (1 - probability) ** 2 / 4;
    });
    assert.ok(Math.abs(values[0] - crossEntropy) < 1e-5 * crossEntropy);
    assert.ok(Math.abs(values[1] - focused) < 1e-5 * focused);
    await model.dispose();
  });

  it("as a JavaScript function, or with an unknown name in it, is refused", async () => {
    const model = await loadTiny();
    const f = (() => 0) as unknown as string;
    await refused(() => model.compile({ loss: f }), "loss/function", /losses\.Expression/);
    await refused(() => model.compile({ metrics: [f] }), "metric/function", /metrics\.Expression/);
    model.compile({ loss: new losses.Expression("-pick(logsoftmax(y_pred), y_true)") });
    await refused(() => model.testOnBatch(x, y), "codegen/expression", /Did you mean `log_softmax`\?/);
    model.compile({ loss: new losses.Expression("-pick(log_softmax(y_predicted), y_true)") });
    await refused(() => model.testOnBatch(x, y), "codegen/expression", /y_pred/);
    await model.dispose();
  });
});

describe("a model that is being trained", () => {
  it("is trained by one call at a time, also from a callback, and again once that call is over or has failed", async () => {
    const model = await loadTiny();
    model.compile({ optimizer: new optimizers.SGD(0.1) });
    const first = model.trainOnBatch(x, y);
    await refused(() => model.trainOnBatch(x, y), "model/training", /another call/);
    await refused(() => model.fit({ x, y, verbose: 0 }), "model/training");
    await first;
    const callback = new callbacks.LambdaCallback({ onEpochEnd: async () => void await model.trainOnBatch(x, y) });
    await refused(() => model.fit({ x, y, verbose: 0, callbacks: [callback] }), "model/training");
    await refused(() => model.trainOnBatch(x, [[9, 10]]), "data/rows");
    assert.ok(Number.isFinite((await model.trainOnBatch(x, y)).loss));
    await model.dispose();
  });

  it("is evaluated from a callback, and lets timers run meanwhile", async () => {
    const model = await loadTiny();
    model.compile({ optimizer: new optimizers.SGD(0.1) });
    const evaluated: number[] = [];
    let fired = 0;
    const timer = setInterval(() => fired++, 1);
    const callback: callbacks.Callback = new callbacks.LambdaCallback({
      onEpochEnd: async () => {
        evaluated.push((await model.evaluate({ x, y, verbose: 0 })).loss);
        if (fired > 0) callback.model.stopTraining = true;
      },
    });
    await model.fit({ x, y, epochs: 5000, verbose: 0, callbacks: [callback] });
    clearInterval(timer);
    assert.ok(fired > 0 && evaluated.length < 5000, `${evaluated.length} epochs`);
    assert.ok(evaluated.every(Number.isFinite));
    await model.dispose();
  });
});

describe("callbacks on a real model", () => {
  it("save the weights of the best epoch to a file that loads, and stop early with the best weights", async () => {
    const model = await loadTiny();
    const filepath = join(root, "best.weights.h5");
    // A rate at which the loss soon goes up.
    model.compile({ optimizer: new optimizers.SGD(30) });
    const { history } = await model.fit({
      x,
      y,
      validationData: [x, y],
      epochs: 8,
      shuffle: false,
      verbose: 0,
      callbacks: [
        new callbacks.ModelCheckpoint({ filepath, saveBestOnly: true, saveWeightsOnly: true }),
        new callbacks.EarlyStopping({ patience: 2, restoreBestWeights: true }),
      ],
    });
    const best = Math.min(...history.val_loss);
    const { length } = history.val_loss;
    assert.ok(length < 8 && history.val_loss.indexOf(best) === length - 3, `${history.val_loss}`);
    const loaded = await models.XLMRobertaMaskedLM.fromPreset(TINY, { preprocessor: null, loadWeights: false });
    await loaded.loadWeights(filepath);
    for (const each of [model, loaded]) assert.equal((await each.testOnBatch(x, y)).loss, best);
    await Promise.all([model.dispose(), loaded.dispose()]);
  });
});

describe("a fit that is killed", () => {
  const program = fileURLToPath(new URL("killed_fit.ts", import.meta.url));
  const runtime = process.versions.deno ? ["run", "-A", "--no-check", program] : [program];

  /** Lives that die after so many batches, and one that comes to the end. */
  function lives(name: string, deaths: readonly number[]): { result: unknown; logs: string; steps: number } {
    const directory = join(root, name);
    mkdirSync(directory);
    for (const death of deaths) {
      const { signal, stderr } = spawnSync(process.execPath, [...runtime, directory], {
        env: { ...process.env, DIE_AFTER: String(death) },
      });
      assert.equal(signal, "SIGKILL", stderr.toString());
      assert.ok(existsSync(join(directory, "backup")));
    }
    const { DIE_AFTER: _, ...env } = process.env;
    const { status, stdout, stderr } = spawnSync(process.execPath, [...runtime, directory], { env });
    assert.equal(status, 0, stderr.toString());
    // An epoch whose end was logged, but not saved any more, is logged again: the last word counts.
    const lines = readFileSync(join(directory, "logs"), "utf8").trim().split("\n");
    return {
      result: JSON.parse(stdout.toString()),
      logs: [...new Map(lines.map((line) => [line.split(" ")[0], line])).values()].join("\n"),
      steps: readFileSync(join(directory, "steps"), "utf8").length,
    };
  }

  it("goes on to the same bits: weights, optimizer, averages, masks, dropout, logs", () => {
    const whole = lives("whole", []);
    const killed = lives("killed", [5, 4]);
    assert.deepEqual(killed.result, whole.result);
    assert.equal(killed.logs, whole.logs);
    assert.equal(whole.steps, 16);
    assert.ok(killed.steps > whole.steps && killed.steps <= whole.steps + 4, `${killed.steps} batches`);
  });
});
