/** Compares a graph's gradients with finite differences, in float64. */

import { strict as assert } from "node:assert";
import { evaluate } from "../../codegen/ir/evaluate.ts";
import { symbols } from "./op_cases.ts";
import type { CaseGraph } from "./graph_of_case.ts";

/** Of the five-point formula's error h⁴ and the rounding's ε/h this is near the least. */
const h = 1e-3;

/** Fails unless every gradient equals the derivative of `total`, to 1e-6 relative. */
export function checkGradients({ graph, feeds, differentiated }: CaseGraph): void {
  const forward = { ...graph, outputs: graph.outputs.filter(({ name }) => name === "total") };
  const results = evaluate(graph, feeds, symbols);
  for (const i of differentiated) {
    const name = `x${i}`;
    const { shape, data } = feeds[name];
    const at = (place: number, change: number): number => {
      const moved = { shape, data: data.map((x, j) => j === place ? x + change : x) };
      return evaluate(forward, { ...feeds, [name]: moved }, symbols).total.data[0];
    };
    const expected = data.map((_, j) => (8 * (at(j, h) - at(j, -h)) - (at(j, 2 * h) - at(j, -2 * h))) / (12 * h));
    const found = results[`d${i}`];
    assert.deepEqual(found.shape, shape, `the gradient of ${name} has its shape`);
    const scale = expected.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
    expected.forEach((x, j) => {
      const error = Math.abs(found.data[j] - x);
      const allowed = 1e-6 * Math.max(Math.abs(x), 1e-3 * scale, 1e-6);
      assert.ok(error <= allowed, `d total / d ${name}[${j}]: finite differences say ${x}, the rule ${found.data[j]}`);
    });
  }
}
