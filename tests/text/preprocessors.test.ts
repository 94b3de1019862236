/** The preprocessors, against KerasHub's outputs and its own tests. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { CausalLMPreprocessing, MaskedLMPreprocessing, TextClassifierPreprocessing, type TextTensor } from "../../text/preprocessors.ts";
import { SentencePieceTokenizer } from "../../text/sentencepiece.ts";
import { WordPieceTokenizer } from "../../text/wordpiece.ts";
import { KERASHUB_TEST_MODEL } from "./sentencepiece_models.ts";

const fixture = (name: string): URL => new URL(`../fixtures/tokenizer/${name}`, import.meta.url);
const tokenizer = new SentencePieceTokenizer({ proto: KERASHUB_TEST_MODEL, remap: "fairseq" });
const roberta = { tokenizer, separators: 2, inputs: ["token_ids", "padding_mask", "mask_positions"] };
const values = (tensor: TextTensor): number[] => Array.from(tensor.data);

describe("MaskedLMPreprocessing", () => {
  const certain = { ...roberta, sequenceLength: 12, maskSelectionRate: 1, maskSelectionLength: 4, maskTokenRate: 1, randomTokenRate: 0 };

  it("gives what KerasHub's test expects", () => {
    const { x, y, sampleWeight } = new MaskedLMPreprocessing(certain).call(["the quick brown fox"]);
    assert.deepEqual(Object.keys(x), ["token_ids", "padding_mask", "mask_positions"]);
    assert.deepEqual(x.token_ids, { dtype: "int32", shape: [1, 12], data: Int32Array.of(0, 13, 13, 13, 13, 2, 1, 1, 1, 1, 1, 1) });
    assert.deepEqual(x.padding_mask, { dtype: "bool", shape: [1, 12], data: Uint8Array.of(1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0) });
    assert.deepEqual(x.mask_positions, { dtype: "int32", shape: [1, 4], data: Int32Array.of(1, 2, 3, 4) });
    assert.deepEqual(y, { dtype: "int32", shape: [1, 4], data: Int32Array.of(6, 11, 7, 9) });
    assert.deepEqual(sampleWeight, { dtype: "float32", shape: [1, 4], data: Float32Array.of(1, 1, 1, 1) });
  });

  it("masks nothing at a rate of 0", () => {
    const { x, y, sampleWeight } = new MaskedLMPreprocessing({ ...certain, maskSelectionRate: 0 }).call(["the quick brown fox"]);
    assert.deepEqual(values(x.token_ids), [0, 6, 11, 7, 9, 2, 1, 1, 1, 1, 1, 1]);
    assert.deepEqual([x.mask_positions, y, sampleWeight].map(values), [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]);
  });

  it("truncates to the sequence length and pads selections", () => {
    const preprocessing = new MaskedLMPreprocessing({ ...certain, sequenceLength: 5, maskSelectionLength: 5 });
    const { x, y, sampleWeight } = preprocessing.call(["the quick brown fox.", "the earth is round"]);
    assert.deepEqual(values(x.token_ids), [0, 13, 13, 13, 2, 0, 13, 13, 13, 2]);
    assert.deepEqual(values(x.mask_positions), [1, 2, 3, 0, 0, 1, 2, 3, 0, 0]);
    assert.deepEqual(values(y), [6, 11, 7, 0, 0, 6, 8, 10, 0, 0]);
    assert.deepEqual(values(sampleWeight), [1, 1, 1, 0, 0, 1, 1, 1, 0, 0]);
  });

  it("takes the padding mask before it masks", () => {
    const all = new MaskedLMPreprocessing({ ...certain, maskTokenRate: 0, randomTokenRate: 1, maskSelectionLength: 8 });
    for (let epoch = 0; epoch < 50; epoch++) {
      assert.deepEqual(values(all.call(["the quick brown fox"], { epoch }).x.padding_mask), [1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0]);
    }
  });

  it("never masks special tokens and draws anew each epoch", () => {
    const preprocessing = new MaskedLMPreprocessing({ ...roberta, sequenceLength: 12, maskSelectionRate: 0.5, maskSelectionLength: 3 });
    const seen = new Set<string>();
    for (let epoch = 0; epoch < 60; epoch++) {
      const { x, y } = preprocessing.call(["the quick brown fox"], { epoch });
      assert.deepEqual(preprocessing.call(["the quick brown fox"], { epoch }).x, x);
      values(x.mask_positions).slice(0, 2).forEach((position) => assert.ok(position >= 1 && position <= 4));
      assert.ok(values(y).slice(0, 2).every((id) => [6, 11, 7, 9].includes(id)));
      seen.add(values(x.mask_positions).join());
    }
    assert.equal(seen.size, 6);
  });

  it("joins segments with two separators, without a batch axis for one text", () => {
    const { x, y } = new MaskedLMPreprocessing({ ...certain, maskSelectionRate: 0 }).call([["the fox"], ["the earth"]]);
    assert.deepEqual(values(x.token_ids), [0, 6, 9, 2, 2, 6, 8, 2, 1, 1, 1, 1]);
    const one = new MaskedLMPreprocessing(certain).call("the fox");
    assert.deepEqual([one.x.token_ids.shape, one.x.mask_positions.shape, one.y.shape, one.sampleWeight.shape], [[12], [4], [4], [4]]);
    assert.deepEqual(y.shape, [1, 4]);
  });

  it("has KerasHub's defaults", () => {
    const preprocessing = new MaskedLMPreprocessing({ tokenizer });
    assert.deepEqual(preprocessing.getConfig(), {
      sequence_length: 512,
      truncate: "round_robin",
      mask_selection_rate: 0.15,
      mask_selection_length: 96,
      mask_token_rate: 0.8,
      random_token_rate: 0.1,
    });
    const { x, y } = preprocessing.call(["the fox"]);
    assert.deepEqual(Object.keys(x), ["token_ids", "padding_mask", "segment_ids", "mask_positions"]);
    assert.deepEqual([x.token_ids.shape, y.shape], [[1, 512], [1, 96]]);
    preprocessing.sequenceLength = 8;
    assert.deepEqual(preprocessing.call(["the fox"]).x.segment_ids.shape, [1, 8]);
  });

  it("refuses a tokenizer without a mask token, no room for selections, and what is no text", () => {
    const special = { start: "[CLS]", end: "[SEP]", pad: "[PAD]", unknown: "[UNK]" };
    const maskless = new WordPieceTokenizer({ vocabulary: Object.values(special), specialTokens: special });
    assert.throws(() => new MaskedLMPreprocessing({ tokenizer: maskless }), { code: "text/mask-token" });
    assert.throws(() => new MaskedLMPreprocessing({ tokenizer, maskSelectionLength: 0 }), { code: "text/mask-length" });
    const preprocessing = new MaskedLMPreprocessing(certain);
    assert.throws(() => preprocessing.call([1, 2] as unknown as string[]), { code: "text/not-a-string", path: "texts[0]" });
    assert.throws(() => preprocessing.call({} as unknown as string), { code: "text/not-a-string", path: "x" });
    assert.throws(() => preprocessing.call([["a"], ["b", "c"]]), { code: "text/segments" });
  });
});

describe("TextClassifierPreprocessing", () => {
  const inputs = ["token_ids", "padding_mask"];

  it("gives what KerasHub's test expects, and y and the weights as they are", () => {
    const y = [1];
    const sampleWeight = [1];
    const batch = new TextClassifierPreprocessing({ tokenizer, separators: 2, inputs, sequenceLength: 8 }).call(
      ["the quick brown fox"],
      y,
      sampleWeight,
    );
    assert.deepEqual(values(batch.x.token_ids), [0, 6, 11, 7, 9, 2, 1, 1]);
    assert.deepEqual(values(batch.x.padding_mask), [1, 1, 1, 1, 1, 1, 0, 0]);
    assert.deepEqual(Object.keys(batch), ["x", "y", "sampleWeight"]);
    assert.equal(batch.y, y);
    assert.equal(batch.sampleWeight, sampleWeight);
  });

  it("leaves out what was not given", () => {
    assert.deepEqual(Object.keys(new TextClassifierPreprocessing({ tokenizer }).call(["the fox"])), ["x"]);
  });

  it("packs as KerasHub does, single texts and pairs", () => {
    interface Packed {
      token_ids: { shape: number[]; data: number[] };
      padding_mask: { shape: number[]; data: boolean[] };
    }
    const golden = JSON.parse(readFileSync(fixture("kerashub-text.json"), "utf8")) as {
      texts: string[];
      packed: Packed;
      packed_pairs: Packed;
    };
    const udhr = new SentencePieceTokenizer({ proto: readFileSync(fixture("kerashub-vocabulary.spm")), remap: "fairseq" });
    const preprocessing = new TextClassifierPreprocessing({ tokenizer: udhr, separators: 2, inputs, sequenceLength: 12 });
    const pairs = [golden.texts, [...golden.texts].reverse()];
    for (const [x, expected] of [[golden.texts, golden.packed], [pairs, golden.packed_pairs]] as const) {
      const batch = preprocessing.call(x);
      assert.deepEqual(batch.x.token_ids.shape, expected.token_ids.shape);
      assert.deepEqual(values(batch.x.token_ids), expected.token_ids.data);
      assert.deepEqual(values(batch.x.padding_mask), expected.padding_mask.data.map(Number));
    }
  });

  it("tells segments apart for a model that takes segment ids", () => {
    const vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "fox", "earth"];
    const bert = new TextClassifierPreprocessing({ tokenizer: new WordPieceTokenizer({ vocabulary }), sequenceLength: 8 });
    const { x } = bert.call([["the fox"], ["earth"]]);
    assert.deepEqual(values(x.token_ids), [2, 5, 6, 3, 7, 3, 0, 0]);
    assert.deepEqual(values(x.segment_ids), [0, 0, 0, 0, 1, 1, 0, 0]);
    assert.deepEqual(values(x.padding_mask), [1, 1, 1, 1, 1, 1, 0, 0]);
  });
});

describe("CausalLMPreprocessing", () => {
  it("shifts labels by one and weighs padding nothing", () => {
    const { x, y, sampleWeight } = new CausalLMPreprocessing({ tokenizer, sequenceLength: 8 }).call(["the quick brown fox"]);
    assert.deepEqual(values(x.token_ids), [0, 6, 11, 7, 9, 2, 1, 1]);
    assert.deepEqual(values(x.padding_mask), [1, 1, 1, 1, 1, 1, 0, 0]);
    assert.deepEqual(values(y), [6, 11, 7, 9, 2, 1, 1, 1]);
    assert.deepEqual(values(sampleWeight), [1, 1, 1, 1, 1, 0, 0, 0]);
    assert.deepEqual(sampleWeight.shape, [1, 8]);
  });

  it("leaves out start and end when told so", () => {
    const preprocessing = new CausalLMPreprocessing({ tokenizer, sequenceLength: 4, addStartToken: false, addEndToken: false });
    const { x, y } = preprocessing.call("the quick brown fox");
    assert.deepEqual([x.token_ids.shape, values(x.token_ids), values(y)], [[4], [6, 11, 7, 9], [11, 7, 9, 1]]);
    assert.deepEqual(preprocessing.getConfig(), { sequence_length: 4, add_start_token: false, add_end_token: false });
  });
});
