/** Writes tokenizers as Hugging Face's `tokenizer.json`. */

import { OnnxHubError } from "../../errors.ts";
import type { JsonObject, JsonValue } from "../../formats/json.ts";
import type { ExpandedTokenizer } from "../../spec/types.ts";
import { BytePairTokenizer } from "../bpe.ts";
import { SentencePieceTokenizer } from "../sentencepiece.ts";
import type { SentencePieceModel } from "../sentencepiece_model.ts";
import type { TextTokenizer } from "../tokenizer.ts";
import { WordPieceTokenizer } from "../wordpiece.ts";
import { type AddedToken, AddedTokensTokenizer } from "./added_tokens.ts";
import { sentencePieceMerges } from "./sentencepiece_merges.ts";
import { spaceSteps } from "./spaces.ts";
import STEPS from "./wordpiece_steps.json" with { type: "json" };

type Kind = ExpandedTokenizer["type"];

/** The parts of a `tokenizer.json` that a kind of tokenizer decides. */
interface Parts {
  readonly normalizer: JsonValue;
  readonly pre_tokenizer: JsonValue;
  readonly decoder: JsonValue;
  readonly model: JsonObject;
}

/** A tokenizer of a known kind, with its added tokens. */
export type KnownTokenizer =
  & { readonly added: readonly AddedToken[]; readonly addPrefixSpace: boolean; readonly spaceAtEnd: boolean }
  & (
    | { readonly kind: "sentencepiece"; readonly inner: SentencePieceTokenizer }
    | { readonly kind: "wordpiece"; readonly inner: WordPieceTokenizer }
    | { readonly kind: "bpe"; readonly inner: BytePairTokenizer }
  );

/** Which kind a tokenizer is, and which tokens are kept whole in a text. Throws "text/tokenizer-kind" for one that a user wrote. */
export function knownTokenizer(tokenizer: TextTokenizer, spec: ExpandedTokenizer): KnownTokenizer {
  const wrapped = tokenizer instanceof AddedTokensTokenizer;
  const inner = wrapped ? tokenizer.inner : tokenizer;
  const common = {
    added: wrapped ? tokenizer.tokens : specialTokens(tokenizer, spec),
    addPrefixSpace: wrapped && tokenizer.addPrefixSpace,
    spaceAtEnd: wrapped && tokenizer.idOfSpaceAtEnd !== undefined,
  };
  if (spec.type === "sentencepiece" && inner instanceof SentencePieceTokenizer) return { ...common, kind: "sentencepiece", inner };
  if (spec.type === "wordpiece" && inner instanceof WordPieceTokenizer) return { ...common, kind: "wordpiece", inner };
  if (spec.type === "bpe" && inner instanceof BytePairTokenizer) return { ...common, kind: "bpe", inner };
  throw new OnnxHubError("text/tokenizer-kind", "This tokenizer can't be written for Hugging Face", {
    path: "tokenizer",
    expected: `a ${spec.type} tokenizer, as the spec says`,
    found: inner instanceof Object ? inner.constructor.name : typeof inner,
  });
}

/** RoBERTa and its kin take the space before a mask with it, BERT doesn't. */
const MASK_TAKES_SPACE: Readonly<Record<Kind, boolean>> = { sentencepiece: true, wordpiece: false, bpe: true };

/** The special tokens of a tokenizer that says nothing of its added ones: by their ids, and what fairseq left unused. */
function specialTokens(tokenizer: TextTokenizer, spec: ExpandedTokenizer): AddedToken[] {
  const { startTokenId, endTokenId, padTokenId, unknownTokenId, maskTokenId, specialTokenIds } = tokenizer;
  const ids = [startTokenId, endTokenId, padTokenId, unknownTokenId, ...maskTokenId === undefined ? [] : [maskTokenId], ...specialTokenIds];
  return [...new Set(ids)].sort((a, b) => a - b).map((id) => ({
    id,
    content: tokenizer.idToToken(id),
    single_word: false,
    lstrip: id === maskTokenId && MASK_TAKES_SPACE[spec.type],
    rstrip: false,
    normalized: false,
    special: true,
  }));
}

/** The text of the `tokenizer.json`. */
export function tokenizerJson(tokenizer: KnownTokenizer, spec: ExpandedTokenizer): string {
  const parts = partsOf(tokenizer);
  return `${
    JSON.stringify({
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: tokenizer.added,
      normalizer: parts.normalizer,
      pre_tokenizer: parts.pre_tokenizer,
      post_processor: postProcessor(tokenizer, spec),
      decoder: parts.decoder,
      model: parts.model,
    })
  }\n`;
}

function partsOf(tokenizer: KnownTokenizer): Parts {
  switch (tokenizer.kind) {
    case "sentencepiece":
      return sentencePiece(tokenizer);
    case "wordpiece":
      return wordPiece(tokenizer.inner);
    case "bpe":
      return byteLevel(tokenizer.inner, tokenizer.addPrefixSpace);
  }
}

function wordPiece(tokenizer: WordPieceTokenizer): Parts {
  const { lowercase, stripAccents, cleanText, splitIdeographs } = tokenizer.normalization;
  return {
    normalizer: {
      type: STEPS.normalizer,
      clean_text: cleanText,
      handle_chinese_chars: splitIdeographs,
      strip_accents: stripAccents,
      lowercase,
    },
    pre_tokenizer: { type: STEPS.pre_tokenizer },
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    model: {
      type: "WordPiece",
      unk_token: tokenizer.idToToken(tokenizer.unknownTokenId),
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab: ids(tokenizer.getVocabulary()),
    },
  };
}

const byteLevelStep = (addPrefixSpace: boolean): JsonObject => ({
  type: "ByteLevel",
  add_prefix_space: addPrefixSpace,
  trim_offsets: true,
  use_regex: true,
});

function byteLevel(tokenizer: BytePairTokenizer, addPrefixSpace: boolean): Parts {
  const step = byteLevelStep(addPrefixSpace);
  return {
    normalizer: null,
    pre_tokenizer: step,
    decoder: { ...step, add_prefix_space: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: ids(tokenizer.getVocabulary()),
      // Pairs are what transformers writes; a file with "left right" is what every version reads.
      merges: tokenizer.merges,
    },
  };
}

/** Ids by token. A token that is there twice has no place in a JSON object. */
function ids(tokens: readonly string[]): JsonObject {
  const all = Object.fromEntries(tokens.map((token, id) => [token, id]));
  const twice = tokens.findIndex((token, id) => all[token] !== id);
  if (twice < 0) return all;
  throw cannot("vocabulary", "each token once", `${JSON.stringify(tokens[twice])} with the ids ${twice} and ${all[tokens[twice]]}`);
}

function sentencePiece({ inner: tokenizer, added, spaceAtEnd }: KnownTokenizer & { kind: "sentencepiece" }): Parts {
  const { model } = tokenizer;
  const { addDummyPrefix, removeExtraWhitespaces, precompiledCharsmap } = model.normalizer;
  const overSpaces = model.pieces.some(({ piece, type }) => type === "normal" && piece.lastIndexOf("▁") > 0);
  const split = removeExtraWhitespaces && !overSpaces && model.type === "unigram";
  checkExpressible(model, split, added);
  const { normalizers, preTokenizers } = spaceSteps({ addDummyPrefix, removeExtraWhitespaces, split, spaceAtEnd });
  const rules = precompiledCharsmap.length === 0 ? [] : [{ type: "Precompiled", precompiled_charsmap: base64(precompiledCharsmap) }];
  const scores = new Map(model.pieces.map(({ piece, score }) => [piece, score]));
  return {
    normalizer: sequence([...rules, ...normalizers], "normalizers"),
    pre_tokenizer: sequence(preTokenizers, "pretokenizers"),
    decoder: model.byteFallback
      ? sequence([
        { type: "Replace", pattern: { String: "▁" }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        ...addDummyPrefix ? [{ type: "Strip", content: " ", start: 1, stop: 0 }] : [],
      ], "decoders")
      : { type: "Metaspace", replacement: "▁", prepend_scheme: addDummyPrefix ? "always" : "never", split },
    model: model.type === "bpe"
      ? {
        type: "BPE",
        dropout: null,
        unk_token: tokenizer.idToToken(tokenizer.unknownTokenId),
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: true,
        byte_fallback: model.byteFallback,
        ignore_merges: false,
        vocab: ids(tokenizer.getVocabulary()),
        merges: sentencePieceMerges(model),
      }
      : {
        type: "Unigram",
        unk_id: tokenizer.unknownTokenId,
        vocab: tokenizer.getVocabulary().map((token) => [token, scores.get(token) ?? 0]),
        byte_fallback: model.byteFallback,
      },
  };
}

/** What of a SentencePiece model Hugging Face's models can't do. */
function checkExpressible(model: SentencePieceModel, split: boolean, added: readonly AddedToken[]): void {
  if (model.type !== "unigram" && model.type !== "bpe") throw cannot("trainer_spec.model_type", "unigram or bpe", model.type);
  if (model.treatWhitespaceAsSuffix) throw cannot("trainer_spec.treat_whitespace_as_suffix", "false", "true");
  if (!model.normalizer.escapeWhitespaces) throw cannot("normalizer_spec.escape_whitespaces", "true", "false");
  if (model.denormalizer) throw cannot("denormalizer_spec", "none", "rules");
  const kept = new Set(added.map(({ content }) => content));
  model.pieces.forEach(({ piece, type }, id) => {
    if (type === "user_defined") throw cannot(`pieces[${id}].type`, "no user-defined piece", JSON.stringify(piece));
    // A piece that is never used has no likeness, unless something else keeps it from being used.
    if (type === "unused" && !kept.has(piece) && !(split && piece.lastIndexOf("▁") > 0)) {
      throw cannot(`pieces[${id}].type`, "no unused piece", JSON.stringify(piece));
    }
  });
}

const cannot = (path: string, expected: string, found: string): OnnxHubError =>
  new OnnxHubError("text/tokenizer-json", "A tokenizer.json can't express this tokenizer", { path, expected, found });

/** Nothing, one step alone, or a sequence of them. */
function sequence(steps: readonly JsonObject[], members: string): JsonValue {
  return steps.length === 0 ? null : steps.length === 1 ? steps[0] : { type: "Sequence", [members]: steps };
}

/** In parts, as a call takes only so many arguments. */
function base64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}

type Piece = "start" | "end" | "A" | "B";

/** What stands around one text and two: of a masked language model start and end, of a causal one only a start before each. */
function template(spec: ExpandedTokenizer): { readonly single: readonly Piece[]; readonly pair: readonly Piece[] } {
  if (spec.special_tokens.mask === undefined) return { single: ["start", "A"], pair: ["start", "A", "start", "B"] };
  const separators = new Array<Piece>(spec.separators).fill("end");
  return { single: ["start", "A", "end"], pair: ["start", "A", ...separators, "B", "end"] };
}

function postProcessor({ kind, inner, addPrefixSpace }: KnownTokenizer, spec: ExpandedTokenizer): JsonObject {
  const tokens = { start: inner.startTokenId, end: inner.endTokenId };
  const named = (name: "start" | "end"): [string, number] => [inner.idToToken(tokens[name]), tokens[name]];
  const { single, pair } = template(spec);
  // Only BERT's models tell the second text by its segment.
  const second = kind === "wordpiece" ? 1 : 0;
  const pieces = (list: readonly Piece[]): JsonObject[] =>
    list.map((piece, i) => {
      const type_id = i >= list.indexOf("B") && list.includes("B") ? second : 0;
      if (piece === "A" || piece === "B") return { Sequence: { id: piece, type_id } };
      return { SpecialToken: { id: named(piece)[0], type_id } };
    });
  const used = (["start", "end"] as const).filter((name) => pair.includes(name)).map(named);
  const around = {
    type: "TemplateProcessing",
    single: pieces(single),
    pair: pieces(pair),
    special_tokens: Object.fromEntries(used.map(([token, id]) => [token, { id: token, ids: [id], tokens: [token] }])),
  };
  // Takes the spaces off the offsets first.
  return kind === "bpe" ? { type: "Sequence", processors: [byteLevelStep(addPrefixSpace), around] } : around;
}
