/** The WebAssembly memory that kernels work in: their scalars and sums, copies of tiles, and tensors that stay. */

import { TILE } from "../../codegen/optimizers/kernel/lower.ts";

/** Bytes of a page of WebAssembly's memory. */
const PAGE = 65536;

/** The most pages of one memory: a little less than the 4 GiB that a 32-bit address reaches. */
const MOST_PAGES = 65535;

/** The most tensors that a kernel works on. */
export const MOST_TENSORS = 16;

/** The most sums of one pass. */
export const MOST_SUMS = 8;

/** Copies of tiles that wait for one thread, or are worked on by it. */
export const RING = 2;

/**
 * From tensor to tensor addresses differ by an odd number of these many bytes, modulo 4096: where the last twelve bits are nearly the same, a
 * processor takes a load for one of what was stored just before, and waits.
 */
const STAGGER = 832;

const scalarBytes = 2048;
const tileStride = TILE * 4 + STAGGER;

/** What a memory has room for. */
export interface MemoryRequest {
  /** The tensors' sizes, in elements. */
  readonly tensors: readonly number[];
  /** Threads beside the one that asks; they need a shared memory. */
  readonly workers: number;
}

/** A memory with room for tensors. All addresses are in bytes. */
export class KernelMemory {
  readonly memory: WebAssembly.Memory;
  readonly buffer: ArrayBufferLike;
  /** Whether threads may share it. */
  readonly shared: boolean;
  readonly scalars: Float32Array;
  readonly conditions: Int32Array;
  /** Everything before the tensors, as floats: tiles are copied to and from here. */
  readonly floats: Float32Array;
  readonly #sums: Float64Array;
  readonly #rings: number;
  #next: number;
  /** Addresses right behind the tensors, where what a last vector has too much is free. */
  readonly #ends = new Set<number>();

  private constructor(memory: WebAssembly.Memory, request: MemoryRequest) {
    const { rings, sums, tensors } = layout(request);
    this.memory = memory;
    this.buffer = memory.buffer;
    this.shared = request.workers > 0;
    this.scalars = new Float32Array(this.buffer, 0, scalarBytes / 4);
    this.conditions = new Int32Array(this.buffer, 0, scalarBytes / 4);
    this.floats = new Float32Array(this.buffer, 0, sums / 4);
    this.#sums = new Float64Array(this.buffer, sums, (tensors - sums) / 8);
    this.#rings = rings;
    this.#next = tensors;
  }

  /** The bytes that a memory for these takes. */
  static bytes(request: MemoryRequest): number {
    return request.tensors.reduce((sum, size) => sum + tensorBytes(size), layout(request).tensors);
  }

  /** The most bytes that a memory can have. */
  static readonly mostBytes = MOST_PAGES * PAGE;

  /** Makes a memory, or returns null where the machine doesn't give it. */
  static create(request: MemoryRequest): KernelMemory | null {
    const pages = Math.ceil(KernelMemory.bytes(request) / PAGE);
    if (pages > MOST_PAGES) return null;
    try {
      const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: request.workers > 0 });
      return new KernelMemory(memory, request);
    } catch (error) {
      if (error instanceof RangeError || error instanceof TypeError) return null;
      throw error;
    }
  }

  /** Room for a tensor, zeros: to be asked for in the sizes of the request. */
  allocate(elements: number): Float32Array {
    const address = this.#next + (this.#ends.size * STAGGER) % 4096;
    this.#next += tensorBytes(elements);
    this.#ends.add(address + 4 * elements);
    return new Float32Array(this.buffer, address, elements);
  }

  /** Whether a tensor, or a part of one, lives here and can be worked on in place: in whole vectors, but for the tensor's very end. */
  holds({ buffer, length, byteOffset, byteLength }: Float32Array): boolean {
    return buffer === this.buffer && (length % 4 === 0 || this.#ends.has(byteOffset + byteLength));
  }

  /** The tile that holds a copy of a kernel's tensor, by the tensor's number. */
  tile(tensor: number): number {
    return scalarBytes + tileStride * tensor;
  }

  /** A tile of the copies that wait for a thread. */
  ringTile(worker: number, slot: number): number {
    return this.#rings + tileStride * (RING * worker + slot);
  }

  /** Where the sums of the tile of a number go. */
  sums(tile: number): number {
    return this.#sums.byteOffset + 8 * MOST_SUMS * tile;
  }

  /** One of the sums of a tile. */
  sum(tile: number, index: number): number {
    return this.#sums[MOST_SUMS * tile + index];
  }
}

function tensorBytes(elements: number): number {
  // Whole vectors, then what the stagger takes.
  return Math.ceil(elements / 16) * 64 + 4096;
}

/** Where what begins. */
function layout({ tensors, workers }: MemoryRequest): { readonly rings: number; readonly sums: number; readonly tensors: number } {
  const rings = scalarBytes + tileStride * MOST_TENSORS;
  const sums = rings + tileStride * RING * workers;
  const tiles = Math.max(1, ...tensors.map((size) => Math.ceil(size / TILE)));
  return { rings, sums, tensors: Math.ceil((sums + 8 * MOST_SUMS * tiles) / 4096) * 4096 };
}

let staging: KernelMemory | null = null;

/** A memory for copies of tiles only, which serves all tensors that live elsewhere. */
export function stagingMemory(): KernelMemory {
  return staging ??= KernelMemory.create({ tensors: [], workers: 0 })!;
}
