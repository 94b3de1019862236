/** A model whose large weights live in its optimizer's memory: every way of reading and writing weights finds them there. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { models, optimizers } from "../../mod.ts";
import type { Tensor } from "../../runtime/tensor.ts";

const root = mkdtempSync(join(tmpdir(), "onnxhub-moved-"));
after(() => rmSync(root, { recursive: true }));

const x = { token_ids: [[0, 5, 6, 2], [0, 7, 8, 2]], padding_mask: [[1, 1, 1, 1], [1, 1, 1, 1]], mask_positions: [[1, 2], [2, 0]] };
const y = [[9, 10], [11, 12]];

/** A masked language model whose embedding is large enough to move. */
function fresh(seed: number): models.XLMRobertaMaskedLM {
  const backbone = new models.XLMRobertaBackbone({
    vocabularySize: 9001,
    numLayers: 1,
    numHeads: 2,
    hiddenDim: 32,
    intermediateDim: 64,
    dropout: 0.1,
    maxSequenceLength: 8,
    seed,
  });
  const model = new models.XLMRobertaMaskedLM({ backbone, preprocessor: null });
  model.compile({ optimizer: new optimizers.Adam(0.01) });
  return model;
}

async function assertSame(actual: models.XLMRobertaMaskedLM, expected: readonly Tensor<"float32">[]): Promise<void> {
  (await actual.getWeights()).forEach(({ data }, i) => assert.deepEqual(data, expected[i].data, actual.weights[i].path));
}

const embedding = (model: models.XLMRobertaMaskedLM): Float32Array => {
  const { path } = model.weights.find(({ shape }) => shape[0] === 9001)!;
  return model.parameters.get(path);
};

describe("a model in training", () => {
  it("has its large weights in the optimizer's memory, and every file has their newest values", async () => {
    const model = fresh(1);
    await model.trainOnBatch(x, y);
    assert.ok(embedding(model).byteLength < embedding(model).buffer.byteLength);
    const weights = await model.getWeights();
    const inTraining = await model.predictOnBatch(x) as Tensor;

    const file = join(root, "model.weights.h5");
    await model.saveWeights(file);
    const other = fresh(2);
    await other.trainOnBatch(x, y);
    await other.loadWeights(file);
    await assertSame(other, weights);
    await other.setWeights((await fresh(3).getWeights()) as Tensor<"float32">[]);
    await other.setWeights(weights as Tensor<"float32">[]);
    await assertSame(other, weights);

    await model.dispose();
    const loose = embedding(other);
    await other.dispose();
    assert.ok(loose.byteLength < loose.buffer.byteLength);
    const third = fresh(4);
    await third.loadWeights(file);
    assert.deepEqual((await third.predictOnBatch(x) as Tensor).data, inTraining.data);
  });

  it("goes on after compiling anew, and its backbone after the task is gone", async () => {
    const model = fresh(5);
    await model.trainOnBatch(x, y);
    const first = embedding(model);
    model.compile({ optimizer: new optimizers.SGD(0) });
    const before = await model.getWeights();
    await model.trainOnBatch(x, y);
    assert.notEqual(embedding(model), first);
    await assertSame(model, before);
    const { backbone } = model;
    await model.dispose();
    const after = await backbone.getWeights();
    after.forEach(({ data }, i) => assert.deepEqual(data, before[i].data));
    await backbone.dispose();
  });
});
