/** Every op on WebGPU: all of its nodes run there, and give what the reference gives. Where there is no GPU: the error that says so. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { evaluate } from "../../codegen/ir/evaluate.ts";
import type { DType, OpName } from "../../codegen/ir/types.ts";
import { encode } from "../../codegen/onnx/encode.ts";
import type { ReferenceTensor } from "../../codegen/ops/rule.ts";
import type { FeedTensor } from "../../runtime/backend.ts";
import { dimensionsOf } from "../../runtime/device.ts";
import { type CaseGraph, graphOf } from "../codegen/graph_of_case.ts";
import { opCases, symbols } from "../codegen/op_cases.ts";
import { onWebgpu } from "./with_webgpu.ts";

/** WebGPU has neither 64-bit floats nor, to speak of, integers, and nothing of 8 bits; programs for it have none. */
const FOREIGN: readonly DType[] = ["float64", "int64", "int8", "uint8"];

function isForeign({ graph }: CaseGraph): boolean {
  return graph.nodes.flatMap((node) => [...node.inputs, ...node.outputs]).some(({ dtype }) => FOREIGN.includes(dtype));
}

function feedOf(dtype: DType, { shape, data }: ReferenceTensor): FeedTensor {
  switch (dtype) {
    case "float32":
      return { dtype, shape, data: Float32Array.from(data) };
    case "int32":
      return { dtype, shape, data: Int32Array.from(data) };
    case "bool":
      return { dtype, shape, data: Uint8Array.from(data) };
    default:
      throw new TypeError(`no test feeds ${dtype}`);
  }
}

/** Shaders may round products, quotients and powers a few units off; a gradient takes a few dozen of them. */
function assertClose(found: FeedTensor, expected: ReferenceTensor, what: string): void {
  assert.deepEqual(found.shape, [...expected.shape], `${what}'s shape`);
  const scale = expected.data.reduce((max, x) => Number.isFinite(x) ? Math.max(max, Math.abs(x)) : max, 1e-3);
  expected.data.forEach((x, i) => {
    const close = found.data[i] === x || Math.abs(found.data[i] - x) <= 1e-5 * scale;
    assert.ok(close, `${what}[${i}]: the reference says ${x}, the GPU ${found.data[i]}`);
  });
}

describe("on WebGPU, without a node on the processor,", () => {
  let foreign = 0;
  for (const op of Object.keys(opCases) as OpName[]) {
    for (const one of opCases[op].good) {
      const made = graphOf(op, one as never);
      if (isForeign(made)) {
        foreign++;
        continue;
      }
      onWebgpu(`${op} gives what the reference gives, gradients too: ${one.what}`, async (device) => {
        const { graph, feeds } = made;
        const session = await device.load(encode(graph, { provider: "webgpu" }), {
          label: op,
          sizes: dimensionsOf(graph.inputs, symbols),
          whole: true,
        });
        const results = await session.run(
          Object.fromEntries(graph.inputs.map(({ name, dtype }) => [name, feedOf(dtype, feeds[name])])),
        );
        const names = Object.keys(results);
        const values = await device.download(Object.values(results));
        const expected = evaluate(graph, feeds, symbols);
        assert.deepEqual([...names].sort(), Object.keys(expected).sort());
        names.forEach((name, i) => assertClose(values[i], expected[name], name));
        for (const result of Object.values(results)) result.dispose();
        await session.dispose();
      });
    }
  }

  it("but for the few cases in 64 and in 8 bits", () => assert.equal(foreign, 11));
});
