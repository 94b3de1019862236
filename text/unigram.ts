/** Unigram segmentation: the most probable way to cut a text into pieces, with SentencePiece's arithmetic and ties. */

import { Alphabet } from "./alphabet.ts";
import type { SentencePiece, SentencePieceModel } from "./sentencepiece_model.ts";
import { Trie } from "./trie.ts";

/** How much worse than the worst piece an unknown character is. */
const UNKNOWN_PENALTY = 10;
/** C's FLT_MIN. SentencePiece starts its largest score from it, so with logarithms the largest is this. */
const FLOAT32_MIN = 1.1754943508222875e-38;
/** Rounding to single precision changes a number by at most half of this part of it. */
const PRECISION = 2 ** -23;

/**
 * Cuts normalized text by a Unigram model (Kudo, 2018). Of two paths with equal scores the one found first stays, and whether they are equal depends on the
 * arithmetic: sums in single precision over the whole text, as in SentencePiece 0.2.2. kitoken sums within words, and so breaks some ties otherwise.
 */
export class UnigramSegmenter {
  /** By id: what a piece adds to a path's score. */
  readonly scores: Float32Array;
  /** The pieces of the last segmentation: their ids, and where they begin in the text. */
  ids = new Int32Array(1024);
  starts = new Int32Array(1024);
  /** The last segmentation would have been the same behind any other text whose score is below this, its sign aside. */
  limit = 0;
  /** By UTF-16 unit: its number in the trie. */
  readonly #symbolOf: Uint16Array;
  readonly #trie: Trie;
  readonly #unknownId: number;
  /** The largest score of a piece, its sign aside. */
  readonly #steepest: number;
  // By place in the text: the best score till there, the second best, and the best one's last piece.
  #best = new Float64Array(1024);
  #second = new Float64Array(1024);
  #idAt = new Int32Array(1024);
  #startsAt = new Int32Array(1024);
  #symbols = new Uint16Array(1024);

  /** A segmenter by a model's pieces. */
  constructor({ pieces, unknownId }: SentencePieceModel) {
    this.#unknownId = unknownId;
    this.scores = pathScores(pieces, unknownId);
    this.#steepest = this.scores.reduce((most, score) => Math.max(most, Math.abs(score)), 0);
    const ids = Array.from(pieces.keys()).filter((id) => isCut(pieces[id]));
    const texts = ids.map((id) => pieces[id].piece);
    const alphabet = new Alphabet(texts);
    this.#symbolOf = alphabet.symbolOf;
    this.#trie = new Trie(alphabet.keys(texts, (i) => ids[i]), { scores: this.scores, width: alphabet.size });
  }

  /**
   * Cuts the first `size` UTF-16 units of `text`, which is normalized, behind others whose score is `before`. `ids` and `starts` then have as many pieces as
   * is given back.
   */
  segment(text: Uint16Array, size: number, before: number): number {
    if (this.#best.length <= size) this.#reserve(2 * size);
    const best = this.#best;
    const second = this.#second;
    const idAt = this.#idAt;
    const startsAt = this.#startsAt;
    const symbols = this.#symbols;
    const symbolOf = this.#symbolOf;
    const { cells, scores } = this.#trie;
    const unknownScore = this.scores[this.#unknownId];
    for (let i = 0; i < size; i++) {
      symbols[i] = symbolOf[text[i]];
      // No score is at most one that is no number.
      best[i + 1] = second[i + 1] = NaN;
    }
    best[0] = before;

    let characters = 0;
    for (let start = 0; start < size; characters++) {
      const tillHere = best[start];
      const character = (text[start] & 0xfc00) === 0xd800 && start + 2 <= size ? start + 2 : start + 1;
      let single = false;
      let node = 0;
      for (let end = start; end < size;) {
        const child = cells[node + 1] + (symbols[end] << 2);
        if (cells[child] !== node) break;
        node = child;
        end++;
        const id = cells[node + 2];
        if (id < 0) continue;
        const score = Math.fround(scores[node + 3] + tillHere);
        if (!(score <= best[end])) {
          second[end] = best[end];
          best[end] = score;
          idAt[end] = id;
          startsAt[end] = start;
        } else if (!(score <= second[end])) second[end] = score;
        if (end === character) single = true;
      }
      if (!single) {
        const score = Math.fround(unknownScore + tillHere);
        if (!(score <= best[character])) {
          second[character] = best[character];
          best[character] = score;
          idAt[character] = this.#unknownId;
          startsAt[character] = start;
        } else if (!(score <= second[character])) second[character] = score;
      }
      start = character;
    }

    // The links lead from the end back to the start.
    const { ids, starts } = this;
    let count = 0;
    let margin = Infinity;
    for (let end = size; end > 0;) {
      const lead = best[end] - second[end];
      if (lead < margin) margin = lead;
      ids[count] = idAt[end];
      end = startsAt[end];
      starts[count++] = end;
    }
    for (let i = 0, j = count - 1; i < j; i++, j--) {
      const id = ids[i];
      ids[i] = ids[j];
      ids[j] = id;
      const start = starts[i];
      starts[i] = starts[j];
      starts[j] = start;
    }
    this.limit = this.#limitOf(margin, characters, before, best[size]);
    return count;
  }

  /**
   * A path's score is rounded once a piece, each time by at most half of `PRECISION` of the largest sum there may be. Where two paths' errors can't make up
   * for the narrowest margin, exact scores would decide as these do, whatever came before.
   */
  #limitOf(margin: number, characters: number, before: number, after: number): number {
    const within = characters * this.#steepest;
    const error = characters * (Math.abs(before) + within) * PRECISION;
    if (!Number.isFinite(after) || !(margin - error > 1e-30)) return 0;
    return (margin - error - 1e-30) / (characters * PRECISION) - within;
  }

  #reserve(size: number): void {
    this.#best = new Float64Array(size);
    this.#second = new Float64Array(size);
    this.#idAt = new Int32Array(size);
    this.#startsAt = new Int32Array(size);
    this.#symbols = new Uint16Array(size);
    this.ids = new Int32Array(size);
    this.starts = new Int32Array(size);
  }
}

/** Whether a text is cut into such pieces. */
export const isCut = ({ type }: SentencePiece): boolean => type === "normal" || type === "user_defined";

/** By id: a piece's own score, that of a user-defined one, so good that it wins, or of the unknown one. */
function pathScores(pieces: readonly SentencePiece[], unknownId: number): Float32Array {
  let smallest = 3.4028234663852886e38;
  let largest = FLOAT32_MIN;
  for (const { score, type } of pieces) {
    if (type !== "normal") continue;
    smallest = Math.min(smallest, score);
    largest = Math.max(largest, score);
  }
  largest = Math.fround(largest);
  const scores = Float32Array.from(
    pieces,
    ({ piece, score, type }) => type === "user_defined" ? Math.fround(new TextEncoder().encode(piece).length * largest) - 0.1 : score,
  );
  scores[unknownId] = Math.fround(smallest) - UNKNOWN_PENALTY;
  return scores;
}
