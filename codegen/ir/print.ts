/** A graph as text, one line a node: for people, and for tests that compare. */

import { formatShape } from "./dims.ts";
import type { Graph, Node, TensorType } from "./types.ts";

const formatType = ({ dtype, shape }: TensorType): string => `${dtype}${formatShape(shape)}`;

function formatAttribute(value: unknown): string {
  if (!Array.isArray(value)) return String(value);
  return value.length > 8 ? `[${value.slice(0, 8).join(", ")}, … ${value.length}]` : `[${value.join(", ")}]`;
}

function formatNode({ op, attributes, inputs, outputs, scope }: Node): string {
  const results = outputs.map((output) => `${output.name}: ${formatType(output)}`).join(", ");
  const options = Object.entries(attributes).filter(([, value]) => value !== undefined).map(([key, value]) =>
    ` ${key}=${formatAttribute(value)}`
  );
  return `  ${results} = ${op}(${inputs.map(({ name }) => name).join(", ")})${options.join("")}${scope ? `  # ${scope}` : ""}`;
}

/**
 * The graph as text:
 *
 * ```text
 * graph forward(x: float32[batch, 4], w: float32[4, 2])
 *   matmul_2: float32[batch, 2] = MatMul(x, w)  # dense
 *   return y = matmul_2
 * ```
 */
export function printGraph(graph: Graph): string {
  const inputs = graph.inputs.map((input) => `${input.name}: ${formatType(input)}`);
  return [
    `graph ${graph.name}(${inputs.join(", ")})`,
    ...graph.nodes.map(formatNode),
    `  return ${graph.outputs.map(({ name, value }) => `${name} = ${value.name}`).join(", ")}`,
    "",
  ].join("\n");
}
