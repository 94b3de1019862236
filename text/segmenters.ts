/** How a SentencePiece model cuts normalized text into pieces: the ways of word and character models. */

import { Trie } from "./trie.ts";
import { characterSize } from "./charsmap.ts";
import type { ModelType, SentencePieceModel } from "./sentencepiece_model.ts";

/** Takes one piece: its id, and where it begins and ends in the text's bytes. */
export type Emit = (id: number, start: number, end: number) => void;

/** Cuts normalized UTF-8 into pieces. */
export interface Segmenter {
  segment(text: Uint8Array, emit: Emit): void;
}

/** By model type. */
export const SEGMENTERS: Readonly<Record<Exclude<ModelType, "bpe" | "unigram">, (model: SentencePieceModel) => Segmenter>> = {
  word: (model) => {
    const lookup = new PieceLookup(model);
    return {
      segment: (text, emit) => words(text, (start, end) => emit(lookup.id(text, start, end), start, end)),
    };
  },
  char: (model) => {
    const lookup = new PieceLookup(model);
    return { segment: (text, emit) => characters(text, lookup.userDefined, (start, end) => emit(lookup.id(text, start, end), start, end)) };
  },
};

/** Finds the id of a whole piece. */
class PieceLookup {
  readonly userDefined: Trie;
  readonly #trie: Trie;
  readonly #unknownId: number;

  constructor({ pieces, unknownId }: SentencePieceModel) {
    const encoder = new TextEncoder();
    const keys = pieces.map(({ piece }, id) => [encoder.encode(piece), id] as const);
    this.#trie = new Trie(keys);
    this.userDefined = new Trie(keys.filter(([, id]) => pieces[id].type === "user_defined"));
    this.#unknownId = unknownId;
  }

  id(text: Uint8Array, start: number, end: number): number {
    let node = 0;
    for (let i = start; i < end; i++) {
      node = this.#trie.next(node, text[i]);
      if (node < 0) return this.#unknownId;
    }
    const id = this.#trie.value(node);
    return id < 0 ? this.#unknownId : id;
  }
}

/** A word begins at a "▁", in a model that puts spaces behind words too. */
function words(text: Uint8Array, emit: (start: number, end: number) => void): void {
  let start = 0;
  for (let at = 1; at <= text.length; at++) {
    const cut = at === text.length || (text[at] === 0xe2 && text[at + 1] === 0x96 && text[at + 2] === 0x81);
    if (!cut) continue;
    emit(start, at);
    start = at;
  }
}

/** Characters, or user-defined pieces where one begins. */
function characters(text: Uint8Array, userDefined: Trie, emit: (start: number, end: number) => void): void {
  for (let at = 0; at < text.length;) {
    const length = userDefined.longest(text, at, text.length) || Math.max(1, characterSize(text[at]));
    const end = Math.min(at + length, text.length);
    emit(at, end);
    at = end;
  }
}
