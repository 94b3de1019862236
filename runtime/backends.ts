/** The backends by name. */

import { nearest, OnnxHubError } from "../errors.ts";
import type { Backend, BackendChoice, BackendName, BackendOptions } from "./backend.ts";
import { onnxruntimeModule } from "./wasm_module.ts";

type Opener = (options: BackendOptions) => Promise<Backend>;

const openers: Readonly<Record<BackendName | "auto", Opener>> = {
  async auto(options) {
    const { hasNative, nativeBackend } = await import("./native/backend.ts");
    return hasNative() ? nativeBackend(options) : await openers.wasm(options);
  },
  native: async (options) => (await import("./native/backend.ts")).nativeBackend(options),
  wasm: async (options) => (await import("./wasm.ts")).wasmBackend(options),
  webgpu: async () => (await import("./webgpu/backend.ts")).webgpuBackend(),
};

/**
 * A backend, loaded when first asked for; "auto" is `native` where onnxruntime-node is installed, else `wasm`.
 *
 * Throws "backend/unknown" for a name that there isn't.
 */
export function openBackend(name: BackendName | "auto", options: BackendOptions = {}): Promise<Backend> {
  if (Object.hasOwn(openers, name)) return openers[name](options);
  const guess = nearest(String(name), Object.keys(openers));
  throw new OnnxHubError("backend/unknown", "There is no such backend", {
    path: "backend",
    expected: Object.keys(openers).map((known) => `"${known}"`).join(", "),
    found: String(name),
    remedy: guess ? `Did you mean "${guess}"?` : undefined,
  });
}

/** Lets a backend begin, on other threads, with what it needs at first; whoever loads a model calls it early. Changes nothing but the time it takes. */
export function prepareBackend(name: BackendChoice = "wasm"): void {
  if (name === "wasm") onnxruntimeModule.prepare();
}
