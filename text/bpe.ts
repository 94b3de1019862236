/** RoBERTa's and GPT-2's byte-level BPE tokenizer. */

import { OnnxHubError } from "../errors.ts";
import { overIds, overTexts } from "./arguments.ts";
import { type KitokenEncoder, tokenizersEncoder } from "./kitoken.ts";
import type { TextTokenizer, TokenIds } from "./tokenizer.ts";
import { type SpecialTokens, Vocabulary } from "./vocabulary.ts";

/** How a {@linkcode BytePairTokenizer} is made. */
export interface BytePairTokenizerOptions {
  /** Ids by token, or the bytes of a `vocabulary.json`. */
  readonly vocabulary: Readonly<Record<string, number>> | Uint8Array;
  /** The merges in order, each two tokens with a space between, or the bytes of a `merges.txt`. */
  readonly merges: readonly string[] | Uint8Array;
  /** Which tokens begin, end, pad, mask, and stand for the unknown. Default RoBERTa's. */
  readonly specialTokens?: SpecialTokens;
  /** The file names that `assets()` gives. Default "vocabulary.json" and "merges.txt". */
  readonly assets?: { readonly vocabulary: string; readonly merges: string };
  /** Further special tokens. Default none. */
  readonly furtherTokens?: readonly string[];
  /** Whether special tokens in a text are kept whole. Default true. */
  readonly specialTokensInText?: boolean;
  /** The files in errors. Default `assets`. */
  readonly paths?: { readonly vocabulary: string; readonly merges: string };
}

const DEFAULT_TOKENS = { start: "<s>", end: "</s>", pad: "<pad>", mask: "<mask>", unknown: "<unk>" } as const;
const FILES = { vocabulary: "vocabulary.json", merges: "merges.txt" } as const;

/**
 * Byte-level BPE (Radford et al., 2019; KerasHub's `BytePairTokenizer`): GPT-2's pattern cuts a text into words, whose UTF-8 bytes are
 * merged in pairs. Special tokens in a text are kept whole.
 *
 * Throws "text/vocabulary" for a vocabulary or merges that can't be read and "text/special-token" when the vocabulary lacks a special token.
 *
 * @example
 * ```ts
 * import { readFileSync } from "node:fs";
 * import { BytePairTokenizer } from "onnxhub";
 * const folder = "tests/fixtures/tokenizer/roberta-bpe";
 * const tokenizer = new BytePairTokenizer({ vocabulary: readFileSync(`${folder}/vocab.json`), merges: readFileSync(`${folder}/merges.txt`) });
 * console.log(tokenizer.detokenize(tokenizer.tokenize("All human beings"))); // All human beings
 * ```
 */
export class BytePairTokenizer implements TextTokenizer {
  readonly vocabularySize: number;
  readonly startTokenId: number;
  readonly endTokenId: number;
  readonly padTokenId: number;
  readonly unknownTokenId: number;
  readonly maskTokenId: number | undefined;
  readonly specialTokenIds: readonly number[];
  readonly #vocabulary: Vocabulary;
  readonly #merges: readonly string[];
  readonly #special: ReadonlySet<string>;
  readonly #specialInText: boolean;
  readonly #files: { readonly vocabulary: string; readonly merges: string };
  readonly #path: string;
  /** Made when first needed. */
  #encoder: KitokenEncoder | undefined;

  /** Makes the tokenizer. */
  constructor(options: BytePairTokenizerOptions) {
    const { vocabulary, merges, specialTokens = DEFAULT_TOKENS, assets = FILES, furtherTokens = [], paths = assets } = options;
    this.#files = assets;
    this.#path = paths.vocabulary;
    this.#specialInText = options.specialTokensInText ?? true;
    this.#vocabulary = new Vocabulary(
      byId(vocabulary instanceof Uint8Array ? parse(vocabulary, paths.vocabulary) : vocabulary, paths.vocabulary),
      paths.vocabulary,
    );
    this.#merges = merges instanceof Uint8Array ? mergeLines(merges, paths.merges) : [...merges];
    this.#merges.forEach((merge, i) => {
      const [left, right] = merge.split(" ");
      const missing = [left, right, left + right].find((token) => this.#vocabulary.id(token) === undefined);
      if (missing === undefined) return;
      throw new OnnxHubError("text/vocabulary", "A merge's token is not in the vocabulary", {
        path: `${paths.merges}[${i}]`,
        found: JSON.stringify(missing),
        remedy: "Take the vocabulary and the merges of the same model.",
      });
    });
    this.#special = new Set([...Object.values(specialTokens).filter((token) => token !== undefined), ...furtherTokens]);
    const ids = this.#vocabulary.special(specialTokens);
    this.vocabularySize = this.#vocabulary.size;
    this.startTokenId = ids.start;
    this.endTokenId = ids.end;
    this.padTokenId = ids.pad;
    this.unknownTokenId = ids.unknown;
    this.maskTokenId = ids.mask;
    this.specialTokenIds = [...new Set([ids.start, ids.end, ids.pad, ...ids.mask === undefined ? [] : [ids.mask]])];
  }

  tokenize(text: string): number[];
  tokenize(texts: readonly string[]): number[][];
  tokenize(texts: string | readonly string[]): number[] | number[][] {
    return overTexts<number[]>(texts, (list) => {
      this.#encoder ??= tokenizersEncoder(this.#tokenizerJSON(), this.#path);
      return this.#encoder.encode(list);
    });
  }

  /** The tokenizer in the format of Hugging Face's `tokenizer.json`, which kitoken reads. */
  #tokenizerJSON(): string {
    const { tokens } = this.#vocabulary;
    const added = (this.#specialInText ? [...this.#special] : []).map((content) => ({
      id: this.#vocabulary.id(content),
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    }));
    const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
    return JSON.stringify({
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: added,
      normalizer: null,
      pre_tokenizer: byteLevel,
      post_processor: null,
      decoder: byteLevel,
      model: {
        type: "BPE",
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: false,
        vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
        merges: this.#merges,
      },
    });
  }

  detokenize(ids: TokenIds): string;
  detokenize(ids: readonly TokenIds[]): string[];
  detokenize(ids: TokenIds | readonly TokenIds[]): string | string[] {
    return overIds(ids, (list) => {
      const bytes: number[] = [];
      for (const id of list) {
        const token = this.#vocabulary.token(id);
        if (this.#special.has(token)) bytes.push(...encoder.encode(token));
        else {for (const character of token) {
            bytes.push(...BYTE_CHARACTERS.get(character) === undefined ? encoder.encode(character) : [BYTE_CHARACTERS.get(character)!]);
          }}
      }
      return decoder.decode(Uint8Array.from(bytes));
    });
  }

  /** The merges in order, each two tokens with a space between. */
  get merges(): readonly string[] {
    return this.#merges;
  }

  idToToken(id: number): string {
    return this.#vocabulary.token(id);
  }

  tokenToId(token: string): number {
    return this.#vocabulary.id(token) ?? this.unknownTokenId;
  }

  getVocabulary(): string[] {
    return [...this.#vocabulary.tokens];
  }

  assets(): Record<string, Uint8Array> {
    const vocabulary = Object.fromEntries(this.#vocabulary.tokens.map((token, id) => [token, id]));
    return {
      [this.#files.vocabulary]: encoder.encode(JSON.stringify(vocabulary)),
      [this.#files.merges]: encoder.encode(this.#merges.map((merge) => `${merge}\n`).join("")),
    };
  }
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The byte that each character of a token stands for: GPT-2 gave the bytes that don't print the characters from U+0100 on. */
export const BYTE_CHARACTERS: ReadonlyMap<string, number> = (() => {
  const prints = (byte: number): boolean => (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  let next = 0x100;
  return new Map(Array.from({ length: 256 }, (_, byte) => [String.fromCharCode(prints(byte) ? byte : next++), byte]));
})();

/** The tokens in the order of their ids, which must be 0 to the number of tokens less one. */
function byId(vocabulary: Readonly<Record<string, number>>, path: string): string[] {
  const entries = Object.entries(vocabulary);
  const tokens = new Array<string | undefined>(entries.length).fill(undefined);
  for (const [token, id] of entries) {
    if (!Number.isInteger(id) || id < 0 || id >= tokens.length || tokens[id] !== undefined) {
      throw new OnnxHubError("text/vocabulary", "The vocabulary's ids have gaps or repeat", {
        path: `${path}[${JSON.stringify(token)}]`,
        expected: `each of 0 to ${tokens.length - 1} once`,
        found: JSON.stringify(id),
      });
    }
    tokens[id] = token;
  }
  return tokens as string[];
}

function parse(bytes: Uint8Array, path: string): Record<string, number> {
  let value: unknown;
  try {
    value = JSON.parse(text(bytes, path));
  } catch (cause) {
    if (cause instanceof OnnxHubError) throw cause;
    throw new OnnxHubError("text/vocabulary", "The vocabulary is no JSON", { path, found: String(cause), cause });
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, number>;
  throw new OnnxHubError("text/vocabulary", "The vocabulary is no JSON object", {
    path,
    expected: "ids by token",
    found: Array.isArray(value) ? "an array" : typeof value,
  });
}

/** A merge a line; a first line that tells the version is none. */
function mergeLines(bytes: Uint8Array, path: string): string[] {
  const merges = text(bytes, path).split(/\r?\n/).filter((line, i) => line !== "" && !(i === 0 && line.startsWith("#version:")));
  merges.forEach((merge, i) => {
    if (/^\S+ \S+$/.test(merge)) return;
    throw new OnnxHubError("text/vocabulary", "A merge can't be read", {
      path: `${path}[${i}]`,
      expected: "two tokens with a space between",
      found: JSON.stringify(merge),
    });
  });
  return merges;
}

function text(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new OnnxHubError("text/vocabulary", "The file is no UTF-8 text", { path, cause });
  }
}
