/** Where onnxruntime-web's WebAssembly is for a page: beside the bundle. Stands for runtime/wasm_file.ts. */

/** Compiles the module of the wasm backend while it is being fetched. */
export function compileOnnxRuntime(): Promise<WebAssembly.Module> {
  return WebAssembly.compileStreaming(fetch(new URL("./onnxruntime/ort-wasm-simd-threaded.wasm", import.meta.url)));
}
