/** Takes row look-ups out of a graph: rows come in, and their gradients go out as rows and products, never as zeros. */

import type { ProgramInput, ProgramOutput } from "../program.ts";
import type { GraphBuilder } from "../ir/builder.ts";
import type { Graph, Node, Value } from "../ir/types.ts";
import { dropDeadCode } from "./dead_code.ts";
import { replay } from "./replay.ts";
import { SharingBuilder } from "./subexpressions.ts";

/** A graph with what its inputs and outputs are. */
export interface BoundGraph {
  readonly graph: Graph;
  readonly inputs: readonly ProgramInput[];
  readonly outputs: readonly ProgramOutput[];
}

/** The elements from which on a gradient that is a product of two small matrices is handed out as these. */
const LARGE = 2 ** 23;

/**
 * A graph to the same effect for a host that holds the weights: `Gather(weight, ids)` becomes an input (role "rows") that the host fills, and
 * the gradient of a weight that rows were looked up in becomes what is added to those rows ("gradient_rows"). Where more is added to it, or where
 * a gradient is a large product Aᵀ·B, the factors go out instead of the product ("gradient_factor"): the host multiplies as many rows at a
 * time as suit it. Without this a vocabulary's table is copied into the runtime and a gradient of its size out of it, for a few hundred rows.
 */
export function withRowsOutside({ graph, inputs, outputs }: BoundGraph): BoundGraph {
  const roles = new Map(inputs.map((input) => [input.name, input]));
  const split = splitGradients(graph, outputs, roles);
  const extra = new Map<string, ProgramInput>();
  const looksUp = (node: Node): ProgramInput | null => {
    if (node.op !== "Gather" || node.attributes.axis !== 0) return null;
    const [table, indices] = node.inputs.map(({ name, producer }) => producer === null ? roles.get(name) : undefined);
    if (table?.role !== "weight" || table.shape.length !== 2 || indices?.role !== "data") return null;
    const [{ dtype, shape }] = node.outputs;
    return { name: `${table.name}[${indices.name}]`, dtype, shape, role: "rows", weight: table.weight, indices: indices.name };
  };
  const changed = replay(dropDeadCode(split.graph), new SharingBuilder(graph.name), (g: GraphBuilder, node: Node) => {
    const input = looksUp(node);
    if (!input) return null;
    extra.set(input.name, input);
    return [g.input(input.name, input.dtype, input.shape)];
  });
  const read = new Set<Value>([...changed.nodes.flatMap((node) => node.inputs), ...changed.outputs.map(({ value }) => value)]);
  // What only looked rows up is no input any more; ids stay, since rows are looked up by them.
  const kept = changed.inputs.filter((value) => read.has(value) || roles.get(value.name)?.role !== "weight");
  const names = new Set(kept.map(({ name }) => name));
  return {
    graph: { ...changed, inputs: kept },
    inputs: [...inputs, ...extra.values()].filter(({ name }) => names.has(name)),
    outputs: split.outputs,
  };
}

function splitGradients(
  graph: Graph,
  outputs: readonly ProgramOutput[],
  roles: ReadonlyMap<string, ProgramInput>,
): { graph: Graph; outputs: ProgramOutput[] } {
  const bindings: ProgramOutput[] = [];
  const named: { name: string; value: Value }[] = [];
  const values = new Map(graph.outputs.map(({ name, value }) => [name, value]));
  for (const output of outputs) {
    const whole = values.get(output.name)!;
    const give = (value: Value, binding: Omit<ProgramOutput, "dtype" | "shape">): void => {
      named.push({ name: binding.name, value });
      bindings.push({ ...binding, dtype: value.dtype, shape: value.shape } as ProgramOutput);
    };
    if (output.role !== "gradient") {
      give(whole, output);
      continue;
    }
    const { weight, name } = output;
    let rest: Value | null = whole;
    for (let n = 0; rest?.producer?.op === "ScatterRowsAdd"; n++) {
      const [indices, updates, onto]: readonly Value[] = rest.producer.inputs;
      if (indices.producer !== null || roles.get(indices.name)?.role !== "data") break;
      give(updates, { name: `${name}/rows_${n}`, role: "gradient_rows", weight, indices: indices.name } as ProgramOutput);
      rest = onto ?? null;
    }
    if (rest === null) continue;
    const factors = factorsOf(rest);
    if (!factors) give(rest, output);
    else {
      for (const side of ["left", "right"] as const) {
        give(factors[side], { name: `${name}/${side}`, role: "gradient_factor", weight, side } as ProgramOutput);
      }
    }
  }
  return { graph: { ...graph, outputs: named }, outputs: bindings };
}

/** A [n, rows] and B [n, columns] where a large value is Aᵀ·B. */
function factorsOf({ producer, shape }: Value): { left: Value; right: Value } | null {
  if (producer?.op !== "MatMul" || shape.length !== 2) return null;
  const elements = shape.reduce<number>((product, dim) => product * (typeof dim === "number" ? dim : 0), 1);
  const { transA = false, transB = false } = producer.attributes;
  const [left, right] = producer.inputs;
  return elements >= LARGE && transA && !transB && left.shape.length === 2 && right.shape.length === 2 ? { left, right } : null;
}
