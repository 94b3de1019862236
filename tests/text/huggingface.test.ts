/** Tokenizers of Hugging Face's folders: 862 texts' ids from vocabulary files and from `tokenizer.json`, with special tokens and without. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { huggingFaceFiles, tokenizerFiles, tokenizerFromFiles } from "../../text/huggingface.ts";
import { MultiSegmentPacker } from "../../text/packing.ts";
import { createTokenizer, type TextTokenizer } from "../../text/tokenizer.ts";
import { tokenizerFromJson } from "../../text/tokenizer_json.ts";
import { bytes, CASES, fixture, json, SPECIAL_TEXTS, SPECS, TEXTS } from "./huggingface_specs.ts";

/** Hugging Face's tokenizers put these around every text's ids, with special tokens: 862 of 862 in each recording. */
const GOLDEN = {
  "bert-cased": { spec: SPECS.wordpiece, files: ["vocab.txt"], config: { do_lower_case: false }, around: [2, 3] },
  "bert-uncased": { spec: SPECS.wordpiece, files: ["vocab.txt"], config: { do_lower_case: true }, around: [2, 3] },
  "roberta-bpe": { spec: SPECS.bpe, files: ["vocab.json", "merges.txt"], config: {}, around: [0, 2] },
} as const;

function assertIds(tokenizer: TextTokenizer, golden: readonly number[][], [start, end]: readonly number[]): void {
  const tokenized = tokenizer.tokenize(TEXTS);
  assert.equal(golden.length, 862);
  assert.equal(tokenized.length, 862);
  tokenized.forEach((ids, i) => assert.deepEqual(ids, golden[i], JSON.stringify(TEXTS[i])));

  const longest = Math.max(...golden.map((ids) => ids.length)) + 2;
  const { startTokenId, endTokenId, padTokenId } = tokenizer;
  const packer = new MultiSegmentPacker({ sequenceLength: longest, startValue: startTokenId, endValue: endTokenId, padValue: padTokenId });
  packer.pack([tokenized]).tokenIds.forEach((row, i) => {
    const special = [start, ...golden[i], end];
    assert.deepEqual(row.slice(0, special.length), special);
    assert.ok(row.slice(special.length).every((id) => id === padTokenId));
  });
}

describe("ids of 862 texts as Hugging Face's tokenizers give them", () => {
  for (const [name, { spec, files, config, around }] of Object.entries(GOLDEN)) {
    const golden = (json(fixture(`${name}/ids.json`)) as { ids: number[] }[]).map(({ ids }) => ids);
    const vocabulary = Object.fromEntries(files.map((file) => [file, fixture(`${name}/${file}`)]));
    const folder = { ...vocabulary, "tokenizer_config.json": bytes(config) };

    it(`come from ${name}'s ${files.join(" and ")}`, () => assertIds(tokenizerFromFiles(spec, folder), golden, around));

    it(`come from ${name}'s tokenizer.json`, () =>
      assertIds(tokenizerFromFiles(spec, { "tokenizer.json": fixture(`${name}/tokenizer.json`) }), golden, around));

    it(`come from ${name}'s files after they were written`, () => {
      const tokenizer = tokenizerFromFiles(spec, { "tokenizer.json": fixture(`${name}/tokenizer.json`) });
      const written = huggingFaceFiles(tokenizer, spec, { modelMaxLength: 512 });
      assertIds(tokenizerFromFiles(spec, written), golden, around);
      assertIds(tokenizerFromFiles(spec, { "tokenizer.json": written["tokenizer.json"] }), golden, around);
    });
  }
});

describe("ids of a Unigram model", () => {
  const spm = fixture("udhr-8k.spm");
  // CamemBERT's are four higher than the model's own, and the unknown's is 3; transformers 5.17 makes the same of the model's file.
  const ids = {
    fairseq: CASES.map(({ xlm_roberta }) => xlm_roberta),
    camembert: CASES.map(({ spm }) => spm.map((id) => id === 0 ? 3 : id + 4)),
    plain: CASES.map(({ spm }) => spm),
  };
  for (const name of ["fairseq", "camembert", "plain"] as const) {
    const spec = SPECS[name];
    const tokenizer = createTokenizer(spec, { "vocabulary.spm": spm });
    const file = name === "plain" ? "tokenizer.model" : "sentencepiece.bpe.model";
    const written = huggingFaceFiles(tokenizer, spec, { modelMaxLength: 512 });

    it(`are SentencePiece's, shifted by "${spec.remap}", from ${file}`, () => {
      assert.deepEqual(written[file], spm);
      tokenizerFromFiles(spec, { [file]: spm }).tokenize(TEXTS).forEach((found, i) => assert.deepEqual(found, ids[name][i], TEXTS[i]));
    });

    it(`are the same from the tokenizer.json that is written with "${spec.remap}"`, () => {
      const again = tokenizerFromFiles(spec, { "tokenizer.json": written["tokenizer.json"] });
      assert.deepEqual(again.getVocabulary(), tokenizer.getVocabulary());
      assert.deepEqual([again.startTokenId, again.endTokenId, again.padTokenId, again.unknownTokenId, again.maskTokenId], [
        tokenizer.startTokenId,
        tokenizer.endTokenId,
        tokenizer.padTokenId,
        tokenizer.unknownTokenId,
        tokenizer.maskTokenId,
      ]);
      assert.equal(SPECIAL_TEXTS.size, 2);
      again.tokenize(TEXTS).forEach((found, i) => {
        if (!SPECIAL_TEXTS.has(TEXTS[i])) assert.deepEqual(found, ids[name][i], TEXTS[i]);
      });
      assert.deepEqual(again.detokenize(ids[name]), tokenizer.detokenize(ids[name]));
    });

    it(`make the same .spm of a tokenizer.json with "${spec.remap}"`, () => {
      const again = tokenizerFromFiles(spec, { "tokenizer.json": written["tokenizer.json"] });
      const rebuilt = createTokenizer(spec, again.assets());
      rebuilt.tokenize(TEXTS).forEach((found, i) => assert.deepEqual(found, ids[name][i], TEXTS[i]));
    });
  }

  it("have CamemBERT's special tokens where it has them", () => {
    const tokenizer = createTokenizer(SPECS.camembert, { "vocabulary.spm": spm });
    assert.deepEqual(tokenizer.getVocabulary().slice(0, 7), [
      "<s>NOTUSED",
      "<pad>",
      "</s>NOTUSED",
      "<unk>",
      "<unk>NOTUSED",
      "<s>",
      "</s>",
    ]);
    assert.equal(tokenizer.vocabularySize, 8005);
    const { startTokenId, endTokenId, padTokenId, unknownTokenId, maskTokenId } = tokenizer;
    assert.deepEqual([startTokenId, endTokenId, padTokenId, unknownTokenId, maskTokenId], [5, 6, 1, 3, 8004]);
    assert.deepEqual([...tokenizer.specialTokenIds].sort((a, b) => a - b), [0, 1, 2, 3, 4, 5, 6, 8004]);
    assert.equal(tokenizer.detokenize([5, ...tokenizer.tokenize("All human beings"), 8004, 1, 0, 2, 6]), "All human beings");
    assert.equal(tokenizer.detokenize([3]), tokenizer.detokenize([4]));
  });
});

describe("special tokens in a text", () => {
  // The ids are those of Hugging Face's tokenizers 0.23.2 for the same tokenizer.json.
  const spm = createTokenizer(SPECS.fairseq, { "vocabulary.spm": fixture("udhr-8k.spm") });
  const xlm = huggingFaceFiles(spm, SPECS.fairseq, { modelMaxLength: 512 })["tokenizer.json"];
  const assertEach = (tokenizer: TextTokenizer, expected: Readonly<Record<string, number[]>>): void => {
    for (const [text, ids] of Object.entries(expected)) assert.deepEqual(tokenizer.tokenize(text), ids, JSON.stringify(text));
    assert.deepEqual(tokenizer.tokenize(Object.keys(expected)), Object.values(expected));
  };

  it("are kept whole by a Unigram model's tokenizer.json, the mask with the space before it", () =>
    assertEach(tokenizerFromJson(xlm, SPECS.fairseq), {
      "<s> </s> <mask> <unk> <pad>": [0, 2, 8001, 3, 1],
      "hello<mask>world": [264, 2248, 8001, 1372, 1506],
      "All human <mask>  beings ": [134, 406, 1935, 8001, 137, 978, 10],
      "  a</s>  b ": [14, 2, 170],
      "<mask><mask>x": [8001, 8001, 4, 80],
      "": [],
    }));

  it("are text to a .spm", () => assert.ok(!spm.tokenize("hello<mask>world").includes(8001)));

  it("leave a piece for a space at the end where the file has old transformers' steps", () => {
    const file = json(xlm);
    file.normalizer = {
      type: "Sequence",
      normalizers: [file.normalizer, { type: "Replace", pattern: { Regex: " {2,}" }, content: " " }],
    };
    file.pre_tokenizer = { type: "Metaspace", replacement: "▁", add_prefix_space: true };
    const tokenizer = tokenizerFromJson(bytes(file), SPECS.fairseq);
    const again = tokenizerFromJson(huggingFaceFiles(tokenizer, SPECS.fairseq, { modelMaxLength: 8 })["tokenizer.json"], SPECS.fairseq);
    for (const each of [tokenizer, again]) {
      assertEach(each, {
        "hello world ": [264, 2248, 1372, 1506, 4],
        "  hello  world": [264, 2248, 1372, 1506],
        "hello  ": [264, 2248, 4],
        " ": [4],
        "": [],
        "a </s> b": [14, 4, 2, 170],
        "hello\u3000\t": [264, 2248, 4],
      });
    }
  });

  it("are kept whole by BERT's tokenizer.json, in their own case", () =>
    assertEach(tokenizerFromJson(fixture("bert-uncased/tokenizer.json"), SPECS.wordpiece), {
      "All [MASK] BEINGS[SEP] [mask]": [4940, 4, 4312, 4244, 2511, 3, 29, 4676, 2506, 30],
      "[CLS]x[PAD]": [2, 55, 0],
    }));

  it("may be added ones, which take spaces or are looked for in normalized text", () => {
    const file = json(fixture("bert-uncased/tokenizer.json"));
    const token = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: false };
    file.added_tokens.push(
      { ...token, id: 6000, content: "<Nation>", lstrip: true, rstrip: true },
      { ...token, id: 6001, content: "Ärztin", normalized: true },
      { ...token, id: 6002, content: "[SE" },
    );
    const tokenizer = tokenizerFromJson(bytes(file), SPECS.wordpiece);
    assert.equal(tokenizer.vocabularySize, 6003);
    assertEach(tokenizer, {
      "human <Nation> rights": [5755, 6000, 4430, 4849, 4509],
      "the ÄRZTINNEN and arztin": [4532, 6001, 5015, 4853, 6001],
      "<nation>": [1, 5171, 1],
      "all[SEP][SE[SEPx": [4940, 3, 6002, 6002, 47, 2638],
    });
  });

  it("of RoBERTa may stand only as whole words, and a space may be put before each part", () => {
    const file = json(fixture("roberta-bpe/tokenizer.json"));
    for (const token of file.added_tokens) {
      if (token.content === "<mask>") token.lstrip = true;
      if (token.content === "<pad>") token.single_word = true;
    }
    file.pre_tokenizer.add_prefix_space = true;
    const tokenizer = tokenizerFromJson(bytes(file), SPECS.bpe);
    const expected = {
      "All human <mask> beings": [679, 1393, 3328, 4, 543, 418, 87],
      "a<mask>b": [268, 4, 277],
      " a": [268],
      "a<pad>b <pad>, ": [268, 32, 84, 333, 34, 70, 225, 1, 2676, 225],
      "": [],
    };
    assertEach(tokenizer, expected);
    const written = huggingFaceFiles(tokenizer, SPECS.bpe, { modelMaxLength: 512 });
    assertEach(tokenizerFromJson(written["tokenizer.json"], SPECS.bpe), expected);
    // The vocabulary files say nothing of single words.
    const { "a<pad>b <pad>, ": _, ...rest } = expected;
    assertEach(tokenizerFromFiles(SPECS.bpe, written), rest);
  });
});

describe("tokenizerFromFiles", () => {
  const cased = { "vocab.txt": fixture("bert-cased/vocab.txt") };
  const lowered = (tokenizer: TextTokenizer): boolean => {
    const [upper, lower] = tokenizer.tokenize(["HUMAN", "human"]);
    return upper.join() === lower.join();
  };

  it("names the files that it may want, the best first", () => {
    assert.deepEqual(tokenizerFiles(SPECS.fairseq), [
      "sentencepiece.bpe.model",
      "spiece.model",
      "tokenizer.model",
      "tokenizer.json",
      "tokenizer_config.json",
      "special_tokens_map.json",
    ]);
    assert.deepEqual(tokenizerFiles(SPECS.wordpiece), ["vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]);
    assert.deepEqual(tokenizerFiles(SPECS.bpe), [
      "vocab.json",
      "merges.txt",
      "tokenizer.json",
      "tokenizer_config.json",
      "special_tokens_map.json",
    ]);
  });

  it("lowercases where the options say so, as transformers does where nothing does, and as tokenizer.json says where only that does", () => {
    assert.equal(
      lowered(tokenizerFromFiles(SPECS.wordpiece, { ...cased, "tokenizer_config.json": bytes({ do_lower_case: false }) })),
      false,
    );
    assert.equal(lowered(tokenizerFromFiles(SPECS.wordpiece, cased)), true);
    const both = { ...cased, "tokenizer.json": fixture("bert-cased/tokenizer.json") };
    assert.equal(lowered(tokenizerFromFiles(SPECS.wordpiece, both)), false);
  });

  it("strips accents and splits Chinese characters as the options say", () => {
    const vocabulary = bytes(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "é", "e", "人類", "人", "類"].join("\n"));
    const tokenize = (config: object, text: string): number[] =>
      tokenizerFromFiles(SPECS.wordpiece, { "vocab.txt": vocabulary, "tokenizer_config.json": bytes(config) }).tokenize(text);
    assert.deepEqual(tokenize({ do_lower_case: true, strip_accents: false }, "É"), [5]);
    assert.deepEqual(tokenize({ do_lower_case: true }, "É"), [6]);
    assert.deepEqual(tokenize({ do_lower_case: false, strip_accents: true }, "é"), [6]);
    assert.deepEqual(tokenize({ tokenize_chinese_chars: false }, "人類"), [7]);
    assert.deepEqual(tokenize({}, "人類"), [8, 9]);
  });

  it("takes the special tokens that the folder names", () => {
    const vocabulary = bytes(["<p>", "<u>", "<c>", "<e>", "<m>", "a"].join("\n"));
    const map = { cls_token: "<c>", sep_token: { content: "<e>", lstrip: false }, unk_token: "<u>" };
    const config = { do_lower_case: false, pad_token: "<p>", mask_token: "<m>", cls_token: "[CLS]" };
    const tokenizer = tokenizerFromFiles(SPECS.wordpiece, {
      "vocab.txt": vocabulary,
      "special_tokens_map.json": bytes(map),
      "tokenizer_config.json": bytes(config),
    });
    const { startTokenId, endTokenId, padTokenId, unknownTokenId, maskTokenId } = tokenizer;
    assert.deepEqual([startTokenId, endTokenId, padTokenId, unknownTokenId, maskTokenId], [2, 3, 0, 1, 4]);
  });

  it("takes tokenizer.json where the vocabulary file lacks added tokens, and says so where there is none", () => {
    const file = json(fixture("bert-cased/tokenizer.json"));
    file.added_tokens.push({ id: 6000, content: "[NEW]", special: true });
    const config = { do_lower_case: false, added_tokens_decoder: { 4: { content: "[MASK]" }, 6000: { content: "[NEW]" } } };
    const folder = { ...cased, "tokenizer_config.json": bytes(config) };
    const tokenizer = tokenizerFromFiles(SPECS.wordpiece, { ...folder, "tokenizer.json": bytes(file) });
    assert.deepEqual(tokenizer.tokenize("[NEW]"), [6000]);
    assert.throws(() => tokenizerFromFiles(SPECS.wordpiece, folder, "model"), {
      code: "text/tokenizer-config",
      path: 'model/tokenizer_config.json: added_tokens_decoder["6000"].content',
      expected: "a token of the vocabulary",
      found: '"[NEW]"',
    });
  });

  it("says which files would do when none is there", () => {
    assert.throws(() => tokenizerFromFiles(SPECS.bpe, { "vocab.json": bytes("{}") }, "model"), {
      code: "text/missing-asset",
      path: "model",
      expected: "vocab.json and merges.txt, or tokenizer.json",
      found: "vocab.json",
    });
  });

  it("names the damaged file by its own name and folder", () => {
    assert.throws(() => tokenizerFromFiles(SPECS.fairseq, { "sentencepiece.bpe.model": bytes("x") }, "model"), {
      code: "text/sentencepiece-model",
      path: "model/sentencepiece.bpe.model",
    });
    assert.throws(() => tokenizerFromFiles(SPECS.wordpiece, { "vocab.txt": Uint8Array.of(0xff) }, "model"), { path: "model/vocab.txt" });
    assert.throws(() => tokenizerFromFiles(SPECS.bpe, { "vocab.json": bytes("["), "merges.txt": bytes("") }, "model"), {
      path: "model/vocab.json",
    });
    assert.throws(
      () => tokenizerFromFiles(SPECS.bpe, { "vocab.json": fixture("roberta-bpe/vocab.json"), "merges.txt": bytes("a b c\n") }),
      {
        path: "merges.txt[0]",
      },
    );
    for (const [name, code] of [["tokenizer.json", "text/tokenizer-json"], ["tokenizer_config.json", "text/tokenizer-config"]]) {
      const folder = { ...cased, [name]: Uint8Array.of(0xff) };
      assert.throws(() => tokenizerFromFiles(SPECS.wordpiece, folder, "model"), { code, path: `model/${name}` });
    }
    for (const config of [[], { do_lower_case: "no" }, { added_tokens_decoder: { 1: 2 } }, { do_lower_case: true, cls_token: 3 }]) {
      const folder = { ...cased, "tokenizer_config.json": bytes(config) };
      assert.throws(() => tokenizerFromFiles(SPECS.wordpiece, folder), { code: "text/tokenizer-config", path: /^tokenizer_config\.json/ });
    }
  });
});
