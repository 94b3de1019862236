/** Thousands of damaged tokenizer files: each loads and cuts a text, or is refused with the project's own error, its code and place. */

import assert from "node:assert/strict";
import process from "node:process";
import { describe, it } from "node:test";
import { huggingFaceFiles, tokenizerFromFiles } from "../../text/huggingface.ts";
import { readSentencePieceModel, type SentencePieceModel } from "../../text/sentencepiece_model.ts";
import { writeSentencePieceModel } from "../../text/tokenizer_json/sentencepiece_proto.ts";
import { createTokenizer } from "../../text/tokenizer.ts";
import type { ExpandedTokenizer } from "../../spec/types.ts";
import {
  type AnyJson,
  boundedMemory,
  damagedBytes,
  damagedJson,
  Draws,
  jsonText,
  loadOrRefuse,
  type Outcome,
} from "../formats/mutations.ts";
import { bytes, fixture, json, SPECS } from "./huggingface_specs.ts";

/** Of each file. */
const MUTATIONS = 2000;

type Files = Readonly<Record<string, Uint8Array>>;

/** Words of every fixture, what only some have, special tokens, spaces and a lone surrogate. */
const TEXT = "All human beings  are born<mask> free é 人 👩‍👧 ﬁ [MASK]\t\ud800. ";

const text = (name: string): string => new TextDecoder().decode(fixture(name));

/** The first tokens of a vocabulary: small files are damaged at more of their places. */
function smallWordPiece(): Files {
  const vocabulary = text("bert-uncased/vocab.txt").split("\n").slice(0, 400);
  const file = json(fixture("bert-uncased/tokenizer.json"));
  file.model.vocab = Object.fromEntries(vocabulary.map((token, id) => [token, id]));
  return {
    "vocab.txt": bytes(`${vocabulary.join("\n")}\n`),
    "tokenizer.json": bytes(file),
    "tokenizer_config.json": bytes({ do_lower_case: true }),
  };
}

function smallBytePair(): Files {
  const all = json(fixture("roberta-bpe/vocab.json")) as Record<string, number>;
  const merges = text("roberta-bpe/merges.txt").split("\n").filter((line) => line !== "" && !line.startsWith("#")).slice(0, 120);
  const made = new Set(merges.map((merge) => merge.replace(" ", "")));
  const tokens = Object.keys(all).sort((a, b) => all[a] - all[b]).filter((token, id) => id < 261 || made.has(token));
  const file = json(fixture("roberta-bpe/tokenizer.json"));
  file.model.vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  file.model.merges = merges;
  return {
    "vocab.json": bytes(file.model.vocab),
    "merges.txt": bytes(merges.join("\n")),
    "tokenizer.json": bytes(file),
    "tokenizer_config.json": bytes({ add_prefix_space: true, added_tokens_decoder: { 4: { content: "<mask>" } } }),
  };
}

/** With pieces of all bytes where the spec leaves the ids as they are. */
function smallUnigram(spec: ExpandedTokenizer): Files {
  const tokenizer = createTokenizer(spec, { [spec.asset]: fixture("unigram-whole.spm") });
  const files = huggingFaceFiles(tokenizer, spec, { modelMaxLength: 16 });
  if (spec.remap !== "none") return files;
  const file = json(files["tokenizer.json"]);
  file.model.byte_fallback = true;
  for (let byte = 0; byte < 256; byte++) file.model.vocab.push([`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`, -20]);
  return { ...files, "tokenizer.json": bytes(file) };
}

const WORDPIECE = smallWordPiece();
const BYTE_PAIR = smallBytePair();

/** SentencePiece models of each kind; the last has compiled rules. */
const MODELS: readonly (readonly [name: string, spec: ExpandedTokenizer])[] = [
  ["unigram-bytes.spm", SPECS.plain],
  ["unigram-suffix.spm", SPECS.plain],
  ["unigram-whole.spm", SPECS.fairseq],
  ["word.spm", SPECS.plain],
  ["char.spm", SPECS.plain],
  ["bpe.spm", SPECS.plain],
  ["bpe-bytes.spm", SPECS.plain],
  ["kerashub-vocabulary.spm", SPECS.camembert],
];

/** Which file of which folder is damaged. */
const FOLDERS: readonly (readonly [name: string, spec: ExpandedTokenizer, files: Files])[] = [
  ["vocab.txt", SPECS.wordpiece, pick(WORDPIECE, "vocab.txt", "tokenizer_config.json")],
  ["tokenizer_config.json", SPECS.wordpiece, pick(WORDPIECE, "vocab.txt", "tokenizer_config.json")],
  ["tokenizer.json", SPECS.wordpiece, pick(WORDPIECE, "tokenizer.json")],
  ["vocab.json", SPECS.bpe, pick(BYTE_PAIR, "vocab.json", "merges.txt")],
  ["merges.txt", SPECS.bpe, pick(BYTE_PAIR, "vocab.json", "merges.txt")],
  ["tokenizer_config.json", SPECS.bpe, pick(BYTE_PAIR, "vocab.json", "merges.txt", "tokenizer_config.json")],
  ["tokenizer.json", SPECS.bpe, pick(BYTE_PAIR, "tokenizer.json")],
  ["tokenizer.json", SPECS.plain, pick(smallUnigram(SPECS.plain), "tokenizer.json")],
  ["tokenizer.json", SPECS.fairseq, pick(smallUnigram(SPECS.fairseq), "tokenizer.json")],
];

function pick(files: Files, ...names: readonly string[]): Files {
  return Object.fromEntries(names.map((name) => [name, files[name]]));
}

/** A copy with other letters and digits, so that what frames them stays and more is loaded; or damaged anywhere. */
function damagedText(whole: Uint8Array, draws: Draws): Uint8Array {
  if (draws.below(2) === 0) return damagedBytes(whole, draws);
  const copy = whole.slice();
  for (let times = draws.of([1, 1, 2, 4]); times > 0; times--) {
    let at = draws.below(copy.length);
    while (at < copy.length && !/[A-Za-z0-9]/.test(String.fromCharCode(copy[at]))) at++;
    if (at < copy.length) copy[at] = draws.of([..."09aezAZ~ "]).charCodeAt(0);
  }
  return copy;
}

const SCORES: readonly number[] = [0, -1, 1, -1e-45, 1e-38, -100, 3.4e38, -3.4e38, Infinity, NaN, -0];
const CHARACTERS: readonly string[] = [..."aeé▁ 人👩\u200d\0\ufffd<>"];

/** Whole in form, damaged in content: a model with other pieces, scores, types and options; or damaged anywhere. */
function damagedModel(whole: Uint8Array, model: SentencePieceModel, draws: Draws): Uint8Array {
  if (draws.below(2) === 0) return damagedBytes(whole, draws);
  const pieces = model.pieces.map((piece) => ({ ...piece }));
  for (let times = draws.of([1, 2, 8, 100]); times > 0; times--) {
    const piece = draws.of(pieces);
    const other = draws.of(pieces);
    switch (draws.below(4)) {
      case 0:
        piece.score = draws.of(SCORES);
        break;
      case 1:
        if (piece.type !== "unknown") piece.type = draws.of(["normal", "control", "user_defined", "unused"]);
        break;
      case 2: {
        const text = Array.from({ length: 1 + draws.below(draws.of([3, 30, 2000])) }, () => draws.of(CHARACTERS)).join("");
        if (piece.type === "normal" && !pieces.some((one) => one.piece === text)) piece.piece = text;
        break;
      }
      case 3:
        [piece.score, other.score] = [other.score, piece.score];
    }
  }
  const flag = (value: boolean): boolean => draws.below(8) === 0 ? !value : value;
  return writeSentencePieceModel({
    type: draws.below(8) === 0 ? draws.of(["unigram", "bpe", "word", "char"]) : model.type,
    pieces,
    precompiledCharsmap: model.normalizer.precompiledCharsmap,
    addDummyPrefix: flag(model.normalizer.addDummyPrefix),
    removeExtraWhitespaces: flag(model.normalizer.removeExtraWhitespaces),
    byteFallback: flag(model.byteFallback),
    special: { unknown: "<unk>", start: "<s>", end: "</s>", pad: "<pad>" },
  });
}

/** Loads, cuts, and puts together again. */
function use(spec: ExpandedTokenizer, files: Files): void {
  const tokenizer = tokenizerFromFiles(spec, files, "folder");
  const [ids, none] = tokenizer.tokenize([TEXT, ""]);
  assert.ok(ids.length <= 4 * TEXT.length && none.length <= 1, `${ids.length} and ${none.length} ids`);
  for (const id of ids) {
    assert.ok(Number.isInteger(id) && id >= 0 && id < tokenizer.vocabularySize, `id ${id} of ${tokenizer.vocabularySize}`);
  }
  assert.equal(typeof tokenizer.detokenize(ids), "string");
}

/** Some must load and some be refused, or nothing was tested. */
function assertBoth({ loaded, codes }: Outcome): void {
  const refused = [...codes.values()].reduce((sum, count) => sum + count, 0);
  assert.equal(loaded + refused, MUTATIONS);
  assert.ok(loaded > 0 && refused > 0, `${loaded} loaded, ${refused} refused: ${[...codes.keys()].join()}`);
}

describe("damaged tokenizer files", () => {
  for (const [name, spec] of MODELS) {
    it(`of SentencePiece load or are refused: ${name}`, async () => {
      const before = process.memoryUsage().rss;
      const outcome: Outcome = { loaded: 0, codes: new Map() };
      const whole = fixture(name);
      const model = readSentencePieceModel(whole);
      for (let i = 0; i < MUTATIONS; i++) {
        const damaged = damagedModel(whole, model, new Draws(name, i));
        await loadOrRefuse(outcome, `${name} ${i}`, "tokenizer.model", () => use(spec, { "tokenizer.model": damaged }));
      }
      assertBoth(outcome);
      boundedMemory(before);
    });
  }

  for (const [name, spec, files] of FOLDERS) {
    const label = `${name} for ${spec.type}${spec.type === "sentencepiece" ? `, ${spec.remap}` : ""}`;
    it(`load or are refused: ${label}`, async () => {
      use(spec, files);
      const before = process.memoryUsage().rss;
      const outcome: Outcome = { loaded: 0, codes: new Map() };
      for (let i = 0; i < MUTATIONS; i++) {
        const draws = new Draws(label, i);
        const asJson = name.endsWith(".json") && draws.below(2) === 0;
        const file = asJson ? bytes(jsonText(damagedJson(json(files[name]) as AnyJson, draws))) : damagedText(files[name], draws);
        await loadOrRefuse(outcome, `${label} ${i}`, "folder/", () => use(spec, { ...files, [name]: file }));
      }
      assertBoth(outcome);
      boundedMemory(before);
    });
  }
});
