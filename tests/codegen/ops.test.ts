/** Every op: inferred types, the ONNX that it becomes against the reference, and what bad inputs get. */

import { strict as assert } from "node:assert";
import { describe, it } from "node:test";
import { GraphBuilder } from "../../codegen/ir/builder.ts";
import { formatShape } from "../../codegen/ir/dims.ts";
import { evaluate } from "../../codegen/ir/evaluate.ts";
import type { OpName } from "../../codegen/ir/types.ts";
import { verify } from "../../codegen/ir/verify.ts";
import { encode } from "../../codegen/onnx/encode.ts";
import { ops } from "../../codegen/ops/index.ts";
import type { ReferenceTensor } from "../../codegen/ops/rule.ts";
import { OnnxHubError } from "../../errors.ts";
import { graphOf } from "./graph_of_case.ts";
import { type BadCase, opCases, symbols } from "./op_cases.ts";
import { runOnnx } from "./run_onnx.ts";

/** Float32's rounding, through the few dozen operations that a gradient takes. */
function assertClose(found: ReferenceTensor, expected: ReferenceTensor, what: string): void {
  assert.deepEqual([...found.shape], [...expected.shape], `${what}'s shape`);
  const scale = expected.data.reduce((max, x) => Number.isFinite(x) ? Math.max(max, Math.abs(x)) : max, 1e-3);
  expected.data.forEach((x, i) => {
    const close = Object.is(found.data[i], x) || found.data[i] === x || Math.abs(found.data[i] - x) <= 2e-6 * scale;
    assert.ok(close, `${what}[${i}]: the reference says ${x}, the runtime ${found.data[i]}`);
  });
}

const names = Object.keys(opCases) as OpName[];

describe("the table of cases", () => {
  it("has good and bad ones for every op", () => {
    assert.deepEqual([...names].sort(), Object.keys(ops).sort());
    for (const op of names) assert.ok(opCases[op].good.length > 0 && opCases[op].bad.length > 0, op);
  });
});

for (const op of names) {
  describe(op, () => {
    for (const one of opCases[op].good) {
      it(`runs as ONNX, gradients too: ${one.what}`, async () => {
        const { graph, feeds } = graphOf(op, one as never);
        verify(graph);
        const types = graph.nodes.find((node) => node.op === op && node.outputs[0] === graph.outputs[0].value)!.outputs;
        assert.deepEqual(types.map(({ dtype, shape }) => `${dtype}${formatShape(shape)}`), one.gives);
        const expected = evaluate(graph, feeds, symbols);
        const found = await runOnnx(encode(graph), graph, feeds);
        for (const name of Object.keys(expected)) assertClose(found[name], expected[name], name);
      });
    }

    for (const one of opCases[op].bad as readonly BadCase<OpName>[]) {
      it(`refuses ${one.what}, saying where`, () => {
        const g = new GraphBuilder("bad");
        const inputs = one.inputs.map(({ dtype, shape }, i) => g.input(`x${i}`, dtype, shape));
        const call = () => g.scoped("encoder/layer_3/query", () => g.op(op, inputs, one.attributes));
        assert.throws(call, (error: unknown) => {
          assert.ok(error instanceof OnnxHubError);
          assert.equal(error.code, one.code);
          assert.equal(error.path, "encoder/layer_3/query");
          for (const part of [op, "(at encoder/layer_3/query)", ...one.says]) {
            assert.ok(error.message.includes(part), `${error.message}: ${part}`);
          }
          assert.equal(error.message.match(/expected/g)?.length, 1, error.message);
          return true;
        });
        assert.equal(g.nodes.length, 0);
      });
    }
  });
}
