/** A trie over bytes: which of many keys begin at a place in a text. */

const EMPTY = -1;

/** Says which keys a byte sequence starts with. Nodes are numbers, 0 the root; a node's edges live in one open-addressed hash table. */
export class ByteTrie {
  /** (parent · 256 + byte, child) pairs; a power of two of them. */
  #edges = new Int32Array(2 * 1024).fill(EMPTY);
  #shift = 32 - 10;
  #nodes = 1;
  /** By node: the value of the key that ends there, or -1. */
  #values = new Int32Array(1024).fill(EMPTY);

  /** Makes a trie of keys; a key's value is its index. An empty key is left out. */
  constructor(keys: Iterable<readonly [key: Uint8Array, value: number]>) {
    for (const [key, value] of keys) {
      if (key.length === 0) continue;
      let node = 0;
      for (const byte of key) node = this.#child(node, byte);
      this.#values[node] = value;
    }
  }

  /** Whether no key is in it. */
  get empty(): boolean {
    return this.#nodes === 1;
  }

  /** The node that `byte` leads to from `node`, or -1. */
  next(node: number, byte: number): number {
    const key = (node << 8) | byte;
    const edges = this.#edges;
    const mask = edges.length - 2;
    for (let at = (Math.imul(key, 0x9e3779b1) >>> this.#shift) << 1;; at = (at + 2) & mask) {
      const found = edges[at];
      if (found === key) return edges[at + 1];
      if (found === EMPTY) return EMPTY;
    }
  }

  /** The value of the key that ends at `node`, or -1. */
  value(node: number): number {
    return this.#values[node];
  }

  /** The length of the longest key that `bytes` has at `from`, or 0. */
  longest(bytes: Uint8Array, from: number, end: number): number {
    let length = 0;
    let node = 0;
    for (let i = from; i < end; i++) {
      node = this.next(node, bytes[i]);
      if (node === EMPTY) break;
      if (this.#values[node] !== EMPTY) length = i + 1 - from;
    }
    return length;
  }

  #child(node: number, byte: number): number {
    const found = this.next(node, byte);
    if (found !== EMPTY) return found;
    const child = this.#nodes++;
    if (child === this.#values.length) {
      const values = new Int32Array(2 * child).fill(EMPTY);
      values.set(this.#values);
      this.#values = values;
    }
    if (4 * this.#nodes > this.#edges.length) this.#grow();
    this.#insert((node << 8) | byte, child);
    return child;
  }

  #insert(key: number, child: number): void {
    const edges = this.#edges;
    const mask = edges.length - 2;
    let at = (Math.imul(key, 0x9e3779b1) >>> this.#shift) << 1;
    while (edges[at] !== EMPTY) at = (at + 2) & mask;
    edges[at] = key;
    edges[at + 1] = child;
  }

  #grow(): void {
    const old = this.#edges;
    this.#edges = new Int32Array(2 * old.length).fill(EMPTY);
    this.#shift--;
    for (let at = 0; at < old.length; at += 2) if (old[at] !== EMPTY) this.#insert(old[at], old[at + 1]);
  }
}
