/** An optimizer's step on a device: weights that are updated alike in one line of numbers, so that a few graphs update them all. */

import { GraphBuilder } from "../ir/builder.ts";
import { sizeOf } from "../ir/dims.ts";
import { printGraph } from "../ir/print.ts";
import type { Graph, Node, OpName, Value } from "../ir/types.ts";
import { optimize } from "../passes/optimize.ts";
import {
  accumulateGraph,
  averageGraph,
  globalClipScale,
  NEXT,
  slotsOf,
  squaredNormGraph,
  type StepSettings,
  type StepWeight,
  updateGraph,
} from "./step.ts";

/** A weight with the shape that it has in the model, where that differs from what the rules see. */
export interface GroupedWeight extends StepWeight {
  readonly actualShape: readonly number[];
}

/** Weights that one graph updates. Of several, slots are kept in one line: [elements of all]. */
export interface WeightGroup {
  readonly weights: readonly GroupedWeight[];
  /** The tensors that are kept for them, by name, with what every element starts as. */
  readonly slots: readonly { readonly name: string; readonly shape: readonly number[]; readonly initial: number }[];
}

/** A graph of a group in two parts. */
export interface GroupGraph {
  /** What only depends on scalars, computed on the host in float32: scalars in, `scalar_0` … out. */
  readonly scalars: Graph;
  /** The rest: tensors and those scalars in. A weight of a group is `w/0`, its gradient `g/0`, what replaces it `next_w/0`. */
  readonly graph: Graph;
}

/** Everything that a group runs. */
export interface GroupGraphs {
  readonly update: GroupGraph;
  /** The sum of squares of all gradients as prepared: `squared_norm`. */
  readonly squaredNorm: GroupGraph | null;
  readonly accumulate: GroupGraph | null;
  readonly average: GroupGraph | null;
  /** Replaces the weights by their averages. */
  readonly takeAverages: GroupGraph | null;
}

/** The most elements of a group of several weights: temporaries of an update are a few times as large. */
const GROUP_ELEMENTS = 2 ** 24;

/** Ops that compute an element from those at its own place. */
const ELEMENTWISE: ReadonlySet<OpName> = new Set([
  ...["Constant", "Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Neg", "Abs", "Sign", "Exp", "Log", "Sqrt", "Reciprocal"] as const,
  ...["Where", "And", "Or", "Not", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal"] as const,
]);

/** The scalar that stays on the device: the host would have to wait for the gradients' norm. */
const CLIP_SCALE = "clip_scale";

/** Puts weights into groups: those that are updated alike, element by element, go together. */
export function groupWeights(settings: StepSettings, weights: readonly GroupedWeight[], limit = GROUP_ELEMENTS): WeightGroup[] {
  const lists: GroupedWeight[][] = [];
  const open = new Map<string, { readonly list: GroupedWeight[]; elements: number }>();
  for (const weight of weights) {
    const kind = kindOf(settings, weight);
    const elements = sizeOf(weight.shape) as number;
    const known = kind === null ? undefined : open.get(kind);
    if (known && known.elements + elements <= limit) {
      known.list.push(weight);
      known.elements += elements;
      continue;
    }
    const list = [weight];
    lists.push(list);
    if (kind !== null) open.set(kind, { list, elements });
  }
  return lists.map((list) => ({ weights: list, slots: slotsOfGroup(settings, list) }));
}

function slotsOfGroup(settings: StepSettings, weights: readonly GroupedWeight[]): WeightGroup["slots"] {
  const [{ shape }] = weights;
  const line = lineOf(weights);
  const like = (slot: readonly number[]) => slot === shape ? line : slot;
  return [
    ...slotsOf(settings, weights[0]).map(({ name, shape, initial }) => ({ name, shape: like(shape), initial })),
    ...settings.gradientAccumulationSteps === null ? [] : [{ name: "accumulated", shape: line, initial: 0 }],
    ...settings.useEma ? [{ name: "average", shape: line, initial: 0 }] : [],
  ];
}

/** The shape in which a group is computed: one weight's own, or all elements in a line. */
function lineOf(weights: readonly GroupedWeight[]): readonly number[] {
  return weights.length === 1 ? weights[0].shape : [weights.reduce((sum, { shape }) => sum + (sizeOf(shape) as number), 0)];
}

/** What tells updates apart that differ in more than the weight's shape; null for one that isn't element by element. */
function kindOf(settings: StepSettings, weight: GroupedWeight): string | null {
  const graph = updateGraph(settings, weight);
  const isSame = ({ shape }: Value) => shape.length === 0 || shape.join() === weight.shape.join();
  if (!graph.nodes.every(({ op, outputs }) => ELEMENTWISE.has(op) && outputs.every(isSame))) return null;
  const b = new GraphBuilder("kind");
  const line = new Map(graph.inputs.filter(({ shape }) => shape.length > 0).map(({ name }) => [name, b.input(name, "float32", ["n"])]));
  for (const [name, value] of inlined(b, graph, line)) b.output(name, value);
  return printGraph(b.finish());
}

/** Adds a graph's nodes to another; inputs that aren't given become inputs. Returns its outputs. */
function inlined(b: GraphBuilder, graph: Graph, given: ReadonlyMap<string, Value>): Map<string, Value> {
  const values = new Map<Value, Value>();
  for (const input of graph.inputs) values.set(input, given.get(input.name) ?? b.input(input.name, input.dtype, input.shape));
  for (const node of graph.nodes) {
    const results = b.op(node.op, node.inputs.map((input) => values.get(input)!), node.attributes);
    node.outputs.forEach((output, i) => values.set(output, results[i]));
  }
  return new Map(graph.outputs.map(({ name, value }) => [name, values.get(value)!]));
}

/** What a group runs. */
export function groupGraphs(settings: StepSettings, { weights }: WeightGroup): GroupGraphs {
  const line = { ...weights[0], shape: lineOf(weights) };
  return {
    update: grouped("update", weights, updateGraph(settings, weights[0])),
    squaredNorm: settings.clip?.by === "global_norm" ? grouped("squared_norm", weights, squaredNormGraph(settings, line)) : null,
    accumulate: settings.gradientAccumulationSteps === null ? null : grouped("accumulate", weights, accumulateGraph(settings, line)),
    average: settings.useEma ? grouped("average", weights, averageGraph(line)) : null,
    takeAverages: settings.useEma ? grouped("take_averages", weights, takeAverageGraph(line)) : null,
  };
}

function takeAverageGraph({ shape }: StepWeight): Graph {
  const b = new GraphBuilder("take_averages");
  b.output(`${NEXT}w`, b.input("average", "float32", shape));
  return b.finish();
}

/** A graph of one weight, for all weights of a group: `w` and `g` are put in a line, `next_w` is cut up again. */
function grouped(name: string, weights: readonly GroupedWeight[], one: Graph): GroupGraph {
  const b = new GraphBuilder(name);
  const line = lineOf(weights);
  const given = new Map<string, Value>();
  for (const { name, shape } of one.inputs) {
    if (name === "w" || name === "g") {
      const parts = weights.map(({ actualShape }, i) => b.input(`${name}/${i}`, "float32", actualShape));
      given.set(name, weights.length === 1 ? b.reshape(parts[0], line) : b.concat(parts.map((part) => flat(b, part)), 0));
    } else if (weights.length > 1 && shape.length > 0) given.set(name, b.input(name, "float32", line));
  }
  for (const [name, value] of inlined(b, one, given)) {
    if (name !== `${NEXT}w`) b.output(name, value);
    else {
      const pieces = weights.length === 1 ? [value] : b.split(value, 0, weights.map(({ shape }) => sizeOf(shape) as number));
      pieces.forEach((piece, i) => b.output(`${name}/${i}`, b.reshape(piece, weights[i].actualShape)));
    }
  }
  return withoutScalars(optimize(b.finish()));
}

const flat = (b: GraphBuilder, x: Value): Value => b.reshape(x, [sizeOf(x.shape)]);

/** Moves everything that depends on scalars alone into a graph of its own. */
function withoutScalars(graph: Graph): GroupGraph {
  const isScalar = (value: Value, known: ReadonlySet<Value>): boolean =>
    value.shape.length === 0 && value.dtype === "float32" &&
    (value.producer === null ? value.name !== CLIP_SCALE : value.producer.op === "Constant" || known.has(value));
  const known = new Set<Value>();
  const hosted = new Set<Node>();
  for (const node of graph.nodes) {
    if (node.op === "Constant" || !node.inputs.every((input) => isScalar(input, known)) || node.outputs.length !== 1) continue;
    if (node.outputs[0].shape.length > 0 || node.outputs[0].dtype !== "float32") continue;
    hosted.add(node);
    known.add(node.outputs[0]);
  }
  const scalars = new GraphBuilder(`${graph.name}_scalars`);
  const device = new GraphBuilder(graph.name);
  const onHost = new Map<Value, Value>();
  const onDevice = new Map<Value, Value>();
  const copy = (b: GraphBuilder, values: Map<Value, Value>, node: Node, read: (value: Value) => Value): void => {
    const results = b.op(node.op, node.inputs.map(read), node.attributes);
    node.outputs.forEach((output, i) => values.set(output, results[i]));
  };
  const readOnHost = (value: Value): Value => {
    let found = onHost.get(value);
    if (!found) {
      if (value.producer === null) onHost.set(value, found = scalars.input(value.name, value.dtype, value.shape));
      else {
        copy(scalars, onHost, value.producer, readOnHost);
        found = onHost.get(value)!;
      }
    }
    return found;
  };
  let crossings = 0;
  const readOnDevice = (value: Value): Value => {
    let found = onDevice.get(value);
    if (found) return found;
    if (isScalar(value, known) && value.producer?.op !== "Constant") {
      const name = `scalar_${crossings++}`;
      scalars.output(name, readOnHost(value));
      found = device.input(name, value.dtype, value.shape);
    } else found = device.input(value.name, value.dtype, value.shape);
    onDevice.set(value, found);
    return found;
  };
  for (const node of graph.nodes) if (!hosted.has(node)) copy(device, onDevice, node, readOnDevice);
  for (const { name, value } of graph.outputs) device.output(name, readOnDevice(value));
  return { scalars: scalars.finish(), graph: device.finish() };
}

/** From the groups' `squared_norm/0` … to the `clip_scale` of the global norm. */
export function clipScaleGraph(groups: number, limit: number): GroupGraph {
  const b = new GraphBuilder(CLIP_SCALE);
  const norms = Array.from({ length: groups }, (_, i) => b.input(`squared_norm/${i}`, "float32", []));
  b.output(CLIP_SCALE, globalClipScale(b, norms.reduce((sum, norm) => b.add(sum, norm)), limit));
  return { scalars: new GraphBuilder("no_scalars").finish(), graph: b.finish() };
}
