/** The `native` backend in a page: there is none. Stands for runtime/native/backend.ts. */

import { OnnxHubError } from "../errors.ts";
import type { Backend } from "../runtime/backend.ts";

/** Throws "backend/unavailable". */
export function nativeBackend(): Backend {
  throw new OnnxHubError("backend/unavailable", 'A page has no backend "native"', { path: "backend", remedy: 'Take "wasm" or "webgpu".' });
}

/** It never is. */
export function hasNative(): boolean {
  return false;
}
