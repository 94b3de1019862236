/** A graph as the bytes of an ONNX model. */

import { OnnxHubError } from "../../errors.ts";
import type { Dim, DType, Graph, Node, Shape, Value } from "../ir/types.ts";
import type { OnnxAttribute, OnnxEmitter, Provider } from "../ops/rule.ts";
import { ruleOf } from "../ops/rules.ts";
import { tensorBytes } from "./bytes.ts";
import {
  type DeferredData,
  elementTypes,
  type ExternalData,
  type ModelPiece,
  type ModelProto,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
  writeModel,
  writeModelPieces,
} from "./protobuf.ts";

export type { DeferredData, ExternalData };

/** What {@linkcode encode} can be told. */
export interface EncodeOptions {
  /** The model's producer; "onnxhub". */
  readonly producer?: string;
  /** Graph inputs that become initializers with external data, by name. */
  readonly initializers?: ReadonlyMap<string, ExternalData>;
  /** The operator set's version: 20 (the ops emit what 20 knows). */
  readonly opset?: number;
  /** What the ops are emitted for; default "cpu". */
  readonly provider?: Provider;
}

/** ONNX's IR version that came with opset 20. */
const irVersion = 9;

/**
 * Encodes a graph as an ONNX ModelProto: plain standard ops, symbolic dimensions as `dim_param`, constants inside.
 * The tensors' names are the graph's input and output names. The same graph gives the same bytes.
 */
export function encode(graph: Graph, options: EncodeOptions = {}): Uint8Array<ArrayBuffer> {
  return writeModel(modelOf(graph, options));
}

/** What {@linkcode encodePieces} can be told: initializers may also be inside the model, written by the caller. */
export interface PieceOptions extends Omit<EncodeOptions, "initializers"> {
  readonly initializers: ReadonlyMap<string, ExternalData | DeferredData>;
}

/** Encodes a graph in pieces, between which the caller writes the data of the initializers that are inside the model. */
export function encodePieces(graph: Graph, options: PieceOptions): ModelPiece[] {
  return writeModelPieces(modelOf(graph, options));
}

function modelOf(graph: Graph, options: EncodeOptions | PieceOptions): ModelProto {
  const { producer = "onnxhub", initializers = new Map<string, ExternalData>(), opset = 20, provider = "cpu" } = options;
  const emission = new Emission(graph, provider);
  for (const node of graph.nodes) emission.emit(node);
  emission.finish();
  const weights: TensorProto[] = [];
  const inputs: ValueInfoProto[] = [];
  for (const { name, dtype, shape } of graph.inputs) {
    const data = initializers.get(name);
    if (!data) inputs.push({ name, dtype, shape });
    else weights.push({ name, dtype, shape: requireKnown(name, shape), data });
  }
  return {
    irVersion,
    opset,
    producer,
    graph: {
      name: graph.name,
      nodes: emission.nodes,
      initializers: [...weights, ...emission.usedConstants()],
      inputs,
      outputs: graph.outputs.map(({ name, value: { dtype, shape } }) => ({ name, dtype, shape })),
    },
  };
}

function requireKnown(name: string, shape: Shape): readonly number[] {
  if (shape.every((dim) => typeof dim === "number")) return shape;
  throw new OnnxHubError("codegen/initializer", `The input ${name} can't be an initializer`, {
    expected: "a shape of numbers",
    found: `[${shape.join(", ")}]`,
  });
}

/** The nodes and constants of a model in the making. */
class Emission implements OnnxEmitter {
  readonly nodes: NodeProto[] = [];
  readonly #constants: TensorProto[] = [];
  readonly #graph: Graph;
  readonly #names = new Map<Value, string>();
  /** How many tensors asked for a name: who comes second gets a number. */
  readonly #taken = new Map<string, number>();
  readonly #constantNames = new Map<string, string>();
  readonly #madeUp = new Map<string, string[]>();
  readonly #used = new Set<Value>();
  readonly #nodeNames = new Map<string, number>();
  #node: Node | null = null;

  constructor(graph: Graph, readonly provider: Provider) {
    this.#graph = graph;
    for (const { name } of graph.inputs) this.#taken.set(name, 1);
    for (const { name } of graph.outputs) this.#taken.set(name, 1);
    for (const input of graph.inputs) this.#names.set(input, input.name);
    for (const { name, value } of graph.outputs) {
      this.#used.add(value);
      if (!this.#names.has(value)) this.#names.set(value, name);
    }
    for (const node of graph.nodes) for (const input of node.inputs) this.#used.add(input);
  }

  emit(node: Node): void {
    this.#node = node;
    const passes = node.op === "Constant" || node.op === "StopGradient";
    const outputs = node.outputs.map((value) => this.#names.get(value) ?? (passes ? "" : this.#named(value)));
    ruleOf(node).emit(this, node, outputs);
  }

  /** The outputs that are inputs, or second names of one value. */
  finish(): void {
    this.#node = null;
    for (const { name, value } of this.#graph.outputs) {
      if (this.#names.get(value) !== name) this.node("Identity", [this.name(value)], {}, [name]);
    }
  }

  /** The constants that nodes read: a value may be known by name and never asked for. */
  usedConstants(): TensorProto[] {
    const read = new Set(this.nodes.flatMap(({ inputs }) => inputs));
    return this.#constants.filter(({ name }) => read.has(name));
  }

  #named(value: Value): string {
    const name = this.fresh(value.name);
    this.#names.set(value, name);
    return name;
  }

  fresh(base: string): string {
    const count = this.#taken.get(base) ?? 0;
    this.#taken.set(base, count + 1);
    return count === 0 ? base : this.fresh(`${base}_${count}`);
  }

  node(
    opType: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, OnnxAttribute>> = {},
    outputs?: readonly string[],
  ): string[] {
    if (outputs) {
      this.#push(opType, inputs, attributes, outputs);
      return [...outputs];
    }
    const key = `${opType}(${inputs.join()})${JSON.stringify(attributes)}`;
    let known = this.#madeUp.get(key);
    if (!known) {
      known = [this.fresh(`${opType.toLowerCase()}_of_${inputs[0]}`)];
      this.#madeUp.set(key, known);
      this.#push(opType, inputs, attributes, known);
    }
    return known;
  }

  #push(opType: string, inputs: readonly string[], attributes: Readonly<Record<string, OnnxAttribute>>, outputs: readonly string[]): void {
    const base = this.#node?.scope ? `${this.#node.scope}/${opType}` : opType;
    const count = this.#nodeNames.get(base) ?? 0;
    this.#nodeNames.set(base, count + 1);
    this.nodes.push({ name: count === 0 ? base : `${base}_${count}`, opType, inputs, outputs, attributes });
  }

  cast(name: string, to: DType, outputs?: readonly string[]): string {
    return this.node("Cast", [name], { to: { kind: "int", value: elementTypes[to] } }, outputs)[0];
  }

  constant(dtype: DType, shape: readonly number[], data: readonly number[]): string {
    const key = `${dtype}[${shape.join()}]${data.map((x) => Object.is(x, -0) ? "-0" : x).join()}`;
    const known = this.#constantNames.get(key);
    if (known !== undefined) return known;
    const name = this.fresh(data.length <= 4 ? `${dtype}_${data.join("_")}` : `${dtype}_constant`);
    this.#constantNames.set(key, name);
    this.#constants.push({ name, dtype, shape, data: tensorBytes(dtype, data) });
    return name;
  }

  name(value: Value): string {
    const name = this.#names.get(value);
    if (name !== undefined) return name;
    throw new OnnxHubError("internal/order", `The value ${value.name} is used before it is computed`, { path: this.#node?.scope });
  }

  alias(value: Value, name: string): void {
    const given = this.#names.get(value);
    if (given === undefined) this.#names.set(value, name);
    else this.node("Identity", [name], {}, [given]);
  }

  isUsed(value: Value): boolean {
    return this.#used.has(value);
  }

  shape(shape: Shape): string {
    if (shape.every((dim) => typeof dim === "number")) return this.constant("int64", [shape.length], shape);
    const parts = shape.map((dim) => this.#dim(dim));
    return parts.length === 1 ? parts[0] : this.node("Concat", parts, { axis: { kind: "int", value: 0 } })[0];
  }

  /** An int64 vector of one dimension, from the first input that has it; a product from its factors. */
  #dim(dim: Dim): string {
    if (typeof dim === "number" || /^\d+$/.test(dim)) return this.constant("int64", [1], [Number(dim)]);
    for (const { name, shape } of this.#graph.inputs) {
      const axis = shape.indexOf(dim);
      if (axis < 0) continue;
      return this.node("Shape", [name], { start: { kind: "int", value: axis }, end: { kind: "int", value: axis + 1 } })[0];
    }
    const factors = dim.split("*");
    if (factors.length === 1) {
      throw new OnnxHubError("codegen/dimension", `No input of the graph ${this.#graph.name} says what ${dim} is`, {
        path: this.#node?.scope,
        expected: "an input with that dimension",
      });
    }
    return factors.map((factor) => this.#dim(factor)).reduce((product, factor) => this.node("Mul", [product, factor])[0]);
  }
}
