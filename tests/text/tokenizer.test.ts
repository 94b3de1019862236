/** WordPiece and byte-level BPE against Hugging Face's tokenizers, and the choice of a tokenizer by a spec. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { RandomStream } from "../../random.ts";
import type { ExpandedTokenizer } from "../../spec/types.ts";
import { basicTokens } from "../../text/basic_tokens.ts";
import { BytePairTokenizer } from "../../text/bpe.ts";
import { createTokenizer, type TextTokenizer } from "../../text/tokenizer.ts";
import { WordPieceTokenizer } from "../../text/wordpiece.ts";

const bytes = (name: string): Uint8Array => readFileSync(new URL(`../fixtures/tokenizer/${name}`, import.meta.url));
const json = <T>(name: string): T => JSON.parse(new TextDecoder().decode(bytes(name))) as T;
const texts = json<{ text: string }[]>("cases.json").map(({ text }) => text);

interface Golden {
  ids: number[];
  decoded: string;
}

const TOKENIZERS: Record<string, TextTokenizer> = {
  "bert-cased": new WordPieceTokenizer({ vocabulary: bytes("bert-cased/vocab.txt") }),
  "bert-uncased": new WordPieceTokenizer({ vocabulary: bytes("bert-uncased/vocab.txt"), lowercase: true }),
  "roberta-bpe": new BytePairTokenizer({ vocabulary: bytes("roberta-bpe/vocab.json"), merges: bytes("roberta-bpe/merges.txt") }),
};

describe("WordPiece and BPE on 862 texts", () => {
  for (const [name, tokenizer] of Object.entries(TOKENIZERS)) {
    const golden = json<Golden[]>(`${name}/ids.json`);

    it(`gives the ids of ${name}`, () => {
      assert.equal(golden.length, texts.length);
      tokenizer.tokenize(texts).forEach((ids, i) => assert.deepEqual(ids, golden[i].ids, texts[i]));
    });

    it(`decodes ${name}`, () => {
      // Theirs leaves special tokens out, and tidies spaces before punctuation.
      const special = new Set([...tokenizer.specialTokenIds, tokenizer.unknownTokenId]);
      const bare = (text: string): string => name === "roberta-bpe" ? text : text.replaceAll(" ", "");
      for (const { ids, decoded } of golden) assert.equal(bare(tokenizer.detokenize(ids.filter((id) => !special.has(id)))), bare(decoded));
    });
  }
});

describe("WordPieceTokenizer", () => {
  const vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "qu", "##ick", "the", "fox", ".", "##es", "é", "e"];
  const tokenizer = new WordPieceTokenizer({ vocabulary });

  it("cuts words into the longest tokens from the left", () =>
    assert.deepEqual(tokenizer.tokenize("the quick foxes."), [7, 5, 6, 8, 10, 9]));
  it("takes a word that can't be cut as unknown as a whole", () => assert.deepEqual(tokenizer.tokenize("the quickly fox"), [7, 1, 8]));
  it("takes a word of more than 100 characters as unknown", () => {
    const long = new WordPieceTokenizer({ vocabulary: [...vocabulary, "a", "##a"] });
    assert.deepEqual(long.tokenize(`${"a".repeat(100)} ${"a".repeat(101)}`), [13, ...new Array(99).fill(14), 1]);
  });
  it("lowers and strips accents only when told so", () => {
    assert.deepEqual(tokenizer.tokenize("The é"), [1, 11]);
    assert.deepEqual(new WordPieceTokenizer({ vocabulary, lowercase: true }).tokenize("The É"), [7, 12]);
  });
  it("takes characters for what they were in Unicode 8, as Hugging Face's tokenizers do", () => {
    const ids = (text: string): number[] => new WordPieceTokenizer({ vocabulary: [...vocabulary, "##e"], lowercase: true }).tokenize(text);
    for (const mark of ["\u0301", "\u1734", "\u{1171e}"]) assert.deepEqual(ids(`e${mark}e`), [12, 13], mark);
    for (const letter of ["\u1885", "\ua9bd"]) assert.deepEqual(ids(`e${letter}e`), [1], letter);
    for (const punctuation of ["!", "\u166d", "\u{111c9}"]) assert.deepEqual(ids(`e${punctuation}e`), [12, 1, 12], punctuation);
  });
  it("finds the words that BERT's pre-tokenizer finds, of all kinds of characters", () => {
    const parts = [
      "a",
      "B",
      "É",
      "e\u0301",
      "İ",
      "ß",
      "Σ",
      "한국",
      "人",
      "、",
      "!",
      "\t",
      "\u00a0",
      "\0",
      "\ufffd",
      "\u200d",
      "👩",
      "๑",
      "ำ",
      "\ua9bd",
      " ",
      " ",
    ];
    const random = new RandomStream(11, "words");
    for (const lowercase of [false, true]) {
      for (const stripAccents of [false, true]) {
        const normalization = { lowercase, stripAccents, cleanText: true, splitIdeographs: true };
        const characters = [...new Set(basicTokens(parts.join(""), normalization).join(""))];
        const all = new WordPieceTokenizer({
          vocabulary: [...vocabulary.slice(0, 5), ...characters, ...characters.map((character) => `##${character}`)],
          lowercase,
          stripAccents,
        });
        for (let i = 0; i < 300; i++) {
          const text = Array.from({ length: i % 30 }, (_, k) => parts[Math.floor(random.uniform(30 * i + k) * parts.length)]).join("");
          const tokens = all.tokenize(text).map((id) => all.idToToken(id));
          assert.equal(tokens.join(" ").replaceAll(" ##", ""), basicTokens(text, normalization).join(" "), JSON.stringify(text));
        }
      }
    }
  });
  it("gives a word the same ids each time, spaces or not", () => {
    assert.deepEqual(tokenizer.tokenize("  fox the  quickthe fox.fox\t fox\u00a0the "), [8, 7, 1, 8, 9, 8, 8, 7]);
    assert.deepEqual(tokenizer.tokenize(["fox.fox", "", " ", "the fox.fox"]), [[8, 9, 8], [], [], [7, 8, 9, 8]]);
  });
  it("takes special tokens in a text as text", () => assert.deepEqual(tokenizer.tokenize("[SEP]"), [1, 1, 1]));
  it("joins what it cut", () => assert.equal(tokenizer.detokenize([2, 7, 5, 6, 8, 10, 9]), "[CLS] the quick foxes ."));
  it("keeps the special ids that KerasHub's BertTokenizer has", () => {
    const { startTokenId, endTokenId, padTokenId, maskTokenId, unknownTokenId, specialTokenIds } = tokenizer;
    assert.deepEqual([startTokenId, endTokenId, padTokenId, maskTokenId, unknownTokenId], [2, 3, 0, 4, 1]);
    assert.deepEqual([...specialTokenIds].sort(), [0, 2, 3, 4]);
  });
  it("comes back from its own file", () => {
    const again = new WordPieceTokenizer({ vocabulary: tokenizer.assets()["vocabulary.txt"] });
    assert.deepEqual(again.getVocabulary(), vocabulary);
  });
  it("reads lines that end in a carriage return", () => {
    assert.deepEqual(new WordPieceTokenizer({ vocabulary: new TextEncoder().encode(vocabulary.join("\r\n")) }).getVocabulary(), vocabulary);
  });
  it("refuses an empty vocabulary, one without a special token, and bytes that are no text", () => {
    assert.throws(() => new WordPieceTokenizer({ vocabulary: new Uint8Array(0) }), { code: "text/vocabulary" });
    assert.throws(() => new WordPieceTokenizer({ vocabulary: ["a"] }), { code: "text/special-token", message: /`'\[CLS\]'`/ });
    assert.throws(() => new WordPieceTokenizer({ vocabulary: Uint8Array.of(0xff, 0xfe) }), {
      code: "text/vocabulary",
      path: "vocabulary.txt",
    });
  });
  it("refuses an id out of range", () => assert.throws(() => tokenizer.detokenize([13]), { code: "text/id-out-of-range" }));
});

describe("BytePairTokenizer", () => {
  const vocabulary = { "<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, a: 4, b: 5, "Ġ": 6, ab: 7, "Ġab": 8, "<mask>": 9 };
  const merges = ["a b", "Ġ ab"];
  const tokenizer = new BytePairTokenizer({ vocabulary, merges });

  it("merges in order", () => assert.deepEqual(tokenizer.tokenize("ab ab ba"), [7, 8, 6, 5, 4]));
  it("keeps special tokens in a text whole", () => assert.deepEqual(tokenizer.tokenize("ab<mask>ab</s>"), [7, 9, 7, 2]));
  it("prints special tokens", () => assert.equal(tokenizer.detokenize([0, 7, 8, 9, 2]), "<s>ab ab<mask></s>"));
  it("comes back from its own files", () => {
    const files = tokenizer.assets();
    const again = new BytePairTokenizer({ vocabulary: files["vocabulary.json"], merges: files["merges.txt"] });
    assert.deepEqual(again.getVocabulary(), tokenizer.getVocabulary());
    assert.deepEqual(again.tokenize("ab ab ba"), [7, 8, 6, 5, 4]);
  });
  it("refuses a vocabulary with a gap, one that is no JSON and merges that are none", () => {
    const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
    assert.throws(() => new BytePairTokenizer({ vocabulary: { ...vocabulary, c: 11 }, merges }), {
      code: "text/vocabulary",
      path: 'vocabulary.json["c"]',
    });
    assert.throws(() => new BytePairTokenizer({ vocabulary: encode("{"), merges }), { code: "text/vocabulary", path: "vocabulary.json" });
    assert.throws(() => new BytePairTokenizer({ vocabulary: encode("[]"), merges }), { code: "text/vocabulary", found: "an array" });
    assert.throws(() => new BytePairTokenizer({ vocabulary, merges: encode("#version: 0.2\na b\nab\n") }), {
      code: "text/vocabulary",
      path: "merges.txt[1]",
    });
  });
  it("refuses merges of another model", () => {
    assert.throws(() => new BytePairTokenizer({ vocabulary, merges: ["a b", "x y"] }), {
      code: "text/vocabulary",
      path: "merges.txt[1]",
      found: '"x"',
    });
  });
});

describe("createTokenizer", () => {
  const special = { start: "<s>", end: "</s>", pad: "<pad>", mask: "<mask>", unknown: "<unk>" };
  const bert = { start: "[CLS]", end: "[SEP]", pad: "[PAD]", mask: "[MASK]", unknown: "[UNK]" };
  const specs: Record<ExpandedTokenizer["type"], [ExpandedTokenizer, Record<string, Uint8Array>, number]> = {
    sentencepiece: [
      { type: "sentencepiece", remap: "fairseq", special_tokens: special, separators: 2, asset: "vocabulary.spm" },
      { "vocabulary.spm": bytes("udhr-8k.spm") },
      8002,
    ],
    wordpiece: [
      { type: "wordpiece", remap: "none", special_tokens: bert, lowercase: true, separators: 1, asset: "vocabulary.txt" },
      { "vocabulary.txt": bytes("bert-uncased/vocab.txt") },
      6000,
    ],
    bpe: [
      { type: "bpe", remap: "none", special_tokens: special, separators: 2, asset: "vocabulary.json" },
      { "vocabulary.json": bytes("roberta-bpe/vocab.json"), "merges.txt": bytes("roberta-bpe/merges.txt") },
      6000,
    ],
  };
  for (const [type, [spec, assets, size]] of Object.entries(specs)) {
    it(`makes a ${type} tokenizer whose files make it again`, () => {
      const tokenizer = createTokenizer(spec, assets);
      assert.equal(tokenizer.vocabularySize, size);
      const again = createTokenizer(spec, tokenizer.assets());
      assert.deepEqual(again.tokenize(texts.slice(0, 50)), tokenizer.tokenize(texts.slice(0, 50)));
      assert.equal(again.maskTokenId, tokenizer.maskTokenId);
      assert.notEqual(again.maskTokenId, undefined);
    });

    it(`says which file of a ${type} tokenizer is missing`, () => {
      assert.throws(() => createTokenizer(spec, { "other.bin": new Uint8Array(0) }), {
        code: "text/missing-asset",
        path: spec.asset,
        found: "other.bin",
      });
    });
  }
});
