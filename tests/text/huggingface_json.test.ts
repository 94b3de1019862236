/** What a `tokenizer.json` may say, and what is said of one that is wrong or can't be done the same way. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ExpandedTokenizer } from "../../spec/types.ts";
import { tokenizerFromJson } from "../../text/tokenizer_json.ts";
import { bytes, json, SPECS } from "./huggingface_specs.ts";

const tokens = (names: readonly string[]): Record<string, number> => Object.fromEntries(names.map((name, id) => [name, id]));
const added = (ids: Record<string, number>): object[] => Object.entries(ids).map(([content, id]) => ({ id, content, special: true }));

/** The least of each kind. */
const WORDPIECE = {
  added_tokens: added({ "[MASK]": 4 }),
  normalizer: { type: "BertNormalizer", clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true },
  pre_tokenizer: { type: "BertPreTokenizer" },
  model: {
    type: "WordPiece",
    unk_token: "[UNK]",
    continuing_subword_prefix: "##",
    max_input_chars_per_word: 100,
    vocab: tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##b", "é", "e", "É"]),
  },
};
const BPE = {
  added_tokens: added({ "<mask>": 4 }),
  normalizer: null,
  pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true },
  model: {
    type: "BPE",
    dropout: null,
    unk_token: null,
    vocab: tokens(["<s>", "<pad>", "</s>", "<unk>", "<mask>", "a", "b", "Ġ", "ab", "Ġa"]),
    merges: ["a b", "Ġ a"],
  },
};
const PIECES: [string, number][] = [["<s>", 0], ["<pad>", 0], ["</s>", 0], ["<unk>", 0], ["▁", -3], ["a", -2], ["▁a", -1], ["▁a▁b", -1]];
const UNIGRAM = {
  added_tokens: added({ "<s>": 0, "<mask>": 8 }),
  normalizer: null as unknown,
  pre_tokenizer: {
    type: "Sequence",
    pretokenizers: [{ type: "WhitespaceSplit" }, { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true }],
  } as unknown,
  model: { type: "Unigram", unk_id: 3, vocab: [...PIECES, ["<mask>", 0]] as unknown[], byte_fallback: false as unknown },
};

const KINDS: Readonly<Record<string, [ExpandedTokenizer, object]>> = {
  wordpiece: [SPECS.wordpiece, WORDPIECE],
  bpe: [SPECS.bpe, BPE],
  unigram: [SPECS.fairseq, UNIGRAM],
};

/** A copy with values at paths such as "model.vocab.0"; undefined takes the value out. */
function changed(file: object, changes: Readonly<Record<string, unknown>>): Uint8Array {
  const copy = structuredClone(file);
  for (const [path, value] of Object.entries(changes)) {
    const steps = path.split("/");
    // deno-lint-ignore no-explicit-any -- a path may lead anywhere.
    const parent = steps.slice(0, -1).reduce((at: any, step) => at[step], copy);
    if (value === undefined) delete parent[steps.at(-1)!];
    else parent[steps.at(-1)!] = value;
  }
  return bytes(copy);
}

describe("a tokenizer.json that can be read", () => {
  const ids = (kind: string, changes: Readonly<Record<string, unknown>>, text: string): number[] =>
    tokenizerFromJson(changed(KINDS[kind][1], changes), KINDS[kind][0]).tokenize(text);

  it("may leave the model's type out, as old files do", () => {
    assert.deepEqual(ids("wordpiece", { "model/type": undefined }, "AB"), [5, 6]);
    assert.deepEqual(ids("bpe", { "model/type": undefined }, "ab ab"), [8, 7, 8]);
    assert.deepEqual(ids("unigram", { "model/type": undefined }, "a aa"), [6, 6, 5]);
  });
  it("may have merges as pairs", () =>
    assert.deepEqual(ids("bpe", { "model/merges": [["a", "b"], ["Ġ", "a"]], "pre_tokenizer/add_prefix_space": true }, "ab"), [7, 8]));
  it("may have a sequence of one", () => {
    const pre_tokenizer = { type: "Sequence", pretokenizers: [BPE.pre_tokenizer] };
    assert.deepEqual(ids("bpe", { pre_tokenizer }, "ab"), [8]);
  });
  it("may lower letters and keep accents, or the other way", () => {
    assert.deepEqual(ids("wordpiece", {}, "É"), [8]);
    assert.deepEqual(ids("wordpiece", { "normalizer/strip_accents": false }, "É"), [7]);
    assert.deepEqual(ids("wordpiece", { "normalizer/lowercase": false }, "É"), [9]);
    assert.deepEqual(ids("wordpiece", { "normalizer/lowercase": false, "normalizer/strip_accents": true }, "é"), [8]);
    assert.deepEqual(ids("wordpiece", { normalizer: null }, "É"), [9]);
  });
  it("may keep control characters and leave ideographs together", () => {
    assert.deepEqual(ids("wordpiece", {}, "a\u0001b"), [5, 6]);
    assert.deepEqual(ids("wordpiece", { "normalizer/clean_text": false }, "a\u0001b"), [1]);
    assert.deepEqual(ids("wordpiece", {}, "人人"), [1, 1]);
    assert.deepEqual(ids("wordpiece", { "normalizer/handle_chinese_chars": false }, "人人"), [1]);
  });
  it("never finds a piece that goes over a space where it cuts at spaces", () => {
    assert.deepEqual(ids("unigram", {}, "a b"), [6, 4, 3]);
    const whole = {
      normalizer: {
        type: "Sequence",
        normalizers: [{ type: "Strip", strip_left: true, strip_right: true }, {
          type: "Replace",
          pattern: { Regex: " {2,}" },
          content: " ",
        }],
      },
      pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: false },
    };
    assert.deepEqual(ids("unigram", whole, " a  b "), [7]);
  });
  it("keeps spaces where it has Llama's steps, and puts none in front where it has none", () => {
    const normalizers = [{ type: "Prepend", prepend: "▁" }, { type: "Replace", pattern: { String: " " }, content: "▁" }];
    const kept = { normalizer: { type: "Sequence", normalizers }, pre_tokenizer: null };
    assert.deepEqual(ids("unigram", kept, "a  a"), [6, 4, 6]);
    assert.deepEqual(ids("unigram", { normalizer: normalizers[1], pre_tokenizer: null }, "a a"), [5, 6]);
  });
  it("falls back to bytes", () => {
    const all = Array.from({ length: 256 }, (_, byte) => [`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`, -10]);
    const model = { "model/vocab": [...PIECES, ...all, ["<mask>", 0]], "added_tokens": [], "model/byte_fallback": true };
    assert.deepEqual(ids("unigram", model, "aé"), [6, 8 + 0xc3, 8 + 0xa9]);
  });
  it("may add the mask behind the vocabulary", () => {
    const tokenizer = tokenizerFromJson(changed(UNIGRAM, { "model/vocab": PIECES }), SPECS.fairseq);
    assert.equal(tokenizer.maskTokenId, 8);
    assert.deepEqual(tokenizer.tokenize("a<mask>"), [6, 8]);
  });
  it("decodes the tokens that it adds", () => {
    const file = changed(BPE, { added_tokens: [{ id: 10, content: "né", special: false }] });
    const tokenizer = tokenizerFromJson(file, SPECS.bpe);
    assert.deepEqual(tokenizer.tokenize("abné"), [8, 10]);
    assert.equal(tokenizer.detokenize([8, 10, 9]), "abné a");
  });
});

/** What is wrong: the change, the path of the error, and what was found there. */
const WRONG: Readonly<Record<string, readonly (readonly [changes: Record<string, unknown>, path: string, found: string | RegExp])[]>> = {
  wordpiece: [
    [{ "model/type": "WordLevel" }, "model.type", '"WordLevel"'],
    [{ "model/type": undefined, "model/max_input_chars_per_word": undefined }, "model.type", "nothing"],
    [{ model: 3 }, "model", "3"],
    [{ "model/unk_token": "<unk>" }, "model.unk_token", '"<unk>"'],
    [{ "model/continuing_subword_prefix": "@@" }, "model.continuing_subword_prefix", '"@@"'],
    [{ "model/max_input_chars_per_word": 1e300 }, "model.max_input_chars_per_word", "1e+300"],
    [{ "model/vocab": [] }, "model.vocab", "an empty array"],
    [{ "model/vocab": {} }, "model.vocab", "none"],
    [{ "model/vocab/a": 1e9 }, "model.vocab.a", "1000000000"],
    [{ "model/vocab/a": -1 }, "model.vocab.a", "-1"],
    [{ "model/vocab/a": 2.5 }, "model.vocab.a", "2.5"],
    [{ "model/vocab/a": "5" }, "model.vocab.a", '"5"'],
    [{ "model/vocab/##b": 5 }, 'model.vocab["##b"]', '5, which "a" has too'],
    [{ normalizer: { type: "NFKC" } }, "normalizer.type", '"NFKC"'],
    [{ normalizer: { type: "Sequence", normalizers: [] } }, "normalizer.type", '"Sequence"'],
    [{ "normalizer/lowercase": "yes" }, "normalizer.lowercase", '"yes"'],
    [{ pre_tokenizer: null }, "pre_tokenizer", "null"],
    [{ "pre_tokenizer/type": "Whitespace" }, "pre_tokenizer.type", '"Whitespace"'],
    [{ added_tokens: {} }, "added_tokens", "an object"],
    [{ "added_tokens/0": "x" }, "added_tokens[0]", '"x"'],
    [{ "added_tokens/0/id": 4294967296 }, "added_tokens[0].id", "4294967296"],
    [{ "added_tokens/0/id": 5 }, "added_tokens", '5 for "[MASK]" where the vocabulary has "a"'],
    [{ "added_tokens/0": { id: 1000000, content: "x" } }, "added_tokens", '1000000 for "x"'],
    [{ "added_tokens/1": { id: 4, content: "x" } }, "added_tokens[1].id", "4"],
    [{ "added_tokens/1": { id: 10, content: "[MASK]" } }, "added_tokens[1].content", '"[MASK]"'],
    [{ "added_tokens/0/lstrip": 1 }, "added_tokens[0].lstrip", "1"],
    [{ "added_tokens/1": { id: 10, content: "x", single_word: true } }, "added_tokens[1].single_word", "true"],
  ],
  bpe: [
    [{ "model/type": "Unigram" }, "model.type", '"Unigram"'],
    [{ "model/unk_token": "<unk>" }, "model.unk_token", '"<unk>"'],
    [{ "model/dropout": 0.1 }, "model.dropout", "0.1"],
    [{ "model/continuing_subword_prefix": "##" }, "model.continuing_subword_prefix", '"##"'],
    [{ "model/end_of_word_suffix": "</w>" }, "model.end_of_word_suffix", '"</w>"'],
    [{ "model/byte_fallback": true }, "model.byte_fallback", "true"],
    [{ "model/ignore_merges": true }, "model.ignore_merges", "true"],
    [{ "model/merges": {} }, "model.merges", "an object"],
    [{ "model/merges/0": "a" }, "model.merges[0]", '"a"'],
    [{ "model/merges/0": ["a", 1] }, "model.merges[0]", "an array of 2"],
    [{ "model/merges/1": "b a" }, "model.merges[1]", '"b a"'],
    [{ normalizer: { type: "NFC" } }, "normalizer", 'an object of type "NFC"'],
    [{ pre_tokenizer: { type: "Metaspace" } }, "pre_tokenizer.type", '"Metaspace"'],
    [{ "pre_tokenizer/use_regex": false }, "pre_tokenizer.use_regex", "false"],
    [
      { pre_tokenizer: { type: "Sequence", pretokenizers: [{ type: "Split" }, { type: "ByteLevel" }] } },
      "pre_tokenizer.pretokenizers",
      "an array of 2",
    ],
    [{ pre_tokenizer: { type: "Sequence", pretokenizers: 1e9 } }, "pre_tokenizer.pretokenizers", "1000000000"],
    [{ "model/vocab/ab": 99 }, "model.vocab.ab", "99"],
  ],
  unigram: [
    [{ "model/type": "BPE" }, "model.type", '"BPE"'],
    [{ "model/unk_id": null }, "model.unk_id", "null"],
    [{ "model/unk_id": 1e15 }, "model.unk_id", "1000000000000000"],
    [{ "model/unk_id": 5 }, "model.unk_id", "5"],
    [{ "model/vocab": {} }, "model.vocab", "an object"],
    [{ "model/vocab": [] }, "model.vocab", "none"],
    [{ "model/vocab/4": "▁" }, "model.vocab[4]", '"▁"'],
    [{ "model/vocab/4": ["▁"] }, "model.vocab[4]", '["▁"]'],
    [{ "model/vocab/4": ["▁", "1"] }, "model.vocab[4]", '["▁","1"]'],
    [{ "model/vocab/4": ["", 1] }, "model.vocab[4]", '["",1]'],
    [{ "model/vocab/4": ["▁", 1e300] }, "model.vocab[4]", '["▁",1e+300]'],
    [{ "model/vocab/4": ["a", 1] }, "model.vocab[5][0]", '"a"'],
    [{ "model/vocab/1": ["<PAD>", 0] }, "model.vocab", '"<PAD>"'],
    [{ "model/vocab/8": ["x", 0], added_tokens: [] }, "model.vocab", '"x"'],
    [{ "added_tokens/2": { id: 9, content: "x" } }, "model.vocab", '"x"'],
    [{ "model/byte_fallback": true }, "model.byte_fallback", "true, and pieces of 0 bytes"],
    [{ normalizer: { type: "Lowercase" } }, "normalizer", '{"type":"Lowercase"}'],
    [{ normalizer: { type: "Replace", pattern: { Regex: "(a+)+$" }, content: " " } }, "normalizer", /Regex/],
    [{ normalizer: { type: "Precompiled", precompiled_charsmap: "a" } }, "normalizer.precompiled_charsmap", '"a"'],
    [{ normalizer: { type: "Precompiled", precompiled_charsmap: 7 } }, "normalizer.precompiled_charsmap", "7"],
    [{ normalizer: { type: "Sequence", normalizers: [{ type: "Strip" }] } }, "normalizer.normalizers[0]", '{"type":"Strip"}'],
    [{ pre_tokenizer: null }, "pre_tokenizer", "nothing"],
    [
      { pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "always" } },
      "pre_tokenizer",
      'an object of type "Metaspace"',
    ],
    [{ pre_tokenizer: { type: "Metaspace", replacement: "_", prepend_scheme: "always" } }, "pre_tokenizer", /"_"/],
    [{ pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "first" } }, "pre_tokenizer", /"first"/],
  ],
};

describe("a tokenizer.json that can't be used", () => {
  for (const [kind, [spec, file]] of Object.entries(KINDS)) {
    it(`is refused with the path and what is there: ${kind}`, () => {
      for (const [changes, path, found] of WRONG[kind]) {
        assert.throws(
          () => tokenizerFromJson(changed(file, changes), spec, "folder/tokenizer.json"),
          { name: "OnnxHubError", code: "text/tokenizer-json", path: `folder/tokenizer.json: ${path}`, found, expected: /\S/ },
          JSON.stringify(changes),
        );
      }
    });

    it(`is refused when a special token is missing: ${kind}`, () => {
      const special_tokens = { ...spec.special_tokens, start: "<start>" };
      assert.throws(() => tokenizerFromJson(bytes(file), { ...spec, special_tokens }), { path: /^tokenizer\.json/, message: /<start>/ });
    });
  }

  it("is refused when its compiled rules are damaged", () => {
    const normalizer = { type: "Precompiled", precompiled_charsmap: btoa("\xff\xff\xff\xff damaged \0") };
    assert.throws(() => tokenizerFromJson(changed(UNIGRAM, { normalizer }), SPECS.fairseq), {
      code: "text/charsmap",
      path: /^tokenizer\.json/,
    });
  });

  it("is refused when it is no JSON, no object, too deep or not UTF-8", () => {
    const read = (file: Uint8Array) => () => tokenizerFromJson(file, SPECS.bpe, "f.json");
    assert.throws(read(bytes("")), { code: "format/json-syntax", path: "f.json:1:1" });
    assert.throws(read(bytes('{"a":1,\n"a":2}')), { code: "format/json-syntax", path: "f.json:2:1" });
    assert.throws(read(bytes("[".repeat(100_000))), { code: "format/json-depth", path: "f.json" });
    assert.throws(read(bytes("[]")), { code: "text/tokenizer-json", path: "f.json", found: "an empty array" });
    assert.throws(read(Uint8Array.of(0x7b, 0xff)), { code: "text/tokenizer-json", path: "f.json" });
  });

  it("takes names of JavaScript's own for tokens", () => {
    const file = json(bytes(BPE));
    const text = JSON.stringify(file).replace('"Ġa":9', '"Ġa":9,"__proto__":10,"constructor":11,"toString":12');
    const tokenizer = tokenizerFromJson(bytes(text), SPECS.bpe);
    assert.deepEqual(tokenizer.getVocabulary().slice(10), ["__proto__", "constructor", "toString"]);
    assert.equal(tokenizer.tokenToId("constructor"), 11);
    assert.equal(tokenizer.tokenToId("valueOf"), 3);
  });
});
