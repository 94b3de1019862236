/** Weights in int8: each column's values and scale, what the graph computes with them, and how much a session holds. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { GraphBuilder } from "../../codegen/ir/builder.ts";
import { evaluate } from "../../codegen/ir/evaluate.ts";
import { verify } from "../../codegen/ir/verify.ts";
import { toInt8 } from "../../codegen/passes/int8.ts";
import { models } from "../../mod.ts";
import { RandomStream } from "../../random.ts";
import type { Backend } from "../../runtime/backend.ts";
import { openBackend } from "../../runtime/backends.ts";
import { heldGraph, heldModel } from "../../runtime/held_weights.ts";
import { Inference } from "../../runtime/inference.ts";
import { measure } from "../../runtime/int8_range.ts";
import { quantizeMatrix } from "../../runtime/quantize.ts";

const stream = new RandomStream(7, "quantize");
const normals = (size: number, from = 0) => Float32Array.from({ length: size }, (_, i) => stream.normal(from + i));

describe("a matrix in int8", () => {
  for (const range of [127, 64]) {
    it(`is within half a step of what it was, its greatest magnitude at ${range}`, () => {
      const [inner, columns] = [33, 70];
      const data = normals(inner * columns);
      data.fill(0, 0, 1);
      const { values, scales } = quantizeMatrix(data, { inner, columns, transposed: false, weight: "w" }, range);
      for (let column = 0; column < columns; column++) {
        let greatest = 0;
        for (let row = 0; row < inner; row++) {
          const at = row * columns + column;
          greatest = Math.max(greatest, Math.abs(values[at]));
          assert.ok(Math.abs(values[at] * scales[column] - data[at]) <= scales[column] * 0.5001);
        }
        assert.equal(greatest, range);
      }
    });
  }
  it("is the same where it lies there transposed", () => {
    const [inner, columns] = [5, 130];
    const data = normals(inner * columns);
    const turned = new Float32Array(data.length);
    data.forEach((value, at) => turned[(at % columns) * inner + Math.floor(at / columns)] = value);
    assert.deepEqual(
      quantizeMatrix(turned, { inner, columns, transposed: true, weight: "w" }),
      quantizeMatrix(data, { inner, columns, transposed: false, weight: "w" }),
    );
  });
  it("is zero where a column is", () => {
    const { values, scales } = quantizeMatrix(Float32Array.of(0, 1, 0, -2), { inner: 2, columns: 2, transposed: false, weight: "w" });
    assert.deepEqual([...values], [0, 64, 0, -127]);
    assert.equal(scales[0], 0);
  });
});

/** Products with a matrix, a view of one, and a table transposed; a bias, and a product without weights. */
function products() {
  const g = new GraphBuilder("products");
  const x = g.input("x", "float32", ["batch", 4, 8]);
  const kernel = g.input("kernel", "float32", [8, 2, 3]);
  const table = g.input("table", "float32", [10, 6]);
  const bias = g.input("bias", "float32", [6]);
  const hidden = g.add(g.matmul(x, g.reshape(kernel, [8, 6])), bias);
  g.output("scores", g.matmul(hidden, hidden, { transB: true }));
  g.output("logits", g.matmul(hidden, table, { transB: true }));
  return g.finish();
}
const WEIGHTS = new Set(["kernel", "table", "bias"]);

describe("a graph with int8 weights", () => {
  const weights: Record<string, Float32Array<ArrayBuffer>> = { kernel: normals(48), table: normals(60, 100), bias: normals(6, 200) };
  const x = { shape: [2, 4, 8], data: Float64Array.from(normals(64, 300)) };

  it("quantizes the matrices of products, and nothing else", () => {
    const { graph, weights } = toInt8(products(), WEIGHTS);
    verify(graph);
    assert.deepEqual(weights.map(({ weight, inner, columns, transposed }) => [weight, inner, columns, transposed]), [
      ["kernel", 8, 6, false],
      ["table", 6, 10, true],
    ]);
    assert.deepEqual(graph.inputs.map(({ name, dtype }) => `${name} ${dtype}`).sort(), [
      "bias float32",
      "kernel/int8_8 int8",
      "kernel/int8_8_scales float32",
      "table/int8_transposed_6 int8",
      "table/int8_transposed_6_scales float32",
      "x float32",
    ]);
    assert.equal(graph.nodes.filter(({ op }) => op === "MatMul").length, 1);
  });

  it("computes in the runtime what the reference computes, near what it was in float32", async () => {
    const exact = evaluate(products(), {
      x,
      kernel: { shape: [8, 2, 3], data: Float64Array.from(weights.kernel) },
      table: { shape: [10, 6], data: Float64Array.from(weights.table) },
      bias: { shape: [6], data: Float64Array.from(weights.bias) },
    });
    const held = heldGraph(products(), WEIGHTS, "int8");
    const { model, bytes } = heldModel(held, (name) => weights[name], 127);
    const feeds = Object.fromEntries(held.graph.inputs.map(({ name, dtype, shape }) => {
      const raw = bytes.get(name);
      const data = !raw
        ? x.data
        : dtype === "int8"
        ? new Int8Array(raw.buffer as ArrayBuffer, raw.byteOffset, raw.length)
        : new Float32Array(raw.buffer as ArrayBuffer, raw.byteOffset, raw.length / 4);
      return [name, { shape: raw ? shape as number[] : x.shape, data: Float64Array.from(data) }];
    }));
    const expected = evaluate(held.graph, feeds);
    const backend = await openBackend("wasm");
    const session = await backend.load(model, "products", bytes);
    const found = await session.run({ x: { dtype: "float32", shape: [2, 4, 8], data: Float32Array.from(x.data) } });
    await session.dispose();
    for (const name of ["scores", "logits"]) {
      const size = exact[name].data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      expected[name].data.forEach((value, i) => {
        assert.ok(Math.abs(found[name].data[i] - value) <= 1e-5 * size, `${name}[${i}]`);
        assert.ok(Math.abs(value - exact[name].data[i]) <= 0.03 * size, `${name}[${i}]: ${value}, ${exact[name].data[i]}`);
      });
    }
  });
});

describe("what a session holds of a model", () => {
  it("is a quarter in int8 and half in float16 of the matrices, and as much as ever of the rest", async () => {
    const sizes = { vocabularySize: 1000, numLayers: 2, numHeads: 2, hiddenDim: 64, intermediateDim: 128, maxSequenceLength: 16 };
    const backbone = new models.XLMRobertaBackbone(sizes);
    const model = new models.XLMRobertaMaskedLM({ backbone });
    const bytes = (format: "float32" | "float16" | "int8") =>
      new Inference(model.expanded, "cpu", () => openBackend("wasm"), model.parameters, format).heldBytes;
    const matrices = 1000 * 64 + 64 * 64 + 2 * (4 * 64 * 64 + 2 * 64 * 128); // table, head, layers
    const columns = 1000 + 64 + 2 * (4 * 64 + 128 + 64);
    const whole = bytes("float32");
    assert.equal(bytes("int8"), whole - 4 * matrices + matrices + 4 * columns);
    assert.ok(bytes("float16") <= whole - 2 * matrices && bytes("float16") >= whole / 2);
    await model.dispose();
    await backbone.dispose();
  });
});

describe("the range of int8 weights", () => {
  it("is 127 where products are exact, as on WebAssembly", async () => assert.equal(await measure(await openBackend("wasm")), 127));
  it("is 64 where two products are added in 16 bits", async () => {
    // 255 · 127 twice is more than 2^15 - 1, which such processors give instead.
    const saturating: Backend = {
      name: "native",
      load: () =>
        Promise.resolve({
          run: ({ x }) =>
            Promise.resolve({ y: { dtype: "float32", shape: [x.shape[0], 16], data: new Float32Array(x.shape[0] * 16).fill(32 * 32767) } }),
          dispose: () => Promise.resolve(),
        }),
    };
    assert.equal(await measure(saturating), 64);
  });
});
