/** SentencePiece against SentencePiece itself, and KerasHub's tokenizers on top of it. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { SentencePieceProcessor } from "../../text/sentencepiece_processor.ts";
import { SentencePieceTokenizer } from "../../text/sentencepiece.ts";
import { KERASHUB_TEST_MODEL, TYPES, writeModel } from "./sentencepiece_models.ts";

const fixture = (name: string): URL => new URL(`../fixtures/tokenizer/${name}`, import.meta.url);
const bytes = (name: string): Uint8Array => readFileSync(fixture(name));
const json = <T>(name: string): T => JSON.parse(readFileSync(fixture(name), "utf8")) as T;

describe("SentencePiece on 862 texts in 532 languages", () => {
  const cases = json<{ text: string; spm: number[]; xlm_roberta: number[]; decoded: string }[]>("cases.json");
  const texts = cases.map(({ text }) => text);
  const processor = new SentencePieceProcessor(bytes("udhr-8k.spm"));
  const tokenizer = new SentencePieceTokenizer({ proto: bytes("udhr-8k.spm"), remap: "fairseq" });

  it("has all of them", () => assert.equal(cases.length, 862));
  it("gives the model's ids", () => processor.encode(texts).forEach((ids, i) => assert.deepEqual(ids, cases[i].spm, texts[i])));
  it("gives XLM-RoBERTa's ids", () => tokenizer.tokenize(texts).forEach((ids, i) => assert.deepEqual(ids, cases[i].xlm_roberta, texts[i])));
  it("decodes the model's ids", () => cases.forEach(({ spm, decoded }) => assert.equal(processor.decode(spm), decoded)));
  it("decodes XLM-RoBERTa's ids", () =>
    tokenizer.detokenize(cases.map((one) => one.xlm_roberta)).forEach((text, i) => assert.equal(text, cases[i].decoded)));
});

describe("SentencePiece's other kinds of model", () => {
  interface Variant {
    size: number;
    cases: { text: string; normalized: string; ids: number[]; decoded: string }[];
    decoded: { ids: number[]; text: string }[];
  }
  for (const [name, { size, cases, decoded }] of Object.entries(json<Record<string, Variant>>("variants.json"))) {
    it(`normalizes, encodes and decodes as ${name}.spm asks`, () => {
      const processor = new SentencePieceProcessor(bytes(`${name}.spm`), name);
      assert.equal(processor.size, size);
      const encoded = processor.encode(cases.map(({ text }) => text));
      cases.forEach((one, i) => {
        assert.equal(processor.normalize(one.text), one.normalized);
        assert.deepEqual(encoded[i], one.ids, one.text);
        assert.equal(processor.decode(one.ids), one.decoded);
      });
      for (const { ids, text } of decoded) assert.equal(processor.decode(ids), text, ids.join());
    });
  }

  it("takes the first of two equal paths", () => {
    const pieces = [["<unk>", 0, TYPES.unknown], ["▁", -1, TYPES.normal], ["a", -2, TYPES.normal], ["aa", -3, TYPES.normal]] as const;
    const processor = new SentencePieceProcessor(writeModel({ modelType: 1, pieces }));
    assert.deepEqual(processor.encode(["aaa"]), [[1, 2, 3]]);
  });

  it("never cuts off an unused piece", () => {
    const pieces = [["<unk>", 0, TYPES.unknown], ["▁a", -1, TYPES.unused], ["▁", -3, TYPES.normal], ["a", -3, TYPES.normal]] as const;
    const processor = new SentencePieceProcessor(writeModel({ modelType: 1, pieces }));
    assert.deepEqual(processor.encode(["a"]), [[2, 3]]);
  });
});

describe("SentencePieceTokenizer with fairseq's ids", () => {
  const golden = json<{
    texts: string[];
    token_ids: number[][];
    vocabulary_size: number;
    mask_token_id: number;
    id_to_token: Record<string, string>;
    detokenize: string[];
  }>("kerashub-text.json");
  const tokenizer = new SentencePieceTokenizer({ proto: bytes("kerashub-vocabulary.spm"), remap: "fairseq" });

  it("equals KerasHub's XLMRobertaTokenizer", () => {
    assert.deepEqual(tokenizer.tokenize(golden.texts), golden.token_ids);
    assert.deepEqual(tokenizer.detokenize(golden.token_ids), golden.detokenize);
    assert.equal(tokenizer.vocabularySize, golden.vocabulary_size);
    assert.equal(tokenizer.maskTokenId, golden.mask_token_id);
    for (const [id, token] of Object.entries(golden.id_to_token)) {
      assert.equal(tokenizer.idToToken(Number(id)), token);
      assert.equal(tokenizer.tokenToId(token), Number(id));
    }
  });

  it("takes one text, and one list of ids", () => {
    assert.deepEqual(tokenizer.tokenize(golden.texts[0]), golden.token_ids[0]);
    assert.equal(tokenizer.detokenize(Int32Array.from(golden.token_ids[0])), golden.detokenize[0]);
    assert.equal(tokenizer.detokenize([]), "");
    assert.deepEqual(tokenizer.tokenize([]), []);
  });

  it("knows its special ids", () => {
    const { startTokenId, padTokenId, endTokenId, unknownTokenId, specialTokenIds } = tokenizer;
    assert.deepEqual([startTokenId, padTokenId, endTokenId, unknownTokenId], [0, 1, 2, 3]);
    assert.deepEqual(specialTokenIds, [0, 1, 2, 3]);
    assert.deepEqual(["<s>", "<pad>", "</s>", "<unk>", "<mask>", "no such piece"].map((token) => tokenizer.tokenToId(token)), [
      0,
      1,
      2,
      3,
      2501,
      3,
    ]);
  });

  it("lists its vocabulary by id", () => {
    const vocabulary = tokenizer.getVocabulary();
    assert.equal(vocabulary.length, tokenizer.vocabularySize);
    assert.deepEqual(vocabulary.slice(0, 5), ["<s>", "<pad>", "</s>", "<unk>", "▁"]);
    vocabulary.forEach((token, id) => assert.equal(tokenizer.tokenToId(token), id));
  });

  it("drops masks and control tokens from text and prints padding and the unknown", () => {
    const [all] = golden.token_ids;
    assert.equal(tokenizer.detokenize([0, ...all, 2, 2501]), golden.detokenize[0]);
    assert.equal(tokenizer.detokenize([1, 3]), " ⁇  ⁇ ");
  });

  it("gives back the model it was made from", () => {
    assert.deepEqual(tokenizer.assets(), { "vocabulary.spm": bytes("kerashub-vocabulary.spm") });
  });

  it("refuses ids out of range in KerasHub's words", () => {
    for (const id of [-1, 2502, 1.5, NaN]) {
      const expected = { code: "text/id-out-of-range", message: new RegExp(`^\`id\` must be in range \\[0, 2501\\]\\. Received: ${id}`) };
      assert.throws(() => tokenizer.idToToken(id), expected);
      assert.throws(() => tokenizer.detokenize([0, id]), expected);
    }
  });

  it("refuses what is no text or no list of ids", () => {
    assert.throws(() => tokenizer.tokenize(["a", 1] as unknown as string[]), { code: "text/not-a-string", path: "texts[1]" });
    assert.throws(() => tokenizer.tokenize(null as unknown as string), { code: "text/not-a-string", found: "null" });
    assert.throws(() => tokenizer.detokenize("a" as unknown as number[]), { code: "text/not-ids" });
    assert.throws(() => tokenizer.detokenize([[1], 2] as unknown as number[]), { code: "text/not-ids", path: "ids[1]" });
  });
});

describe("SentencePieceTokenizer on KerasHub's test vocabulary", () => {
  const tokenizer = new SentencePieceTokenizer({ proto: KERASHUB_TEST_MODEL, remap: "fairseq" });

  it("gives the ids of KerasHub's tests", () => {
    assert.deepEqual(tokenizer.tokenize(["the quick brown fox", "the earth is round"]), [[6, 11, 7, 9], [6, 8, 10, 12]]);
    assert.deepEqual(tokenizer.tokenize("the quick brown fox."), [6, 11, 7, 2]);
  });

  it("has 14 ids, the mask last", () => {
    assert.equal(tokenizer.vocabularySize, 14);
    assert.equal(tokenizer.maskTokenId, 13);
    assert.deepEqual(tokenizer.getVocabulary().slice(0, 6), ["<s>", "<pad>", "</s>", "<unk>", "[SEP]", "[MASK]"]);
  });

  it("keeps the model's ids without a remap", () => {
    const specialTokens = { start: "[CLS]", end: "[SEP]", pad: "<pad>", mask: "[MASK]", unknown: "<unk>" };
    const plain = new SentencePieceTokenizer({ proto: KERASHUB_TEST_MODEL, specialTokens });
    assert.deepEqual(plain.tokenize("the quick brown fox."), [5, 10, 6, 1]);
    assert.deepEqual([plain.vocabularySize, plain.startTokenId, plain.maskTokenId, plain.unknownTokenId], [12, 2, 4, 1]);
    assert.deepEqual(plain.specialTokenIds, [2, 3, 0, 4]);
    assert.equal(plain.detokenize([2, 5, 10, 3]), "the quick");
  });

  it("refuses a vocabulary without a special token", () => {
    assert.throws(() => new SentencePieceTokenizer({ proto: KERASHUB_TEST_MODEL }), {
      code: "text/special-token",
      message: /Cannot find special token `'<s>'` in the provided vocabulary/,
    });
  });
});

describe("A SentencePieceTokenizer's proto", () => {
  const ids = new SentencePieceTokenizer({ proto: bytes("unigram-bytes.spm"), remap: "fairseq" }).tokenize("free and equal");

  it("may be a path", () => {
    const proto = fileURLToPath(fixture("unigram-bytes.spm"));
    assert.deepEqual(new SentencePieceTokenizer({ proto, remap: "fairseq" }).tokenize("free and equal"), ids);
  });

  it("may be base64", () => {
    const proto = btoa(String.fromCharCode(...bytes("unigram-bytes.spm")));
    assert.ok(proto.length > 2048);
    assert.deepEqual(new SentencePieceTokenizer({ proto, remap: "fairseq" }).tokenize("free and equal"), ids);
  });

  it("must be there", () => {
    assert.throws(() => new SentencePieceTokenizer({ proto: "no/such.spm" }), { code: "text/proto", path: "no/such.spm" });
  });

  it("must be bytes or a string", () => {
    assert.throws(() => new SentencePieceTokenizer({ proto: 3 as unknown as string }), { code: "text/proto", found: "number" });
  });

  it("must be a model", () => {
    assert.throws(() => new SentencePieceTokenizer({ proto: Uint8Array.of(1, 2, 3) }), { code: "text/sentencepiece-model" });
  });
});
