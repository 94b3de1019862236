/** The project's random numbers: seeded, counter-based, the same on every runtime and backend. */

/** MurmurHash3's 32-bit finalizer (Appleby): a bijection whose every output bit depends on every input bit. */
function mix(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

const GOLDEN = 0x9e3779b9;

/**
 * A stream of random numbers that is a pure function of its key and an index, so that any part of it can be drawn
 * again: dropout masks on recomputation, a killed `fit` that goes on.
 *
 * @example
 * ```ts
 * import { RandomStream } from "onnxhub";
 * const stream = new RandomStream(42, "dropout", 7); // seed, then whatever tells this stream from others
 * console.log(stream.uint32(0), stream.uniform(1));
 * ```
 */
export class RandomStream {
  readonly #k0: number;
  readonly #k1: number;

  /** A stream for a seed and a list of names and numbers that identify it. */
  constructor(seed: number, ...identity: readonly (string | number)[]) {
    let k0 = mix((seed >>> 0) ^ GOLDEN);
    let k1 = mix(Math.floor(seed / 2 ** 32) + k0);
    for (const part of identity) {
      for (const word of words(part)) {
        k0 = mix(k0 ^ word);
        k1 = mix(k1 + Math.imul(word, GOLDEN) + k0);
      }
    }
    this.#k0 = k0;
    this.#k1 = k1;
  }

  /** The two words that it draws by, for those who draw the same numbers elsewhere. */
  get keys(): readonly [number, number] {
    return [this.#k0, this.#k1];
  }

  /** The number at `index` (a whole number below 2^32), uniform over the 32-bit integers. */
  uint32(index: number): number {
    return mix(mix(Math.imul(index, GOLDEN) ^ this.#k0) + this.#k1);
  }

  /** The number at `index`, uniform over [0, 1) with 32 bits. */
  uniform(index: number): number {
    return this.uint32(index) / 4294967296;
  }

  /** The number at `index`, from the standard normal distribution (Box and Muller); uses uniforms 2·index and 2·index + 1. */
  normal(index: number): number {
    const radius = Math.sqrt(-2 * Math.log((this.uint32(2 * index) + 1) / 4294967296));
    return radius * Math.cos(2 * Math.PI * this.uniform(2 * index + 1));
  }

  /** Fills `keep` with 1 where the draw keeps (probability 1 - rate) and 0 where it drops, from `offset` on. */
  fillKeep(keep: Uint8Array, rate: number, offset = 0): void {
    const threshold = Math.round(rate * 4294967296);
    const k0 = this.#k0;
    const k1 = this.#k1;
    for (let i = 0; i < keep.length; i++) {
      keep[i] = mix(mix(Math.imul(i + offset, GOLDEN) ^ k0) + k1) >= threshold ? 1 : 0;
    }
  }

  /** A permutation of 0 … length-1 (Fisher and Yates). */
  permutation(length: number): Uint32Array {
    const order = Uint32Array.from({ length }, (_, i) => i);
    for (let i = length - 1; i > 0; i--) {
      const j = Math.floor(this.uniform(i) * (i + 1));
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }
}

function words(part: string | number): number[] {
  if (typeof part === "number") return [part >>> 0, Math.floor(part / 4294967296) >>> 0];
  return [part.length, ...Array.from(part, (c) => c.codePointAt(0)!)];
}
