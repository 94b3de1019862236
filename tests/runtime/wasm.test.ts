/** The wasm backend: a heap that doesn't grow, errors in words, runs one after the other, the same bits every time. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { GraphBuilder } from "../../codegen/ir/builder.ts";
import { encode } from "../../codegen/onnx/encode.ts";
import { OnnxHubError } from "../../errors.ts";
import type { FeedTensor } from "../../runtime/backend.ts";
import { wasmBackend } from "../../runtime/wasm.ts";
import { withFixedMemory } from "../../runtime/wasm_memory.ts";

const PAGE = 65536;

/** softmax(x · w), big enough to be shared among threads. */
function product(rows: number, width: number): Uint8Array<ArrayBuffer> {
  const g = new GraphBuilder("product");
  g.output("y", g.softmax(g.matmul(g.input("x", "float32", ["rows", width]), g.input("w", "float32", [width, width]))));
  assert.ok(rows > 0);
  return encode(g.finish());
}

function floats(shape: number[], scale: number): FeedTensor {
  const size = shape.reduce((a, b) => a * b, 1);
  return { dtype: "float32", shape, data: Float32Array.from({ length: size }, (_, i) => Math.sin(i * scale)) };
}

async function refused(body: Promise<unknown>, code: string, says: RegExp): Promise<void> {
  await assert.rejects(body, (error: unknown) => error instanceof OnnxHubError && error.code === code && says.test(error.message));
}

describe("onnxruntime's heap", () => {
  const descriptor = { initial: 256, maximum: 65536, shared: true };
  it("has its greatest size from the start, so that it never grows while threads run", async () => {
    const memory = await withFixedMemory(() => Promise.resolve(new WebAssembly.Memory(descriptor)));
    assert.ok(memory.buffer.byteLength > 256 * PAGE, `${memory.buffer.byteLength} bytes`);
    assert.ok(memory instanceof WebAssembly.Memory);
  });
  it("is the only memory that is changed", async () => {
    const [small, bounded] = await withFixedMemory(() =>
      Promise.resolve([new WebAssembly.Memory({ initial: 1 }), new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true })])
    );
    assert.equal(small.buffer.byteLength, PAGE);
    assert.equal(bounded.buffer.byteLength, PAGE);
    assert.equal(new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true }).buffer.byteLength, PAGE);
  });
  it("is left alone again where making it fails", async () => {
    const { Memory } = WebAssembly;
    await assert.rejects(withFixedMemory(() => Promise.reject(new Error("no"))), /no/);
    assert.equal(WebAssembly.Memory, Memory);
  });
});

describe("the wasm backend", () => {
  it("gives the same bits in every run, whichever thread computes what", async () => {
    const session = await wasmBackend().load(product(512, 256), "product");
    const feeds = { x: floats([512, 256], 0.37), w: floats([256, 256], 0.11) };
    const first = (await session.run(feeds)).y.data;
    assert.ok(first.every(Number.isFinite));
    for (let i = 0; i < 10; i++) assert.deepEqual((await session.run(feeds)).y.data, first);
    await session.dispose();
  });
  it("runs at the same time wait for each other", async () => {
    const backend = wasmBackend();
    const sessions = await Promise.all([backend.load(product(8, 16), "a"), backend.load(product(8, 16), "b")]);
    const feeds = (seed: number) => ({ x: floats([8, 16], seed), w: floats([16, 16], 0.2) });
    const alone = [];
    for (let i = 0; i < 6; i++) alone.push((await sessions[0].run(feeds(i))).y.data);
    const together = await Promise.all(alone.map((_, i) => sessions[i % 2].run(feeds(i))));
    assert.deepEqual(together.map(({ y }) => y.data), alone);
    for (const session of sessions) await session.dispose();
  });
  it("a graph that is none is refused with its name", () =>
    refused(wasmBackend().load(Uint8Array.of(1, 2, 3), "garbage"), "backend/load", /garbage/));
  it("a run that fails says which graph, why, and with what", async () => {
    const session = await wasmBackend().load(product(8, 16), "product");
    await refused(session.run({ x: floats([8, 16], 1) }), "backend/run", /product.*x \[8, 16\]/s);
    await refused(session.run({ x: floats([8, 15], 1), w: floats([16, 16], 1) }), "backend/run", /15/);
    await session.dispose();
    await refused(session.run({}), "backend/disposed", /product/);
  });
  it("the number of threads is fixed once a model is loaded, and must make sense", () => {
    assert.throws(() => wasmBackend({ threads: 1.5 }), /1 to 64/);
    assert.throws(() => wasmBackend({ threads: 63 }), /fixed once the first model is loaded/);
  });
});
