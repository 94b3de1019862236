/** A Unigram model as a whole: text to ids, word by word where the model lets it, with the words that came before remembered. */

import type { Normalizer } from "./charsmap.ts";
import type { SentencePieceModel } from "./sentencepiece_model.ts";
import { isCut, UnigramSegmenter } from "./unigram.ts";
import { decodeUtf8, encodeUtf8 } from "./utf.ts";
import { LONGEST_WORD, WordCache, WordReader } from "./word_cache.ts";

/** "▁", which stands in front of every word. */
const SPACE_SYMBOL = 0x2581;

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
  readonly #word = new WordReader(SPACE_SYMBOL);
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
    const apart = !model.pieces.some((one) => one.piece.lastIndexOf("▁") > 0 && /[^▁]▁/.test(one.piece) && isCut(one));
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
    const word = this.#word;
    for (let at = 0; at < text.length; at++) {
      at = word.read(text, at);
      if (word.end > word.start && !this.#encodeWord(cache)) return false;
    }
    return true;
  }

  #encodeWord(cache: WordCache): boolean {
    const { units, end } = this.#word;
    const found = end > LONGEST_WORD ? -1 : cache.find(this.#word, Math.abs(this.#score));
    if (found > 0) {
      this.#addKept(cache.records, found);
      return true;
    }
    let count: number;
    if (this.#isNormalized()) count = this.#segment(units, end);
    else {
      if (this.#bytes.length < 3 * end) this.#bytes = new Uint8Array(4 * end);
      const length = this.#normalizer.normalizeWord(this.#bytes, encodeUtf8(units, 1, end, this.#bytes));
      if (length < 0) return false;
      count = this.#segmentNormalized(length);
    }
    const { ids, limit } = this.#segmenter;
    if (found === 0 && count >= 0 && limit > LEAST_LIMIT) cache.add(this.#word, 0.999 * limit, ids, count);
    return true;
  }

  /** Whether a word is normalized as it stands. */
  #isNormalized(): boolean {
    const { units, end } = this.#word;
    const normalizer = this.#normalizer;
    for (let i = 1; i < end; i++) if (!normalizer.keeps(units[i], i + 1 < end ? units[i + 1] : 0x20)) return false;
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
    const { ids, starts, scores } = this.#segmenter;
    const unknownId = this.#unknownId;
    let known = true;
    let score = this.#score;
    let afterUnknown = this.#afterUnknown;
    for (let i = 0; i < count; i++) {
      const id = ids[i];
      score = Math.fround(score + scores[id]);
      if (id !== unknownId) this.#ids[this.#count++] = id;
      else if (this.#byteIds !== undefined) {
        known = false;
        this.#pushBytes(text, starts[i], i + 1 < count ? starts[i + 1] : size, this.#byteIds);
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
