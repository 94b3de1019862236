/** Filling masks: one text, several, several masks in one, and what is refused. */

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { models } from "../../mod.ts";
import type { Tensor } from "../../runtime/tensor.ts";
import { refused } from "./refused.ts";

const PRESET = fileURLToPath(new URL("../fixtures/kerashub/xlm_roberta_tiny", import.meta.url));
const ONE = "born <mask> and equal";
const TWO = "<mask> beings are <mask>";

describe("fillMask", () => {
  let maskedLM: models.XLMRobertaMaskedLM;
  before(async () => {
    maskedLM = await models.XLMRobertaMaskedLM.fromPreset(PRESET);
  });
  after(() => maskedLM.dispose());
  const tokenizer = () => maskedLM.preprocessor!.tokenizer;

  /** The probabilities at a position of a row, by the model itself. */
  async function probabilities(ids: readonly number[], position: number): Promise<Float64Array> {
    const { data } = await maskedLM.call({
      token_ids: [ids],
      padding_mask: [ids.map(() => 1)],
      mask_positions: [[position]],
    }) as Tensor<"float32">;
    const weights = Float64Array.from(data, (logit) => Math.exp(logit));
    const total = weights.reduce((a, b) => a + b, 0);
    return weights.map((weight) => weight / total);
  }

  it("gives the five likeliest tokens of one mask, best first, with ids, probabilities and the filled text", async () => {
    const filled = await maskedLM.fillMask(ONE);
    assert.equal(filled.length, 5);
    const [left, right] = tokenizer().tokenize(["born", "and equal"]);
    const mask = tokenizer().maskTokenId!;
    const expected = await probabilities([0, ...left, mask, ...right, 2], 1 + left.length);
    const order = Array.from(expected.keys()).sort((a, b) => expected[b] - expected[a]);
    assert.deepEqual(filled.map(({ id }) => id), order.slice(0, 5));
    for (const { id, score, token, text } of filled) {
      assert.ok(Math.abs(score - expected[id]) < 1e-6);
      assert.equal(token, tokenizer().idToToken(id));
      assert.equal(text, tokenizer().detokenize([...left, id, ...right]));
    }
  });

  it("gives as many as topK says, up to the whole vocabulary, whose probabilities add up to one", async () => {
    const [best] = await maskedLM.fillMask(ONE, { topK: 1 });
    assert.deepEqual([best], (await maskedLM.fillMask(ONE)).slice(0, 1));
    const all = await maskedLM.fillMask(ONE, { topK: 5000 });
    assert.equal(all.length, 2502);
    assert.ok(Math.abs(all.reduce((sum, { score }) => sum + score, 0) - 1) < 1e-6);
    assert.ok(all.every(({ score }, i) => i === 0 || score <= all[i - 1].score));
  });

  it("gives a list for each mask of each text, whatever their lengths, as each text alone would", async () => {
    const lists = await maskedLM.fillMask([TWO, ONE, "<mask>"], { topK: 3, batchSize: 2 });
    assert.deepEqual(lists.map((masks) => masks.map((list) => list.length)), [[3, 3], [3], [3]]);
    const alone = [await maskedLM.fillMask([TWO], { topK: 3 }), [[await maskedLM.fillMask(ONE, { topK: 3 })]]].flat();
    for (const [i, masks] of alone.entries()) {
      masks.forEach((list, m) =>
        list.forEach(({ id, token, text, score }, k) => {
          const found = lists[i][m][k];
          assert.deepEqual([found.id, found.token, found.text], [id, token, text]);
          assert.ok(Math.abs(found.score - score) < 1e-6);
        })
      );
    }
  });

  it("fills the other masks of a text with their likeliest tokens", async () => {
    const [[first, second]] = await maskedLM.fillMask([TWO], { topK: 2 });
    const middle = tokenizer().tokenize("beings are");
    assert.equal(first[1].text, tokenizer().detokenize([first[1].id, ...middle, second[0].id]));
    assert.equal(second[1].text, tokenizer().detokenize([first[0].id, ...middle, second[1].id]));
  });

  it("takes a vocabulary's own name of the mask", async () => {
    const vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "quick", "fox", "brown"];
    const bert = new models.BertTokenizer({ vocabulary });
    const backbone = new models.BertBackbone({
      vocabularySize: vocabulary.length,
      numLayers: 1,
      numHeads: 2,
      hiddenDim: 8,
      intermediateDim: 16,
      maxSequenceLength: 8,
    });
    const preprocessor = new models.BertMaskedLMPreprocessor({ tokenizer: bert, sequenceLength: 8 });
    const model = new models.BertMaskedLM({ backbone, preprocessor });
    const own = await model.fillMask("the [MASK] fox");
    assert.deepEqual(own, await model.fillMask("the <mask> fox"));
    assert.ok(own.every(({ token }) => vocabulary.includes(token)));
    await model.dispose();
    await backbone.dispose();
  });

  it("refuses a text without a mask, several masks in one text, a mask that is cut off, and options that make no sense", async () => {
    await refused(() => maskedLM.fillMask("born free"), "model/no-mask", /<mask>/, /born free/);
    await refused(() => maskedLM.fillMask([ONE, "born free"]), "model/no-mask", /texts\[1\]/);
    await refused(() => maskedLM.fillMask(TWO), "model/masks", /found 2/, /fillMask\(\[text\]\)/);
    await refused(() => maskedLM.fillMask(`${"free ".repeat(20)}<mask>`), "model/mask-cut", /at most 10 tokens/);
    await refused(() => maskedLM.fillMask(ONE, { topK: 0 }), "model/option", /topK/, /above 0/);
    await refused(() => maskedLM.fillMask(ONE, { topk: 3 } as object), "model/option", /Did you mean `topK`\?/);
    await refused(() => maskedLM.fillMask(7 as unknown as string), "text/not-a-string", /number/);
    const bare = await models.XLMRobertaMaskedLM.fromPreset(PRESET, { preprocessor: null });
    await refused(() => bare.fillMask(ONE), "model/no-preprocessor", /preprocessor/);
    await bare.dispose();
  });

  it("gives nothing for no texts", async () => assert.deepEqual(await maskedLM.fillMask([]), []));
});
