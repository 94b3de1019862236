/** The `wasm` backend: onnxruntime-web on WebAssembly, with threads. The one file that imports onnxruntime-web. */

import * as ort from "onnxruntime-web";
import { availableParallelism } from "node:os";
import { OnnxHubError } from "../errors.ts";
import type { Backend, BackendOptions, Feeds, FeedTensor, Session } from "./backend.ts";
import { withFixedMemory } from "./wasm_memory.ts";

let configured: number | null = null;

let last: Promise<unknown> = Promise.resolve();

/** Runs one job after the other: onnxruntime-web refuses two runs at once. */
function alone<T>(job: () => Promise<T>): Promise<T> {
  const result = last.then(job, job);
  last = result.catch(() => {});
  return result;
}

/** Sets the number of threads before the first session; afterwards it can't be changed any more. */
function configure({ threads }: BackendOptions): void {
  if (threads !== undefined && (!Number.isInteger(threads) || threads < 1 || threads > 64)) {
    throw new OnnxHubError("backend/threads", "That is no number of threads", {
      path: "backend.threads",
      expected: "a whole number from 1 to 64",
      found: String(threads),
    });
  }
  if (configured === null) {
    configured = threads ?? Math.min(availableParallelism(), 8);
    ort.env.wasm.numThreads = configured;
    ort.env.logLevel = "error";
  } else if (threads !== undefined && threads !== configured) {
    throw new OnnxHubError("backend/threads", "The number of threads is fixed once the first model is loaded", {
      path: "backend.threads",
      expected: String(configured),
      found: String(threads),
      remedy: "Set it on the first model of the process.",
    });
  }
}

/**
 * onnxruntime-web on WebAssembly.
 *
 * Errors from inside it, which may be bare numbers, come out as "backend/load" and "backend/run" with the graph's name.
 */
export function wasmBackend(options: BackendOptions = {}): Backend {
  configure(options);
  return {
    name: "wasm",
    async load(model, label): Promise<Session> {
      let session: ort.InferenceSession | null;
      try {
        session = await alone(() => create(model));
      } catch (error) {
        throw wrap("backend/load", `onnxruntime could not load the graph ${label}`, error);
      }
      return {
        async run(feeds, outputs) {
          if (!session) throw new OnnxHubError("backend/disposed", `The graph ${label} was disposed of`, { remedy: "Make a new model." });
          const inputs = Object.fromEntries(Object.entries(feeds).map(([name, feed]) => [name, toOrt(feed)]));
          const loaded = session;
          let results: ort.InferenceSession.OnnxValueMapType;
          try {
            results = await alone(() => outputs ? loaded.run(inputs, outputs) : loaded.run(inputs));
          } catch (error) {
            throw wrap("backend/run", `onnxruntime failed in the graph ${label}`, error, describe(feeds));
          }
          return Object.fromEntries(Object.entries(results).map(([name, value]) => [name, fromOrt(value as ort.Tensor, label, name)]));
        },
        async dispose() {
          const released = session;
          session = null;
          await released?.release();
        },
      };
    },
  };
}

let initialized = false;

/** Makes a session; the first one of the process makes the heap and the threads. */
async function create(model: Uint8Array<ArrayBuffer>): Promise<ort.InferenceSession> {
  const make = () => ort.InferenceSession.create(model, { executionProviders: ["wasm"], graphOptimizationLevel: "all" });
  const session = initialized ? await make() : await withFixedMemory(make);
  initialized = true;
  return session;
}

function toOrt({ dtype, shape, data }: FeedTensor): ort.Tensor {
  return new ort.Tensor(dtype as "float32", data as Float32Array, shape);
}

function fromOrt(value: ort.Tensor, label: string, name: string): FeedTensor {
  const { type, dims, data } = value;
  if (type !== "float32" && type !== "int32" && type !== "bool") {
    throw new OnnxHubError("backend/dtype", `The graph ${label} gives ${name} as ${type}`, { expected: "float32, int32 or bool" });
  }
  return { dtype: type, shape: [...dims], data } as FeedTensor;
}

function describe(feeds: Feeds): string {
  return Object.entries(feeds).filter(([name]) => !name.includes("/")).map(([name, { shape }]) => `${name} [${shape.join(", ")}]`).join(
    ", ",
  );
}

function wrap(code: "backend/load" | "backend/run", what: string, error: unknown, inputs?: string): OnnxHubError {
  const text = error instanceof Error ? error.message : String(error);
  const memory = /^\d+$/.test(text) || /bad_alloc|out of memory|Failed to allocate/i.test(text);
  return new OnnxHubError(code, what, {
    found: memory ? `out of memory (${text})` : text,
    remedy: memory
      ? "WebAssembly has 4 GiB: take a smaller batch, shorter sequences or a smaller model."
      : inputs
      ? `The inputs were ${inputs}.`
      : undefined,
    cause: error,
  });
}
