/** Lets weights live in the heap that graphs compute in, so that they are fed without copies. */

import { encodeModule } from "../codegen/wasm/assembler.ts";
import type { Heap } from "./backend.ts";
import type { Parameters } from "./parameters.ts";

/** Whether the engine can run kernels over a heap, too: WebAssembly 3.0's multiple memories, which Node 20 lacks. */
export function kernelsReachHeaps(): boolean {
  return WebAssembly.validate(encodeModule([], [], true, true));
}

/** Weights that live in a heap while they are trained. */
export class HeapWeights {
  readonly #heap: Heap;
  readonly #parameters: Parameters;
  readonly #paths: readonly string[];
  readonly #homes = new Map<string, Float32Array>();

  /** Moves nothing yet. */
  constructor(heap: Heap, parameters: Parameters, weights: readonly { readonly path: string }[]) {
    this.#heap = heap;
    this.#parameters = parameters;
    this.#paths = weights.map(({ path }) => path);
  }

  /** The bytes of those that it moved. */
  get bytes(): number {
    return [...this.#homes.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  /** Moves the weights into the heap, where they aren't there; false where one finds no room. */
  moveIn(): boolean {
    return this.#paths.every((path) => {
      const from = this.#parameters.get(path);
      if (from.buffer === this.#heap.buffer) return true;
      const home = this.#heap.allocate(from.length);
      if (!home) return false;
      home.set(from);
      this.#parameters.move(path, from, () => home);
      this.#homes.set(path, home);
      return true;
    });
  }

  /** Moves those that it moved, and that are still there, to arrays of their own. */
  moveOut(): void {
    for (const [path, home] of this.#homes) this.#parameters.move(path, home, () => home.slice());
    this.#homes.clear();
  }
}
