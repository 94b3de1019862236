/** Quantized models: how far they are from float32, what their sessions hold, what still runs in float32, and what is refused. */

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { models } from "../../mod.ts";
import type { Tensor } from "../../runtime/tensor.ts";
import { SENTENCES } from "../presets/declaration_sentences.ts";
import { refused } from "./refused.ts";

const TEXTS = SENTENCES.map(([sentence]) => sentence);
const TOKENS = SENTENCES.map(([, token]) => token);

/** The greatest difference of a logit that each format may make in the shipped preset, whose logits reach from about -20 to 20. */
const TOLERANCES = { float16: 0.02, int8: 1 } as const;

describe("a quantized masked language model", () => {
  let maskedLM: models.MaskedLM;
  before(async () => {
    maskedLM = await models.MaskedLM.fromPreset("xlm_roberta_declaration");
  });
  after(() => maskedLM.dispose());
  const tokens = async () => (await maskedLM.fillMask(TEXTS, { topK: 1 })).map(([[best]]) => best.token);

  for (const mode of ["float16", "int8"] as const) {
    it(`in ${mode} fills all masks as float32 does, with logits within ${TOLERANCES[mode]}`, async () => {
      await maskedLM.quantize(mode);
      assert.equal(maskedLM.quantization, mode);
      assert.deepEqual(await tokens(), TOKENS);
      const change = await maskedLM.compareQuantizedMasks(TEXTS, { batchSize: 4 });
      assert.ok(change.greatest > 0 && change.greatest <= TOLERANCES[mode], String(change.greatest));
      assert.ok(change.mean > 0 && change.mean < change.greatest / 2, String(change.mean));
      const vocabulary = maskedLM.preprocessor!.tokenizer.vocabularySize;
      assert.deepEqual([change.rows, change.sameBest, change.elements], [TEXTS.length, TEXTS.length, TEXTS.length * vocabulary]);
    });
  }

  it("gives the change of an output that is the difference of `call` before and after", async () => {
    const x = { token_ids: [[0, 17, 250, 3000, 2]], padding_mask: [[1, 1, 1, 1, 1]], mask_positions: [[1, 3]] };
    await maskedLM.quantize("float32");
    const exact = await maskedLM.call(x) as Tensor<"float32">;
    await maskedLM.quantize("int8");
    const found = await maskedLM.call(x) as Tensor<"float32">;
    const differences = exact.data.map((value, i) => Math.abs(value - found.data[i]));
    const [change] = Object.values(await maskedLM.compareQuantized(x));
    // Weights that are fed and weights that are held differ in the last bits.
    assert.ok(Math.abs(change.greatest - differences.reduce((a, b) => Math.max(a, b))) < 1e-4);
    assert.equal(change.rows, 2);
  });

  it("is not to be trained, but evaluated in float32, and trained once it is back in float32", async () => {
    maskedLM.compile();
    await maskedLM.quantize("float32");
    const before = await maskedLM.evaluate({ x: TEXTS.slice(0, 2), batchSize: 2, verbose: 0 });
    await maskedLM.quantize("int8");
    await refused(() => maskedLM.fit({ x: TEXTS, verbose: 0 }), "model/quantized", /int8/, /quantize\("float32"\)/);
    await refused(() => maskedLM.trainOnBatch(TEXTS), "model/quantized");
    assert.deepEqual(await maskedLM.evaluate({ x: TEXTS.slice(0, 2), batchSize: 2, verbose: 0 }), before);
    await maskedLM.quantize("float32");
    assert.ok(Number.isFinite((await maskedLM.trainOnBatch(TEXTS.slice(0, 2))).loss));
  });

  it("refuses a mode that there is not, a comparison of nothing, and options that there are not", async () => {
    await refused(() => maskedLM.quantize("int7" as "int8"), "model/quantize-mode", /int8, float16, float32/, /Did you mean "int8"/);
    await maskedLM.quantize("float32");
    await refused(() => maskedLM.compareQuantizedMasks(TEXTS), "model/not-quantized", /quantize\("int8"\)/);
    await maskedLM.quantize("int8");
    await refused(() => maskedLM.compareQuantizedMasks(["no mask"]), "model/no-mask");
    await refused(() => maskedLM.compareQuantizedMasks(TEXTS, { batchSize: 0 }), "model/option", /batchSize/);
  });
});

describe("a quantized backbone", () => {
  const make = (backend?: "webgpu") =>
    new models.XLMRobertaBackbone({
      vocabularySize: 50,
      numLayers: 2,
      numHeads: 2,
      hiddenDim: 16,
      intermediateDim: 32,
      maxSequenceLength: 8,
      backend,
    });
  const x = { token_ids: [[0, 5, 6, 2], [0, 9, 2, 1]], padding_mask: [[1, 1, 1, 1], [1, 1, 1, 0]] };

  it("follows its weights, which stay float32", async () => {
    const backbone = make();
    const weights = await backbone.getWeights();
    await backbone.quantize("int8");
    const first = await backbone.predict(x);
    const [change] = Object.values(await backbone.compareQuantized(x));
    assert.ok(change.greatest > 0 && change.greatest < 0.05, String(change.greatest));
    assert.deepEqual(await backbone.getWeights(), weights);
    const halved = weights.map((weight) => ({ ...weight, data: weight.data.map((value) => value / 2) }));
    await backbone.setWeights(halved);
    const second = await backbone.predict(x);
    assert.notDeepEqual(second.sequence_output.data, first.sequence_output.data);
    const [again] = Object.values(await backbone.compareQuantized(x));
    assert.ok(again.greatest < 0.05, String(again.greatest));
    await backbone.setWeights(weights);
    assert.deepEqual(await backbone.predict(x), first);
    await backbone.dispose();
    await refused(() => backbone.predict(x), "model/disposed");
  });

  it("runs for several callers at once", async () => {
    const backbone = make();
    await backbone.quantize("int8");
    const [first, second] = await Promise.all([backbone.predict(x), backbone.predict(x)]);
    assert.deepEqual(first, second);
    await backbone.dispose();
  });

  it("is refused on a GPU, and with weights that the format can't hold, by their names", async () => {
    await refused(() => make("webgpu").quantize("int8"), "model/quantize-backend", /webgpu/, /backend: "wasm"/);
    const backbone = make();
    const { path, shape } = backbone.weights.find(({ path }) => path.includes("intermediate_dense/kernel"))!;
    const values = (value: number) => ({
      dtype: "float32" as const,
      shape,
      data: new Float32Array(shape.reduce((a, b) => a * b)).fill(value),
    });
    backbone.parameters.set(path, values(1e5));
    await backbone.quantize("float16");
    await refused(() => backbone.predict(x), "model/float16", /65504/, /intermediate_dense\/kernel/);
    for (const wrong of [NaN, Infinity]) {
      const one = values(1);
      one.data[3] = wrong; // numbers follow it
      backbone.parameters.set(path, one);
      for (const mode of ["float16", "int8"] as const) {
        await backbone.quantize(mode);
        await refused(() => backbone.predict(x), "model/not-finite", /intermediate_dense\/kernel/, new RegExp(String(wrong)));
      }
    }
    backbone.parameters.set(path, values(1));
    assert.ok((await backbone.predict(x)).sequence_output.data.every(Number.isFinite));
    await backbone.dispose();
  });
});
