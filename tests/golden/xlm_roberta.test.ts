/** A tiny XLM-RoBERTa against KerasHub's own: outputs, loss, gradients, 28 training runs, weights. */

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { compile } from "../../codegen/compile.ts";
import { trainingRequest } from "../../codegen/training_request.ts";
import { models } from "../../mod.ts";
import { openBackend } from "../../runtime/backends.ts";
import { ProgramRunner } from "../../runtime/runner.ts";
import {
  assertLogs,
  assertRelative,
  assertTensor,
  type Digest,
  fixture,
  type Golden,
  type GoldenArray,
  isKeyBias,
  optimizerOf,
  readFixture,
  worstDifference,
} from "./goldens.ts";

const PRESET = fixture("kerashub/xlm_roberta_tiny");
const golden = readFixture<Golden>("kerashub/xlm_roberta_tiny/golden.json");
const [first] = golden.batches;

function load(): Promise<models.XLMRobertaMaskedLM> {
  return models.XLMRobertaMaskedLM.fromPreset(PRESET, { preprocessor: null });
}

/** Requires the first elements within 5e-6, the sums within 1e-6 for each element that goes into them. */
function assertDigest(data: Float32Array, expected: Digest, path: string): void {
  const head = data.subarray(0, expected.head.length);
  assert.ok(worstDifference(head, expected.head) <= 5e-6, `${path}: begins with ${head} instead of ${expected.head}`);
  const sums = { sum: data.reduce((a, b) => a + b, 0), abs_sum: data.reduce((a, b) => a + Math.abs(b), 0) };
  for (const name of ["sum", "abs_sum"] as const) {
    const off = Math.abs(sums[name] - expected[name]);
    assert.ok(off <= 1e-6 * data.length, `${path}: ${name} is ${sums[name]} instead of ${expected[name]}`);
  }
}

describe("xlm_roberta_tiny computes what KerasHub computes", () => {
  let model: models.XLMRobertaMaskedLM;
  before(async () => {
    model = await load();
  });
  after(() => model.dispose());

  it("the backbone's output within 1e-5", async () => {
    const { mask_positions: _, ...x } = first.x;
    const { sequence_output } = await model.backbone.predict(x);
    assertTensor(sequence_output, golden.backbone_output as GoldenArray, 1e-5, "backbone_output");
  });

  it("the logits within 1e-5", async () => {
    const logits = await model.predictOnBatch(first.x);
    assertTensor(logits as GoldenArray & typeof logits, golden.logits, 1e-5, "logits");
  });

  it("the loss within 1e-6 of it and every gradient within 1e-5, with the weights in KerasHub's order", async () => {
    const { program } = compile(model.expanded, trainingRequest(model.expanded));
    assert.deepEqual(program.weights.map(({ path }) => path), Object.keys(golden.gradients!));
    const runner = new ProgramRunner(program, () => openBackend("wasm", {}), model.parameters);
    const { loss, gradients } = await runner.run({ x: first.x, labels: first.y, sampleWeight: first.sample_weight, lossScale: 1 });
    await runner.dispose();
    assertRelative(loss, golden.loss!, 1e-6, "loss");
    assert.deepEqual([...gradients.keys()].sort(), Object.keys(golden.gradients!).sort());
    for (const [path, expected] of Object.entries(golden.gradients!)) {
      assertTensor({ shape: model.parameters.info(path).shape, data: gradients.get(path)! }, expected, 1e-5, path);
    }
  });

  it("gradients times the loss scale that it is given", async () => {
    const { program } = compile(model.expanded, trainingRequest(model.expanded));
    const runner = new ProgramRunner(program, () => openBackend("wasm", {}), model.parameters);
    const { loss, gradients } = await runner.run({ x: first.x, labels: first.y, sampleWeight: first.sample_weight, lossScale: 4 });
    await runner.dispose();
    assertRelative(loss, golden.loss!, 1e-6, "loss");
    for (const [path, { data }] of Object.entries(golden.gradients!)) {
      assert.ok(worstDifference(gradients.get(path)!, data.map((value) => 4 * value)) <= 4e-5, path);
    }
  });
});

describe("xlm_roberta_tiny trains as in KerasHub", () => {
  assert.equal(Object.keys(golden.runs).length, 28);
  for (const [name, run] of Object.entries(golden.runs)) {
    it(`with ${name}: every loss within 5e-6 of it, metrics, evaluation and final weights`, async () => {
      const model = await load();
      if (run.optimizer) model.compile({ optimizer: optimizerOf(run.optimizer) });
      if (run.frozen_backbone) model.backbone.trainable = false;
      assert.equal(run.steps.length, golden.batches.length);
      for (const [i, { x, y, sample_weight }] of golden.batches.entries()) {
        assertLogs(await model.trainOnBatch(x, y, sample_weight), run.steps[i], 5e-6, `step ${i}`);
      }
      assertLogs(await model.testOnBatch(first.x, first.y, first.sample_weight), run.evaluate_first_batch!, 5e-6, "evaluation");
      assert.deepEqual(model.weights.map(({ path }) => path), Object.keys(run.final_weights!));
      for (const [path, expected] of Object.entries(run.final_weights!)) {
        if (isKeyBias(path)) continue;
        assertDigest(model.parameters.get(path), expected, path);
      }
      await model.dispose();
    });
  }

  it("so that after `adam` every weight is within 1e-5 of what KerasHub saved", async () => {
    const model = await load();
    model.compile({ optimizer: optimizerOf(golden.runs.adam.optimizer!) });
    for (const { x, y, sample_weight } of golden.batches) await model.trainOnBatch(x, y, sample_weight);
    const saved = await models.XLMRobertaMaskedLM.fromPreset(fixture("kerashub/xlm_roberta_tiny_after_adam"), { preprocessor: null });
    assert.equal(model.weights.length, 41);
    for (const { path } of model.weights) {
      if (isKeyBias(path)) continue;
      const worst = worstDifference(model.parameters.get(path), saved.parameters.get(path));
      assert.ok(worst <= 1e-5, `${path}: differs by ${worst}`);
    }
    await Promise.all([model.dispose(), saved.dispose()]);
  });
});
