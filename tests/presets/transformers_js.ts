/** transformers.js, told to stay on this machine. */

import { env, pipeline } from "@huggingface/transformers";

// It fetches the WebAssembly of its runtime from a content delivery network, unless told otherwise.
env.useWasmCache = false;
Object.assign(env.backends.onnx.wasm!, { wasmPaths: undefined, numThreads: 1 });
env.allowRemoteModels = false;
env.useFSCache = false;
env.useBrowserCache = false;

export { env, pipeline };
