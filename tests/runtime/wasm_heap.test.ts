/** The heap of onnxruntime-web's module: what lies in it is not copied, what stays there is freed when it is released, the rest is as ever. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { describe, it } from "node:test";
import { GraphBuilder } from "../../codegen/ir/builder.ts";
import { encode } from "../../codegen/onnx/encode.ts";
import { OnnxHubError } from "../../errors.ts";
import type { FeedTensor, Heap } from "../../runtime/backend.ts";
import { release } from "../../runtime/release.ts";
import { wasmBackend } from "../../runtime/wasm.ts";
import { FUNCTIONS, RELEASE, WasmHeap } from "../../runtime/wasm_heap.ts";

const DIRECTORY = createRequire(import.meta.url).resolve("onnxruntime-web").replace(/[^\\/]*$/, "");

async function theHeap(): Promise<Heap> {
  const heap = await wasmBackend().heap!();
  assert.ok(heap);
  return heap;
}

const floats = (data: Float32Array, shape: readonly number[] = [data.length]): FeedTensor => ({ dtype: "float32", shape, data });

/** A graph of one input `x`. */
function graph(
  shape: readonly (number | string)[],
  build: (g: GraphBuilder, x: ReturnType<GraphBuilder["input"]>) => void,
): Uint8Array<ArrayBuffer> {
  const g = new GraphBuilder("graph");
  build(g, g.input("x", "float32", shape));
  return encode(g.finish());
}

describe("the functions of onnxruntime-web's module", () => {
  const script = readFileSync(`${DIRECTORY}ort-wasm-simd-threaded.mjs`, "utf8");

  it("are called in the published script what they are called here", () => {
    assert.equal(JSON.parse(readFileSync(`${DIRECTORY}../package.json`, "utf8")).version, RELEASE);
    for (const [name, exported] of Object.entries(FUNCTIONS)) {
      if (!name.startsWith("stack")) assert.match(script, new RegExp(`\\._?${name}= ?\\w+\\.${exported}[;,]`), name);
      else {
        // `stackSave=()=>N()`, and elsewhere `N=c.Lb`.
        const inner = new RegExp(`\\.${name}=\\w*(?:\\(\\))?=>(\\w+)\\(`).exec(script)?.[1];
        assert.ok(inner && new RegExp(`[;,]${inner}=\\w+\\.${exported}[;,]`).test(script), name);
      }
    }
  });
  it("are not taken from another release, nor from a module that lacks one", async () => {
    const { memory } = await theHeap();
    const exports = Object.fromEntries(Object.values(FUNCTIONS).map((exported) => [exported, () => 0]));
    assert.ok(WasmHeap.of({ exports, memory }, RELEASE));
    assert.equal(WasmHeap.of({ exports, memory }, "1.31.0"), null);
    assert.equal(WasmHeap.of({ exports, memory }, undefined), null);
    delete exports[FUNCTIONS.OrtRun];
    assert.equal(WasmHeap.of({ exports, memory }, RELEASE), null);
  });
});

describe("arrays in the heap", () => {
  it("are counted until they are released, and kernels may write them in whole vectors up to their end", async () => {
    const heap = await theHeap();
    const before = heap.heldBytes;
    const [array, other] = [heap.allocate(1001)!, heap.allocate(8)!];
    assert.equal(array.length, 1001);
    assert.equal(array.buffer, heap.buffer);
    assert.equal(heap.heldBytes - before, 4 * 1009);
    assert.ok(heap.holds(array) && heap.holds(array.subarray(1, 1001)) && heap.holds(array.subarray(3, 7)));
    assert.ok(!heap.holds(array.subarray(0, 1)) && !heap.holds(new Float32Array(4)));
    assert.equal(array.byteOffset % 64, 0);
    const [from, to] = [array.byteOffset, array.byteOffset + 16 * Math.ceil(array.length / 4)];
    assert.ok(other.byteOffset >= to || other.byteOffset + other.byteLength <= from);
    release(array);
    release(other);
    assert.equal(heap.heldBytes, before);
    assert.ok(!heap.holds(array));
    release(other); // a second time: nothing
    assert.equal(heap.heldBytes, before);
  });
  it("are refused where there is no room, and room comes back", async () => {
    const heap = await theHeap();
    const before = heap.heldBytes;
    const arrays: Float32Array[] = [];
    for (let array = heap.allocate(2 ** 28); array; array = heap.allocate(2 ** 28)) arrays.push(array); // 1 GiB each, never touched
    assert.ok(arrays.length >= 1 && arrays.length < 4, `${arrays.length}`);
    for (const array of arrays) release(array);
    const again = heap.allocate(2 ** 28);
    assert.ok(again);
    release(again);
    assert.equal(heap.heldBytes, before);
  });
  it("are freed once they are garbage", async () => {
    const heap = await theHeap();
    const before = heap.heldBytes;
    for (let i = 0; i < 100; i++) heap.allocate(2 ** 16);
    const filler: unknown[] = [];
    for (let tries = 0; heap.heldBytes - before === 100 * 2 ** 18 && tries < 2000; tries++) {
      filler.push(new Float32Array(2 ** 16));
      if (filler.length > 50) filler.length = 0;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assert.ok(heap.heldBytes - before < 100 * 2 ** 18);
  });
});

describe("graphs that run in the heap", () => {
  it("take feeds that lie in it where they are, those that don't by a copy, to the same bits", async () => {
    const heap = await theHeap();
    const session = await wasmBackend().load(graph([4, 3], (g, x) => g.output("y", g.exp(x))), "exp");
    const values = Float32Array.from({ length: 12 }, (_, i) => i / 7);
    const there = heap.allocate(12)!;
    there.set(values);
    const { y } = await session.run({ x: floats(values, [4, 3]) });
    assert.deepEqual((await session.run({ x: floats(there, [4, 3]) })).y, y);
    assert.deepEqual(y.shape, [4, 3]);
    assert.notEqual(y.data.buffer, heap.buffer);
    assert.deepEqual((await session.run({ x: floats(there.subarray(4, 8), [4, 1]) }).catch((error) => error)).code, "backend/run");
    release(there);
    await session.dispose();
  });
  it("leave outputs there that are to be kept, until they are released; others can be fed with them", async () => {
    const heap = await theHeap();
    const twice = await wasmBackend().load(
      graph(["n"], (g, x) => {
        g.output("y", g.mul(x, 2));
        g.output("z", g.mul(x, 3));
      }),
      "twice",
    );
    const places = new Set<number>();
    for (let run = 0; run < 200; run++) {
      const first = await twice.run({ x: floats(Float32Array.of(1, 2, run)) }, undefined, new Set(["y"]));
      assert.equal(first.y.data.buffer, heap.buffer);
      assert.notEqual(first.z.data.buffer, heap.buffer);
      places.add(first.y.data.byteOffset);
      const second = await twice.run({ x: first.y }, ["y"], new Set(["y"]));
      assert.deepEqual(Object.keys(second), ["y"]);
      assert.deepEqual([...second.y.data], [4, 8, 4 * run]);
      release(first.y.data);
      release(second.y.data);
    }
    assert.ok(places.size < 20, `${places.size} places in 200 runs: they aren't freed`);
    await twice.dispose();
  });
  it("give int32, bool, scalars and empty tensors as the backend without a heap would", async () => {
    const session = await wasmBackend().load(
      graph(["n"], (g, x) => {
        g.output("int", g.cast(x, "int32"));
        g.output("bool", g.greater(x, 1));
        g.output("sum", g.sum(x));
      }),
      "kinds",
    );
    const kinds = await session.run({ x: floats(Float32Array.of(0.5, 1.5, -2.5)) });
    assert.deepEqual(kinds, {
      int: { dtype: "int32", shape: [3], data: Int32Array.of(0, 1, -2) },
      bool: { dtype: "bool", shape: [3], data: Uint8Array.of(0, 1, 0) },
      sum: { dtype: "float32", shape: [], data: Float32Array.of(-0.5) },
    });
    const none = await session.run({ x: floats(new Float32Array(0)) }, ["int", "sum"]);
    assert.deepEqual(none, {
      int: { dtype: "int32", shape: [0], data: new Int32Array(0) },
      sum: { dtype: "float32", shape: [], data: Float32Array.of(0) },
    });
    await session.dispose();
  });
  it("fail in words: the graph, onnxruntime's message, the inputs", async () => {
    const session = await wasmBackend().load(graph([3], (g, x) => g.output("y", g.neg(x))), "three");
    const error = await session.run({ x: floats(new Float32Array(5)) }).catch((error) => error);
    assert.ok(error instanceof OnnxHubError);
    assert.match(error.message, /failed in the graph three/);
    assert.match(error.message, /Got: 5 Expected: 3/);
    assert.match(error.message, /x \[5\]/);
    assert.equal((await session.run({ x: floats(Float32Array.of(1, 2, 3)) })).y.data[2], -3);
    await session.dispose();
  });
});
