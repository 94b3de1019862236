/** An optimizer's step on a device: weights that are updated alike lie in lines of numbers, so that a few graphs update them all. */

import { GraphBuilder } from "../ir/builder.ts";
import { sizeOf } from "../ir/dims.ts";
import { printGraph } from "../ir/print.ts";
import type { Graph, Node, OpName, Value } from "../ir/types.ts";
import { optimize } from "../passes/optimize.ts";
import {
  accumulateGraph,
  averageGraph,
  globalClipScale,
  slotsOf,
  squaredNormGraph,
  type StepSettings,
  type StepWeight,
  updateGraph,
} from "./step.ts";

/** Elements [from, from + count) of a weight, which lie at `at` in a line. */
export interface Segment {
  readonly weight: StepWeight;
  readonly from: number;
  readonly at: number;
  readonly count: number;
}

/** A tensor that is kept for a group. */
export interface GroupSlot {
  readonly name: string;
  readonly shape: readonly number[];
  /** What every element starts as. */
  readonly initial: number;
}

/** What one graph updates: pieces of weights in a line, or one weight in its own shape where elements depend on each other. */
export interface WeightGroup {
  /** Null for one weight by itself. */
  readonly segments: readonly Segment[] | null;
  /** The weight by itself, or one that stands for all in the line. */
  readonly weight: StepWeight;
  /** In which it is computed: [elements], or the weight's own. */
  readonly shape: readonly number[];
  readonly slots: readonly GroupSlot[];
}

/** A graph of a group in two parts. */
export interface GroupGraph {
  /** What only depends on scalars, computed on the host in float32: scalars in, `scalar_0` … out. */
  readonly scalars: Graph;
  /** The rest, with the inputs and outputs that the graphs of a single weight have, and those scalars. */
  readonly graph: Graph;
}

/** Everything that a group runs. */
export interface GroupGraphs {
  readonly update: GroupGraph;
  /** The sum of squares of all gradients as prepared: `squared_norm`. */
  readonly squaredNorm: GroupGraph | null;
  readonly accumulate: GroupGraph | null;
  readonly average: GroupGraph | null;
}

/** The elements of a line: temporaries of an update are a few times as large, and a graph has about twenty nodes whatever its length. */
const LINE = 2 ** 24;

/** Ops that compute an element from those at its own place. */
const ELEMENTWISE: ReadonlySet<OpName> = new Set([
  ...["Constant", "Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Neg", "Abs", "Sign", "Exp", "Log", "Sqrt", "Reciprocal"] as const,
  ...["Where", "And", "Or", "Not", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal"] as const,
]);

/** The scalar that stays on the device: the host would have to wait for the gradients' norm. */
const CLIP_SCALE = "clip_scale";

const elements = ({ shape }: StepWeight): number => sizeOf(shape) as number;

/** Puts weights into groups: what is updated alike, element by element, into lines of equal length but for the last, the rest by itself. */
export function groupWeights(settings: StepSettings, weights: readonly StepWeight[], length = LINE): WeightGroup[] {
  const kinds = new Map<string, StepWeight[]>();
  const groups: WeightGroup[] = [];
  for (const weight of weights) {
    const kind = kindOf(settings, weight);
    if (kind === null) {
      // One number is a line too: the model may know it as a scalar, which rules don't.
      const segments = elements(weight) === 1 ? [{ weight, from: 0, at: 0, count: 1 }] : null;
      groups.push({ segments, weight, shape: weight.shape, slots: slotsOfGroup(settings, weight, weight.shape) });
    } else kinds.set(kind, [...kinds.get(kind) ?? [], weight]);
  }
  for (const alike of kinds.values()) {
    for (const segments of inLines(alike, length)) {
      const shape = [segments.reduce((sum, { count }) => sum + count, 0)];
      groups.push({ segments, weight: alike[0], shape, slots: slotsOfGroup(settings, alike[0], shape) });
    }
  }
  return groups;
}

function inLines(weights: readonly StepWeight[], length: number): Segment[][] {
  const lines: Segment[][] = [[]];
  let at = 0;
  for (const weight of weights) {
    for (let from = 0; from < elements(weight);) {
      if (at === length) {
        lines.push([]);
        at = 0;
      }
      const count = Math.min(elements(weight) - from, length - at);
      lines[lines.length - 1].push({ weight, from, at, count });
      from += count;
      at += count;
    }
  }
  return lines;
}

function slotsOfGroup(settings: StepSettings, weight: StepWeight, shape: readonly number[]): GroupSlot[] {
  return [
    ...slotsOf(settings, weight).map((slot) => ({
      name: slot.name,
      shape: slot.shape === weight.shape ? shape : slot.shape,
      initial: slot.initial,
    })),
    ...settings.gradientAccumulationSteps === null ? [] : [{ name: "accumulated", shape, initial: 0 }],
    ...settings.useEma ? [{ name: "average", shape, initial: 0 }] : [],
  ];
}

/** What tells updates apart that differ in more than the weight's shape; null for one that isn't element by element. */
function kindOf(settings: StepSettings, weight: StepWeight): string | null {
  const graph = updateGraph(settings, weight);
  const isSame = ({ shape }: Value) => shape.length === 0 || shape.join() === weight.shape.join();
  if (!graph.nodes.every(({ op, outputs }) => ELEMENTWISE.has(op) && outputs.every(isSame))) return null;
  return printGraph(reshaped(graph, ["n"]));
}

/** An elementwise graph over tensors of another shape. */
function reshaped(graph: Graph, shape: readonly (number | string)[]): Graph {
  const b = new GraphBuilder(graph.name);
  const values = new Map<Value, Value>();
  for (const input of graph.inputs) values.set(input, b.input(input.name, input.dtype, input.shape.length === 0 ? [] : shape));
  for (const node of graph.nodes) copyNode(b, values, node, (value) => values.get(value)!);
  for (const { name, value } of graph.outputs) b.output(name, values.get(value)!);
  return b.finish();
}

function copyNode(b: GraphBuilder, values: Map<Value, Value>, node: Node, read: (value: Value) => Value): void {
  const results = b.op(node.op, node.inputs.map(read), node.attributes);
  node.outputs.forEach((output, i) => values.set(output, results[i]));
}

/** What a group runs. */
export function groupGraphs(settings: StepSettings, { segments, weight, shape }: WeightGroup): GroupGraphs {
  const update = updateGraph(settings, weight);
  const line = { ...weight, shape };
  return {
    update: withoutScalars(segments && shape !== weight.shape ? reshaped(update, shape) : update),
    squaredNorm: settings.clip?.by === "global_norm" ? withoutScalars(squaredNormGraph(settings, line)) : null,
    accumulate: settings.gradientAccumulationSteps === null ? null : withoutScalars(accumulateGraph(settings, line)),
    average: settings.useEma ? withoutScalars(averageGraph(line)) : null,
  };
}

/** Moves everything that depends on scalars alone into a graph of its own. */
function withoutScalars(whole: Graph): GroupGraph {
  const graph = optimize(whole);
  const known = new Set<Value>();
  const isScalar = (value: Value): boolean =>
    value.shape.length === 0 && value.dtype === "float32" &&
    (value.producer === null ? value.name !== CLIP_SCALE : value.producer.op === "Constant" || known.has(value));
  for (const { op, inputs, outputs } of graph.nodes) {
    if (op === "Constant" || outputs.length !== 1 || !inputs.every(isScalar)) continue;
    if (outputs[0].shape.length === 0 && outputs[0].dtype === "float32") known.add(outputs[0]);
  }
  const host = new GraphBuilder(`${graph.name}_scalars`);
  const device = new GraphBuilder(graph.name);
  const onHost = new Map<Value, Value>();
  const onDevice = new Map<Value, Value>();
  const readOnHost = (value: Value): Value => {
    if (!onHost.has(value)) {
      if (value.producer === null) onHost.set(value, host.input(value.name, value.dtype, value.shape));
      else copyNode(host, onHost, value.producer, readOnHost);
    }
    return onHost.get(value)!;
  };
  let crossings = 0;
  const readOnDevice = (value: Value): Value => {
    let found = onDevice.get(value);
    if (found) return found;
    if (isScalar(value)) {
      const name = `scalar_${crossings++}`;
      host.output(name, readOnHost(value));
      found = device.input(name, value.dtype, value.shape);
    } else found = device.input(value.name, value.dtype, value.shape);
    onDevice.set(value, found);
    return found;
  };
  for (const node of graph.nodes) if (!node.outputs.some((output) => known.has(output))) copyNode(device, onDevice, node, readOnDevice);
  for (const { name, value } of graph.outputs) device.output(name, readOnDevice(value));
  return { scalars: host.finish(), graph: device.finish() };
}

/** From the groups' `squared_norm/0` … to the `clip_scale` of the global norm. */
export function clipScaleGraph(groups: number, limit: number): GroupGraph {
  const b = new GraphBuilder(CLIP_SCALE);
  const norms = Array.from({ length: groups }, (_, i) => b.input(`squared_norm/${i}`, "float32", []));
  b.output(CLIP_SCALE, globalClipScale(b, norms.reduce((sum, norm) => b.add(sum, norm)), limit));
  return { scalars: new GraphBuilder("no_scalars").finish(), graph: b.finish() };
}
