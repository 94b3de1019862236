/** How long onnxruntime itself runs, so that what a step costs outside it can be told. */

import { createRequire } from "node:module";
import { join } from "node:path";
import process from "node:process";
import * as web from "onnxruntime-web";
import { GraphInC } from "../../runtime/native/c_graph.ts";
import { WasmHeap } from "../../runtime/wasm_heap.ts";

/** A stopwatch over all sessions of the process. */
export interface SessionTime {
  /** The package and its version. */
  readonly runtime: string;
  /** Starts from zero. */
  reset(): void;
  /** Seconds in which at least one session ran. */
  seconds(): number;
}

/** Something that runs sessions, whatever it needs for it. */
interface Runs {
  run(...args: unknown[]): unknown;
}

/**
 * Times every run of onnxruntime-web, by its API or in its heap, or of the onnxruntime-node that is found from the working directory, by its addon or the
 * C API, from now on.
 */
export function watchSessions(native: boolean): SessionTime {
  let total = 0;
  let running = 0;
  let since = 0;
  const runtime = native ? createRequire(join(process.cwd(), "package.json"))("onnxruntime-node") as typeof web : web;
  const stop = (): void => {
    if (--running === 0) total += performance.now() - since;
  };
  const watch = (prototype: Runs): void => {
    const { run } = prototype;
    prototype.run = function (...args) {
      if (running++ === 0) since = performance.now();
      let result: unknown;
      try {
        result = run.apply(this, args);
      } catch (error) {
        stop();
        throw error;
      }
      if (result instanceof Promise) return result.finally(stop);
      stop();
      return result;
    };
  };
  watch((runtime.InferenceSession as unknown as { readonly prototype: Runs }).prototype);
  watch((native ? GraphInC : WasmHeap).prototype as unknown as Runs);
  return {
    runtime: `onnxruntime-${native ? "node" : "web"} ${native ? runtime.env.versions.node : web.env.versions.web}`,
    reset: () => void (total = 0),
    seconds: () => total / 1000,
  };
}
