/** What every tokenizer does, and which one a spec asks for. */

import { OnnxHubError } from "../errors.ts";
import type { ExpandedTokenizer } from "../spec/types.ts";
import { BytePairTokenizer } from "./bpe.ts";
import { SentencePieceTokenizer } from "./sentencepiece.ts";
import { WordPieceTokenizer } from "./wordpiece.ts";

/** Strings to ids and back, as KerasHub's tokenizers do it. */
export interface TextTokenizer {
  /** How many ids there are: they go from 0 to this less one. */
  readonly vocabularySize: number;
  readonly startTokenId: number;
  readonly endTokenId: number;
  readonly padTokenId: number;
  readonly unknownTokenId: number;
  /** Undefined for a model without a mask token. */
  readonly maskTokenId: number | undefined;
  /** Ids that a mask generator leaves alone. */
  readonly specialTokenIds: readonly number[];
  /** The ids of a text, without special tokens. */
  tokenize(text: string): number[];
  /** The ids of each text, without special tokens. Throws "text/not-a-string". */
  tokenize(texts: readonly string[]): number[][];
  /** The text of a list of ids. Throws "text/id-out-of-range". */
  detokenize(ids: TokenIds): string;
  /** The text of each list of ids. */
  detokenize(ids: readonly TokenIds[]): string[];
  /** The token of an id. Throws "text/id-out-of-range". */
  idToToken(id: number): string;
  /** The id of a token. One that is not in the vocabulary has the unknown token's. */
  tokenToId(token: string): number;
  /** Every token, by id. */
  getVocabulary(): string[];
  /** The files that this tokenizer is made from, by file name. */
  assets(): Record<string, Uint8Array>;
}

/** A list of ids. */
export type TokenIds = readonly number[] | Int32Array;

/** How a tokenizer is made from what a spec says and from its files. */
type Factory = (spec: ExpandedTokenizer, assets: Readonly<Record<string, Uint8Array>>) => TextTokenizer;

/** KerasHub's name for the merges that a BPE vocabulary comes with. */
const MERGES = "merges.txt";

const FACTORIES: Readonly<Record<ExpandedTokenizer["type"], Factory>> = {
  sentencepiece: (spec, assets) =>
    new SentencePieceTokenizer({
      proto: asset(assets, spec.asset),
      remap: spec.remap,
      specialTokens: spec.special_tokens,
      asset: spec.asset,
    }),
  wordpiece: (spec, assets) =>
    new WordPieceTokenizer({
      vocabulary: asset(assets, spec.asset),
      lowercase: spec.lowercase,
      stripAccents: spec.strip_accents,
      specialTokens: spec.special_tokens,
      asset: spec.asset,
    }),
  bpe: (spec, assets) =>
    new BytePairTokenizer({
      vocabulary: asset(assets, spec.asset),
      merges: asset(assets, MERGES),
      specialTokens: spec.special_tokens,
      assets: { vocabulary: spec.asset, merges: MERGES },
    }),
};

/**
 * The tokenizer that a spec describes, made from its files' bytes by file name.
 *
 * Throws "text/missing-asset" for a file that is not there, and what the tokenizer throws for one that is damaged.
 */
export function createTokenizer(spec: ExpandedTokenizer, assets: Readonly<Record<string, Uint8Array>>): TextTokenizer {
  return FACTORIES[spec.type](spec, assets);
}

/** The names of the files that a tokenizer is made from. */
export function assetNames(spec: ExpandedTokenizer): string[] {
  return spec.type === "bpe" ? [spec.asset, MERGES] : [spec.asset];
}

function asset(assets: Readonly<Record<string, Uint8Array>>, name: string): Uint8Array {
  const bytes = assets[name];
  if (bytes !== undefined) return bytes;
  throw new OnnxHubError("text/missing-asset", "A tokenizer's file is missing", {
    path: name,
    expected: `the file ${name}`,
    found: Object.keys(assets).join(", ") || "no file",
  });
}
