/** The `webgpu` backend: onnxruntime-web's WebGPU build on a device of our own. A runtime apart from the `wasm` backend's. */

import type * as Ort from "onnxruntime-web";
import type { Backend } from "../backend.ts";
import { loadedGraph, openSession } from "../onnx_session.ts";
import { findAdapter, type FoundAdapter } from "./adapter.ts";
import { WebgpuDevice, type WebgpuDeviceOptions } from "./device.ts";
import { forPackage, keptAlive } from "./package_device.ts";

/** The features that onnxruntime's shaders can use. */
const FEATURES: readonly GPUFeatureName[] = ["shader-f16", "subgroups" as GPUFeatureName];

/** The limits that decide what can be computed, asked for as high as the GPU has them. */
const LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupSizeY",
  "maxComputeWorkgroupSizeZ",
  "maxComputeWorkgroupsPerDimension",
] as const satisfies readonly (keyof GPUSupportedLimits)[];

let last: Promise<unknown> = Promise.resolve();

/** Runs one job after the other. */
function alone<T>(job: () => Promise<T>): Promise<T> {
  const result = last.then(job, job);
  last = result.catch(() => {});
  return result;
}

let runtime: Promise<typeof Ort> | null = null;

/** onnxruntime-web; where WebAssembly can wait for promises, the build that lets it, which is smaller and faster. */
function loadRuntime(): Promise<typeof Ort> {
  return runtime ??= (async () => {
    const ort = await ("Suspending" in WebAssembly ? import("onnxruntime-web/jspi") : import("onnxruntime-web/webgpu")) as typeof Ort;
    ort.env.wasm.numThreads = 1;
    ort.env.logLevel = "error";
    return ort;
  })();
}

let current: Promise<Backend> | null = null;

/**
 * onnxruntime-web on a GPU. All models of a process share the device; after it was lost, the next one opened gets a new one.
 *
 * Throws "backend/unavailable" where there is no WebGPU or no GPU, "backend/load" and "backend/run".
 */
export async function webgpuBackend(): Promise<Backend> {
  const known = await current?.catch(() => null);
  if (!known || known.device!.isLost) current = open();
  return await current!;
}

async function open(): Promise<Backend> {
  const found = await findAdapter();
  const ort = await loadRuntime();
  const awake: WebgpuDeviceOptions["awake"] = found.isPackage ? keptAlive : (job) => job();
  const device = new WebgpuDevice({
    ort,
    device: await requestDevice(found),
    description: describe(found.adapter),
    alone,
    awake,
  });
  const memoryRemedy = "Take a smaller batch, shorter sequences or a smaller model.";
  return {
    name: "webgpu",
    device,
    load: (model, label) => {
      const options = {
        executionProviders: [{ name: "webgpu", device: device.gpu } as Ort.InferenceSession.WebGpuExecutionProviderOption],
      };
      return openSession(
        { alone: (job) => alone(() => awake(job)), memoryRemedy },
        async () => loadedGraph(await ort.InferenceSession.create(model, options), ort),
        label,
      );
    },
  };
}

async function requestDevice({ adapter, isPackage }: FoundAdapter): Promise<GPUDevice> {
  const device = await adapter.requestDevice({
    requiredFeatures: FEATURES.filter((feature) => adapter.features.has(feature)),
    requiredLimits: Object.fromEntries(LIMITS.map((name) => [name, adapter.limits[name]])),
  });
  return isPackage ? forPackage(device) : device;
}

function describe({ info }: GPUAdapter): string {
  return [info.description, info.device, info.vendor].find((text) => text) ?? "a GPU without a name";
}
