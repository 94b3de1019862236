/** What a backend is: something that loads ONNX graphs and runs them on named tensors. */

import type { Device } from "./device.ts";

/** A tensor on its way into or out of a graph. */
export type FeedTensor =
  | { readonly dtype: "float32"; readonly shape: readonly number[]; readonly data: Float32Array }
  | { readonly dtype: "int32"; readonly shape: readonly number[]; readonly data: Int32Array<ArrayBuffer> }
  | { readonly dtype: "bool"; readonly shape: readonly number[]; readonly data: Uint8Array<ArrayBuffer> };

/** Named tensors. */
export type Feeds = Readonly<Record<string, FeedTensor>>;

/** A loaded graph. */
export interface Session {
  /**
   * Runs the graph; asks only for the named outputs (all, unless told). Those that `kept` names may be given where they were computed, without a copy,
   * in a buffer that has others: whoever has them releases them.
   */
  run(feeds: Feeds, outputs?: readonly string[], kept?: ReadonlySet<string>): Promise<Record<string, FeedTensor>>;
  /** Frees what the graph holds. Running it afterwards is an error. */
  dispose(): Promise<void>;
}

/** The memory that graphs compute in, where the host reaches it: what lies in it is fed without a copy. It never moves, nor grows. */
export interface Heap {
  readonly memory: WebAssembly.Memory;
  readonly buffer: ArrayBufferLike;
  /** Bytes of all arrays that were allocated and not released. */
  readonly heldBytes: number;
  /** An array of any content, with room for a vector's rest behind it; null where there is no room. To be released. */
  allocate(elements: number): Float32Array | null;
  /** Whether an array, or a part of one, lives here, and kernels can work on it in whole vectors. */
  holds(array: Float32Array): boolean;
}

/** A place where graphs run. */
export interface Backend {
  readonly name: BackendName;
  /** The memory where tensors stay between runs; none where that is the host's. */
  readonly device?: Device;
  /** The memory of graphs that the host can share with them; null where there is none. */
  heap?(): Promise<Heap | null>;
  /** Memory where graphs leave results that are kept, from now on, so far as there is room: about as many bytes as are asked for; null where there is none. */
  results?(bytes: number): Heap | null;
  /**
   * Loads an encoded ModelProto; `label` is how errors call it. `external` are the bytes of initializers that lie outside the model, by
   * their location in it; the session has its own copy.
   */
  load(model: Uint8Array<ArrayBuffer>, label: string, external?: ReadonlyMap<string, Uint8Array>): Promise<Session>;
}

/** Where a model runs. */
export type BackendName = "wasm" | "native" | "webgpu";

/** A backend with settings of its own. */
export interface WebgpuChoice {
  readonly name: "webgpu";
  /**
   * Copies weights and optimizer to the host after every so many training steps, 1 or more. When the GPU is lost, the steps since the last copy are
   * computed again on a new one, and training goes on; where there is no new one, the copy is what survives. By default they are copied as often as takes
   * a twentieth of the time (a small model's after nearly every step, a base-size one's every few seconds) and at the end of every epoch. An optimizer's
   * state of more than 4 GiB or a quarter of the machine's memory is not copied, and one of more than 1 GiB is copied over the copy before: then, and when the
   * loss comes meanwhile, what survives are the weights that were copied last.
   */
  readonly syncEvery?: number;
}

/** What may be chosen: a name, a name with settings, or "auto": `native` where onnxruntime-node is installed, else `wasm`. */
export type BackendChoice = BackendName | "auto" | WebgpuChoice;

/** How a backend is set up. */
export interface BackendOptions {
  /** Threads, 1 to 64; default the processor's cores, at most 8. On `wasm` fixed by the first session of a process. */
  readonly threads?: number;
}
