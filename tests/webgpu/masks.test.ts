/** Dropout masks drawn on a GPU: bit by bit the host's. Where there is no GPU: the error that says so. */

import assert from "node:assert/strict";
import { describe } from "node:test";
import { RandomStream } from "../../random.ts";
import { onWebgpu } from "./with_webgpu.ts";

describe("dropout masks on WebGPU", () => {
  for (const [rate, size] of [[0.1, 100_003], [0.5, 4096], [0.999, 10_000], [1e-6, 1], [1 - 1e-12, 100]]) {
    onWebgpu(`are the host's, element by element: rate ${rate}, ${size} elements`, async (device) => {
      for (const identity of [[0, 0], [7, 3], [123_456, 36]]) {
        const stream = new RandomStream(2 ** 40 + 5, "dropout", ...identity);
        const keep = new Uint8Array(size);
        stream.fillKeep(keep, rate);
        const scale = Math.fround(1 / (1 - rate));
        const mask = device.mask(stream, rate, [size], scale);
        const [{ data }] = await device.download([mask]);
        mask.dispose();
        assert.deepEqual(data, Float32Array.from(keep, (kept) => kept * scale));
      }
    });
  }

  onWebgpu("are drawn in more workgroups than one dimension has", async (device) => {
    const size = 256 * 65_535 + 257;
    const stream = new RandomStream(1);
    const mask = device.mask(stream, 0.25, [size], 1);
    const [{ data }] = await device.download([mask]);
    mask.dispose();
    const keep = new Uint8Array(257);
    stream.fillKeep(keep, 0.25, size - keep.length);
    assert.deepEqual(data.subarray(size - keep.length), Float32Array.from(keep));
  });
});
