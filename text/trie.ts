/** A trie: which of many keys begin at a place in a text. */

import { OnnxHubError } from "../errors.ts";

/** What the four numbers of a cell are. */
const PARENT = 0;
const BASE = 1;
const VALUE = 2;
const SCORE = 3;

/** The parent of a cell that no node has. */
const NONE = -1;
const ROOT = 0;
/** How many places are tried for a node's children before they go behind all others: gaps cost memory, tries cost time. */
const TRIES = 24;
/** More cells a node than this come of keys that were made for it; those of a language take hardly more than one. */
const MOST_CELLS = 16;

/** What a key is made of: whole numbers from 0 on, bytes or others. */
export type Symbols = Uint8Array | Uint16Array;

/** A key, its value, and where the key is not all of the array, how long it is; what is in the array may change when the next key is asked for. */
export type Key = readonly [key: Symbols, value: number, length?: number];

/**
 * Says which keys a text starts with. A double array (Aoe, 1989): a node is where its cell is in `cells`, 0 the root; the child for a symbol, if there
 * is one, has the cell `cells[node + 1] + 4 * symbol`, which names its parent first.
 */
export class Trie {
  /** Four numbers for a node: its parent, where its children's cells begin, its key's value or -1, and the bits of its key's score. */
  readonly cells: Int32Array;
  /** Another view of `cells`. */
  readonly scores: Float32Array;
  /** Whether no key is in it. */
  readonly empty: boolean;

  /**
   * Makes a trie of keys with values of 0 or more; of two equal keys the last counts, an empty one is left out. A key's score is `scores[value]`. Symbols are
   * below `width`, 256 by default.
   *
   * Throws "text/vocabulary" for keys that would take much more memory than their number lets expect.
   */
  constructor(keys: Iterable<Key>, options: { scores?: Float32Array; width?: number } = {}) {
    const tree = new Tree(keys);
    this.empty = tree.size === 1;
    this.cells = place(tree, options.width ?? 256);
    this.scores = new Float32Array(this.cells.buffer);
    if (options.scores === undefined) return;
    for (let at = 0; at < this.cells.length; at += 4) {
      if (this.cells[at + VALUE] >= 0) this.scores[at + SCORE] = options.scores[this.cells[at + VALUE]];
    }
  }

  /** The node that `symbol` leads to from `node`, or -1. */
  next(node: number, symbol: number): number {
    const child = this.cells[node + BASE] + (symbol << 2);
    return this.cells[child] === node ? child : -1;
  }

  /** The value of the key that ends at `node`, or -1. */
  value(node: number): number {
    return this.cells[node + VALUE];
  }

  /** The length of the longest key that `text` has at `from`, or 0. */
  longest(text: Symbols, from: number, end: number): number {
    const { cells } = this;
    let length = 0;
    let node = ROOT;
    for (let i = from; i < end; i++) {
      const child = cells[node + BASE] + (text[i] << 2);
      if (cells[child] !== node) break;
      node = child;
      if (cells[node + VALUE] >= 0) length = i + 1 - from;
    }
    return length;
  }
}

/** The trie as it grows: a node's children are a list, and a hash table finds them. */
class Tree {
  size = 1;
  parent = new Int32Array(1024);
  symbol = new Uint16Array(1024);
  value = new Int32Array(1024).fill(NONE);
  firstChild = new Int32Array(1024);
  sibling = new Int32Array(1024);
  /** By hash of parent and symbol: a node, or 0. */
  #table = new Int32Array(4096);

  constructor(keys: Iterable<Key>) {
    for (const [key, value, length = key.length] of keys) {
      let node = ROOT;
      for (let i = 0; i < length; i++) node = this.#child(node, key[i]);
      if (node !== ROOT) this.value[node] = value;
    }
  }

  #child(node: number, symbol: number): number {
    const slot = this.#slot(node, symbol);
    if (this.#table[slot] !== 0) return this.#table[slot];
    const child = this.size++;
    this.#table[slot] = child;
    this.parent[child] = node;
    this.symbol[child] = symbol;
    this.sibling[child] = this.firstChild[node];
    this.firstChild[node] = child;
    if (this.size === this.parent.length) this.#grow();
    return child;
  }

  /** Where the child is in the table, or would be. */
  #slot(node: number, symbol: number): number {
    const mask = this.#table.length - 1;
    let hash = Math.imul(node, 0x9e3779b1) ^ Math.imul(symbol, 0x85ebca6b);
    hash ^= hash >>> 15;
    for (let slot = hash & mask;; slot = (slot + 1) & mask) {
      const child = this.#table[slot];
      if (child === 0 || (this.parent[child] === node && this.symbol[child] === symbol)) return slot;
    }
  }

  #grow(): void {
    const longer = (old: Int32Array): Int32Array<ArrayBuffer> => {
      const array = new Int32Array(2 * this.size);
      array.set(old);
      return array;
    };
    this.parent = longer(this.parent);
    this.value = longer(this.value).fill(NONE, this.size);
    this.firstChild = longer(this.firstChild);
    this.sibling = longer(this.sibling);
    const symbol = new Uint16Array(2 * this.size);
    symbol.set(this.symbol);
    this.symbol = symbol;
    this.#table = new Int32Array(8 * this.size);
    for (let node = 1; node < this.size; node++) this.#table[this.#slot(this.parent[node], this.symbol[node])] = node;
  }
}

/** The places of cells: which are taken, and the next free one of each. */
class Places {
  /** All from here on are free. */
  end = 0;
  #taken: Uint8Array;
  /** Of a place that is taken: a later one; all between are taken too. */
  #next: Int32Array;

  constructor(size: number) {
    this.#taken = new Uint8Array(size);
    this.#next = new Int32Array(size);
  }

  free(place: number): boolean {
    return place >= this.end || this.#taken[place] === 0;
  }

  /** The first free place from one on. What is stepped over is stepped over at once the next time. */
  firstFree(place: number): number {
    let found = place;
    while (found < this.end && this.#taken[found] === 1) found = this.#next[found];
    for (let at = place; at < found;) {
      const next = this.#next[at];
      this.#next[at] = found;
      at = next;
    }
    return found;
  }

  take(place: number): void {
    if (place >= this.#taken.length) {
      const taken = new Uint8Array(2 * place);
      taken.set(this.#taken);
      this.#taken = taken;
      const next = new Int32Array(2 * place);
      next.set(this.#next);
      this.#next = next;
    }
    this.#taken[place] = 1;
    this.#next[place] = place + 1;
    this.end = Math.max(this.end, place + 1);
  }
}

/** The cells of a tree, breadth first: the nodes with many children come early, and those with one fill the gaps between them. */
function place({ size, symbol, value, firstChild, sibling }: Tree, width: number): Int32Array {
  const most = MOST_CELLS * (size + width);
  const places = new Places(size + width + 1);
  const placeOf = new Int32Array(size);
  const bases = new Int32Array(size);
  const symbols = new Uint16Array(width);
  const order = new Int32Array(size);
  let lowest = 0;
  places.take(placeOf[ROOT]);
  for (let done = 0, known = 1; done < known; done++) {
    const node = order[done];
    let count = 0;
    let least = width;
    for (let child = firstChild[node]; child !== 0; child = sibling[child]) {
      order[known++] = child;
      symbols[count++] = symbol[child];
      least = Math.min(least, symbol[child]);
    }
    if (count === 0) continue;
    lowest = places.firstFree(lowest);
    let base = -1;
    for (let tries = 0, at = Math.max(lowest, least); tries < TRIES && base < 0; tries++) {
      at = places.firstFree(at);
      let i = 0;
      while (i < count && places.free(at - least + symbols[i])) i++;
      if (i === count) base = at - least;
      at++;
    }
    if (base < 0) base = Math.max(places.end, least) - least;
    bases[node] = base;
    for (let child = firstChild[node]; child !== 0; child = sibling[child]) {
      placeOf[child] = base + symbol[child];
      places.take(placeOf[child]);
    }
    if (places.end > most) {
      throw new OnnxHubError("text/vocabulary", "The vocabulary's tokens have too little in common", {
        expected: "words of languages",
        found: `${size} beginnings of tokens that would take more than ${most} places`,
      });
    }
  }
  // A look-up from any base stays within the cells.
  const cells = new Int32Array(4 * (places.end + width)).fill(NONE);
  for (let node = 0; node < size; node++) {
    const at = 4 * placeOf[node];
    cells[at + BASE] = 4 * bases[node];
    cells[at + VALUE] = value[node];
    for (let child = firstChild[node]; child !== 0; child = sibling[child]) cells[4 * placeOf[child] + PARENT] = at;
  }
  return cells;
}
