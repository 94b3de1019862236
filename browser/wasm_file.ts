/** Where onnxruntime-web's WebAssembly is for a page: beside the bundle. Stands for runtime/wasm_file.ts. */

import { withFasterFunctions } from "../runtime/faster_module.ts";

/** Fetches and compiles the module of the wasm backend. */
export async function compileOnnxRuntime(): Promise<WebAssembly.Module> {
  const response = await fetch(new URL("./onnxruntime/ort-wasm-simd-threaded.wasm", import.meta.url));
  return await WebAssembly.compile(withFasterFunctions(new Uint8Array(await response.arrayBuffer())));
}
