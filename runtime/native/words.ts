/** Memory in which functions of the C API are handed lists, and give lists back. */

import { type CApi, WORD } from "./c_api.ts";

/** Words that functions read and write by their address. */
export class Words {
  #words = new BigInt64Array(new ArrayBuffer(0));
  #address = 0;
  #used = 0;

  /** Has no room yet. */
  constructor(private readonly api: CApi) {}

  /** Forgets all words; there is room for so many. */
  begin(room: number): void {
    this.#used = 0;
    if (room <= this.#words.length) return;
    this.#words = new BigInt64Array(new ArrayBuffer(2 * WORD * room));
    this.#address = this.api.foreign.addressOf(this.#words.buffer);
  }

  /** Their address. */
  put(words: readonly number[]): number {
    const address = this.#address + WORD * this.#used;
    for (const word of words) this.#words[this.#used++] = BigInt(word);
    return address;
  }

  /** The words at an address that `put` gave. */
  read(address: number, count: number): number[] {
    const at = (address - this.#address) / WORD;
    return Array.from(this.#words.subarray(at, at + count), Number);
  }
}
