/** Products and sums whose size decides how they are emitted for WebGPU. Where there is no GPU: the error that says so. */

import assert from "node:assert/strict";
import { describe } from "node:test";
import { GraphBuilder } from "../../codegen/ir/builder.ts";
import { encode } from "../../codegen/onnx/encode.ts";
import type { Value } from "../../codegen/ir/types.ts";
import type { Device } from "../../runtime/device.ts";
import { onWebgpu } from "./with_webgpu.ts";

function noise(size: number, seed: number): Float32Array<ArrayBuffer> {
  let state = seed;
  return Float32Array.from({ length: size }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Computes one value from inputs of these shapes on the GPU, where all nodes must run. */
async function compute(
  device: Device,
  shapes: readonly (readonly number[])[],
  build: (g: GraphBuilder, inputs: readonly Value[]) => Value,
): Promise<{ inputs: Float32Array<ArrayBuffer>[]; shape: readonly number[]; data: ArrayLike<number> }> {
  const g = new GraphBuilder("large");
  g.output("y", build(g, shapes.map((shape, i) => g.input(`x${i}`, "float32", shape))));
  const session = await device.load(encode(g.finish(), { provider: "webgpu" }), { label: "large", sizes: {}, whole: true });
  const inputs = shapes.map((shape, i) => noise(sizeOf(shape), i + 1));
  const { y } = await session.run(Object.fromEntries(inputs.map((data, i) => [`x${i}`, { dtype: "float32", shape: shapes[i], data }])));
  const [{ shape, data }] = await device.download([y]);
  y.dispose();
  await session.dispose();
  return { inputs, shape, data };
}

describe("on WebGPU", () => {
  for (const inner of [16_384, 16_411]) {
    for (const lead of [[3], [2, 3]]) {
      onWebgpu(`[${[...lead, inner]}] times [${inner}, 5] is summed in parts to the same`, async (device) => {
        const { inputs: [a, b], shape, data } = await compute(device, [[...lead, inner], [inner, 5]], (g, [a, b]) => g.matmul(a, b));
        assert.deepEqual(shape, [...lead, 5]);
        for (let i = 0; i < data.length; i++) {
          let sum = 0;
          for (let k = 0; k < inner; k++) sum += a[Math.floor(i / 5) * inner + k] * b[k * 5 + i % 5];
          assert.ok(Math.abs(data[i] - sum) <= 1e-3, `element ${i}: ${data[i]} instead of ${sum}`);
        }
      });
    }
  }

  onWebgpu("[2, 65543] times [65543, 520], copied in two blocks", async (device) => {
    const [inner, columns] = [65_543, 520];
    const { inputs: [a, b], data } = await compute(device, [[2, inner], [inner, columns]], (g, [a, b]) => g.matmul(a, b));
    for (let i = 0; i < data.length; i += 37) {
      let sum = 0;
      for (let k = 0; k < inner; k++) sum += a[Math.floor(i / columns) * inner + k] * b[k * columns + i % columns];
      assert.ok(Math.abs(data[i] - sum) <= 3e-3, `element ${i}: ${data[i]} instead of ${sum}`);
    }
  });

  for (const lead of [[3], [1, 3]]) {
    onWebgpu(`[${[...lead, 4096]}] times a transposed weight of 16 million elements, which isn't copied`, async (device) => {
      const [rows, inner] = [4100, 4096];
      const { inputs: [a, w], shape, data } = await compute(
        device,
        [[...lead, inner], [rows, inner]],
        (g, [a, w]) => g.matmul(a, w, { transB: true }),
      );
      assert.deepEqual(shape, [...lead, rows]);
      for (let i = 0; i < data.length; i += 97) {
        let sum = 0;
        for (let k = 0; k < inner; k++) sum += a[Math.floor(i / rows) * inner + k] * w[(i % rows) * inner + k];
        assert.ok(Math.abs(data[i] - sum) <= 1e-3, `element ${i}: ${data[i]} instead of ${sum}`);
      }
    });
  }

  for (const shape of [[100_000], [257, 300, 4], [4099 * 7]]) {
    onWebgpu(`the sum, mean and maximum of [${shape}] are those of its lines`, async (device) => {
      for (
        const [kind, fold] of [["sum", (x: Float64Array) => x.reduce((a, b) => a + b, 0)], [
          "mean",
          (x: Float64Array) => x.reduce((a, b) => a + b, 0) / x.length,
        ], [
          "reduceMax",
          (x: Float64Array) => x.reduce((a, b) => Math.max(a, b)),
        ]] as const
      ) {
        for (const keepDims of [false, true]) {
          const { inputs: [x], shape: found, data } = await compute(
            device,
            [shape],
            (g, [x]) => g[kind](x, shape.map((_, i) => i), keepDims),
          );
          assert.deepEqual(found, keepDims ? shape.map(() => 1) : []);
          const expected = fold(Float64Array.from(x));
          assert.ok(Math.abs(data[0] - expected) <= 1e-5 * x.length ** 0.5, `${kind}: ${data[0]} instead of ${expected}`);
        }
      }
    });
  }
});
