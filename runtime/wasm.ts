/** The `wasm` backend: onnxruntime-web on WebAssembly, with threads. The one file that imports onnxruntime-web. */

import * as ort from "onnxruntime-web";
import { OnnxHubError } from "../errors.ts";
import type { Backend, BackendOptions } from "./backend.ts";
import { turnEventLoop } from "./event_loop.ts";
import { openSession } from "./onnx_session.ts";
import { threadsOf } from "./threads.ts";
import { withFixedMemory } from "./wasm_memory.ts";
import { onnxruntimeModule } from "./wasm_module.ts";

let configured: number | null = null;

let last: Promise<unknown> = Promise.resolve();

/** Runs one job after the other: onnxruntime-web refuses two runs at once, and each blocks the event loop. */
function alone<T>(job: () => Promise<T>): Promise<T> {
  const result = last.then(turnEventLoop).then(job);
  last = result.catch(() => {});
  return result;
}

/** Sets the number of threads before the first session; afterwards it can't be changed any more. */
function configure({ threads }: BackendOptions): void {
  const wanted = threadsOf(threads);
  if (configured === null) {
    configured = wanted;
    ort.env.wasm.numThreads = configured;
    ort.env.logLevel = "error";
  } else if (threads !== undefined && threads !== configured) {
    throw new OnnxHubError("backend/threads", "The number of threads is fixed once the first model is loaded", {
      path: "threads",
      expected: String(configured),
      found: String(threads),
      remedy: "Set it on the first model of the process.",
    });
  }
}

/** onnxruntime-web on WebAssembly. Throws "backend/threads", "backend/load" and "backend/run". */
export function wasmBackend(options: BackendOptions = {}): Backend {
  configure(options);
  const memoryRemedy = "WebAssembly has 4 GiB: take a smaller batch, shorter sequences or a smaller model.";
  return {
    name: "wasm",
    load: (model, label, external) => openSession({ ort, alone, memoryRemedy }, () => create(model, external), label),
  };
}

let initialized = false;

/** Makes a session; the first one of the process makes the heap and the threads. */
async function create(
  model: Uint8Array<ArrayBuffer>,
  external: ReadonlyMap<string, Uint8Array> = new Map(),
): Promise<ort.InferenceSession> {
  const externalData = [...external].map(([path, data]) => ({ path, data }));
  const make = () => ort.InferenceSession.create(model, { executionProviders: ["wasm"], graphOptimizationLevel: "all", externalData });
  const session = initialized ? await make() : await withFixedMemory(() => onnxruntimeModule.use(ort.env.wasm, make));
  initialized = true;
  return session;
}
