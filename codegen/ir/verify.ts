/** Checks that a graph is one: the passes and lowerings are tested against it. */

import { OnnxHubError } from "../../errors.ts";
import { ruleOf } from "../ops/rules.ts";
import { formatShape, sameShape } from "./dims.ts";
import type { Graph, Node, TensorType, Value } from "./types.ts";

const formatType = ({ dtype, shape }: TensorType): string => `${dtype} ${formatShape(shape)}`;

/**
 * Checks that names and ids are unique, that nodes come after what they read, that every value is the graph's own and knows its
 * producer, that types are what the ops infer, that attributes are plain data. Throws OnnxHubError "internal/graph".
 */
export function verify(graph: Graph): void {
  const known = new Set<Value>();
  const names = new Set<string>();
  const ids = new Set<number>();
  const fail = (what: string, path: string, expected?: string, found?: string): never => {
    throw new OnnxHubError("internal/graph", `The graph ${graph.name} is broken: ${what}`, { path: path || undefined, expected, found });
  };
  const declare = (value: Value, producer: Node | null, path: string) => {
    if (names.has(value.name) || ids.has(value.id)) fail(`two values are named ${value.name} or numbered ${value.id}`, path);
    if (value.producer !== producer) fail(`${value.name} has another producer`, path, producer?.op ?? "none", value.producer?.op ?? "none");
    names.add(value.name);
    ids.add(value.id);
    known.add(value);
  };
  for (const input of graph.inputs) declare(input, null, "");
  for (const node of graph.nodes) {
    for (const input of node.inputs) {
      if (!known.has(input)) fail(`${node.op} reads ${input.name}, which isn't computed before it`, node.scope);
    }
    requirePlain(node.attributes, (found) => fail(`${node.op} has a bad attribute`, node.scope, "plain data", found));
    const types = ruleOf(node).infer(node.inputs, node.attributes);
    if (types.length !== node.outputs.length) fail(`${node.op}'s outputs`, node.scope, `${types.length}`, `${node.outputs.length}`);
    node.outputs.forEach((output, i) => {
      if (output.dtype !== types[i].dtype || !sameShape(output.shape, types[i].shape)) {
        fail(`${node.op}'s output ${output.name} has a wrong type`, node.scope, formatType(types[i]), formatType(output));
      }
      declare(output, node, node.scope);
    });
  }
  const outputs = new Set<string>();
  for (const { name, value } of graph.outputs) {
    if (!known.has(value)) fail(`the output ${name} isn't computed`, "");
    if (outputs.has(name)) fail(`two outputs are named ${name}`, "");
    outputs.add(name);
  }
}

/** Strings, booleans, null, numbers that are some, and lists and records of them. */
function requirePlain(value: unknown, fail: (found: string) => never): void {
  if (typeof value === "number" ? Number.isNaN(value) : typeof value === "function" || typeof value === "symbol") fail(String(value));
  if (typeof value === "object" && value !== null) { for (const part of Object.values(value)) requirePlain(part, fail); }
}
