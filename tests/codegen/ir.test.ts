/** Dimensions, the builder, the verifier, the printer, the reference interpreter. */

import { strict as assert } from "node:assert";
import { describe, it } from "node:test";
import { GraphBuilder } from "../../codegen/ir/builder.ts";
import { broadcastShapes, divideDims, evaluateDim, multiplyDims, sizeOf, symbolsOf } from "../../codegen/ir/dims.ts";
import { evaluate } from "../../codegen/ir/evaluate.ts";
import { printGraph } from "../../codegen/ir/print.ts";
import type { Graph, Node, Value } from "../../codegen/ir/types.ts";
import { verify } from "../../codegen/ir/verify.ts";
import { type ErrorCode, OnnxHubError } from "../../errors.ts";
import { transformer } from "./transformer.ts";

/** Checks a thrown OnnxHubError's code and that its message has all the parts. */
function refusal(code: ErrorCode, ...parts: string[]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof OnnxHubError, String(error));
    assert.equal(error.code, code);
    for (const part of parts) assert.ok(error.message.includes(part), `${error.message}: ${part}`);
    return true;
  };
}

describe("dimensions", () => {
  it("multiply to sorted products", () => {
    assert.equal(multiplyDims("sequence", "batch"), "batch*sequence");
    assert.equal(multiplyDims(2, multiplyDims("batch", 3)), "6*batch");
    assert.equal(multiplyDims("batch", 0), 0);
    assert.equal(sizeOf(["batch", 2, "sequence", 4]), "8*batch*sequence");
  });

  it("divide to whole products, or to null", () => {
    assert.equal(divideDims("6*batch*sequence", "2*sequence"), "3*batch");
    assert.equal(divideDims("batch", "batch"), 1);
    assert.equal(divideDims("batch", "sequence"), null);
    assert.equal(divideDims(7, 2), null);
  });

  it("broadcast with 1 and with themselves only", () => {
    assert.deepEqual(broadcastShapes(["batch", 1, 3], ["sequence", 1]), ["batch", "sequence", 3]);
    assert.equal(broadcastShapes(["batch"], ["sequence"]), null);
    assert.equal(broadcastShapes(["batch"], [2]), null);
  });

  it("have numbers once the symbols have", () => {
    assert.equal(evaluateDim("6*batch*sequence", { batch: 2, sequence: 5 }), 60);
    assert.throws(() => evaluateDim("batch", {}), RangeError);
    assert.deepEqual([...symbolsOf(["2*batch", 3, "batch*sequence"])], ["batch", "sequence"]);
  });
});

describe("the builder", () => {
  it("refuses names twice", () => {
    const g = new GraphBuilder("twice");
    const x = g.input("x", "float32", []);
    assert.throws(() => g.input("x", "float32", []), refusal("codegen/duplicate-input", "twice", "x"));
    g.output("y", x);
    assert.throws(() => g.output("y", x), refusal("codegen/duplicate-output", "twice", "y"));
  });

  it("makes equal constants one, by dtype and shape", () => {
    const g = new GraphBuilder("constants");
    assert.equal(g.constant(1), g.constant(1));
    assert.notEqual(g.constant(1), g.constant(1, [], "int32"));
    assert.notEqual(g.constant(1), g.constant([1]));
    assert.notEqual(g.constant(0), g.constant(-0));
  });

  it("gives a number the other operand's dtype", () => {
    const g = new GraphBuilder("numbers");
    const x = g.input("x", "int32", [2]);
    assert.equal(g.add(x, 1).dtype, "int32");
    assert.equal(g.less(1, x).dtype, "bool");
  });

  it("adds no node where nothing changes", () => {
    const g = new GraphBuilder("same");
    const x = g.input("x", "float32", ["batch", 2]);
    const results = [
      g.reshape(x, ["batch", 2]),
      g.transpose(x, [0, 1]),
      g.expand(x, ["batch", 2]),
      g.cast(x, "float32"),
      g.reduceTo(x, ["batch", 2]),
    ];
    assert.ok(results.every((value) => value === x));
    assert.equal(g.nodes.length, 0);
  });

  it("sums back to every shape that broadcasts", () => {
    const g = new GraphBuilder("reduce");
    const x = g.input("x", "float32", ["batch", "sequence", 4]);
    for (const shape of [[4], [1, 4], ["sequence", 1], [1, 1, 1], [], ["batch", 1, 4], ["sequence", 4]]) {
      assert.deepEqual(g.reduceTo(x, shape).shape, shape);
    }
    assert.throws(() => g.reduceTo(x, [3]), refusal("internal/reduce-to", "[batch, sequence, 4]", "[3]"));
  });

  it("gives the innermost scope to nodes, and the outer one back after an error", () => {
    const g = new GraphBuilder("scopes");
    const x = g.input("x", "float32", [2]);
    g.scoped("outer", () => {
      assert.throws(() => g.scoped("inner", () => g.matmul(x, x)), refusal("codegen/shape", "(at inner)"));
      g.exp(x);
    });
    assert.deepEqual(g.nodes.map(({ scope }) => scope), ["outer"]);
    assert.equal(g.scope, "");
  });
});

describe("the verifier", () => {
  function good(): Graph {
    const g = new GraphBuilder("checked");
    const x = g.input("x", "float32", ["batch", 2]);
    g.output("y", g.scoped("layer", () => g.exp(g.softmax(x))));
    return g.finish();
  }
  const change = (edit: (graph: Graph) => Partial<Graph>): Graph => {
    const graph = good();
    return { ...graph, ...edit(graph) };
  };
  /** The graph with its first node's output changed, and the second node reading the changed one. */
  const withOutput = (edit: Partial<Value>): Graph =>
    change(({ nodes: [first, second] }) => {
      const outputs: Value[] = [];
      const node = { ...first, outputs } as Node;
      outputs.push({ ...first.outputs[0], producer: node, ...edit });
      return { nodes: [node, { ...second, inputs: outputs } as Node] };
    });

  it("passes what the builder makes", () => {
    verify(good());
    verify(transformer());
  });

  const bad: [string, Graph, string[]][] = [
    ["nodes in a wrong order", change(({ nodes }) => ({ nodes: nodes.toReversed() })), ["Exp reads softmax", "(at layer)"]],
    ["a node that is missing", change(({ nodes }) => ({ nodes: nodes.slice(1) })), ["Exp reads softmax"]],
    ["an input that is missing", change(() => ({ inputs: [] })), ["Softmax reads x"]],
    ["two values of a name", withOutput({ name: "x" }), ["two values are named x"]],
    ["two values of a number", withOutput({ id: 0 }), ["numbered 0"]],
    ["a wrong dtype", withOutput({ dtype: "int32" }), ["wrong type", "float32 [batch, 2]", "int32 [batch, 2]"]],
    ["a wrong shape", withOutput({ shape: [2, 2] }), ["wrong type", "float32 [batch, 2]", "float32 [2, 2]"]],
    ["another's producer", withOutput({ producer: null }), ["another producer", "Softmax", "none"]],
    ["an output of another graph", change(() => ({ outputs: good().outputs })), ["the output y isn't computed"]],
    ["two outputs of a name", change(({ outputs }) => ({ outputs: [...outputs, ...outputs] })), ["two outputs are named y"]],
    [
      "an attribute that is no number",
      change(({ nodes: [first, second] }) => ({ nodes: [{ ...first, attributes: { axis: NaN } } as Node, second] })),
      ["plain data", "NaN"],
    ],
  ];
  for (const [what, graph, parts] of bad) {
    it(`finds ${what}`, () => assert.throws(() => verify(graph), refusal("internal/graph", "checked", ...parts)));
  }
});

describe("the printer", () => {
  it("gives one line a node, with types, attributes and scopes", () => {
    const g = new GraphBuilder("forward");
    const [x, w] = [g.input("x", "float32", ["batch", 4]), g.input("w", "float32", [2, 4])];
    const y = g.scoped("dense", () => g.matmul(x, w, { transB: true }));
    const [values, indices] = g.op("TopK", [y], { k: 1 });
    g.output("values", values);
    g.output("best", g.add(indices, g.constant(Array.from({ length: 10 }, (_, i) => i), [10, 1, 1], "int32")));
    assert.equal(
      printGraph(g.finish()),
      [
        "graph forward(x: float32[batch, 4], w: float32[2, 4])",
        "  matmul_2: float32[batch, 2] = MatMul(x, w) transB=true  # dense",
        "  topk_3: float32[batch, 1], topk_4: int32[batch, 1] = TopK(matmul_2) k=1",
        "  constant_5: int32[10, 1, 1] = Constant() dtype=int32 shape=[10, 1, 1] data=[0, 1, 2, 3, 4, 5, 6, 7, … 10]",
        "  add_6: int32[10, batch, 1] = Add(topk_4, constant_5)",
        "  return values = topk_3, best = add_6",
        "",
      ].join("\n"),
    );
  });
});

describe("the reference interpreter", () => {
  const g = new GraphBuilder("rows");
  const x = g.input("x", "float32", ["batch*sequence", 2]);
  g.output("y", g.reshape(x, [2, "batch*sequence"]));
  const rows = g.finish();
  const feed = { shape: [3, 2], data: Float64Array.of(1, 2, 3, 4, 5, 6) };

  it("takes symbols that no shape gives", () => {
    assert.deepEqual(evaluate(rows, { x: feed }, { batch: 1, sequence: 3 }).y.shape, [2, 3]);
  });

  it("refuses a feed of another shape, and one that is missing", () => {
    assert.throws(() => evaluate(rows, { x: feed }, { batch: 2, sequence: 3 }), refusal("codegen/feed", "x", "[6, 2]", "[3, 2]"));
    assert.throws(() => evaluate(rows, {}, { batch: 2, sequence: 3 }), refusal("codegen/feed", "x", "[6, 2]", "nothing"));
  });

  it("refuses an index out of range", () => {
    const g = new GraphBuilder("gather");
    g.output("y", g.gather(g.input("x", "float32", [2]), g.input("i", "int32", [1])));
    const feeds = { x: { shape: [2], data: Float64Array.of(1, 2) }, i: { shape: [1], data: Float64Array.of(2) } };
    assert.throws(() => evaluate(g.finish(), feeds), RangeError);
  });
});
