/** The passes: what they remove, what they must leave, and that results stay what they were. */

import { strict as assert } from "node:assert";
import { describe, it } from "node:test";
import { GraphBuilder } from "../../codegen/ir/builder.ts";
import { evaluate } from "../../codegen/ir/evaluate.ts";
import { printGraph } from "../../codegen/ir/print.ts";
import type { Graph, OpName, Value } from "../../codegen/ir/types.ts";
import { verify } from "../../codegen/ir/verify.ts";
import { shareSubexpressions } from "../../codegen/passes/subexpressions.ts";
import { dropDeadCode } from "../../codegen/passes/dead_code.ts";
import { optimize } from "../../codegen/passes/optimize.ts";
import { simplify } from "../../codegen/passes/simplify.ts";
import { graphOf } from "./graph_of_case.ts";
import { opCases, symbols } from "./op_cases.ts";
import { transformer, transformerFeeds } from "./transformer.ts";

/** A graph of x [2, 3], y [2, 3] and s [] with the outputs that `body` returns. */
function graph(body: (g: GraphBuilder, x: Value, y: Value, s: Value) => Value[]): Graph {
  const g = new GraphBuilder("test");
  const [x, y] = [g.input("x", "float32", [2, 3]), g.input("y", "float32", [2, 3])];
  body(g, x, y, g.input("s", "float32", [])).forEach((value, i) => g.output(`out${i}`, value));
  return g.finish();
}

const opsOf = ({ nodes }: Graph): OpName[] => nodes.map(({ op }) => op);

describe("optimize", () => {
  for (const op of Object.keys(opCases) as OpName[]) {
    it(`keeps the results of ${op} and its gradient`, () => {
      for (const one of opCases[op].good) {
        const { graph, feeds } = graphOf(op, one as never);
        const better = optimize(graph);
        verify(better);
        assert.ok(better.nodes.length <= graph.nodes.length, one.what);
        const [expected, found] = [evaluate(graph, feeds, symbols), evaluate(better, feeds, symbols)];
        for (const name of Object.keys(expected)) {
          assert.deepEqual(found[name].shape, expected[name].shape);
          expected[name].data.forEach((x, i) => {
            const y = found[name].data[i];
            assert.ok(Object.is(x, y) || Math.abs(x - y) <= 1e-12 * Math.max(1, Math.abs(x)), `${one.what}, ${name}[${i}]: ${x}, ${y}`);
          });
        }
      }
    });
  }

  it("keeps a transformer's loss and gradients, with fewer nodes", () => {
    const before = transformer();
    const after = optimize(before);
    verify(before);
    verify(after);
    assert.ok(after.nodes.length < before.nodes.length);
    const feeds = transformerFeeds(before);
    const [expected, found] = [evaluate(before, feeds), evaluate(after, feeds)];
    assert.deepEqual(Object.keys(found), Object.keys(expected));
    for (const name of Object.keys(expected)) {
      expected[name].data.forEach((x, i) => assert.ok(Math.abs(x - found[name].data[i]) <= 1e-12 * Math.max(1, Math.abs(x)), name));
    }
  });

  it("is deterministic, and changes nothing the second time", () => {
    const once = optimize(transformer());
    assert.equal(printGraph(once), printGraph(optimize(transformer())));
    assert.deepEqual(opsOf(optimize(once)), opsOf(once));
  });

  it("leaves no backward nodes of a frozen backbone", () => {
    const scopes = new Set(optimize(transformer({ frozen: true })).nodes.map(({ scope }) => scope));
    assert.ok(scopes.has("query"));
    assert.deepEqual([...scopes].filter((scope) => scope.startsWith("gradient of ")).sort(), ["gradient of ", "gradient of head"]);
  });

  it("leaves no two equal nodes", () => {
    const better = optimize(transformer());
    const keys = better.nodes.map(({ op, attributes, inputs }) => `${op} ${JSON.stringify(attributes)} ${inputs.map(({ id }) => id)}`);
    assert.equal(new Set(keys).size, keys.length);
  });
});

describe("dead code", () => {
  it("goes; what an output needs and all inputs stay", () => {
    const before = graph((g, x, y) => {
      g.exp(g.mul(x, y));
      return [g.neg(x)];
    });
    const after = dropDeadCode(before);
    assert.deepEqual(opsOf(before), ["Mul", "Exp", "Neg"]);
    assert.deepEqual(opsOf(after), ["Neg"]);
    assert.equal(after.inputs.length, 3);
  });
});

describe("common subexpressions", () => {
  const kept = (body: (g: GraphBuilder, x: Value, y: Value, s: Value) => Value[]): OpName[] => opsOf(shareSubexpressions(graph(body)));

  it("become one, through chains", () => {
    assert.deepEqual(kept((g, x, y) => [g.exp(g.add(x, y)), g.exp(g.add(x, y))]), ["Add", "Exp"]);
  });

  it("become one where operands may change places", () => {
    assert.deepEqual(kept((g, x, y) => [g.mul(x, y), g.mul(y, x)]), ["Mul"]);
  });

  it("stay two where operands may not", () => {
    assert.deepEqual(kept((g, x, y) => [g.sub(x, y), g.sub(y, x)]), ["Sub", "Sub"]);
  });

  it("stay two with other attributes", () => {
    assert.deepEqual(kept((g, x) => [g.sum(x, [0]), g.sum(x, [1])]), ["ReduceSum", "ReduceSum"]);
  });

  it("tell infinities and signs of zero apart", () => {
    const list = (data: number[]) => ({ dtype: "float32", shape: [1], data }) as const;
    const numbers = [[0], [-0], [Infinity], [-Infinity], [0]];
    assert.equal(kept((g) => numbers.map((data) => g.op("Constant", [], list(data))[0])).length, 4);
  });
});

describe("simplify", () => {
  const kept = (body: (g: GraphBuilder, x: Value, y: Value, s: Value) => Value[]): OpName[] => opsOf(dropDeadCode(simplify(graph(body))));

  it("drops operations with neutral numbers", () => {
    assert.deepEqual(kept((g, x) => [g.add(x, 0), g.add(0, x), g.sub(x, 0), g.mul(x, 1), g.mul(1, x), g.div(x, 1), g.pow(x, 1)]), []);
  });

  it("keeps a neutral operation that broadcasts", () => {
    assert.deepEqual(kept((g, _, __, s) => [g.add(s, g.constant([0, 0]))]), ["Constant", "Add"]);
  });

  it("keeps 0 − x and 1 / x", () => {
    assert.deepEqual(kept((g, x) => [g.sub(0, x), g.div(1, x)]), ["Constant", "Sub", "Constant", "Div"]);
  });

  it("drops what cancels", () => {
    assert.deepEqual(kept((g, x) => [g.neg(g.neg(x)), g.transpose(g.transpose(x, [1, 0]), [1, 0]), g.stopGradient(x)]), []);
    assert.deepEqual(kept((g, x) => [g.not(g.not(g.greater(x, x)))]), ["Greater"]);
  });

  it("joins transposes", () => {
    const cube = graph((g) => [g.transpose(g.transpose(g.input("c", "float32", [2, 3, 4]), [1, 2, 0]), [0, 2, 1])]);
    const after = dropDeadCode(simplify(cube));
    assert.deepEqual(after.nodes.map(({ op, attributes }) => [op, attributes]), [["Transpose", { perm: [1, 0, 2] }]]);
  });

  it("joins reshapes, and drops those that come back", () => {
    assert.deepEqual(kept((g, x) => [g.reshape(g.unsqueeze(g.reshape(x, [6]), [0]), [3, 2])]), ["Reshape"]);
    assert.deepEqual(kept((g, x) => [g.squeeze(g.unsqueeze(x, [1]), [1])]), []);
  });

  it("lets a product do its operands' transposes", () => {
    const after = dropDeadCode(simplify(graph((g, x, y) => [g.matmul(g.transpose(x, [1, 0]), y), g.matmul(x, g.transpose(y, [1, 0]))])));
    assert.deepEqual(after.nodes.map(({ op, attributes }) => [op, attributes]), [
      ["MatMul", { transA: true, transB: false }],
      ["MatMul", { transA: false, transB: true }],
    ]);
  });

  it("drops an expansion that broadcasting makes up for, and no other", () => {
    assert.deepEqual(kept((g, x, _, s) => [g.mul(x, g.expand(s, [2, 3]))]), ["Mul"]);
    assert.deepEqual(kept((g, _, __, s) => [g.mul(s, g.expand(s, [2, 3]))]), ["Expand", "Mul"]);
    const both = kept((g, _, __, s) => [g.add(g.expand(s, [2, 3]), g.expand(g.neg(s), [2, 3]))]);
    assert.deepEqual(both, ["Neg", "Expand", "Add"]);
  });

  it("computes with small constants, and leaves NaN to the runtime", () => {
    const after = dropDeadCode(simplify(graph((g, x) => [g.mul(x, g.div(g.sqrt(g.constant(16)), 8))])));
    assert.deepEqual(after.nodes.map(({ op, attributes }) => [op, attributes])[0], ["Constant", {
      dtype: "float32",
      shape: [],
      data: [0.5],
    }]);
    assert.deepEqual(opsOf(after), ["Constant", "Mul"]);
    assert.deepEqual(kept((g) => [g.log(g.constant(-1))]), ["Constant", "Log"]);
  });

  it("divides whole constants as whole numbers", () => {
    const after = simplify(graph((g) => [g.div(g.constant(-7, [], "int32"), 2)]));
    assert.deepEqual(evaluate({ ...after, inputs: [] }, {}).out0.data[0], -3);
  });
});
