/** Where onnxruntime-web's WebAssembly is: the browser's bundle has another file in place of this one. */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { withFasterFunctions } from "./faster_module.ts";

/** Beside onnxruntime-web's script, wherever the package manager put that. */
const FILE = "ort-wasm-simd-threaded.wasm";

/** Begins to compile the module of the wasm backend. Throws what the file system throws. */
export function compileOnnxRuntime(): Promise<WebAssembly.Module> {
  const script = createRequire(import.meta.url).resolve("onnxruntime-web");
  // Not read asynchronously: whoever loads a model leaves the event loop no time to begin with the compilation.
  return WebAssembly.compile(withFasterFunctions(readFileSync(join(dirname(script), FILE))));
}
