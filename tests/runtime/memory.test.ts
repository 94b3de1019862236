/** Memory, foreseen: what doesn't fit is refused before anything is allocated, with how much it takes and what would fit. */

import assert from "node:assert/strict";
import process from "node:process";
import { describe, it } from "node:test";
import { OnnxHubError } from "../../errors.ts";
import { GraphBuilder } from "../../codegen/ir/builder.ts";
import { models, optimizers } from "../../mod.ts";
import { firstThatFits, requireHostMemory } from "../../runtime/memory.ts";

/** XLM-R large, with weights that are made when they are first needed. */
function large(): models.XLMRobertaMaskedLM {
  const backbone = new models.XLMRobertaBackbone({
    vocabularySize: 250_002,
    numLayers: 24,
    numHeads: 16,
    hiddenDim: 1024,
    intermediateDim: 4096,
  });
  backbone.trainable = false;
  return new models.XLMRobertaMaskedLM({ backbone });
}

const rows = (batch: number, length: number, value: number) => ({
  dtype: "int32" as const,
  shape: [batch, length],
  data: new Int32Array(batch * length).fill(value),
});

async function refusal(batch: number, sequence: number, masks: number): Promise<OnnxHubError> {
  const model = large();
  const x = { token_ids: rows(batch, sequence, 5), padding_mask: rows(batch, sequence, 1), mask_positions: rows(batch, masks, 1) };
  try {
    await model.trainOnBatch(x, rows(batch, masks, 7));
  } catch (error) {
    assert.ok(error instanceof OnnxHubError, String(error));
    return error;
  } finally {
    await model.dispose();
  }
  assert.fail("it fitted");
}

describe("what doesn't fit into the machine's memory", () => {
  const enormous = (optimizer: optimizers.Optimizer) => {
    const backbone = new models.XLMRobertaBackbone({
      vocabularySize: 2_000_000,
      numLayers: 500,
      numHeads: 64,
      hiddenDim: 8192,
      intermediateDim: 32768,
    });
    const model = new models.XLMRobertaMaskedLM({ backbone, preprocessor: null });
    model.compile({ optimizer });
    return model;
  };

  it("is refused before any weight is made: a model of 400 billion parameters, with how much they and their slots are", async () => {
    const model = enormous(new optimizers.Adam());
    const before = process.memoryUsage().rss;
    await assert.rejects(
      model.trainOnBatch({ token_ids: rows(1, 8, 5), mask_positions: rows(1, 1, 1) }, rows(1, 1, 7)),
      (error: unknown) => {
        assert.ok(error instanceof OnnxHubError);
        assert.equal(error.code, "backend/memory");
        assert.match(error.found!, /^1[\d.]+ GiB of weights, 3[\d.]+ GiB beside them$/);
        return true;
      },
    );
    assert.ok(process.memoryUsage().rss - before < 2 ** 30);
    await model.dispose();
  });
  it("is told what would fit", () => {
    assert.throws(() => requireHostMemory(100, 200, 250), /SGD without momentum/);
    assert.throws(() => requireHostMemory(300, 0, 250), /smaller model/);
    requireHostMemory(100, 100, 250);
  });
  it("is refused on the backend that has all of it: a batch too large by far, with the one that would fit", () => {
    const graph = new GraphBuilder("wide");
    graph.output("y", graph.exp(graph.input("x", "float32", ["batch", 1000])));
    const stageGraphs = [graph.finish()];
    const plans = [() => ({ stageGraphs })];
    assert.throws(
      () => firstThatFits(plans, "native", { batch: 1e12 }),
      (error: unknown) => error instanceof OnnxHubError && /^A batch of \d+ would fit\.$/.test(error.remedy!),
    );
    assert.equal(firstThatFits(plans, "native", { batch: 4 }).stageGraphs.length, 1);
  });
});

describe("a batch that can't fit into WebAssembly's 4 GiB", () => {
  it("is refused with what it needs, what there is, and the batch that would fit, before any weight is made", async () => {
    const before = process.memoryUsage().rss;
    const error = await refusal(512, 512, 76);
    assert.ok(process.memoryUsage().rss - before < 2 ** 30);
    assert.equal(error.code, "backend/memory");
    assert.match(error.path!, /batch 512/);
    assert.equal(error.expected, "at most 4.00 GiB");
    assert.match(error.found!, /^about \d+\.\d\d GiB$/);
    const fits = Number(/A batch of (\d+) would fit/.exec(error.remedy!)![1]);
    assert.ok(fits >= 4 && fits < 512, error.remedy);
  });
});
