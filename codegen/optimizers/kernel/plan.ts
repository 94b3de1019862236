/** Sorts an expression's values into scalars, tensor elements and sums over them: the passes that a kernel makes. */

import type { Graph, Node, OpName, Value } from "../../ir/types.ts";
import { NEXT } from "../step.ts";

/** A tensor that a kernel reads, writes, or both. */
export interface KernelTensor {
  readonly name: string;
  /** The input that it is loaded into, if it is read. */
  readonly input: Value | null;
  /** The value that replaces it, if it is written. */
  readonly output: Value | null;
}

/** A sum over all elements that later passes, or scalars, build on. */
export interface Reduction {
  readonly node: Node;
  readonly mean: boolean;
}

/** One sweep over the elements. */
export interface Pass {
  /** Elementwise nodes, in order. */
  readonly nodes: readonly Node[];
  /** Tensors read. */
  readonly loads: readonly KernelTensor[];
  /** Tensors written: in the last pass only, so that every pass reads the same state. */
  readonly stores: readonly KernelTensor[];
  readonly sums: readonly Reduction[];
  /** Scalars that its nodes read. */
  readonly scalars: readonly Value[];
}

/** How a kernel computes a graph. */
export interface KernelPlan {
  readonly tensors: readonly KernelTensor[];
  readonly scalarInputs: readonly Value[];
  /** Before each pass, and after the last, the scalar nodes that can be computed by then: one list more than passes. */
  readonly scalarNodes: readonly (readonly Node[])[];
  readonly passes: readonly Pass[];
  readonly scalarOutputs: readonly { readonly name: string; readonly value: Value }[];
}

/** Ops of one element at a time. */
const elementwise: ReadonlySet<OpName> = new Set([
  ...["Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"] as const,
  ...["And", "Or", "Not", "Neg", "Abs", "Sign", "Exp", "Log", "Sqrt", "Reciprocal", "Sin", "Cos", "Tanh", "Sigmoid", "Relu"] as const,
  ...["Erf", "Softplus", "Floor", "Ceil", "Round", "Gelu", "Cast", "Where", "StopGradient"] as const,
]);

/** A plan for a graph whose tensors all have one shape (of rank 1 at least), or null where an op needs more than elements and whole sums. */
export function planKernel(graph: Graph, shape: readonly number[]): KernelPlan | null {
  const tensorShape = (value: Value): boolean => value.shape.length === shape.length && value.shape.every((dim, i) => dim === shape[i]);
  const isTensor = new Set<number>();
  const stage = new Map<number, number>();
  const scalarInputs: Value[] = [];
  for (const input of graph.inputs) {
    stage.set(input.id, 0);
    if (input.dtype !== "float32") return null;
    if (input.shape.length === 0) scalarInputs.push(input);
    else if (tensorShape(input)) isTensor.add(input.id);
    else return null;
  }
  for (const node of graph.nodes) {
    const [output] = node.outputs;
    const before = Math.max(0, ...node.inputs.map((value) => stage.get(value.id)!));
    const overElements = node.inputs.some((value) => isTensor.has(value.id));
    if (!overElements) {
      if (output.shape.length > 0 || node.outputs.length > 1) return null;
      stage.set(output.id, before);
    } else if (elementwise.has(node.op)) {
      if (!isFloatWork(node)) return null;
      if (!tensorShape(output) || node.inputs.some((value) => isTensor.has(value.id) ? !tensorShape(value) : value.shape.length > 0)) {
        return null;
      }
      isTensor.add(output.id);
      stage.set(output.id, before);
    } else if (
      (node.op === "ReduceSum" || node.op === "ReduceMean") && new Set(node.attributes.axes).size === shape.length &&
      output.shape.length === 0
    ) {
      stage.set(output.id, before + 1);
    } else return null;
  }
  return arrange(graph, isTensor, stage, scalarInputs);
}

/** Whether a node keeps to float32 and booleans, comparing and casting as a kernel can. */
function isFloatWork(node: Node): boolean {
  const [x] = node.inputs;
  if (node.op === "Equal") return x.dtype === "float32";
  if (node.op === "Cast") return node.attributes.to === "float32";
  return node.outputs[0].dtype === "float32" || node.outputs[0].dtype === "bool";
}

function arrange(
  graph: Graph,
  isTensor: ReadonlySet<number>,
  stage: ReadonlyMap<number, number>,
  scalarInputs: readonly Value[],
): KernelPlan {
  const tensors: KernelTensor[] = [];
  const written = new Map(
    graph.outputs.filter(({ value }) => isTensor.has(value.id)).map(({ name, value }) => [name.replace(NEXT, ""), value]),
  );
  for (const input of graph.inputs) {
    if (isTensor.has(input.id)) tensors.push({ name: input.name, input, output: written.get(input.name) ?? null });
  }
  for (const [name, output] of written) {
    if (!tensors.some((tensor) => tensor.name === name)) tensors.push({ name, input: null, output });
  }
  const scalarOutputs = graph.outputs.filter(({ value }) => !isTensor.has(value.id));
  const isSum = (node: Node): boolean => node.inputs.some((value) => isTensor.has(value.id)) && !isTensor.has(node.outputs[0].id);
  const sums = graph.nodes.filter(isSum);
  const stageOf = (node: Node): number => stage.get(node.outputs[0].id)!;
  const depth = Math.max(0, ...sums.map(stageOf), ...[...written.values()].map((value) => stage.get(value.id)! + 1));
  const passes = Array.from({ length: depth }, (_, index): Pass => {
    const last = index === depth - 1;
    const stores = last ? tensors.filter(({ output }) => output !== null) : [];
    const passSums = sums.filter((node) => stageOf(node) === index + 1);
    const needed = new Set([...stores.map(({ output }) => output!.id), ...passSums.map((node) => node.inputs[0].id)]);
    const nodes = graph.nodes.filter((node) => isTensor.has(node.outputs[0].id)).toReversed().filter((node) => {
      if (!needed.has(node.outputs[0].id)) return false;
      for (const value of node.inputs) needed.add(value.id);
      return true;
    }).toReversed();
    const read = new Map(nodes.flatMap(({ inputs }) => inputs).filter(({ id }) => !isTensor.has(id)).map((value) => [value.id, value]));
    return {
      nodes,
      stores,
      loads: tensors.filter(({ input }) => input !== null && needed.has(input.id)),
      sums: passSums.map((node) => ({ node, mean: node.op === "ReduceMean" })),
      scalars: [...read.values()],
    };
  });
  const scalars = graph.nodes.filter((node) => !isTensor.has(node.outputs[0].id) && !isSum(node));
  const scalarNodes = Array.from({ length: depth + 1 }, (_, index) => scalars.filter((node) => stageOf(node) === index));
  return { tensors, scalarInputs, scalarNodes, passes, scalarOutputs };
}
