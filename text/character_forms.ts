/** What BERT's normalizer and pre-tokenizer make of single characters, remembered, so that most words need no regular expression. */

import { basicTokens, type WordNormalization } from "./basic_tokens.ts";

/** What becomes of a UTF-16 unit. */
export const FORM = {
  /** Not asked for yet. */
  unasked: 0,
  /** One other unit, or itself, as a part of a word. */
  joined: 1,
  /** A word of its own. */
  alone: 2,
  dropped: 3,
  /** Several units, or what its neighbours have a say in. */
  other: 4,
} as const;

const MARKS_AND_HALVES = /[\p{M}\ud800-\udfff]/u;

/** Forms of UTF-16 units. */
export class CharacterForms {
  /** Of a unit that is joined or alone: the unit that it becomes. */
  readonly units = new Uint16Array(2 ** 16);
  readonly #forms = new Uint8Array(2 ** 16);
  readonly #normalization: WordNormalization;

  /** Forms by what is done to a text. */
  constructor(normalization: WordNormalization) {
    this.#normalization = normalization;
  }

  /** One of {@linkcode FORM}. */
  of(unit: number): number {
    return this.#forms[unit] || this.#ask(unit);
  }

  #ask(unit: number): number {
    const character = String.fromCharCode(unit);
    // Marks are put in order.
    if (MARKS_AND_HALVES.test(character)) return this.#forms[unit] = FORM.other;
    const tokens = basicTokens(`a${character}b`, this.#normalization);
    const middle = tokens.length === 1 ? tokens[0].slice(1, -1) : tokens[1];
    this.units[unit] = middle.charCodeAt(0);
    const form = tokens.length === 1 && middle === ""
      ? FORM.dropped
      : middle.length !== 1 || tokens.length === 2
      ? FORM.other
      : tokens.length === 1
      ? FORM.joined
      : FORM.alone;
    return this.#forms[unit] = form;
  }
}
