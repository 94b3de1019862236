/** A graph that onnxruntime's C API runs: it reads feeds where they lie, and writes results to where they stay. */

import type { Feeds, FeedTensor, Heap } from "../backend.ts";
import { ARRAYS, typeOf, TYPES } from "../element_types.ts";
import { type LoadedGraph, unknownType } from "../onnx_session.ts";
import { ownedBy, release } from "../release.ts";
import type { CApi } from "./c_api.ts";
import type { GraphOptions } from "./graph_options.ts";
import { Words } from "./words.ts";

/** `ORT_ENABLE_ALL`. */
const ALL_OPTIMIZATIONS = 99;

/** What is known of a result beforehand. */
interface Form {
  readonly dtype: FeedTensor["dtype"];
  readonly shape: readonly number[];
}

/** Loads a graph; throws what onnxruntime says. `external` is only read meanwhile. Results that are kept go to the heap that `results` gives, if it has room. */
export function loadInC(
  api: CApi,
  model: Uint8Array<ArrayBuffer>,
  { threads, config, external }: GraphOptions,
  results: () => Heap | null = () => null,
): LoadedGraph {
  const { foreign } = api;
  const addressOf = ({ buffer, byteOffset }: ArrayBufferView): number => foreign.addressOf(buffer) + byteOffset;
  const words = new Words(api);
  const open = (): number => {
    const options = api.make("CreateSessionOptions");
    try {
      api.call("SetSessionGraphOptimizationLevel", options, ALL_OPTIMIZATIONS);
      api.call("SetIntraOpNumThreads", options, threads);
      api.call("SetInterOpNumThreads", options, 1);
      for (const [key, value] of Object.entries(config)) api.call("AddSessionConfigEntry", options, api.text(key), api.text(value));
      words.begin(3 * external.size);
      const files = words.put([...external.keys()].map((name) => api.text(name)));
      const data = words.put([...external.values()].map(addressOf));
      const lengths = words.put([...external.values()].map(({ byteLength }) => byteLength));
      if (external.size > 0) api.call("AddExternalInitializersFromFilesInMemory", options, files, data, lengths, external.size);
      return api.make("CreateSessionFromArray", api.environment, addressOf(model), model.byteLength, options);
    } finally {
      api.release("ReleaseSessionOptions", options);
    }
  };
  const graph = new GraphInC(api, api.holding([model, external], open), words, results);
  return {
    // deno-lint-ignore require-await -- a promise that rejects, not a throw
    run: async (feeds, outputs, kept) => graph.run(feeds, outputs, kept),
    release() {
      graph.release();
      return Promise.resolve();
    },
  };
}

/** A loaded graph; see {@linkcode loadInC}. */
export class GraphInC {
  readonly #api: CApi;
  readonly #session: number;
  readonly #words: Words;
  readonly #results: () => Heap | null;
  /** All outputs, with the forms of those that are always the same. */
  readonly #outputs = new Map<string, Form | null>();
  /** The forms of other results that were seen, by their names, by the shapes of the feeds. */
  readonly #forms = new Map<string, Map<string, Form>>();

  /** Takes the session over. */
  constructor(api: CApi, session: number, words: Words, results: () => Heap | null) {
    this.#api = api;
    this.#session = session;
    this.#words = words;
    this.#results = results;
    const count = api.make("SessionGetOutputCount", session);
    for (let at = 0; at < count; at++) this.#outputs.set(this.#nameOf(at), this.#declared(at));
  }

  #nameOf(output: number): string {
    const allocator = this.#api.make("GetAllocatorWithDefaultOptions");
    const address = this.#api.make("SessionGetOutputName", this.#session, output, allocator);
    const name = this.#api.foreign.text(address);
    this.#api.call("AllocatorFree", allocator, address);
    return name;
  }

  /** An output's form, as the graph declares it; null where it depends on the feeds'. */
  #declared(output: number): Form | null {
    const info = this.#api.make("SessionGetOutputTypeInfo", this.#session, output);
    try {
      const { dtype, shape } = this.#form(this.#api.make("CastTypeInfoToTensorInfo", info));
      return typeof dtype === "string" && shape.every((size) => size >= 0) ? { dtype, shape } : null;
    } finally {
      this.#api.release("ReleaseTypeInfo", info);
    }
  }

  /**
   * See {@linkcode LoadedGraph}. Outputs named in `kept` stay where they were computed until they are released: in the heap for results, or in onnxruntime's
   * memory. Others are arrays of their own. What is known to be so large is written there at once; else, until a run of feeds in these shapes has shown it,
   * others are copied, and the kept ones are not in the heap.
   */
  run(
    feeds: Feeds,
    outputs: readonly string[] = [...this.#outputs.keys()],
    kept: ReadonlySet<string> = new Set(),
  ): Record<string, FeedTensor> {
    const inputs = Object.entries(feeds);
    const key = inputs.map(([name, { shape }]) => `${name} ${shape}`).join();
    let forms = this.#forms.get(key);
    if (!forms) this.#forms.set(key, forms = new Map());
    const own = outputs.map((name) => this.#room(this.#outputs.get(name) ?? forms.get(name), kept.has(name)));
    const fed = inputs.map(([, tensor]) => tensor);
    try {
      const values = this.#api.holding([fed, own], () => {
        this.#words.begin([...fed, ...own].reduce((sum, tensor) => sum + 2 + (tensor?.shape.length ?? 0), 0));
        return this.#run(inputs.map(([name]) => name), fed, outputs, own);
      });
      return Object.fromEntries(outputs.map((name, at) => {
        const given = own[at];
        if (given) this.#api.release("ReleaseValue", values[at]);
        return [name, given ?? this.#result(values[at], name, kept.has(name), forms)];
      }));
    } catch (error) {
      for (const tensor of own) if (tensor) release(tensor.data);
      throw error;
    }
  }

  /** Where a result of a form is written to; null where onnxruntime makes room. */
  #room(form: Form | undefined, isKept: boolean): FeedTensor | null {
    if (!form) return null;
    const { dtype, shape } = form;
    const size = sizeOf(shape);
    if (isKept) {
      const data = dtype === "float32" ? this.#results()?.allocate(size) : null;
      return data ? { dtype: "float32", shape: [...shape], data } : null;
    }
    const data = new ARRAYS[dtype](size);
    this.#api.adviseHugePages(data);
    return { dtype, shape: [...shape], data } as FeedTensor;
  }

  /** The addresses of the results' values: those of `own`, where it has some. */
  #run(inputs: readonly string[], fed: readonly FeedTensor[], outputs: readonly string[], own: readonly (FeedTensor | null)[]): number[] {
    const api = this.#api;
    const words = this.#words;
    const made: number[] = [];
    const value = (tensor: FeedTensor): number => {
      made.push(this.#value(tensor));
      return made[made.length - 1];
    };
    let isDone = false;
    try {
      const values = words.put(fed.map(value));
      const results = words.put(own.map((tensor) => tensor ? value(tensor) : 0));
      const names = (of: readonly string[]): number => words.put(of.map((name) => api.text(name)));
      api.call("Run", this.#session, 0, names(inputs), values, inputs.length, names(outputs), outputs.length, results);
      isDone = true;
      return words.read(results, outputs.length);
    } finally {
      for (const one of isDone ? made.slice(0, fed.length) : made) api.release("ReleaseValue", one);
    }
  }

  /** A value over a tensor's own data. */
  #value({ dtype, shape, data }: FeedTensor): number {
    const { processorMemory, foreign } = this.#api;
    const address = foreign.addressOf(data.buffer) + data.byteOffset;
    const of = [processorMemory, address, data.byteLength, this.#words.put(shape), shape.length, TYPES[dtype]] as const;
    return this.#api.make("CreateTensorWithDataAsOrtValue", ...of);
  }

  /** What a value holds: where it is, or a copy, and then the value is released. */
  #result(value: number, name: string, isKept: boolean, forms: Map<string, Form>): FeedTensor {
    const api = this.#api;
    const free = () => api.release("ReleaseValue", value);
    const form = this.#formOf(value, name);
    forms.set(name, form);
    const { dtype, shape } = form;
    const { BYTES_PER_ELEMENT } = ARRAYS[dtype];
    const memory = api.foreign.memory(api.make("GetTensorMutableData", value), BYTES_PER_ELEMENT * sizeOf(shape));
    const there = new ARRAYS[dtype](memory);
    const freeThere = () => {
      // Not to be read once onnxruntime has it back. Node 20 has no `transfer`, but doesn't get here.
      memory.transfer(0);
      free();
    };
    if (isKept) return { dtype, shape, data: ownedBy(there, freeThere) } as FeedTensor;
    const data = there.slice();
    freeThere();
    return { dtype, shape, data } as FeedTensor;
  }

  /** The form of a value, of a tensor of an element type that there is. */
  #formOf(value: number, name: string): Form {
    const info = this.#api.make("GetTensorTypeAndShape", value);
    try {
      const { dtype, shape } = this.#form(info);
      if (typeof dtype === "string") return { dtype, shape };
      this.#api.release("ReleaseValue", value);
      throw unknownType(name, `onnx.proto's type ${dtype}`);
    } finally {
      this.#api.release("ReleaseTensorTypeAndShapeInfo", info);
    }
  }

  /** What `OrtTensorTypeAndShapeInfo` says: other element types by their numbers, -1 for sizes that aren't known. */
  #form(info: number): { readonly dtype: FeedTensor["dtype"] | number; readonly shape: readonly number[] } {
    const api = this.#api;
    const type = api.make("GetTensorElementType", info);
    const rank = api.make("GetDimensionsCount", info);
    this.#words.begin(rank);
    const dimensions = this.#words.put(new Array<number>(rank).fill(0));
    api.call("GetDimensions", info, dimensions, rank);
    return { dtype: typeOf(type) ?? type, shape: this.#words.read(dimensions, rank) };
  }

  /** Frees the session. */
  release(): void {
    this.#api.release("ReleaseSession", this.#session);
  }
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}
