/** Cuts a graph into stages around the instances of repeated blocks, so that a model larger than a heap runs piece by piece. */

import type { ExpandedSpec } from "../spec/types.ts";
import { BYTES, bytesOf, type Sizes } from "./cost.ts";
import { GraphBuilder } from "./ir/builder.ts";
import { symbolsOf } from "./ir/dims.ts";
import { printGraph } from "./ir/print.ts";
import type { Graph, Node, Value } from "./ir/types.ts";
import { encode } from "./onnx/encode.ts";
import type { ProgramInput, ProgramOutput, Stage } from "./program.ts";

/** What is cut, and what its inputs and outputs are. */
export interface Cuttable {
  readonly graph: Graph;
  readonly inputs: readonly ProgramInput[];
  readonly outputs: readonly ProgramOutput[];
}

/** Stages with the graphs that they were encoded from. */
export interface CutProgram {
  readonly stages: readonly Stage[];
  readonly graphs: readonly Graph[];
}

/** What the instances of a block are called where they share one graph. */
const INSTANCE = "block";
const BACKWARD = "gradient of ";

/**
 * Cuts a graph into stages: one for each instance of a repeated block, forward and backward, and one for everything between two of these.
 * Stages that compute the same thing with other weights (the instances) share one encoded graph. `sizes` says for which batch it is to take
 * little memory; the stages run with any.
 *
 * The order of the nodes is the graph's, with two exceptions: what only depends on the batch and is used by several stages (an attention mask)
 * is computed first, and a part of a shared weight's gradient that is larger than what it is computed from waits for the rest of the sum.
 */
export function cutIntoStages({ graph, inputs, outputs }: Cuttable, spec: ExpandedSpec, sizes: Sizes): CutProgram {
  const given = new Set(
    inputs.filter(({ role }) => role === "data" || role === "label" || role === "sample_weight").map(({ name }) => name),
  );
  const instanceOf = segments(spec);
  const { early, rest } = hoisted(graph, given, instanceOf);
  const segmentOf = (node: Node) => early.has(node) ? null : instanceOf(node);
  const nodes = delayed([...early, ...rest], segmentOf, sizes);
  const runs: { segment: string | null; nodes: Node[] }[] = [];
  for (const node of nodes) {
    const segment = segmentOf(node);
    if (runs.length === 0 || runs[runs.length - 1].segment !== segment) runs.push({ segment, nodes: [] });
    runs[runs.length - 1].nodes.push(node);
  }
  const cutter = new Cutter(graph, inputs, outputs);
  runs.forEach((run, at) =>
    cutter.add(run.nodes, run.segment, new Set(runs.slice(at + 1).flatMap(({ nodes }) => nodes.flatMap((node) => node.inputs))))
  );
  return { stages: cutter.stages, graphs: cutter.graphs };
}

/** Which instance of a repeated block a node belongs to, and whether backward; null for what lies between. */
function segments({ backbone, head }: ExpandedSpec): (node: Node) => string | null {
  const instances = [...backbone.layers, ...head?.layers ?? []].flatMap((node) => "block" in node ? [node] : []);
  const uses = new Map<string, number>();
  for (const { block } of instances) uses.set(block, (uses.get(block) ?? 0) + 1);
  const repeated = new Set(instances.filter(({ block }) => uses.get(block)! > 1).map(({ name }) => name));
  return ({ scope }) => {
    const backward = scope.startsWith(BACKWARD);
    const top = (backward ? scope.slice(BACKWARD.length) : scope).split("/", 1)[0];
    return repeated.has(top) ? `${backward ? BACKWARD : ""}${top}` : null;
  };
}

/** The nodes that depend on the batch alone and that several segments read, and the others. Constants are left out: each stage makes its own. */
function hoisted(
  { nodes, outputs }: Graph,
  batch: ReadonlySet<string>,
  segmentOf: (node: Node) => string | null,
): { early: ReadonlySet<Node>; rest: Node[] } {
  const readers = new Map<Value, Set<string | null>>();
  for (const node of nodes) {
    for (const input of node.inputs) readers.set(input, (readers.get(input) ?? new Set()).add(segmentOf(node)));
  }
  const results = new Set(outputs.map(({ value }) => value));
  const cheap = new Set<Value>();
  const early = new Set<Node>();
  for (const node of nodes) {
    if (node.op === "Constant" || node.op === "MatMul") continue;
    const isGiven = ({ producer, name }: Value) => producer === null && batch.has(name);
    if (!node.inputs.every((input) => input.producer?.op === "Constant" || isGiven(input) || cheap.has(input))) continue;
    for (const output of node.outputs) cheap.add(output);
    early.add(node);
  }
  // What only one segment reads stays there.
  for (const node of [...early].reverse()) {
    const shared = node.outputs.some((output) => (readers.get(output)?.size ?? 0) > 1 || results.has(output));
    const needed = node.outputs.some((output) => [...early].some((other) => other !== node && other.inputs.includes(output)));
    if (!shared && !needed) early.delete(node);
  }
  return { early, rest: nodes.filter((node) => node.op !== "Constant" && !early.has(node)) };
}

/** The nodes with parts of gradients put off until they are added to, where that keeps less in memory meanwhile. */
function delayed(nodes: readonly Node[], segmentOf: (node: Node) => string | null, sizes: Sizes): Node[] {
  const readers = new Map<Value, Node[]>();
  for (const node of nodes) for (const input of node.inputs) readers.set(input, [...readers.get(input) ?? [], node]);
  const waiting = new Map<Node, Node>();
  for (const node of nodes) {
    if (node.op !== "MatMul" || !node.scope.startsWith(BACKWARD)) continue;
    const [output] = node.outputs;
    const [reader, ...others] = readers.get(output) ?? [];
    if (!reader || others.length > 0 || output.shape.some((dim) => typeof dim !== "number")) continue;
    const alone = nodes.indexOf(reader) - nodes.indexOf(node) === 1 || segmentOf(reader) === segmentOf(node) && segmentOf(node) !== null;
    const given = node.inputs.reduce((sum, input) => sum + bytesOf(input, sizes), 0);
    if (!alone && given < bytesOf(output, sizes)) waiting.set(node, reader);
  }
  return nodes.filter((node) => !waiting.has(node)).flatMap((node) => {
    const before = [...waiting].filter(([, reader]) => reader === node).map(([waiter]) => waiter);
    return [...before, node];
  });
}

/** Makes stages one after the other. */
class Cutter {
  readonly stages: Stage[] = [];
  readonly graphs: Graph[] = [];
  readonly #known = new Map<string, { readonly graph: Graph; readonly model: Uint8Array<ArrayBuffer> }>();
  readonly #inputs: ReadonlyMap<string, ProgramInput>;
  readonly #results = new Map<Value, ProgramOutput[]>();

  constructor(private readonly graph: Graph, inputs: readonly ProgramInput[], outputs: readonly ProgramOutput[]) {
    this.#inputs = new Map(inputs.map((input) => [input.name, input]));
    graph.outputs.forEach(({ name, value }) => {
      const output = outputs.find((output) => output.name === name)!;
      this.#results.set(value, [...this.#results.get(value) ?? [], output]);
    });
  }

  /** A stage of these nodes; `later` are the values that the ones after it read. */
  add(nodes: readonly Node[], segment: string | null, later: ReadonlySet<Value>): void {
    const g = new GraphBuilder(segment === null ? `${this.graph.name}_${this.stages.length}` : INSTANCE);
    const values = new Map<Value, Value>();
    const inputs: ProgramInput[] = [];
    const own = new Set(nodes.flatMap((node) => node.outputs));
    const instance = segment?.replace(BACKWARD, "");
    const take = (value: Value): Value => {
      const known = values.get(value);
      if (known) return known;
      const made = value.producer?.op === "Constant"
        ? g.constant(value.producer.attributes.data, value.producer.attributes.shape, value.dtype)
        : g.input(`input_${inputs.length}`, value.dtype, value.shape);
      values.set(value, made);
      if (made.producer === null) inputs.push(this.#bound(value, made.name));
      return made;
    };
    for (const node of nodes) for (const input of node.inputs) if (!own.has(input)) take(input);
    this.#takeSymbols(nodes, values, take);
    for (const node of nodes) {
      g.scoped(instance === undefined ? node.scope : node.scope.replace(instance, INSTANCE), () => {
        const results = g.op(node.op, node.inputs.map(take), node.attributes);
        node.outputs.forEach((output, i) => values.set(output, results[i]));
      });
    }
    const outputs: ProgramOutput[] = [];
    const give = (value: Value, output: ProgramOutput): void => {
      const tensor = `output_${outputs.length}`;
      g.output(tensor, values.get(value)!);
      outputs.push({ ...output, tensor });
    };
    for (const value of own) {
      for (const output of this.#results.get(value) ?? []) give(value, output);
      if (later.has(value)) give(value, { name: value.name, dtype: value.dtype, shape: value.shape, role: "stash" });
    }
    const graph = g.finish();
    const key = printGraph(graph);
    const shared = this.#known.get(key) ?? { graph, model: encode(graph) };
    this.#known.set(key, shared);
    this.graphs.push(shared.graph);
    this.stages.push({ name: `${this.graph.name}/${segment ?? `part ${this.stages.length}`}`, model: shared.model, inputs, outputs });
  }

  #bound(value: Value, tensor: string): ProgramInput {
    const given = value.producer === null ? this.#inputs.get(value.name) : undefined;
    return given ? { ...given, tensor } : { name: value.name, dtype: value.dtype, shape: value.shape, role: "stash", tensor };
  }

  /** An input of the whole for every symbol that the stage's shapes have and its own inputs don't say. */
  #takeSymbols(nodes: readonly Node[], values: ReadonlyMap<Value, Value>, take: (value: Value) => Value): void {
    const wanted = new Set(nodes.flatMap(({ inputs, outputs }) => [...inputs, ...outputs].flatMap(({ shape }) => [...symbolsOf(shape)])));
    const known = new Set([...values.keys()].flatMap(({ shape }) => shape));
    for (const symbol of [...wanted].sort()) {
      if (known.has(symbol)) continue;
      const source = this.graph.inputs.find(({ shape, dtype }) => shape.includes(symbol) && BYTES[dtype] === 4);
      if (source) take(source);
    }
  }
}
