/** The heap of onnxruntime-web's module: arrays that live in it, and runs of graphs on tensors that are there, through the module's C functions. */

import type * as Ort from "onnxruntime-web";
import type { Feeds, FeedTensor, Heap } from "./backend.ts";
import { ARRAYS, typeOf, TYPES } from "./element_types.ts";
import { type LoadedGraph, unknownType } from "./onnx_session.ts";
import { ownedBy } from "./release.ts";
import type { OnnxRuntimeInstance } from "./wasm_module.ts";

/** The release of onnxruntime-web whose module exports its functions under the names below. */
export const RELEASE = "1.30.0";

/**
 * The C functions (onnxruntime/wasm/api.h; `malloc` and the stack's are Emscripten's), and what they are called in the release's
 * `ort-wasm-simd-threaded.wasm`.
 */
export const FUNCTIONS = {
  malloc: "wb",
  free: "vb",
  stackSave: "Lb",
  stackAlloc: "Kb",
  stackRestore: "Jb",
  OrtGetLastError: "Xa",
  OrtFree: "fb",
  OrtCreateTensor: "gb",
  OrtGetTensorData: "hb",
  OrtReleaseTensor: "ib",
  OrtRun: "sb",
} as const;

/** All of them take and give 32-bit integers. */
type Functions = Readonly<Record<keyof typeof FUNCTIONS, (...of: number[]) => number>>;

/** The location of a tensor that is in the heap (onnxruntime/wasm/api.h, `DATA_LOCATION_CPU`). */
const CPU = 1;

const POINTER = 4;

/** Bytes to which arrays are aligned: a cache line. */
const ALIGNMENT = 64;

/** What a last vector has too much is free behind every array. */
const SLACK = 16;

/** The heap of one instance of the module. Its memory must not grow. */
export class WasmHeap implements Heap {
  readonly buffer: ArrayBufferLike;
  #held = 0;
  readonly #functions: Functions;
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  /** Addresses right behind the arrays. */
  readonly #ends = new Set<number>();

  private constructor(readonly memory: WebAssembly.Memory, functions: Functions) {
    this.buffer = memory.buffer;
    this.#functions = functions;
    this.#bytes = new Uint8Array(this.buffer);
    this.#words = new Uint32Array(this.buffer);
  }

  /** The heap of an instance; null where that isn't of the release whose functions are known. */
  static of({ exports, memory }: OnnxRuntimeInstance, release: string | undefined): WasmHeap | null {
    if (release !== RELEASE) return null;
    const functions = Object.entries(FUNCTIONS).map(([name, exported]) => [name, exports[exported]]);
    return functions.every(([, found]) => typeof found === "function") ? new WasmHeap(memory, Object.fromEntries(functions)) : null;
  }

  get heldBytes(): number {
    return this.#held;
  }

  allocate(elements: number): Float32Array | null {
    const size = 4 * elements;
    const address = this.#functions.malloc(size + ALIGNMENT + SLACK) >>> 0;
    if (address === 0) return null;
    const start = Math.ceil(address / ALIGNMENT) * ALIGNMENT;
    this.#held += size;
    this.#ends.add(start + size);
    return ownedBy(new Float32Array(this.buffer, start, elements), () => {
      this.#held -= size;
      this.#ends.delete(start + size);
      this.#functions.free(address);
    });
  }

  holds({ buffer, length, byteOffset, byteLength }: Float32Array): boolean {
    return buffer === this.buffer && (length % 4 === 0 || this.#ends.has(byteOffset + byteLength));
  }

  /** A text's address: UTF-8 and a zero; to be freed. */
  text(text: string): number {
    const bytes = new TextEncoder().encode(text);
    const address = this.#room(bytes.length + 1);
    this.#bytes.set(bytes, address);
    this.#bytes[address + bytes.length] = 0;
    return address;
  }

  /** Frees what `text` gave. */
  free(address: number): void {
    this.#functions.free(address);
  }

  #room(size: number): number {
    const address = this.#functions.malloc(size) >>> 0;
    if (address === 0) throw new Error(`Failed to allocate ${size} bytes`);
    return address;
  }

  /**
   * Runs a graph by its session's handle. Names are addresses of texts. Feeds that lie in the heap are not copied; nor are the outputs named in `kept`:
   * they stay there until they are released.
   */
  run(
    session: number,
    feeds: Feeds,
    outputs: readonly string[],
    kept: ReadonlySet<string>,
    name: (name: string) => number,
  ): Record<string, FeedTensor> {
    const { stackSave, stackAlloc, stackRestore, OrtRun, OrtReleaseTensor, free } = this.#functions;
    const stack = stackSave();
    const copies: number[] = [];
    const tensors: number[] = [];
    try {
      const inputs = Object.entries(feeds);
      const [inputNames, inputTensors] = [stackAlloc(POINTER * inputs.length) >>> 0, stackAlloc(POINTER * inputs.length) >>> 0];
      const [outputNames, outputTensors] = [stackAlloc(POINTER * outputs.length) >>> 0, stackAlloc(POINTER * outputs.length) >>> 0];
      inputs.forEach(([input, feed], i) => {
        const tensor = this.#tensor(feed, copies);
        tensors.push(tensor);
        this.#words[inputNames / POINTER + i] = name(input);
        this.#words[inputTensors / POINTER + i] = tensor;
      });
      outputs.forEach((output, i) => {
        this.#words[outputNames / POINTER + i] = name(output);
        this.#words[outputTensors / POINTER + i] = 0;
      });
      const failed = OrtRun(session, inputNames, inputTensors, inputs.length, outputNames, outputs.length, outputTensors, 0);
      if (failed !== 0) throw this.#lastError();
      const results = outputs.map((_, i) => this.#words[outputTensors / POINTER + i]);
      return Object.fromEntries(outputs.map((output, i) => [output, this.#result(results[i], output, kept.has(output))]));
    } finally {
      for (const tensor of tensors) OrtReleaseTensor(tensor);
      for (const copy of copies) free(copy);
      stackRestore(stack);
    }
  }

  /** A tensor over a feed's data, or over a copy of them. */
  #tensor({ dtype, shape, data }: FeedTensor, copies: number[]): number {
    let address = data.byteOffset;
    if (data.buffer !== this.buffer) {
      copies.push(address = this.#room(data.byteLength));
      this.#bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), address);
    }
    const { stackAlloc, OrtCreateTensor } = this.#functions;
    const dims = stackAlloc(POINTER * shape.length) >>> 0;
    this.#words.set(shape, dims / POINTER);
    const tensor = OrtCreateTensor(TYPES[dtype], address, data.byteLength, dims, shape.length, CPU) >>> 0;
    if (tensor === 0) throw this.#lastError();
    return tensor;
  }

  /** What a tensor holds: where it is, or a copy, and then the tensor is released. */
  #result(tensor: number, name: string, isKept: boolean): FeedTensor {
    const { stackAlloc, OrtGetTensorData, OrtReleaseTensor, OrtFree } = this.#functions;
    const facts = stackAlloc(4 * POINTER) >>> 0;
    if (OrtGetTensorData(tensor, facts, facts + POINTER, facts + 2 * POINTER, facts + 3 * POINTER) !== 0) throw this.#lastError();
    const [type, address, dims, rank] = this.#words.subarray(facts / POINTER, facts / POINTER + 4);
    const shape = [...this.#words.subarray(dims / POINTER, dims / POINTER + rank)];
    OrtFree(dims);
    const dtype = typeOf(type);
    if (!dtype) {
      OrtReleaseTensor(tensor);
      throw unknownType(name, `onnx.proto's type ${type}`);
    }
    const there = new ARRAYS[dtype](this.buffer as ArrayBuffer, address, shape.reduce((a, b) => a * b, 1));
    if (isKept) return { dtype, shape, data: ownedBy(there, () => void OrtReleaseTensor(tensor)) } as FeedTensor;
    const data = there.slice();
    OrtReleaseTensor(tensor);
    return { dtype, shape, data } as FeedTensor;
  }

  #lastError(): Error {
    const facts = this.#functions.stackAlloc(2 * POINTER) >>> 0;
    this.#functions.OrtGetLastError(facts, facts + POINTER);
    const [code, message] = this.#words.subarray(facts / POINTER, facts / POINTER + 2);
    const end = message === 0 ? message : this.#bytes.indexOf(0, message);
    return new Error(`${new TextDecoder().decode(this.#bytes.slice(message, end))} (code ${code})`);
  }
}

/** A session that is run in the heap. */
export function graphInHeap(heap: WasmHeap, session: Ort.InferenceSession): LoadedGraph {
  // The C functions know it by the number that onnxruntime-web's handler has.
  const { sessionId } = (session as unknown as { readonly handler: { readonly sessionId: number } }).handler;
  const names = new Map<string, number>();
  const nameOf = (name: string): number => {
    let address = names.get(name);
    if (address === undefined) names.set(name, address = heap.text(name));
    return address;
  };
  return {
    // deno-lint-ignore require-await -- a promise that rejects, not a throw
    async run(feeds, outputs = session.outputNames, kept = new Set()) {
      return heap.run(sessionId, feeds, outputs, kept, nameOf);
    },
    async release() {
      await session.release();
      for (const address of names.values()) heap.free(address);
    },
  };
}
