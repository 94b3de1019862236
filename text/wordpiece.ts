/** BERT's WordPiece tokenizer. */

import { OnnxHubError } from "../errors.ts";
import { Alphabet } from "./alphabet.ts";
import { overIds, overTexts } from "./arguments.ts";
import { basicTokens, type WordNormalization } from "./basic_tokens.ts";
import { CharacterForms, FORM } from "./character_forms.ts";
import { Trie } from "./trie.ts";
import type { TextTokenizer, TokenIds } from "./tokenizer.ts";
import { type SpecialTokens, Vocabulary } from "./vocabulary.ts";
import { LONGEST_WORD as LONGEST_KEPT, WordCache, WordReader } from "./word_cache.ts";

/** How a {@linkcode WordPieceTokenizer} is made. */
export interface WordPieceTokenizerOptions {
  /** The tokens by id, or the bytes of a `vocabulary.txt`, a token a line. */
  readonly vocabulary: readonly string[] | Uint8Array;
  /** Whether text is lowercased and accents are stripped, as the uncased BERT models want it. Default false. */
  readonly lowercase?: boolean;
  /** Whether accents are stripped. Default as `lowercase`. */
  readonly stripAccents?: boolean;
  /** Whether control characters are dropped. Default true. */
  readonly cleanText?: boolean;
  /** Whether Chinese characters stand alone. Default true. */
  readonly splitIdeographs?: boolean;
  /** Which tokens begin, end, pad, mask, and stand for the unknown. Default BERT's. */
  readonly specialTokens?: SpecialTokens;
  /** The file name that `assets()` gives the vocabulary. Default "vocabulary.txt". */
  readonly asset?: string;
  /** The vocabulary's file in errors. Default `asset`. */
  readonly path?: string;
}

const DEFAULT_TOKENS = { start: "[CLS]", end: "[SEP]", pad: "[PAD]", mask: "[MASK]", unknown: "[UNK]" } as const;
/** What a token that continues a word begins with. */
const CONTINUATION = "##";
/** A longer word is unknown as a whole, in characters. */
const LONGEST_WORD = 100;

/**
 * BERT's tokenizer (Devlin et al., 2018; Hugging Face's `BertTokenizer`, KerasHub's `BertTokenizer`): words and punctuation, each cut into the longest
 * tokens of the vocabulary from left to right, or unknown as a whole. Special tokens in a text are text.
 *
 * Throws "text/vocabulary" for an empty vocabulary and "text/special-token" when it lacks a special token.
 *
 * @example
 * ```ts
 * import { WordPieceTokenizer } from "onnxhub";
 * const vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "qu", "##ick", "fox", "."];
 * const tokenizer = new WordPieceTokenizer({ vocabulary, lowercase: true });
 * console.log(tokenizer.tokenize("Quick fox.")); // [5, 6, 7, 8]
 * ```
 */
export class WordPieceTokenizer implements TextTokenizer {
  readonly vocabularySize: number;
  readonly startTokenId: number;
  readonly endTokenId: number;
  readonly padTokenId: number;
  readonly unknownTokenId: number;
  readonly maskTokenId: number | undefined;
  readonly specialTokenIds: readonly number[];
  readonly #vocabulary: Vocabulary;
  /** What is done to a text first. */
  readonly normalization: WordNormalization;
  readonly #asset: string;
  /** Tokens that begin a word, and those that continue one, without their mark. */
  readonly #first: Trie;
  readonly #rest: Trie;
  readonly #alphabet: Alphabet;
  readonly #forms: CharacterForms;
  #symbols = new Uint16Array(256);
  readonly #word = new WordReader();
  readonly #kept = new WordCache();

  /** Makes the tokenizer. */
  constructor(options: WordPieceTokenizerOptions) {
    const { vocabulary, lowercase = false, specialTokens = DEFAULT_TOKENS, asset = "vocabulary.txt", path = asset } = options;
    const tokens = vocabulary instanceof Uint8Array ? lines(vocabulary, path) : [...vocabulary];
    if (tokens.length === 0) {
      throw new OnnxHubError("text/vocabulary", "The vocabulary is empty", { path, expected: "a token a line" });
    }
    this.#vocabulary = new Vocabulary(tokens, path);
    const { stripAccents = lowercase, cleanText = true, splitIdeographs = true } = options;
    this.normalization = { lowercase, stripAccents, cleanText, splitIdeographs };
    this.#asset = asset;
    this.#forms = new CharacterForms(this.normalization);
    this.#alphabet = new Alphabet(tokens);
    // From the last on, so that of two equal tokens the first stays.
    const last = tokens.length - 1;
    const reversed = tokens.toReversed();
    const rest = reversed.map((token) => token.slice(CONTINUATION.length));
    const { size: width } = this.#alphabet;
    this.#first = new Trie(this.#alphabet.keys(reversed, (i) => last - i), { width });
    this.#rest = new Trie(this.#alphabet.keys(rest, (i) => reversed[i].startsWith(CONTINUATION) ? last - i : undefined), { width });
    const ids = this.#vocabulary.special(specialTokens);
    this.vocabularySize = tokens.length;
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
    return overTexts<number[]>(texts, (list) =>
      list.map((text) => {
        const ids: number[] = [];
        for (let at = 0; at < text.length; at++) {
          const start = at;
          at = this.#word.read(text, start);
          this.#addIds(text, start, at, ids);
        }
        return ids;
      }));
  }

  /** Adds the ids of what lies between two spaces, where nothing depends on what is beyond them. */
  #addIds(text: string, start: number, end: number, ids: number[]): void {
    const found = end - start > LONGEST_KEPT ? -1 : this.#kept.find(this.#word, 0);
    if (found > 0) {
      const { records } = this.#kept;
      for (let i = found + 1, last = found + records[found]; i <= last; i++) ids.push(records[i]);
      return;
    }
    const own: number[] = [];
    if (!this.#cutCharacters(own)) {
      own.length = 0;
      for (const word of basicTokens(text.slice(start, end), this.normalization)) {
        this.#cut(this.#alphabet.key(word), word.length, word.length > LONGEST_WORD ? [...word].length : word.length, own);
      }
    }
    if (found === 0) this.#kept.add(this.#word, Infinity, own, own.length);
    for (const id of own) ids.push(id);
  }

  /** Adds the ids of the reader's word by what its characters become, each by itself; false where that takes more. */
  #cutCharacters(ids: number[]): boolean {
    const { units, end } = this.#word;
    const forms = this.#forms;
    const { symbolOf } = this.#alphabet;
    if (this.#symbols.length < end) this.#symbols = new Uint16Array(2 * end);
    const symbols = this.#symbols;
    let size = 0;
    for (let i = 0; i < end; i++) {
      const form = forms.of(units[i]);
      if (form === FORM.other) return false;
      if (form === FORM.dropped) continue;
      if (form === FORM.alone && size > 0) {
        this.#cut(symbols, size, size, ids);
        size = 0;
      }
      symbols[size++] = symbolOf[forms.units[units[i]]];
      if (form === FORM.joined) continue;
      this.#cut(symbols, size, size, ids);
      size = 0;
    }
    if (size > 0) this.#cut(symbols, size, size, ids);
    return true;
  }

  /** Adds the ids of a word, the first `size` symbols. */
  #cut(symbols: Uint16Array, size: number, characters: number, ids: number[]): void {
    if (characters > LONGEST_WORD) {
      ids.push(this.unknownTokenId);
      return;
    }
    const before = ids.length;
    for (let at = 0; at < size;) {
      const trie = at === 0 ? this.#first : this.#rest;
      let found = -1;
      let next = at;
      for (let end = at, node = 0; end < size;) {
        node = trie.next(node, symbols[end++]);
        if (node < 0) break;
        const value = trie.value(node);
        if (value < 0) continue;
        found = value;
        next = end;
      }
      if (found < 0) {
        ids.length = before;
        ids.push(this.unknownTokenId);
        return;
      }
      ids.push(found);
      at = next;
    }
  }

  detokenize(ids: TokenIds): string;
  detokenize(ids: readonly TokenIds[]): string[];
  detokenize(ids: TokenIds | readonly TokenIds[]): string | string[] {
    return overIds(ids, (list) =>
      list.map((id, i) => {
        const token = this.#vocabulary.token(id);
        if (i === 0) return token;
        return token.startsWith(CONTINUATION) ? token.slice(CONTINUATION.length) : ` ${token}`;
      }).join(""));
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
    return { [this.#asset]: encoder.encode(this.#vocabulary.tokens.map((token) => `${token}\n`).join("")) };
  }
}

const encoder = new TextEncoder();

/** A token a line, spaces at its end aside. */
function lines(bytes: Uint8Array, path: string): string[] {
  try {
    const list = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes).split("\n");
    if (list[list.length - 1] === "") list.pop();
    return list.map((line) => line.trimEnd());
  } catch (cause) {
    throw new OnnxHubError("text/vocabulary", "The vocabulary is no UTF-8 text", { path, cause });
  }
}
