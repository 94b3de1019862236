/** Training on a GPU: what KerasHub computes, and what becomes of weights and memory. Where there is no GPU: the error that says so. */

import assert from "node:assert/strict";
import { describe } from "node:test";
import { compile } from "../../codegen/compile.ts";
import { trainingRequest } from "../../codegen/training_request.ts";
import { models } from "../../mod.ts";
import { openBackend } from "../../runtime/backends.ts";
import { ProgramRunner } from "../../runtime/runner.ts";
import type { Tensor } from "../../runtime/tensor.ts";
import {
  assertLogs,
  assertRelative,
  assertTensor,
  fixture,
  type Golden,
  isKeyBias,
  optimizerOf,
  readFixture,
  worstDifference,
} from "../golden/goldens.ts";
import { onWebgpu } from "./with_webgpu.ts";

const PRESET = fixture("kerashub/xlm_roberta_tiny");
const golden = readFixture<Golden>("kerashub/xlm_roberta_tiny/golden.json");
const [first] = golden.batches;

/** Relative, of a loss: a GPU may round products, quotients and roots a few units off, and an optimizer carries that on. */
const TOLERANCE = 5e-6;

function loaded(): Promise<models.XLMRobertaMaskedLM> {
  return models.XLMRobertaMaskedLM.fromPreset(PRESET, { preprocessor: null, backend: "webgpu" });
}

describe("xlm_roberta_tiny on WebGPU", () => {
  onWebgpu("gives KerasHub's logits within 1e-5", async () => {
    const model = await loaded();
    assertTensor(await model.predictOnBatch(first.x) as Tensor, golden.logits, 1e-5, "logits");
    await Promise.all([model.dispose(), model.backbone.dispose()]);
  });

  onWebgpu("gives the loss within 1e-6 of it, and every gradient within 1e-5", async () => {
    const model = await loaded();
    const { program } = compile(model.expanded, { ...trainingRequest(model.expanded), provider: "webgpu" });
    const runner = new ProgramRunner(program, () => openBackend("webgpu"), model.parameters);
    const { loss, gradients } = await runner.run({ x: first.x, labels: first.y, sampleWeight: first.sample_weight, lossScale: 1 });
    await runner.dispose();
    assertRelative(loss, golden.loss!, 1e-6, "loss");
    assert.deepEqual([...gradients.keys()].sort(), Object.keys(golden.gradients!).sort());
    for (const [path, expected] of Object.entries(golden.gradients!)) {
      assertTensor({ shape: model.parameters.info(path).shape, data: gradients.get(path)! }, expected, 1e-5, path);
    }
    await Promise.all([model.dispose(), model.backbone.dispose()]);
  });

  for (const [name, run] of Object.entries(golden.runs)) {
    onWebgpu(`trains with ${name} as in KerasHub, every loss within 5e-6 of it`, async () => {
      const model = await loaded();
      if (run.optimizer) model.compile({ optimizer: optimizerOf(run.optimizer) });
      if (run.frozen_backbone) model.backbone.trainable = false;
      for (const [i, { x, y, sample_weight }] of golden.batches.entries()) {
        assertLogs(await model.trainOnBatch(x, y, sample_weight), run.steps[i], TOLERANCE, `step ${i}`);
      }
      assertLogs(await model.testOnBatch(first.x, first.y, first.sample_weight), run.evaluate_first_batch!, TOLERANCE, "evaluation");
      const weights = await model.getWeights();
      model.weights.forEach(({ path }, i) => {
        if (isKeyBias(path)) return;
        const { head } = run.final_weights![path];
        assert.ok(worstDifference(weights[i].data.subarray(0, head.length), head) <= 1e-5, path);
      });
      await Promise.all([model.dispose(), model.backbone.dispose()]);
    });
  }
});
