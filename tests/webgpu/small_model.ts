/** A model that trains on a GPU in no time, with batches for it. */

import assert from "node:assert/strict";
import { OnnxHubError } from "../../errors.ts";
import { models, optimizers } from "../../mod.ts";
import type { BackendChoice } from "../../runtime/backend.ts";

/** Adam on a masked language model of one layer. */
export function small(backend: BackendChoice, options: { dropout?: number; vocabularySize?: number } = {}): models.XLMRobertaMaskedLM {
  const backbone = new models.XLMRobertaBackbone({
    vocabularySize: 50,
    numLayers: 1,
    numHeads: 2,
    hiddenDim: 16,
    intermediateDim: 24,
    maxSequenceLength: 12,
    dropout: 0.3,
    seed: 3,
    backend,
    ...options,
  });
  const model = new models.XLMRobertaMaskedLM({ backbone });
  model.compile({ optimizer: new optimizers.Adam(0.01) });
  return model;
}

/** Disposes of models with their backbones. */
export async function end(...all: models.XLMRobertaMaskedLM[]): Promise<void> {
  for (const model of all) {
    await model.dispose();
    await model.backbone.dispose();
  }
}

/** A batch whose numbers are a function of the seed. */
export function batch(seed: number, rows = 2, length = 6): { x: Record<string, number[][]>; y: number[][] } {
  const ids = (count: number, below: number, salt: number) =>
    Array.from({ length: rows }, (_, i) => Array.from({ length: count }, (_, j) => (seed * 31 + i * 17 + j * 7 + salt * 13) % below));
  return {
    x: { token_ids: ids(length, 50, 1), padding_mask: ids(length, 1, 0).map((row) => row.map(() => 1)), mask_positions: ids(2, length, 2) },
    y: ids(2, 50, 3),
  };
}

/** Trains on the batches [from, to); the losses. */
export async function steps(model: models.XLMRobertaMaskedLM, from: number, to: number): Promise<number[]> {
  const losses: number[] = [];
  for (let step = from; step < to; step++) {
    const { x, y } = batch(step);
    losses.push((await model.trainOnBatch(x as never, y)).loss);
  }
  return losses;
}

/** Requires an error of a code, whose message matches. */
export const code = (expected: string, says?: RegExp) => (error: unknown): true => {
  assert.ok(error instanceof OnnxHubError, String(error));
  assert.equal(error.code, expected, error.message);
  if (says) assert.match(error.message, says);
  return true;
};
