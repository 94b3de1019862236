/** Tokenizers written as Hugging Face's files: what each file says, and what can't be said. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ExpandedTokenizer } from "../../spec/types.ts";
import { BytePairTokenizer } from "../../text/bpe.ts";
import { huggingFaceFiles, tokenizerFromFiles } from "../../text/huggingface.ts";
import { tokenizersEncoder } from "../../text/kitoken.ts";
import { SentencePieceTokenizer } from "../../text/sentencepiece.ts";
import { readSentencePieceModel } from "../../text/sentencepiece_model.ts";
import { createTokenizer, type TextTokenizer } from "../../text/tokenizer.ts";
import { sentencePieceMerges } from "../../text/tokenizer_json/sentencepiece_merges.ts";
import { WordPieceTokenizer } from "../../text/wordpiece.ts";
import { fixture, json, SPECIAL_TEXTS, SPECS, TEXTS } from "./huggingface_specs.ts";

const udhr = (spec: ExpandedTokenizer): TextTokenizer => createTokenizer(spec, { "vocabulary.spm": fixture("udhr-8k.spm") });
const bert = new WordPieceTokenizer({ vocabulary: fixture("bert-uncased/vocab.txt"), lowercase: true });
const roberta = new BytePairTokenizer({
  vocabulary: fixture("roberta-bpe/vocab.json"),
  merges: fixture("roberta-bpe/merges.txt"),
});

/** Written, and each JSON file parsed. */
// deno-lint-ignore no-explicit-any -- the files' shapes are what is tested.
function written(tokenizer: TextTokenizer, spec: ExpandedTokenizer, tokenizerClass?: string): Record<string, any> {
  const files = huggingFaceFiles(tokenizer, spec, { modelMaxLength: 512, tokenizerClass });
  return Object.fromEntries(Object.entries(files).map(([name, file]) => [name, name.endsWith(".json") ? json(file) : file]));
}

const special = (id: number, content: string, lstrip = false) => ({
  id,
  content,
  single_word: false,
  lstrip,
  rstrip: false,
  normalized: false,
  special: true,
});

/** The ids of a template around two texts, and their segments, as the tokenizers library applies it. */
// deno-lint-ignore no-explicit-any -- as above.
function applied(template: any, pieces: string): [number | string, number][] {
  // deno-lint-ignore no-explicit-any -- as above.
  return template[pieces].map((piece: any) =>
    piece.Sequence
      ? [piece.Sequence.id, piece.Sequence.type_id]
      : [template.special_tokens[piece.SpecialToken.id].ids[0], piece.SpecialToken.type_id]
  );
}

describe("huggingFaceFiles of SentencePiece with XLM-RoBERTa's ids", () => {
  const files = written(udhr(SPECS.fairseq), SPECS.fairseq, "XLMRobertaTokenizer");
  const file = files["tokenizer.json"];

  it("has the model under the name that transformers reads", () => {
    assert.deepEqual(Object.keys(files), ["sentencepiece.bpe.model", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]);
    assert.deepEqual(files["sentencepiece.bpe.model"], fixture("udhr-8k.spm"));
  });
  it("adds the special tokens; the mask takes the space before it", () =>
    assert.deepEqual(file.added_tokens, [
      special(0, "<s>"),
      special(1, "<pad>"),
      special(2, "</s>"),
      special(3, "<unk>"),
      special(8001, "<mask>", true),
    ]));
  it("cuts as transformers' own class does", () => {
    assert.equal(file.normalizer.type, "Precompiled");
    const metaspace = { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true };
    assert.deepEqual(file.pre_tokenizer, { type: "Sequence", pretokenizers: [{ type: "WhitespaceSplit" }, metaspace] });
    assert.deepEqual(file.decoder, metaspace);
    assert.deepEqual(file.model.vocab.slice(0, 4), [["<s>", 0], ["<pad>", 0], ["</s>", 0], ["<unk>", 0]]);
    assert.equal(file.model.vocab.length, 8002);
    assert.equal(file.model.unk_id, 3);
  });
  it("puts two ends between two texts, and no segments", () => {
    assert.deepEqual(applied(file.post_processor, "single"), [[0, 0], ["A", 0], [2, 0]]);
    assert.deepEqual(applied(file.post_processor, "pair"), [[0, 0], ["A", 0], [2, 0], [2, 0], ["B", 0], [2, 0]]);
  });
  it("tells transformers its class, length and special tokens", () => {
    const { content: _, id: __, ...flags } = special(0, "", true);
    const mask = { content: "<mask>", ...flags };
    const names = {
      bos_token: "<s>",
      eos_token: "</s>",
      cls_token: "<s>",
      sep_token: "</s>",
      unk_token: "<unk>",
      pad_token: "<pad>",
      mask_token: mask,
    };
    assert.deepEqual(files["special_tokens_map.json"], names);
    const { added_tokens_decoder, ...config } = files["tokenizer_config.json"];
    assert.deepEqual(config, {
      ...names,
      mask_token: { __type: "AddedToken", ...mask },
      add_prefix_space: true,
      clean_up_tokenization_spaces: false,
      model_max_length: 512,
      tokenizer_class: "XLMRobertaTokenizer",
    });
    assert.deepEqual(Object.keys(added_tokens_decoder), ["0", "1", "2", "3", "8001"]);
    assert.deepEqual(added_tokens_decoder["8001"], mask);
  });
  it("names the class that takes any tokenizer where none is given", () =>
    assert.equal(written(udhr(SPECS.fairseq), SPECS.fairseq)["tokenizer_config.json"].tokenizer_class, "PreTrainedTokenizerFast"));
});

describe("huggingFaceFiles of SentencePiece with CamemBERT's ids", () => {
  const files = written(udhr(SPECS.camembert), SPECS.camembert);
  it("adds the tokens that are not used", () => {
    const contents = files["tokenizer.json"].added_tokens.map(({ id, content }: { id: number; content: string }) => [id, content]);
    assert.deepEqual(contents, [
      [0, "<s>NOTUSED"],
      [1, "<pad>"],
      [2, "</s>NOTUSED"],
      [3, "<unk>"],
      [4, "<unk>NOTUSED"],
      [5, "<s>"],
      [6, "</s>"],
      [8004, "<mask>"],
    ]);
    assert.deepEqual(files["special_tokens_map.json"].additional_special_tokens, ["<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"]);
  });
  it("puts its own start and end around texts", () =>
    assert.deepEqual(applied(files["tokenizer.json"].post_processor, "pair"), [[5, 0], ["A", 0], [6, 0], [6, 0], ["B", 0], [6, 0]]));
});

describe("huggingFaceFiles of a causal model's SentencePiece", () => {
  const files = written(udhr(SPECS.plain), SPECS.plain);
  it("puts a start before each text and names no mask", () => {
    assert.deepEqual(applied(files["tokenizer.json"].post_processor, "single"), [[1, 0], ["A", 0]]);
    assert.deepEqual(applied(files["tokenizer.json"].post_processor, "pair"), [[1, 0], ["A", 0], [1, 0], ["B", 0]]);
    assert.deepEqual(files["special_tokens_map.json"], { bos_token: "<s>", eos_token: "</s>", unk_token: "<unk>", pad_token: "<unk>" });
    assert.deepEqual(files["tokenizer.model"], fixture("udhr-8k.spm"));
  });
});

describe("huggingFaceFiles of WordPiece", () => {
  const files = written(bert, SPECS.wordpiece, "BertTokenizer");
  it("has a vocab.txt with a token a line", () => assert.deepEqual(files["vocab.txt"], new Uint8Array(fixture("bert-uncased/vocab.txt"))));
  it("is the tokenizer.json that the tokenizers library made, but for the post-processor's form", () => {
    const { post_processor: _, ...recorded } = json(fixture("bert-uncased/tokenizer.json"));
    const { post_processor, ...file } = files["tokenizer.json"];
    assert.deepEqual(file, recorded);
    assert.deepEqual(applied(post_processor, "single"), [[2, 0], ["A", 0], [3, 0]]);
    assert.deepEqual(applied(post_processor, "pair"), [[2, 0], ["A", 0], [3, 0], ["B", 1], [3, 1]]);
  });
  it("tells transformers what is lowered, stripped and split", () => {
    const { added_tokens_decoder: _, ...config } = files["tokenizer_config.json"];
    assert.deepEqual(config, {
      clean_up_tokenization_spaces: true,
      model_max_length: 512,
      tokenizer_class: "BertTokenizer",
      cls_token: "[CLS]",
      sep_token: "[SEP]",
      unk_token: "[UNK]",
      pad_token: "[PAD]",
      mask_token: "[MASK]",
      do_lower_case: true,
      strip_accents: true,
      tokenize_chinese_chars: true,
    });
  });
  it("refuses a vocabulary that has a token twice", () => {
    const vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "a"];
    assert.throws(() => huggingFaceFiles(new WordPieceTokenizer({ vocabulary }), SPECS.wordpiece, { modelMaxLength: 8 }), {
      code: "text/tokenizer-json",
      path: "vocabulary",
      found: '"a" with the ids 5 and 6',
    });
  });
});

describe("huggingFaceFiles of byte-level BPE", () => {
  const files = written(roberta, SPECS.bpe, "RobertaTokenizer");
  it("has a vocab.json and a merges.txt with the line that Python's reader leaves out", () => {
    assert.deepEqual(json(fixture("roberta-bpe/vocab.json")), files["vocab.json"]);
    const recorded = new TextDecoder().decode(fixture("roberta-bpe/merges.txt"));
    assert.equal(new TextDecoder().decode(files["merges.txt"]).trimEnd(), recorded.trimEnd());
    assert.ok(recorded.startsWith("#version: 0.2\n"));
  });
  it("is the tokenizer.json that the tokenizers library made, but for the post-processor and that the mask takes the space before it", () => {
    const recorded = json(fixture("roberta-bpe/tokenizer.json"));
    recorded.added_tokens[4].lstrip = true;
    recorded.model.merges = recorded.model.merges.map((pair: string[]) => pair.join(" "));
    const { post_processor, ...file } = files["tokenizer.json"];
    assert.equal(post_processor.processors[0].type, "ByteLevel");
    assert.deepEqual(applied(post_processor.processors[1], "single"), [[0, 0], ["A", 0], [2, 0]]);
    assert.deepEqual(applied(post_processor.processors[1], "pair"), [[0, 0], ["A", 0], [2, 0], [2, 0], ["B", 0], [2, 0]]);
    delete recorded.post_processor;
    assert.deepEqual(file, recorded);
  });
  it("reads the merges and the mask's space back", () => {
    const all = huggingFaceFiles(roberta, SPECS.bpe, { modelMaxLength: 512 });
    const again = tokenizerFromFiles(SPECS.bpe, { "tokenizer.json": all["tokenizer.json"] });
    assert.deepEqual(again.tokenize("All human <mask> beings"), [...roberta.tokenize("All human"), 4, ...roberta.tokenize(" beings")]);
  });
});

describe("huggingFaceFiles of SentencePiece models of other kinds", () => {
  const of = (name: string): SentencePieceTokenizer =>
    new SentencePieceTokenizer({ proto: fixture(name), specialTokens: SPECS.plain.special_tokens });
  const refused: Readonly<Record<string, [path: string, found: string]>> = {
    "word.spm": ["trainer_spec.model_type", "word"],
    "char.spm": ["trainer_spec.model_type", "char"],
    "unigram-suffix.spm": ["trainer_spec.treat_whitespace_as_suffix", "true"],
    "unigram-bytes.spm": ["pieces[4].type", '"<turn>"'],
  };
  for (const [name, [path, found]] of Object.entries(refused)) {
    it(`are refused where tokenizer.json can't express them: ${name}`, () =>
      assert.throws(() => huggingFaceFiles(of(name), SPECS.plain, { modelMaxLength: 8 }), { code: "text/tokenizer-json", path, found }));
  }
  it("are BPE with Llama's steps for a BPE model, from which kitoken makes the same ids", () => {
    const tokenizer = of("bpe.spm");
    const bytes = huggingFaceFiles(tokenizer, SPECS.plain, { modelMaxLength: 8 })["tokenizer.json"];
    const file = json(bytes);
    assert.deepEqual(file.normalizer.normalizers, [
      { type: "Prepend", prepend: "▁" },
      { type: "Replace", pattern: { String: " " }, content: "▁" },
    ]);
    assert.equal(file.pre_tokenizer, null);
    assert.equal(file.model.type, "BPE");
    assert.deepEqual(file.model.vocab, Object.fromEntries(tokenizer.getVocabulary().map((piece, id) => [piece, id])));
    const encoder = tokenizersEncoder(new TextDecoder().decode(bytes), "tokenizer.json");
    const texts = TEXTS.filter((text) => !SPECIAL_TEXTS.has(text) && /^[a-z][a-z .,]+$/i.test(text));
    assert.ok(texts.length >= 3, `${texts.length} texts`);
    assert.deepEqual(encoder.encode(texts), tokenizer.tokenize(texts));
  });
  it("list every way to make a piece of two, the likeliest first", () => {
    const pieces = ["<unk>", "a", "b", "ab", "aba", "ba", "x"].map((piece, id) => ({
      piece,
      score: -id,
      type: id === 0 ? "unknown" as const : "normal" as const,
    }));
    const model = readSentencePieceModel(fixture("bpe.spm"));
    assert.deepEqual(sentencePieceMerges({ ...model, pieces }), ["a b", "a ba", "ab a", "b a"]);
  });
  it("keep pieces that go over spaces", () => {
    const tokenizer = of("unigram-whole.spm");
    const files = huggingFaceFiles(tokenizer, SPECS.plain, { modelMaxLength: 8 });
    const again = tokenizerFromFiles(SPECS.plain, { "tokenizer.json": files["tokenizer.json"] });
    const texts = ["All human beings are born free and equal", "  free   and equal ", "rights", ""];
    assert.deepEqual(again.tokenize(texts), tokenizer.tokenize(texts));
    assert.ok(tokenizer.getVocabulary().some((piece) => piece.lastIndexOf("▁") > 0));
  });
});

describe("huggingFaceFiles of what is not the spec's", () => {
  it("says which kind was expected", () => {
    assert.throws(() => huggingFaceFiles(bert, SPECS.bpe, { modelMaxLength: 8 }), {
      code: "text/tokenizer-kind",
      expected: "a bpe tokenizer, as the spec says",
      found: "WordPieceTokenizer",
    });
  });
});
