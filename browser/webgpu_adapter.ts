/** Finds a page's GPU. Stands for runtime/webgpu/adapter.ts. */

import { OnnxHubError } from "../errors.ts";
import type { FoundAdapter } from "../runtime/webgpu/adapter.ts";

/** The adapter of the fastest GPU. Throws "backend/unavailable" where the browser has no WebGPU, or finds no GPU for it. */
export async function findAdapter(): Promise<FoundAdapter> {
  const gpu = (navigator as Partial<Navigator>).gpu;
  const adapter = await gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (adapter) return { adapter, isPackage: false };
  throw new OnnxHubError(
    "backend/unavailable",
    gpu ? 'The backend "webgpu" finds no GPU' : 'The backend "webgpu" needs WebGPU, which this page does not have',
    {
      path: "backend",
      expected: gpu ? "an adapter" : "navigator.gpu, which pages have that come from https: or from localhost",
      found: "none",
      remedy: 'Take the backend "wasm", or another browser.',
    },
  );
}
