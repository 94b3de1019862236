/** Unigram segmentation: the most probable way to cut a text into pieces, with SentencePiece's arithmetic and ties. */

import { ByteTrie } from "./byte_trie.ts";
import { characterSize } from "./charsmap.ts";
import type { Emit, Segmenter } from "./segmenters.ts";
import type { SentencePieceModel } from "./sentencepiece_model.ts";

/** How much worse than the worst piece an unknown character is. */
const UNKNOWN_PENALTY = 10;
/** C's FLT_MIN. SentencePiece starts its largest score from it, so with logarithms the largest is this. */
const FLOAT32_MIN = 1.1754943508222875e-38;

/**
 * Cuts normalized text by a Unigram model (Kudo, 2018). Of two paths with equal scores the one found first stays, and whether they are equal depends on the
 * arithmetic: sums in single precision over the whole text, as in SentencePiece 0.2.2. kitoken sums within words, and so breaks some ties otherwise.
 */
export class UnigramSegmenter implements Segmenter {
  readonly #trie: ByteTrie;
  readonly #scores: Float32Array;
  readonly #userDefined: Uint8Array;
  readonly #unknownId: number;
  readonly #unknownScore: number;
  readonly #largest: number;
  #best = new Float32Array(1024);
  #startsAt = new Int32Array(1024);
  #idAt = new Int32Array(1024);
  #path = new Int32Array(1024);

  /** A segmenter by a model's pieces. */
  constructor(model: SentencePieceModel) {
    const encoder = new TextEncoder();
    const { pieces } = model;
    const usable = pieces.flatMap(({ piece, type }, id) =>
      type === "normal" || type === "user_defined" ? [[encoder.encode(piece), id] as const] : []
    );
    this.#trie = new ByteTrie(usable);
    this.#scores = Float32Array.from(pieces, ({ score }) => score);
    this.#userDefined = Uint8Array.from(pieces, ({ type }) => type === "user_defined" ? 1 : 0);
    this.#unknownId = model.unknownId;
    const normal = pieces.filter(({ type }) => type === "normal");
    const smallest = normal.reduce((least, { score }) => Math.min(least, score), 3.4028234663852886e38);
    this.#largest = Math.fround(normal.reduce((most, { score }) => Math.max(most, score), FLOAT32_MIN));
    this.#unknownScore = Math.fround(Math.fround(smallest) - UNKNOWN_PENALTY);
  }

  /** Hands on the pieces of `text`, normalized UTF-8, first to last. */
  segment(text: Uint8Array, emit: Emit): void {
    const size = text.length;
    if (size === 0) return;
    if (this.#best.length <= size) {
      this.#best = new Float32Array(2 * size);
      this.#startsAt = new Int32Array(2 * size);
      this.#idAt = new Int32Array(2 * size);
      this.#path = new Int32Array(2 * size);
    }
    const best = this.#best;
    const startsAt = this.#startsAt;
    const idAt = this.#idAt;
    startsAt.fill(-1, 0, size + 1);
    best[0] = 0;
    const trie = this.#trie;
    const scores = this.#scores;
    const userDefined = this.#userDefined;

    for (let start = 0; start < size;) {
      const tillHere = best[start];
      const character = start + Math.max(1, characterSize(text[start]));
      let single = false;
      let node = 0;
      for (let end = start; end < size;) {
        node = trie.next(node, text[end]);
        if (node < 0) break;
        end++;
        const id = trie.value(node);
        if (id < 0) continue;
        const score = userDefined[id] === 0 ? scores[id] : Math.fround(Math.fround((end - start) * this.#largest) - 0.1);
        const candidate = Math.fround(score + tillHere);
        if (startsAt[end] < 0 || candidate > best[end]) {
          best[end] = candidate;
          startsAt[end] = start;
          idAt[end] = id;
        }
        if (end === character) single = true;
      }
      if (!single) {
        const end = Math.min(character, size);
        const candidate = Math.fround(this.#unknownScore + tillHere);
        if (startsAt[end] < 0 || candidate > best[end]) {
          best[end] = candidate;
          startsAt[end] = start;
          idAt[end] = this.#unknownId;
        }
      }
      start = character;
    }
    // The links lead from the end back to the start.
    let count = 0;
    for (let end = size; end > 0; end = startsAt[end]) this.#path[count++] = end;
    while (count > 0) {
      const end = this.#path[--count];
      emit(idAt[end], startsAt[end], end);
    }
  }
}
