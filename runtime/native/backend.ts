/** The `native` backend: onnxruntime-node's library, by its C API where the runtime can call that, else by the package's own addon. */

import type { Backend, BackendOptions, Heap } from "../backend.ts";
import { DISABLED_OPTIMIZERS, type LoadedGraph, openSession } from "../onnx_session.ts";
import { threadsOf } from "../threads.ts";
import { CApi } from "./c_api.ts";
import { loadInC } from "./c_graph.ts";
import { foreignFunctions } from "./foreign_functions.ts";
import type { GraphOptions } from "./graph_options.ts";
import { loadInAddon } from "./node_api.ts";
import { libraryOf, type NativePackage, openPackage } from "./package.ts";
import { ResultHeap } from "./result_heap.ts";

/** Settings of all sessions. */
const CONFIG = {
  // A pool that goes on spinning after a run takes the processor from the other stages' pools and from the optimizer.
  "session.force_spinning_stop": "1",
  // The fused op takes four times as long as the two that it stands for: 33 of 610 ms of a prediction of XLM-R base.
  "optimization.disable_specified_optimizers": [...DISABLED_OPTIMIZERS, "SkipLayerNormFusion"].join(";"),
};

/** The library, by one of its interfaces. */
interface Library {
  /** Loads a graph. Results that are kept go to the heap that `results` gives. */
  load(model: Uint8Array<ArrayBuffer>, options: GraphOptions, results: () => Heap | null): LoadedGraph | Promise<LoadedGraph>;
  /** Makes such a heap; none where results are all copied. */
  makeHeap?(bytes: number): ResultHeap | null;
}

let opened: Library | null = null;

/**
 * onnxruntime-node on the processor.
 *
 * Throws "backend/unavailable" where it isn't installed or can't be loaded, "backend/threads", "backend/load" and "backend/run".
 */
export function nativeBackend({ threads }: BackendOptions = {}): Backend {
  const count = threadsOf(threads);
  const { load, makeHeap } = opened ??= openPackage(open);
  let results: ResultHeap | null = null;
  return {
    name: "native",
    load: (model, label, external = new Map()) =>
      openSession(
        { alone: (job) => job(), memoryRemedy: "Take a smaller batch, shorter sequences or a smaller model." },
        async () => await load(model, { threads: count, config: CONFIG, external }, () => results),
        label,
      ),
    results: makeHeap && ((bytes) => results && results.buffer.byteLength >= bytes ? results : results = makeHeap(bytes)),
  };
}

/** Whether the package is installed and can be loaded; loads it. */
export function hasNative(): boolean {
  try {
    opened ??= openPackage(open);
    return true;
  } catch {
    return false;
  }
}

function open(found: NativePackage): Library {
  const api = openLibrary(found);
  if (!api) {
    const ort = found.load();
    return { load: (model, options) => loadInAddon(ort, model, options) };
  }
  return {
    load: (model, options, results) => loadInC(api, model, options, results),
    makeHeap: (bytes) => ResultHeap.create(bytes, api.adviseHugePages),
  };
}

/** The C API; null where it can't be called. The addon then says why, or does without. */
function openLibrary(found: NativePackage): CApi | null {
  try {
    const foreign = foreignFunctions();
    const library = foreign && libraryOf(found);
    return library ? new CApi(foreign, library) : null;
  } catch {
    return null;
  }
}
