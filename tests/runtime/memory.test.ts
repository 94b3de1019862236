/** Memory, foreseen: what doesn't fit is refused before anything is allocated, with how much it takes and what would fit. */

import assert from "node:assert/strict";
import process from "node:process";
import { describe, it } from "node:test";
import { OnnxHubError } from "../../errors.ts";
import { models } from "../../mod.ts";

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
