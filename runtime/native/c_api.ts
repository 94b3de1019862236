/** onnxruntime's C API: functions by their places in the table that the library gives, and errors as exceptions. */

import type { ForeignFunction, ForeignFunctions, ForeignType } from "./foreign_functions.ts";
import { type AdviseHugePages, hugePages } from "./huge_pages.ts";

/** The version of the API that is asked for: onnxruntime 1.18's, the first one with all functions below. Later libraries give it, too. */
const VERSION = 18;

/** In `OrtApiBase`: the function that gives a version's table. */
const GET_API = 0;

/** The functions that are used, with what they take: where they are in `OrtApi` (onnxruntime_c_api.h), which only grows at its end. */
const FUNCTIONS = {
  GetErrorMessage: [2, ["address"]],
  CreateEnv: [3, ["int", "address", "address"]],
  CreateSessionFromArray: [8, ["address", "address", "size", "address", "address"]],
  Run: [9, ["address", "address", "address", "address", "size", "address", "size", "address"]],
  CreateSessionOptions: [10, ["address"]],
  SetSessionGraphOptimizationLevel: [23, ["address", "int"]],
  SetIntraOpNumThreads: [24, ["address", "int"]],
  SetInterOpNumThreads: [25, ["address", "int"]],
  SessionGetOutputCount: [31, ["address", "address"]],
  SessionGetOutputTypeInfo: [34, ["address", "size", "address"]],
  SessionGetOutputName: [37, ["address", "size", "address", "address"]],
  CreateTensorWithDataAsOrtValue: [49, ["address", "address", "size", "address", "size", "int", "address"]],
  GetTensorMutableData: [51, ["address", "address"]],
  CastTypeInfoToTensorInfo: [55, ["address", "address"]],
  GetTensorElementType: [60, ["address", "address"]],
  GetDimensionsCount: [61, ["address", "address"]],
  GetDimensions: [62, ["address", "address", "size"]],
  GetTensorTypeAndShape: [65, ["address", "address"]],
  CreateCpuMemoryInfo: [69, ["int", "int", "address"]],
  AllocatorFree: [76, ["address", "address"]],
  GetAllocatorWithDefaultOptions: [78, ["address"]],
  AddSessionConfigEntry: [130, ["address", "address", "address"]],
  AddExternalInitializersFromFilesInMemory: [279, ["address", "address", "address", "address", "size"]],
} as const satisfies Readonly<Record<string, readonly [at: number, takes: readonly ForeignType[]]>>;

/** The functions that free what others gave. */
const RELEASES = {
  ReleaseStatus: 93,
  ReleaseSession: 95,
  ReleaseValue: 96,
  ReleaseTypeInfo: 98,
  ReleaseTensorTypeAndShapeInfo: 99,
  ReleaseSessionOptions: 100,
} as const;

type Functions = Readonly<Record<keyof typeof FUNCTIONS | keyof typeof RELEASES, ForeignFunction>>;

/** `OrtLoggingLevel`'s warnings: what onnxruntime-node says, too. */
const WARNINGS = 2;

/** `OrtArenaAllocator` and `OrtMemTypeDefault`. */
const [ARENA, DEFAULT] = [1, 0];

/** Bytes of an address, a size, a dimension. */
export const WORD = 8;

/** The C API of one library. The functions that can fail throw what they say. */
export class CApi {
  readonly #functions: Functions;
  /** What functions write their results to, and where it is. */
  readonly #result = new BigUint64Array(new ArrayBuffer(WORD));
  readonly #resultAt: number;
  /** What lies at addresses that are in use: no garbage, whatever an optimizing compiler thinks. */
  readonly #held = new Set<object>();
  /** Texts by their content, with their addresses: they stay. */
  readonly #texts = new Map<string, { readonly bytes: ArrayBuffer; readonly address: number }>();
  /** The environment (`OrtEnv`), one for all sessions. */
  readonly environment: number;
  /** For memory that graphs are to write to. */
  readonly adviseHugePages: AdviseHugePages;
  /** Where tensors are made of memory that is ours (`OrtMemoryInfo`). */
  readonly processorMemory: number;

  /** Opens a library; throws where it can't be, or is older than the API's version. */
  constructor(readonly foreign: ForeignFunctions, file: string) {
    this.#resultAt = foreign.addressOf(this.#result.buffer);
    const base = foreign.named(file, "OrtGetApiBase", { takes: [], gives: "address" })();
    const getApi = foreign.at(this.#word(base, GET_API), { takes: ["int"], gives: "address" });
    const api = getApi(VERSION);
    if (api === 0) throw new Error(`${file} has no version ${VERSION} of onnxruntime's C API`);
    const failing = Object.entries(FUNCTIONS).map((
      [name, [at, takes]],
    ) => [name, foreign.at(this.#word(api, at), { takes, gives: "address" })]);
    const releasing = Object.entries(RELEASES).map((
      [name, at],
    ) => [name, foreign.at(this.#word(api, at), { takes: ["address"], gives: "nothing" })]);
    this.#functions = Object.fromEntries([...failing, ...releasing]);
    this.adviseHugePages = hugePages(foreign);
    this.environment = this.make("CreateEnv", WARNINGS, this.text("onnxhub"));
    this.processorMemory = this.make("CreateCpuMemoryInfo", ARENA, DEFAULT);
  }

  /** The word at a place in a table of words. */
  #word(table: number, at: number): number {
    return Number(new BigUint64Array(this.foreign.memory(table + WORD * at, WORD))[0]);
  }

  /** Calls a function that can fail. */
  call(name: Exclude<keyof typeof FUNCTIONS, "GetErrorMessage">, ...of: number[]): void {
    const status = this.#functions[name](...of);
    if (status === 0) return;
    const message = this.foreign.text(this.#functions.GetErrorMessage(status));
    this.#functions.ReleaseStatus(status);
    throw new Error(message);
  }

  /** What a function writes to its last argument, an address or a size. */
  make(name: Exclude<keyof typeof FUNCTIONS, "GetErrorMessage">, ...of: number[]): number {
    this.#result[0] = 0n;
    this.call(name, ...of, this.#resultAt);
    return Number(this.#result[0]);
  }

  /** Keeps objects, whose addresses `body` hands over, from being collected meanwhile. */
  holding<T>(objects: object, body: () => T): T {
    this.#held.add(objects);
    try {
      return body();
    } finally {
      this.#held.delete(objects);
    }
  }

  /** Frees what was made. */
  release(name: Exclude<keyof typeof RELEASES, "ReleaseStatus">, made: number): void {
    this.#functions[name](made);
  }

  /** The address of a text, for good: for names, of which there are few. */
  text(text: string): number {
    let known = this.#texts.get(text);
    if (!known) {
      const bytes = new TextEncoder().encode(`${text}\0`).slice().buffer;
      this.#texts.set(text, known = { bytes, address: this.foreign.addressOf(bytes) });
    }
    return known.address;
  }
}
