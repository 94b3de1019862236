/** Runs WebAssembly kernels that draw: tile by tile, in a memory of their own. */

import type { RandomStream } from "../random.ts";

/** Elements that are drawn at a time: few enough to stay in the first-level cache until they are copied out. */
const TILE = 4096;

type DrawFunction = (address: number, count: number, index: number, k0: number, k1: number, first: number, second: number) => void;

/** The functions of a module that draws, each with two parameters of its own (`codegen/wasm/draws.ts`). */
export class DrawKernel<Name extends string> {
  readonly #functions: Readonly<Record<Name, DrawFunction>>;
  readonly #tile: Float32Array;

  constructor(module: Uint8Array<ArrayBuffer>) {
    const memory = new WebAssembly.Memory({ initial: 1 });
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module), { kernel: { memory } });
    this.#functions = exports as Readonly<Record<Name, DrawFunction>>;
    this.#tile = new Float32Array(memory.buffer, 0, TILE);
  }

  /** Fills an array by one of the functions, whose own parameters are two 32-bit integers: element i by the stream's number at i, modulo 2³². */
  fill(target: Float32Array, name: Name, { keys: [k0, k1] }: RandomStream, first: number, second: number): void {
    const draw = this.#functions[name];
    for (let start = 0; start < target.length; start += TILE) {
      const count = Math.min(TILE, target.length - start);
      draw(0, count, start, k0, k1, first, second);
      target.set(count === TILE ? this.#tile : this.#tile.subarray(0, count), start);
    }
  }
}
