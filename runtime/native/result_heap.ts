/** Memory where results stay that kernels work on: WebAssembly reaches it, as it doesn't reach onnxruntime's. */

import type { Heap } from "../backend.ts";
import { ownedBy } from "../release.ts";
import type { AdviseHugePages } from "./huge_pages.ts";

/** Bytes of a page of WebAssembly's memory. */
const PAGE = 65536;

/** The most bytes of a heap: engines that count all of a memory as used collect less garbage the larger it is. */
const MOST_BYTES = 2 ** 31;

/** Bytes of a cache line. Arrays have whole ones, so that there is room for what a last vector has too much. */
const LINE = 64;

/**
 * A heap for arrays that come in the same sizes again and again and are all released at the end of a step: one behind the other; what was released serves
 * for the next array of its size, and once none is held, all begins anew.
 */
export class ResultHeap implements Heap {
  readonly buffer: ArrayBufferLike;
  #held = 0;
  #arrays = 0;
  #next = 0;
  /** Addresses that were released, by their bytes. */
  readonly #released = new Map<number, number[]>();
  /** Addresses right behind the arrays. */
  readonly #ends = new Set<number>();

  private constructor(readonly memory: WebAssembly.Memory) {
    this.buffer = memory.buffer;
  }

  /** Makes a heap of so many bytes, at most 2 GiB; null where the machine doesn't give them. Pages cost nothing until they are written to. */
  static create(bytes: number, adviseHugePages: AdviseHugePages): ResultHeap | null {
    const pages = Math.max(1, Math.ceil(Math.min(bytes, MOST_BYTES) / PAGE));
    try {
      const heap = new ResultHeap(new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }));
      adviseHugePages(new Uint8Array(heap.buffer));
      return heap;
    } catch {
      return null;
    }
  }

  get heldBytes(): number {
    return this.#held;
  }

  allocate(elements: number): Float32Array | null {
    const size = 4 * elements;
    const room = Math.ceil(size / LINE) * LINE;
    const released = this.#released.get(room)?.pop();
    const address = released ?? this.#next;
    if (released === undefined) {
      if (this.#next + room > this.buffer.byteLength) return null;
      this.#next += room;
    }
    this.#held += size;
    this.#arrays++;
    this.#ends.add(address + size);
    return ownedBy(new Float32Array(this.buffer as ArrayBuffer, address, elements), () => this.#free(address, size, room));
  }

  #free(address: number, size: number, room: number): void {
    this.#held -= size;
    this.#ends.delete(address + size);
    if (--this.#arrays === 0) {
      this.#next = 0;
      return this.#released.clear();
    }
    const released = this.#released.get(room);
    if (released) released.push(address);
    else this.#released.set(room, [address]);
  }

  holds({ buffer, length, byteOffset, byteLength }: Float32Array): boolean {
    return buffer === this.buffer && (length % 4 === 0 || this.#ends.has(byteOffset + byteLength));
  }
}
