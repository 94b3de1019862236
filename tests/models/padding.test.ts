/** Padding costs nothing: columns that are padding in every row are left out, and outputs, losses and gradients stay what they were. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { lowerModel } from "../../codegen/lowering/model.ts";
import { paddingOf } from "../../codegen/padding.ts";
import { models } from "../../mod.ts";
import { unpadded } from "../../runtime/unpadded.ts";
import type { Tensor } from "../../runtime/tensor.ts";
import { derive, expand, load, type Spec } from "../../spec/index.ts";
import type { ConfigValue } from "../../spec/types.ts";

const SIZES = { vocabulary_size: 30, num_layers: 1, num_heads: 2, hidden_dim: 8, intermediate_dim: 16 };

function paddingFor(spec: Spec, task: string, config: Readonly<Record<string, ConfigValue>> = SIZES): ReturnType<typeof paddingOf> {
  const taskConfig: Record<string, ConfigValue> = task === "text_classifier" ? { num_classes: 2 } : {};
  const expanded = expand(spec, { config, task, taskConfig });
  return paddingOf(expanded, Object.values(lowerModel(expanded, { training: false }).outputs).map(({ shape }) => shape));
}

const int32 = (rows: readonly (readonly number[])[]): Tensor<"int32"> => ({
  dtype: "int32",
  shape: [rows.length, rows[0].length],
  data: Int32Array.from(rows.flat()),
});

/** Two rows of 5 and 3 tokens, padded to a width. */
function rows(width: number): { token_ids: Tensor; padding_mask: Tensor } {
  const texts = [[0, 7, 8, 9, 2], [0, 11, 2]];
  const pad = (row: readonly number[], value: number) => [...row, ...new Array<number>(width - row.length).fill(value)];
  return { token_ids: int32(texts.map((row) => pad(row, 1))), padding_mask: int32(texts.map((row) => pad(row.map(() => 1), 0))) };
}

const positions = int32([[1, 3], [1, 0]]);
const close = (one: ArrayLike<number>, other: ArrayLike<number>) => {
  assert.equal(one.length, other.length);
  for (let i = 0; i < one.length; i++) assert.ok(Math.abs(one[i] - other[i]) <= 2e-6, `${one[i]} and ${other[i]} at ${i}`);
};

describe("the padding of a model", () => {
  it("may be left out by masked language models and classifiers, not by what gives a value for every token", async () => {
    assert.deepEqual(paddingFor(await load("xlm_roberta"), "masked_lm"), { mask: "padding_mask", symbol: "sequence" });
    assert.deepEqual(paddingFor(await load("bert"), "text_classifier"), { mask: "padding_mask", symbol: "sequence" });
    const { num_heads: _, ...rest } = SIZES;
    assert.equal(paddingFor(await load("llama"), "causal_lm", { ...rest, num_query_heads: 2, num_key_value_heads: 2 }), null);
  });

  it("must stay where a layer sees it: attention without a mask", async () => {
    const blind = derive(await load("roberta"), {
      layers: [{ at: "blocks/self_attention/attention", set: { in: { query: "query", key: "key", value: "value" } } }],
    });
    assert.equal(paddingFor(blind, "masked_lm"), null);
  });
});

describe("a padded batch", () => {
  const spec = { mask: "padding_mask", symbol: "sequence", limit: 512 };
  const inputs = {
    token_ids: { shape: ["batch", "sequence"] },
    padding_mask: { shape: ["batch", "sequence"] },
    mask_positions: { shape: ["batch", "masks"], below: "sequence" },
  } as never;
  const widthOf = (x: Readonly<Record<string, Tensor>>) => x.token_ids.shape[1];

  it("is cut to the longest row, rounded up to a multiple of 8", () => {
    const cut = unpadded({ ...rows(64), mask_positions: positions }, { ...spec, inputs });
    assert.deepEqual([cut.token_ids.shape, cut.padding_mask.shape, cut.mask_positions.shape], [[2, 8], [2, 8], [2, 2]]);
    assert.deepEqual([...cut.token_ids.data], [0, 7, 8, 9, 2, 1, 1, 1, 0, 11, 2, 1, 1, 1, 1, 1]);
  });
  it("keeps the columns that something points at", () => {
    assert.equal(widthOf(unpadded({ ...rows(64), mask_positions: int32([[40, 0], [0, 0]]) }, { ...spec, inputs })), 48);
  });
  it("is left as it is where inputs disagree, are longer than the model takes, or have no padding", () => {
    const odd = { ...rows(64), token_ids: rows(32).token_ids };
    assert.equal(unpadded(odd, { ...spec, inputs }), odd);
    const long = rows(64);
    assert.equal(unpadded(long, { ...spec, inputs, limit: 63 }), long);
    const full = rows(8);
    assert.equal(unpadded(full, { ...spec, inputs }), full);
  });

  it("gives the outputs, losses and weights of one that was padded less", async () => {
    const make = () => {
      const backbone = new models.XLMRobertaBackbone({
        vocabularySize: 30,
        numLayers: 2,
        numHeads: 2,
        hiddenDim: 16,
        intermediateDim: 32,
        dropout: 0,
        seed: 3,
      });
      return new models.XLMRobertaMaskedLM({ backbone });
    };
    const [wide, narrow] = [make(), make()];
    const y = int32([[7, 9], [11, 0]]);
    const weights = { dtype: "float32" as const, shape: [2, 2], data: Float32Array.of(1, 1, 1, 0) };
    const x = (width: number) => ({ ...rows(width), mask_positions: positions });
    close((await wide.predictOnBatch(x(64)) as Tensor).data, (await narrow.predictOnBatch(x(6)) as Tensor).data);
    for (let step = 0; step < 2; step++) {
      const [one, other] = [await wide.trainOnBatch(x(64), y, weights), await narrow.trainOnBatch(x(6), y, weights)];
      close([one.loss], [other.loss]);
    }
    close([(await wide.testOnBatch(x(64), y)).loss], [(await narrow.testOnBatch(x(6), y)).loss]);
    await Promise.all([wide.dispose(), narrow.dispose()]);
  });
});
