/** Every op's gradient against finite differences, and what differentiation leaves behind in a graph. */

import { strict as assert } from "node:assert";
import { describe, it } from "node:test";
import { gradients } from "../../codegen/autodiff.ts";
import { GraphBuilder } from "../../codegen/ir/builder.ts";
import { evaluate } from "../../codegen/ir/evaluate.ts";
import type { OpName } from "../../codegen/ir/types.ts";
import { verify } from "../../codegen/ir/verify.ts";
import { ops } from "../../codegen/ops/index.ts";
import { floats } from "../../codegen/ops/checks.ts";
import { optimize } from "../../codegen/passes/optimize.ts";
import { OnnxHubError } from "../../errors.ts";
import { checkGradients } from "./gradient_check.ts";
import { graphOf } from "./graph_of_case.ts";
import { opCases } from "./op_cases.ts";

const names = Object.keys(opCases) as OpName[];

for (const op of names) {
  describe(`the gradient of ${op}`, () => {
    for (const one of opCases[op].good) {
      const hasGradient = ops[op].gradient !== null && one.gives.some((type) => type.startsWith("float"));
      it(`${hasGradient ? "agrees with finite differences" : "is none"}: ${one.what}`, () => {
        const graph = graphOf(op, one as never);
        const floating = one.inputs.flatMap(({ dtype, constant }, i) => floats.includes(dtype) && !constant ? [i] : []);
        assert.deepEqual(graph.differentiated, hasGradient ? floating : []);
        checkGradients(graph);
      });
    }
  });
}

/** Runs `body` with an op's gradients multiplied by `factor`. */
function withWrongRule(op: OpName, factor: number, body: () => void): void {
  const rule = ops[op] as { gradient: NonNullable<(typeof ops)["Add"]["gradient"]> };
  const right = rule.gradient;
  rule.gradient = (g, node, outputs) => right(g, node, outputs).map((part) => part && (() => g.mul(part(), factor)));
  try {
    body();
  } finally {
    rule.gradient = right;
  }
}

describe("a wrong rule", () => {
  // These compute `total` or the check itself: their own cases would be wrong twice.
  const inTotal: readonly OpName[] = ["Add", "Mul", "ReduceSum", "Cast"];
  for (const op of names) {
    if (ops[op].gradient === null) continue;
    const [one] = opCases[op].good;
    const graph = () => graphOf(op, one as never);
    it(`of ${op} is found, were it off by a hundred-thousandth`, () => {
      withWrongRule(op, 1 + 1e-5, () => assert.throws(() => checkGradients(graph()), /finite differences say/));
      checkGradients(graph());
    });
    if (inTotal.includes(op)) continue;
    it(`of ${op} is found, were its sign wrong`, () => {
      withWrongRule(op, -1, () => assert.throws(() => checkGradients(graph()), /finite differences say/));
    });
  }
});

describe("gradients", () => {
  it("leave no nodes for a frozen part", () => {
    const g = new GraphBuilder("frozen");
    const x = g.input("x", "float32", ["batch", 4]);
    const [frozen, free] = [g.input("frozen", "float32", [4, 4]), g.input("free", "float32", [4, 2])];
    const hidden = g.scoped("backbone", () => g.tanh(g.matmul(x, frozen)));
    const loss = g.scoped("head", () => g.sum(g.matmul(hidden, free)));
    const before = g.nodes.length;
    const [gradient] = gradients(g, loss, g.constant(1), [free]);
    assert.deepEqual(gradient!.shape, [4, 2]);
    assert.deepEqual(g.nodes.slice(before).filter(({ scope }) => scope.includes("backbone")), []);
    assert.deepEqual(g.nodes.slice(before).map(({ op }) => op), ["Constant", "Reshape", "Expand", "MatMul"]);
  });

  it("add up where a value is used several times", () => {
    const g = new GraphBuilder("sums");
    const x = g.input("x", "float32", [2]);
    const y = g.sum(g.add(g.mul(x, x), g.mul(x, 3)));
    g.output("dx", gradients(g, y, g.constant(1), [x])[0]!);
    const { dx } = evaluate(g.finish(), { x: { shape: [2], data: Float64Array.of(1, -2) } });
    assert.deepEqual([...dx.data], [5, -1]);
  });

  it("scatter a tied embedding's rows onto its dense gradient", () => {
    const g = new GraphBuilder("tied");
    const ids = g.input("ids", "int32", ["batch"]);
    const table = g.input("table", "float32", [5, 3]);
    const logits = g.matmul(g.gather(table, ids), table, { transB: true });
    const loss = g.mean(g.op("SparseSoftmaxCrossEntropy", [logits, ids], {})[0]);
    g.output("total", loss);
    g.output("d1", gradients(g, loss, g.constant(1), [table])[0]!);
    const graph = optimize(g.finish());
    verify(graph);
    const scatters = graph.nodes.filter(({ op }) => op === "ScatterRowsAdd");
    assert.deepEqual(scatters.map(({ inputs }) => inputs.length), [3]);
    const data = Float64Array.from({ length: 15 }, (_, i) => Math.sin(i));
    const feeds = { ids: { shape: [2], data: Float64Array.of(4, 1) }, x1: { shape: [5, 3], data } };
    const renamed = {
      ...graph,
      inputs: graph.inputs.map((input) => input.name === "table" ? Object.assign(input, { name: "x1" }) : input),
    };
    checkGradients({ graph: renamed, feeds, differentiated: [1] });
  });

  it("are null where nothing leads to the target", () => {
    const g = new GraphBuilder("none");
    const [x, y] = [g.input("x", "float32", [2]), g.input("y", "float32", [2])];
    const loss = g.sum(g.add(g.stopGradient(x), g.cast(g.greater(x, y), "float32")));
    assert.deepEqual(gradients(g, loss, g.constant(1), [x, y]), [null, null]);
  });

  it("are the seed for the target itself", () => {
    const g = new GraphBuilder("self");
    const x = g.input("x", "float32", [2]);
    const seed = g.constant([1, 2]);
    assert.equal(gradients(g, x, seed, [x])[0], seed);
  });

  it("reach values inside the graph", () => {
    const g = new GraphBuilder("inside");
    const x = g.input("x", "float32", [2]);
    const hidden = g.exp(x);
    const loss = g.sum(g.mul(hidden, hidden));
    g.output("d", gradients(g, loss, g.constant(1), [hidden])[0]!);
    const { d } = evaluate(g.finish(), { x: { shape: [2], data: Float64Array.of(0, 1) } });
    assert.deepEqual([...d.data], [2, 2 * Math.E]);
  });

  it("refuse a seed of another shape, with both", () => {
    const g = new GraphBuilder("seed");
    const x = g.input("x", "float32", [2]);
    assert.throws(
      () => gradients(g, x, g.constant(1), [x]),
      (error: unknown) => error instanceof OnnxHubError && error.code === "codegen/shape" && /\[2\].*\[\]/.test(error.message),
    );
  });
});
