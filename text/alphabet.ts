/** Numbers for the UTF-16 units of a vocabulary: the symbols of a trie. */

import type { Key } from "./trie.ts";

/** The units that some texts are made of, numbered; all others have one number together. */
export class Alphabet {
  /** How many numbers there are. */
  readonly size: number;
  /** By unit. The more often a unit occurs, the smaller its number: a trie is dense then. */
  readonly symbolOf: Uint16Array;

  /** The units of these texts. */
  constructor(texts: Iterable<string>) {
    const counts = new Int32Array(2 ** 16);
    for (const text of texts) for (let i = 0; i < text.length; i++) counts[text.charCodeAt(i)]++;
    const units = Array.from(counts.keys()).filter((unit) => counts[unit] > 0).sort((a, b) => counts[b] - counts[a]);
    this.symbolOf = new Uint16Array(2 ** 16).fill(units.length);
    units.forEach((unit, symbol) => this.symbolOf[unit] = symbol);
    this.size = units.length + 1;
  }

  /** A text's numbers. */
  key(text: string): Uint16Array {
    const key = new Uint16Array(text.length);
    this.#write(text, key);
    return key;
  }

  /** Keys for a trie: those texts whose value is not undefined. */
  *keys(texts: readonly string[], valueOf: (index: number) => number | undefined): Generator<Key> {
    let key = new Uint16Array(64);
    for (let i = 0; i < texts.length; i++) {
      const value = valueOf(i);
      if (value === undefined) continue;
      if (key.length < texts[i].length) key = new Uint16Array(2 * texts[i].length);
      this.#write(texts[i], key);
      yield [key, value, texts[i].length];
    }
  }

  #write(text: string, key: Uint16Array): void {
    for (let i = 0; i < text.length; i++) key[i] = this.symbolOf[text.charCodeAt(i)];
  }
}
