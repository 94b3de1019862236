/** The `wasm` backend: onnxruntime-web on WebAssembly, with threads. The one file that imports onnxruntime-web. */

import * as ort from "onnxruntime-web";
import { GraphBuilder } from "../codegen/ir/builder.ts";
import { encode } from "../codegen/onnx/encode.ts";
import { OnnxHubError } from "../errors.ts";
import type { Backend, BackendOptions } from "./backend.ts";
import { turnEventLoop } from "./event_loop.ts";
import { DISABLED_OPTIMIZERS, type LoadedGraph, loadedGraph, openSession } from "./onnx_session.ts";
import { threadsOf } from "./threads.ts";
import { graphInHeap, WasmHeap } from "./wasm_heap.ts";
import { isGreatest, withFixedMemory } from "./wasm_memory.ts";
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
    load: (model, label, external) => openSession({ alone, memoryRemedy }, () => load(model, external), label),
    // Where the runtime can't be started, the first graph that is loaded says why.
    heap: () => alone(() => start(() => create(firstGraph())).then((session) => session?.release())).then(() => heap, () => null),
  };
}

let isStarted = false;
let heap: WasmHeap | null = null;

/** Makes the first session of the process, with which onnxruntime-web makes its memory and threads; null where there was one before. */
async function start(make: () => Promise<ort.InferenceSession>): Promise<ort.InferenceSession | null> {
  if (isStarted) return null;
  const session = await withFixedMemory(() => onnxruntimeModule.use(ort.env.wasm, make));
  isStarted = true;
  const { instance } = onnxruntimeModule;
  if (instance && isGreatest(instance.memory)) heap = WasmHeap.of(instance, ort.env.versions.web);
  return session;
}

function create(model: Uint8Array<ArrayBuffer>, external: ReadonlyMap<string, Uint8Array> = new Map()): Promise<ort.InferenceSession> {
  return ort.InferenceSession.create(model, {
    executionProviders: ["wasm"],
    graphOptimizationLevel: "all",
    externalData: [...external].map(([path, data]) => ({ path, data })),
    extra: { "optimization.disable_specified_optimizers": DISABLED_OPTIMIZERS.join(";") },
  });
}

/** Loads a graph. */
async function load(...of: Parameters<typeof create>): Promise<LoadedGraph> {
  const session = await start(() => create(...of)) ?? await create(...of);
  return heap ? graphInHeap(heap, session) : loadedGraph(session, ort);
}

/** A graph that nobody runs. */
function firstGraph(): Uint8Array<ArrayBuffer> {
  const g = new GraphBuilder("first");
  g.output("y", g.neg(g.input("x", "float32", [1])));
  return encode(g.finish());
}
