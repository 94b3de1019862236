/** The encoding: names, types, constants, weights beside the model; read back, and run. */

import { strict as assert } from "node:assert";
import { describe, it } from "node:test";
import { GraphBuilder } from "../../codegen/ir/builder.ts";
import { evaluate } from "../../codegen/ir/evaluate.ts";
import type { Graph, OpName, Value } from "../../codegen/ir/types.ts";
import { halfBits, tensorBytes } from "../../codegen/onnx/bytes.ts";
import { encode } from "../../codegen/onnx/encode.ts";
import { readModel, writeModel } from "../../codegen/onnx/protobuf.ts";
import { optimize } from "../../codegen/passes/optimize.ts";
import { OnnxHubError } from "../../errors.ts";
import { graphOf } from "./graph_of_case.ts";
import { opCases } from "./op_cases.ts";
import { runOnnx } from "./run_onnx.ts";
import { transformer, transformerFeeds } from "./transformer.ts";

function graphWith(body: (g: GraphBuilder, x: Value) => void): Graph {
  const g = new GraphBuilder("test");
  body(g, g.input("x", "float32", ["batch", 2]));
  return g.finish();
}

const x = { shape: [2, 2], data: Float64Array.of(1, -2, 3, -4) };

describe("a model", () => {
  it("says what it is and what goes in and out", () => {
    const model = readModel(
      encode(graphWith((g, x) => g.output("y", g.scoped("layer_1/norm", () => g.sum(x, [1])))), { producer: "tests" }),
    );
    assert.deepEqual([model.irVersion, model.opset, model.producer, model.graph.name], [9, 20, "tests", "test"]);
    assert.deepEqual(model.graph.inputs, [{ name: "x", dtype: "float32", shape: ["batch", 2] }]);
    assert.deepEqual(model.graph.outputs, [{ name: "y", dtype: "float32", shape: ["batch"] }]);
    assert.deepEqual(model.graph.nodes, [{
      name: "layer_1/norm/ReduceSum",
      opType: "ReduceSum",
      inputs: ["x", "int64_1"],
      outputs: ["y"],
      attributes: { keepdims: { kind: "int", value: 0 } },
    }]);
    assert.deepEqual(
      model.graph.initializers.map(({ name, dtype, shape, data }) => ({ name, dtype, shape, data: [...data as Uint8Array] })),
      [
        { name: "int64_1", dtype: "int64", shape: [1], data: [1, 0, 0, 0, 0, 0, 0, 0] },
      ],
    );
  });

  it("is the same bytes for the same graph", () => {
    assert.deepEqual(encode(optimize(transformer())), encode(optimize(transformer())));
  });

  it("is read back as it was written", () => {
    const bytes = encode(transformer());
    assert.deepEqual(writeModel(readModel(bytes)), bytes);
  });

  it("has unique names for nodes and for tensors, and no constant that nothing reads", () => {
    const { nodes, initializers, inputs } = readModel(encode(transformer())).graph;
    const names = nodes.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    const tensors = [...inputs, ...initializers].map(({ name }) => name).concat(nodes.flatMap(({ outputs }) => outputs));
    assert.equal(new Set(tensors).size, tensors.length);
    const read = new Set(nodes.flatMap(({ inputs }) => inputs));
    assert.deepEqual(initializers.filter(({ name }) => !read.has(name)), []);
  });

  it("never uses Dropout, which WebGPU refuses, nor ScatterND, whose threads lose additions", () => {
    for (const op of Object.keys(opCases) as OpName[]) {
      for (const one of opCases[op].good) {
        const { nodes } = readModel(encode(graphOf(op, one as never).graph)).graph;
        assert.deepEqual(nodes.filter(({ opType }) => opType === "Dropout" || opType === "ScatterND"), [], op);
      }
    }
  });

  it("has one Gemm for a weight's gradient, of a transposed copy of what the weight is multiplied by, and none of a weight", () => {
    const { nodes, inputs } =
      readModel(encode(optimize(graphOf("MatMul", opCases.MatMul.good.find(({ what }) => what === "rows times a weight")!).graph))).graph;
    const products = nodes.filter(({ opType }) => opType === "Gemm");
    assert.equal(products.length, 2);
    assert.ok(products.every(({ attributes }) => attributes.transA === undefined));
    const copies = nodes.filter(({ opType }) => opType === "Transpose");
    assert.equal(copies.length, 1);
    assert.ok(!inputs.some(({ name }) => name === copies[0].inputs[0]));
  });
});

describe("output names", () => {
  const cases: [string, (g: GraphBuilder, x: Value) => void, string[]][] = [
    ["an input", (g, x) => g.output("y", x), ["Identity"]],
    ["one value twice", (g, x) => (g.output("y", g.neg(x)), g.output("z", g.nodes[0].outputs[0])), ["Neg", "Identity"]],
    ["a constant", (g) => g.output("y", g.constant([1, 2])), ["Identity"]],
    ["a stopped gradient", (g, x) => g.output("y", g.stopGradient(g.exp(x))), ["Exp", "Identity"]],
    ["a value that is read on", (g, x) => (g.output("y", g.exp(x)), g.output("z", g.neg(g.nodes[0].outputs[0]))), ["Exp", "Neg"]],
    ["names that made-up ones clash with", (g, x) => g.output("neg_2", g.neg(g.neg(g.exp(x)))), ["Exp", "Neg", "Neg"]],
  ];
  for (const [what, body, types] of cases) {
    it(`are right for ${what}`, async () => {
      const graph = graphWith(body);
      const model = encode(graph);
      assert.deepEqual(readModel(model).graph.nodes.map(({ opType }) => opType), types);
      const [found, expected] = [await runOnnx(model, graph, { x }), evaluate(graph, { x })];
      for (const { name } of graph.outputs) {
        expected[name].data.forEach((value, i) => assert.ok(Math.abs(value - found[name].data[i]) <= 1e-6 * Math.abs(value), name));
      }
    });
  }
});

describe("StopGradient", () => {
  it("vanishes between nodes", () => {
    const model = readModel(encode(graphWith((g, x) => g.output("y", g.neg(g.stopGradient(g.exp(x)))))));
    assert.deepEqual(model.graph.nodes.map(({ opType }) => opType), ["Exp", "Neg"]);
  });
});

describe("layer normalization", () => {
  it("writes only the outputs that something reads", () => {
    const graph = graphWith((g, x) => {
      const [scale, bias] = [g.constant([1, 1]), g.constant([0, 0])];
      g.output("y", g.op("LayerNorm", [x, scale, bias], { epsilon: 1e-5 })[0]);
    });
    assert.deepEqual(readModel(encode(graph)).graph.nodes[0].outputs, ["y"]);
  });
});

describe("weights beside the model", () => {
  const graph = graphWith((g, x) => g.output("y", g.matmul(x, g.input("w", "float32", [2, 2]))));
  const initializers = new Map([["w", { location: "model.weights.bin", offset: 8, length: 16 }]]);

  it("are initializers instead of inputs", () => {
    const { inputs, initializers: tensors } = readModel(encode(graph, { initializers })).graph;
    assert.deepEqual(inputs.map(({ name }) => name), ["x"]);
    assert.deepEqual(tensors, [{ name: "w", dtype: "float32", shape: [2, 2], data: initializers.get("w")! }]);
  });

  it("are found by the runtime", async () => {
    const file = new Uint8Array(24);
    new Float32Array(file.buffer, 8, 4).set([1, 2, 3, 4]);
    const externalData = [{ path: "model.weights.bin", data: file }];
    const { y } = await runOnnx(encode(graph, { initializers }), graph, { x }, { externalData });
    assert.deepEqual([...y.data], [-5, -6, -9, -10]);
  });

  it("must have known shapes", () => {
    const where = new Map([["x", { location: "f", offset: 0, length: 8 }]]);
    assert.throws(
      () => encode(graph, { initializers: where }),
      (error: unknown) => error instanceof OnnxHubError && error.code === "codegen/initializer" && /x.*\[batch, 2\]/.test(error.message),
    );
  });
});

describe("symbolic dimensions", () => {
  it("are read off the inputs where no constant says them", async () => {
    const graph = graphWith((g, x) => {
      const rows = g.input("rows", "float32", ["batch*sequence", 2]);
      g.input("ids", "int32", ["batch", "sequence"]);
      g.output("y", g.expand(g.constant(1), ["batch", "batch*sequence", "sequence"]));
      g.output("z", g.add(g.sum(rows), g.sum(x)));
    });
    const feeds = { x, rows: { shape: [6, 2], data: new Float64Array(12) }, ids: { shape: [2, 3], data: new Float64Array(6) } };
    assert.deepEqual([...(await runOnnx(encode(graph), graph, feeds)).y.shape], [2, 6, 3]);
  });

  it("that no input has are refused by name", () => {
    const graph = graphWith((g) => g.output("y", g.scoped("layer", () => g.expand(g.constant(1), ["batch", "unknown"]))));
    assert.throws(
      () => encode(graph),
      (error: unknown) =>
        error instanceof OnnxHubError && error.code === "codegen/dimension" && /unknown.*\(at layer\)/.test(error.message),
    );
  });
});

describe("a transformer", () => {
  it("gives the reference's loss and gradients, at two batch shapes", async () => {
    const graph = optimize(transformer());
    const model = encode(graph);
    for (const [batch, sequence] of [[2, 3], [3, 5]]) {
      const feeds = transformerFeeds(graph, batch, sequence);
      const [expected, found] = [evaluate(graph, feeds), await runOnnx(model, graph, feeds)];
      for (const name of Object.keys(expected)) {
        assert.deepEqual([...found[name].shape], [...expected[name].shape]);
        expected[name].data.forEach((value, i) => {
          const error = Math.abs(value - found[name].data[i]);
          assert.ok(error <= 1e-5 * Math.max(1, Math.abs(value)), `${name}[${i}]: ${value}, ${found[name].data[i]}`);
        });
      }
    }
  });
});

describe("tensor bytes", () => {
  it("round float16 to nearest, halves to even", () => {
    const cases: [number, number][] = [
      [0, 0],
      [-0, 0x8000],
      [1, 0x3c00],
      [-2, 0xc000],
      [0.1, 0x2e66],
      [1 + 2 ** -11, 0x3c00],
      [1 + 3 * 2 ** -11, 0x3c02],
      [2 - 2 ** -12, 0x4000],
      [65504, 0x7bff],
      [65519.9, 0x7bff],
      [65520, 0x7c00],
      [-Infinity, 0xfc00],
      [2 ** -14, 0x0400],
      [2 ** -14 - 2 ** -25, 0x0400],
      [2 ** -24, 1],
      [2 ** -25, 0],
      [3 * 2 ** -25, 2],
      [NaN, 0x7e00],
    ];
    for (const [value, bits] of cases) assert.equal(halfBits(value), bits, `${value}`);
  });

  it("are little-endian in every dtype", () => {
    assert.deepEqual([...tensorBytes("float32", [1, -0.5])], [0, 0, 128, 63, 0, 0, 0, 191]);
    assert.deepEqual([...tensorBytes("float64", [2])], [0, 0, 0, 0, 0, 0, 0, 64]);
    assert.deepEqual([...tensorBytes("float16", [1])], [0, 60]);
    assert.deepEqual([...tensorBytes("int32", [-2])], [254, 255, 255, 255]);
    assert.deepEqual([...tensorBytes("int64", [258])], [2, 1, 0, 0, 0, 0, 0, 0]);
    assert.deepEqual([...tensorBytes("uint8", [200])], [200]);
    assert.deepEqual([...tensorBytes("bool", [1, 0, 5])], [1, 0, 1]);
  });
});
