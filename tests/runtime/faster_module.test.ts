/** What replaces functions of onnxruntime-web's module: functions known by their code, matrix products with fused multiply-adds, work in more parts. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { describe, it } from "node:test";
import { GraphBuilder } from "../../codegen/ir/builder.ts";
import { encode } from "../../codegen/onnx/encode.ts";
import { encodeModule, FunctionBody, op, unsigned } from "../../codegen/wasm/assembler.ts";
import { type KnownFunction, replaceFunctions } from "../../codegen/wasm/module_functions.ts";
import { RandomStream } from "../../random.ts";
import { hasFusedMultiplyAdd, morePartsThan, withFasterFunctions } from "../../runtime/faster_module.ts";
import { wasmBackend } from "../../runtime/wasm.ts";

const FILE = createRequire(import.meta.url).resolve("onnxruntime-web").replace(/[^\\/]*$/, "ort-wasm-simd-threaded.wasm");

/** A function of an address and a value: writes the sum of the value and a term to the address, four times. */
function adding(term: number): FunctionBody {
  const body = new FunctionBody(2);
  body.get(0).get(1).i32(term).emit(op.i32Add).vector("i32x4Splat").vector("v128Store", 2, 0);
  return body;
}

function module(...terms: readonly number[]): Uint8Array<ArrayBuffer> {
  return encodeModule([], terms.map((term) => ({ name: `add${term}`, body: adding(term) })), false);
}

/** How a function is known (FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/). */
function known(body: FunctionBody, replacement: KnownFunction["replacement"]): KnownFunction {
  const code = body.finish().slice(1); // less than 128 bytes, so that the size is one
  return { size: code.length, digest: code.reduce((hash, byte) => Math.imul(hash ^ byte, 0x01000193), 0x811c9dc5) >>> 0, replacement };
}

/** What each exported function writes for the value 10: two words, 16 bytes apart. */
async function written(module: Uint8Array<ArrayBuffer>): Promise<Record<string, number[]>> {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const { instance } = await WebAssembly.instantiate(module, { kernel: { memory } });
  const words = new Int32Array(memory.buffer);
  return Object.fromEntries(
    Object.entries(instance.exports).map(([name, add]) => {
      words.fill(0);
      (add as (address: number, value: number) => void)(0, 10);
      return [name, [words[0], words[4]]];
    }),
  );
}

/** `x · y + z` by this engine: fused in V8, rounded twice in JavaScriptCore. */
async function relaxed(x: number, y: number, z: number): Promise<number> {
  const body = new FunctionBody(1);
  body.get(0);
  for (const offset of [0, 16, 32]) body.get(0).vector("v128Load", 2, offset);
  body.vector("f32x4RelaxedMadd").vector("v128Store", 2, 0);
  const memory = new WebAssembly.Memory({ initial: 1 });
  const { instance } = await WebAssembly.instantiate(encodeModule([], [{ name: "run", body }], false), { kernel: { memory } });
  const words = new Float32Array(memory.buffer);
  [words[0], words[4], words[8]] = [x, y, z];
  (instance.exports.run as (address: number) => void)(0);
  return words[0];
}

describe("functions of a module", () => {
  /** Calls the original with the value, and with twice the value for the place behind. */
  const twice = (original: number): FunctionBody => {
    const body = new FunctionBody(2);
    body.get(0).get(1).emit(op.call, ...unsigned(original));
    return body.get(0).i32(16).emit(op.i32Add).get(1).get(1).emit(op.i32Add, op.call, ...unsigned(original));
  };

  it("are replaced where their code is known; the replacements can call them, and all others stay as they were", async () => {
    const replaced = replaceFunctions(module(1, 2, 3, 4), [known(adding(4), twice), known(adding(2), twice)]);
    assert.deepEqual(await written(replaced!), { add1: [11, 0], add2: [12, 22], add3: [13, 0], add4: [14, 24] });
  });
  it("are not replaced in a module that lacks one of them", () => {
    assert.equal(replaceFunctions(module(1, 2), [known(adding(2), twice), known(adding(3), twice)]), null);
  });
});

describe("onnxruntime-web's module", () => {
  it("has the functions that others stand for in the published file; another module is left alone", () => {
    const file = new Uint8Array(readFileSync(FILE));
    const faster = withFasterFunctions(file);
    assert.ok(faster.length > file.length);
    assert.ok(WebAssembly.validate(faster));
    const other = module(1, 2);
    assert.equal(withFasterFunctions(other), other);
  });
  it("cuts work into eight parts for each thread where there are several, into one where there is one", async () => {
    // Two functions from i32 to i32: what it is given is the degree, and the other asks that one.
    const section = (id: number, ...body: readonly number[]) => [id, body.length, ...body];
    const code = [new FunctionBody(1).get(0), morePartsThan(0)].flatMap((body) => body.finish());
    const bytes = Uint8Array.of(
      ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      ...section(1, 1, 0x60, 1, 0x7f, 1, 0x7f),
      ...section(3, 2, 0, 0),
      ...section(7, 1, 5, ...new TextEncoder().encode("parts"), 0, 1),
      ...section(10, 2, ...code),
    );
    const { instance } = await WebAssembly.instantiate(bytes);
    const parts = instance.exports.parts as (degree: number) => number;
    assert.deepEqual([0, 1, 2, 3, 16].map(parts), [0, 1, 16, 24, 128]);
  });
});

describe("products with fused multiply-adds", () => {
  it("are possible in this runtime", () => assert.ok(hasFusedMultiplyAdd()));

  const random = new RandomStream(5, "products");
  it("are what onnxruntime-web computes with: one rounding where the engine has an instruction for both", async () => {
    const graph = new GraphBuilder("product");
    const [m, n] = [4, 16];
    graph.output("y", graph.matmul(graph.input("a", "float32", [m, 2]), graph.input("b", "float32", [2, n])));
    const session = await wasmBackend().load(encode(graph.finish()), "product");
    // The square of 1 + 2⁻¹² is 1 + 2⁻¹¹ + 2⁻²⁴, one bit more than float32 has.
    const a = Float32Array.from({ length: 2 * m }, (_, i) => i % 2 === 0 ? -1 - 2 ** -11 : 1 + 2 ** -12);
    const b = Float32Array.from({ length: 2 * n }, (_, i) => i < n ? 1 : 1 + 2 ** -12);
    const { y } = await session.run({ a: { dtype: "float32", shape: [m, 2], data: a }, b: { dtype: "float32", shape: [2, n], data: b } });
    await session.dispose();
    assert.deepEqual(new Set(y.data as Float32Array), new Set([await relaxed(a[1], b[n], a[0])]));
  });

  /** Whole tiles and panels, less than one, and every kind of remainder; more elements than are packed at once. */
  const SIZES: readonly (readonly [rows: number, inner: number, columns: number])[] = [
    ...[[6, 4, 16], [12, 8, 32], [5, 4, 16], [6, 3, 16], [6, 4, 15], [6, 4, 17], [7, 5, 31], [11, 1, 8], [1, 7, 33], [2, 300, 20]] as const,
    ...[[13, 129, 143], [37, 257, 129], [64, 700, 260], [96, 515, 18], [8, 9, 32], [32, 64, 48]] as const,
  ];
  for (const [transA, transB] of [[false, false], [true, false], [false, true], [true, true]]) {
    it(`are right to 1e-6 of the sum of magnitudes for all sizes${transA ? ", the left side transposed" : ""}${transB ? ", the right side transposed" : ""}`, async () => {
      for (const [m, k, n] of SIZES) {
        const draw = (length: number, from: number) => Float32Array.from({ length }, (_, i) => random.uniform(from + i) - 0.5);
        const [a, b] = [draw(m * k, 0), draw(k * n, m * k)];
        const graph = new GraphBuilder("product");
        const [aShape, bShape] = [transA ? [k, m] : [m, k], transB ? [n, k] : [k, n]];
        graph.output("y", graph.matmul(graph.input("a", "float32", aShape), graph.input("b", "float32", bShape), { transA, transB }));
        const session = await wasmBackend().load(encode(graph.finish()), "product");
        const { y } = await session.run({
          a: { dtype: "float32", shape: aShape, data: a },
          b: { dtype: "float32", shape: bShape, data: b },
        });
        await session.dispose();
        assert.deepEqual([...y.shape], [m, n]);
        for (let row = 0; row < m; row++) {
          for (let column = 0; column < n; column++) {
            let [sum, magnitude] = [0, 0];
            for (let i = 0; i < k; i++) {
              const term = a[transA ? i * m + row : row * k + i] * b[transB ? column * k + i : i * n + column];
              sum += term;
              magnitude += Math.abs(term);
            }
            const found = y.data[row * n + column];
            assert.ok(Math.abs(found - sum) <= 1e-6 * magnitude, `${m}×${k}×${n} at ${row}, ${column}: ${found}, not ${sum}`);
          }
        }
      }
    });
  }
});
