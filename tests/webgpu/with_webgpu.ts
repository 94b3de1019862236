/** Registers tests that need a GPU: where there is none, they require the error that says so. */

import assert from "node:assert/strict";
import { it } from "node:test";
import { OnnxHubError } from "../../errors.ts";
import type { Backend } from "../../runtime/backend.ts";
import { openBackend } from "../../runtime/backends.ts";
import type { Device } from "../../runtime/device.ts";

/** Requires the error that a machine without a GPU, or a runtime without WebGPU, gets. */
export function assertUnavailable(error: unknown): void {
  assert.ok(error instanceof OnnxHubError, String(error));
  assert.equal(error.code, "backend/unavailable");
  assert.match(error.remedy!, "gpu" in navigator ? /Vulkan driver/ : /Deno.*npm install webgpu/);
}

/** A test that runs on the GPU, or else finds the error in its place. */
export function onWebgpu(name: string, body: (device: Device, backend: Backend) => Promise<void>): void {
  it(name, async () => {
    let backend: Backend;
    try {
      backend = await openBackend("webgpu");
    } catch (error) {
      assertUnavailable(error);
      return;
    }
    await body(backend.device!, backend);
  });
}
