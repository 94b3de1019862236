/** Finds a GPU: the runtime's own `navigator.gpu`, or the optional package `webgpu`. */

import { OnnxHubError } from "../../errors.ts";

/** The package that brings WebGPU (Google's Dawn) to Node and Bun. */
const PACKAGE = "webgpu";

/** What of the package is used. */
interface Dawn {
  readonly create: (options: string[]) => GPU;
  readonly globals: Readonly<Record<string, unknown>>;
}

/** A GPU with what its runtime needs. */
export interface FoundAdapter {
  readonly adapter: GPUAdapter;
  /** Whether it is the package's: it takes no shared memory, and only a timer keeps the process alive while it computes. */
  readonly isPackage: boolean;
}

/**
 * The adapter of the fastest GPU.
 *
 * Throws "backend/unavailable" where the runtime has no WebGPU and there is no package for it, and where no driver gives an adapter.
 */
export async function findAdapter(): Promise<FoundAdapter> {
  const { gpu, isPackage } = await findGpu();
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (adapter) return { adapter, isPackage };
  throw new OnnxHubError("backend/unavailable", 'The backend "webgpu" finds no GPU', {
    path: "backend",
    expected: "an adapter",
    found: "none",
    remedy: "Install a Vulkan driver (on Linux libvulkan1 and the GPU maker's; mesa-vulkan-drivers computes on the processor).",
  });
}

let loaded: GPU | null = null;

async function findGpu(): Promise<{ gpu: GPU; isPackage: boolean }> {
  if (loaded) return { gpu: loaded, isPackage: true };
  const own = (globalThis.navigator as Partial<Navigator> | undefined)?.gpu;
  if (own) return { gpu: own, isPackage: false };
  let dawn: Dawn;
  try {
    // A variable, so that no bundler or type checker asks for what is optional.
    const name: string = PACKAGE;
    dawn = await import(name);
  } catch (cause) {
    throw new OnnxHubError("backend/unavailable", 'The backend "webgpu" needs WebGPU, which this runtime does not have', {
      path: "backend",
      expected: "navigator.gpu",
      found: "none",
      remedy: `Run it with Deno, or install the package for Bun and Node: \`npm install ${PACKAGE}\`.`,
      cause,
    });
  }
  Object.assign(globalThis, dawn.globals);
  loaded = dawn.create([]);
  // onnxruntime-web looks for it there.
  const holder = (globalThis.navigator ?? {}) as object;
  Object.defineProperty(holder, "gpu", { value: loaded, configurable: true });
  if (!globalThis.navigator) Object.defineProperty(globalThis, "navigator", { value: holder, configurable: true });
  return { gpu: loaded, isPackage: true };
}
