/** A Unigram model as a whole: text to ids, word by word where the model lets it, with the words that came before remembered. */

import type { Normalizer } from "./charsmap.ts";
import type { SentencePieceModel } from "./sentencepiece_model.ts";
import { UnigramSegmenter } from "./unigram.ts";
import { decodeUtf8, encodeUtf8 } from "./utf.ts";
import { WordBuffer, WordCache } from "./word_cache.ts";

/** "▁", which stands in front of every word. */
const SPACE_SYMBOL = 0x2581;

/** A longer word, in UTF-16 units, is not remembered: it will hardly come again. */
const LONGEST_WORD = 48;
/** A word's segmentation is remembered if it is the same wherever in a text of this score. */
const LEAST_LIMIT = 2 ** 10;

/** Encodes texts by a Unigram model. */
export class UnigramEncoder {
  readonly #normalizer: Normalizer;
  readonly #segmenter: UnigramSegmenter;
  readonly #unknownId: number;
  readonly #byteIds: Int32Array | undefined;
  /** Undefined where the words of a text are not to be told apart. */
  readonly #cache: WordCache | undefined;
  /** A word with a space in front. */
  #word = new WordBuffer(256);
  #normalized = new Uint16Array(256);
  #bytes = new Uint8Array(1024);
  /** The text's ids so far, the first `#count`. */
  readonly #ids: number[] = [];
  #count = 0;
  /** The score of the text's pieces so far, and whether the last is unknown. */
  #score = 0;
  #afterUnknown = false;

  /** An encoder; `byteIds` are the ids of bytes, for a model that falls back to them. */
  constructor(model: SentencePieceModel, normalizer: Normalizer, byteIds: Int32Array | undefined) {
    this.#normalizer = normalizer;
    this.#segmenter = new UnigramSegmenter(model);
    this.#unknownId = model.unknownId;
    this.#byteIds = byteIds;
    // No piece may go over the space in front of a word.
    const apart = !model.pieces.some(({ piece, type }) => (type === "normal" || type === "user_defined") && /[^▁]▁/.test(piece));
    this.#cache = normalizer.separable && apart ? new WordCache() : undefined;
  }

  /** The ids of a text. */
  encode(text: string): number[] {
    this.#restart();
    if (this.#cache === undefined || !this.#encodeWords(text, this.#cache)) {
      this.#restart();
      this.#segmentNormalized(this.#normalizer.normalizeToBytes(text));
    }
    return this.#ids.slice(0, this.#count);
  }

  #restart(): void {
    this.#count = 0;
    this.#score = 0;
    this.#afterUnknown = false;
  }

  /** Adds the ids of the words between a text's spaces; false where one of them depends on its neighbours. */
  #encodeWords(text: string, cache: WordCache): boolean {
    if (this.#word.units.length <= text.length + 1) this.#word = new WordBuffer(2 * text.length + 2);
    const { units } = this.#word;
    units[0] = SPACE_SYMBOL;
    let size = 1;
    let hash = 0;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      if (unit !== 0x20) {
        units[size++] = unit;
        hash = Math.imul(hash ^ unit, 0x9e3779b1);
        hash ^= hash >>> 15;
        continue;
      }
      if (size > 1 && !this.#encodeWord(size, hash, cache)) return false;
      size = 1;
      hash = 0;
    }
    return size === 1 || this.#encodeWord(size, hash, cache);
  }

  #encodeWord(size: number, hash: number, cache: WordCache): boolean {
    const { units } = this.#word;
    const found = size > LONGEST_WORD ? -1 : cache.find(this.#word, size, hash, Math.abs(this.#score));
    if (found > 0) {
      this.#addKept(cache.records, found);
      return true;
    }
    let count: number;
    if (this.#isNormalized(size)) count = this.#segment(units, size);
    else {
      if (this.#bytes.length < 3 * size) this.#bytes = new Uint8Array(4 * size);
      const length = this.#normalizer.normalizeWord(this.#bytes, encodeUtf8(units, 1, size, this.#bytes));
      if (length < 0) return false;
      count = this.#segmentNormalized(length);
    }
    const { ids: reversed, limit } = this.#segmenter;
    if (found === 0 && count >= 0 && limit > LEAST_LIMIT) cache.add(this.#word, size, hash, 0.999 * limit, reversed, count);
    return true;
  }

  /** Whether a word is normalized as it stands. */
  #isNormalized(size: number): boolean {
    const { units } = this.#word;
    const normalizer = this.#normalizer;
    for (let i = 1; i < size; i++) if (!normalizer.keeps(units[i], i + 1 < size ? units[i + 1] : 0x20)) return false;
    return true;
  }

  /** Adds the ids of a record. */
  #addKept(records: Int32Array, at: number): void {
    const { scores } = this.#segmenter;
    const unknownId = this.#unknownId;
    const end = at + 1 + records[at];
    const ids = this.#ids;
    let size = this.#count;
    let score = this.#score;
    let afterUnknown = this.#afterUnknown;
    for (let i = at + 1; i < end; i++) {
      const id = records[i];
      score = Math.fround(score + scores[id]);
      if (id !== unknownId || !afterUnknown) ids[size++] = id;
      afterUnknown = id === unknownId;
    }
    this.#count = size;
    this.#score = score;
    this.#afterUnknown = afterUnknown;
  }

  /** Adds the ids of what the normalizer has, the first `length` bytes of it. */
  #segmentNormalized(length: number): number {
    if (this.#normalized.length < length) this.#normalized = new Uint16Array(2 * length);
    return this.#segment(this.#normalized, decodeUtf8(this.#normalizer.output, length, this.#normalized));
  }

  /** Adds the ids of normalized text, the first `size` units; gives the number of pieces, or -1 where bytes stand for some. */
  #segment(text: Uint16Array, size: number): number {
    const count = this.#segmenter.segment(text, size, this.#score);
    const { ids: reversed, starts, scores } = this.#segmenter;
    const unknownId = this.#unknownId;
    let known = true;
    let score = this.#score;
    let afterUnknown = this.#afterUnknown;
    for (let i = count - 1; i >= 0; i--) {
      const id = reversed[i];
      score = Math.fround(score + scores[id]);
      if (id !== unknownId) this.#ids[this.#count++] = id;
      else if (this.#byteIds !== undefined) {
        known = false;
        this.#pushBytes(text, starts[i], i > 0 ? starts[i - 1] : size, this.#byteIds);
        // A run of unknown pieces is one.
      } else if (!afterUnknown) this.#ids[this.#count++] = id;
      afterUnknown = id === unknownId;
    }
    this.#score = score;
    this.#afterUnknown = afterUnknown;
    return known ? count : -1;
  }

  /** Adds the ids of the bytes of a character. */
  #pushBytes(text: Uint16Array, start: number, end: number, byteIds: Int32Array): void {
    const length = encodeUtf8(text, start, end, this.#bytes);
    for (let i = 0; i < length; i++) this.#ids[this.#count++] = byteIds[this.#bytes[i]];
  }
}
