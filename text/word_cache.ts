/** Words of texts, and the ids of those that came before: a hash table of bounded size, in a few arrays. */

/** What a record begins with; its number of ids, its ids and the word follow. */
const LIMIT = 0;
const LENGTH = 1;
const COUNT = 2;
const IDS = 3;

/** A longer word, in UTF-16 units, will hardly come again. */
export const LONGEST_WORD = 48;
const FEWEST_WORDS = 2 ** 9;
const MOST_WORDS = 2 ** 15;
/** Of all records together, as 32-bit words. */
const LARGEST = 2 ** 19;
/** How many slots are looked at for a word, whatever their hashes. */
const PROBES = 16;

/** Reads words out of a text: what lies between spaces. */
export class WordReader {
  /** The word, from `start` to `end`, in UTF-16. */
  units = new Uint16Array(256);
  /** The same memory as 32-bit words, two units each. */
  pairs = new Int32Array(this.units.buffer);
  /** 0, or 1 where a unit stands in front of each word. */
  readonly start: number;
  end = 0;
  /** Of the word. */
  hash = 0;
  readonly #before: number | undefined;

  /** A reader; `before` is a unit that is put in front of every word. */
  constructor(before?: number) {
    this.#before = before;
    this.start = before === undefined ? 0 : 1;
  }

  /** Reads the word at a place in a text, perhaps an empty one, and says where the space behind it is. */
  read(text: string, from: number): number {
    if (this.units.length < text.length - from + 2) {
      this.units = new Uint16Array(2 * (text.length - from + 2));
      this.pairs = new Int32Array(this.units.buffer);
    }
    const { units } = this;
    if (this.#before !== undefined) units[0] = this.#before;
    let end = this.start;
    let hash = 0;
    let at = from;
    for (; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      if (unit === 0x20) break;
      units[end++] = unit;
      hash = Math.imul(hash ^ unit, 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    this.end = end;
    this.hash = hash;
    return at;
  }
}

/**
 * Maps words to ids that hold below some limit. Full, at 32,768 words or 2 MB, it is emptied. A look-up takes at most 16 steps, for words that were made to
 * have one hash too.
 */
export class WordCache {
  /** By hash, two numbers a slot: the hash, and where the record is, or 0. */
  #slots = new Int32Array(4 * FEWEST_WORDS);
  #words = 0;
  #records = new Int32Array(32 * FEWEST_WORDS);
  #limits = new Float32Array(this.#records.buffer);
  #used = 1;

  /** What `find` finds places in. */
  get records(): Int32Array {
    return this.#records;
  }

  /**
   * Looks for the word that a reader has. In `records`, from what is given back on, are its number of ids and the ids. 0 where the word is not kept, -1
   * where it is with a limit that is not above `limit`.
   */
  find({ units, pairs, end: length, hash }: WordReader, limit: number): number {
    if (length % 2 === 1) units[length] = 0;
    const slots = this.#slots;
    const records = this.#records;
    const mask = slots.length - 2;
    for (let slot = hash << 1 & mask, probes = 0; probes < PROBES; slot = (slot + 2) & mask, probes++) {
      const record = slots[slot + 1];
      if (record === 0) return 0;
      if (slots[slot] !== hash || records[record + LENGTH] !== length) continue;
      const word = record + IDS + records[record + COUNT];
      let i = 0;
      while (2 * i < length && records[word + i] === pairs[i]) i++;
      if (2 * i >= length) return this.#limits[record + LIMIT] > limit ? record + COUNT : -1;
    }
    return 0;
  }

  /** Keeps the reader's word, which `find` gave 0 for, with the first `count` of `ids`. */
  add({ units, pairs, end: length, hash }: WordReader, limit: number, ids: Int32Array | readonly number[], count: number): void {
    if (length % 2 === 1) units[length] = 0;
    const size = IDS + count + (length + 1 >> 1);
    this.#makeRoom(size);
    const slot = emptySlot(this.#slots, hash);
    if (slot < 0) return;
    const record = this.#used;
    const records = this.#records;
    this.#limits[record + LIMIT] = limit;
    records[record + LENGTH] = length;
    records[record + COUNT] = count;
    for (let i = 0; i < count; i++) records[record + IDS + i] = ids[i];
    for (let i = 0; 2 * i < length; i++) records[record + IDS + count + i] = pairs[i];
    this.#slots[slot] = hash;
    this.#slots[slot + 1] = record;
    this.#words++;
    this.#used += size;
  }

  #makeRoom(size: number): void {
    if (this.#words === MOST_WORDS || this.#used + size > LARGEST) {
      this.#slots.fill(0);
      this.#words = 0;
      this.#used = 1;
    }
    if (4 * (this.#words + 1) > this.#slots.length) {
      const slots = new Int32Array(4 * this.#slots.length);
      for (let old = 0; old < this.#slots.length; old += 2) {
        const slot = this.#slots[old + 1] === 0 ? -1 : emptySlot(slots, this.#slots[old]);
        if (slot < 0) continue;
        slots[slot] = this.#slots[old];
        slots[slot + 1] = this.#slots[old + 1];
      }
      this.#slots = slots;
    }
    if (this.#used + size > this.#records.length) {
      const records = new Int32Array(2 * this.#records.length);
      records.set(this.#records);
      this.#records = records;
      this.#limits = new Float32Array(records.buffer);
    }
  }
}

/** The slot for a hash, or -1 where too many others have it. */
function emptySlot(slots: Int32Array, hash: number): number {
  const mask = slots.length - 2;
  for (let slot = hash << 1 & mask, probes = 0; probes < PROBES; slot = (slot + 2) & mask, probes++) if (slots[slot + 1] === 0) return slot;
  return -1;
}
