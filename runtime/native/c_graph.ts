/** A graph that onnxruntime's C API runs: it reads feeds where they lie, and writes results to where they stay. */

import type { Feeds, FeedTensor } from "../backend.ts";
import { type LoadedGraph, unknownType } from "../onnx_session.ts";
import { ownedBy } from "../release.ts";
import { type CApi, WORD } from "./c_api.ts";
import type { GraphOptions } from "./graph_options.ts";

/** `ONNXTensorElementDataType`. */
const TYPES = { float32: 1, int32: 6, bool: 9 } as const;
const ARRAYS = { float32: Float32Array, int32: Int32Array, bool: Uint8Array } as const;

/** `ORT_ENABLE_ALL`. */
const ALL_OPTIMIZATIONS = 99;

/** Words that functions read and write by their address. */
class Words {
  #words = new BigInt64Array(new ArrayBuffer(0));
  #address = 0;
  #used = 0;

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

/** The form of a result. */
interface Form {
  readonly dtype: FeedTensor["dtype"];
  readonly shape: readonly number[];
}

/** Loads a graph; throws what onnxruntime says. `external` is only read meanwhile. */
export function loadInC(api: CApi, model: Uint8Array<ArrayBuffer>, { threads, config, external }: GraphOptions): LoadedGraph {
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
  const graph = new GraphInC(api, api.holding([model, external], open), words);
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
  readonly #outputs: readonly string[];
  /** The forms of results that were seen, by their names, by the shapes of the feeds. */
  readonly #forms = new Map<string, Map<string, Form>>();

  /** Takes the session over. */
  constructor(api: CApi, session: number, words: Words) {
    this.#api = api;
    this.#session = session;
    this.#words = words;
    this.#outputs = Array.from({ length: api.make("SessionGetOutputCount", session) }, (_, at) => this.#nameOf(at));
  }

  #nameOf(output: number): string {
    const allocator = this.#api.make("GetAllocatorWithDefaultOptions");
    const address = this.#api.make("SessionGetOutputName", this.#session, output, allocator);
    const name = this.#api.foreign.text(address);
    this.#api.call("AllocatorFree", allocator, address);
    return name;
  }

  /**
   * See {@linkcode LoadedGraph}. Outputs named in `kept` stay in onnxruntime's memory until they are released. Others are arrays of their own: written to at
   * once if runs of feeds in these shapes have shown how large they are, else copied.
   */
  run(feeds: Feeds, outputs: readonly string[] = this.#outputs, kept: ReadonlySet<string> = new Set()): Record<string, FeedTensor> {
    const inputs = Object.entries(feeds);
    const key = inputs.map(([name, { shape }]) => `${name} ${shape}`).join();
    let forms = this.#forms.get(key);
    if (!forms) this.#forms.set(key, forms = new Map());
    const own = outputs.map((name) => {
      const form = kept.has(name) ? undefined : forms.get(name);
      return form ? this.#emptyTensor(form) : null;
    });
    const fed = inputs.map(([, tensor]) => tensor);
    const values = this.#api.holding([fed, own], () => {
      this.#words.begin([...fed, ...own].reduce((sum, tensor) => sum + 2 + (tensor?.shape.length ?? 0), 0));
      return this.#run(inputs.map(([name]) => name), fed, outputs, own);
    });
    return Object.fromEntries(outputs.map((name, at) => {
      const given = own[at];
      if (given) this.#api.release("ReleaseValue", values[at]);
      return [name, given ?? this.#result(values[at], name, kept.has(name), forms)];
    }));
  }

  #emptyTensor({ dtype, shape }: Form): FeedTensor {
    const data = new ARRAYS[dtype](sizeOf(shape));
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
    const form = this.#form(value, name, free);
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

  #form(value: number, name: string, free: () => void): Form {
    const api = this.#api;
    const info = api.make("GetTensorTypeAndShape", value);
    try {
      const type = api.make("GetTensorElementType", info);
      const dtype = (["float32", "int32", "bool"] as const).find((dtype) => TYPES[dtype] === type);
      if (!dtype) {
        free();
        throw unknownType(name, `onnx.proto's type ${type}`);
      }
      const rank = api.make("GetDimensionsCount", info);
      this.#words.begin(rank);
      const dimensions = this.#words.put(new Array<number>(rank).fill(0));
      api.call("GetDimensions", info, dimensions, rank);
      return { dtype, shape: this.#words.read(dimensions, rank) };
    } finally {
      api.release("ReleaseTensorTypeAndShapeInfo", info);
    }
  }

  /** Frees the session. */
  release(): void {
    this.#api.release("ReleaseSession", this.#session);
  }
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}
