/** Builds graphs node by node, with types inferred as it goes; the ops' short forms are methods. */

import { OnnxHubError } from "../../errors.ts";
import { ops } from "../ops/index.ts";
import { formatShape, sameShape } from "./dims.ts";
import type { DType, Graph, Node, NodeOf, OpAttributes, OpName, Shape, TensorType, Value } from "./types.ts";

/** A value, or a number that becomes a float32 scalar constant of the other operand's dtype. */
export type Operand = Value | number;

/** Makes a graph. Every method that computes adds one node (or few) and returns the value. */
export class GraphBuilder {
  readonly #inputs: Value[] = [];
  readonly #nodes: Node[] = [];
  readonly #outputs: { name: string; value: Value }[] = [];
  readonly #inputNames = new Set<string>();
  readonly #outputNames = new Set<string>();
  readonly #constants = new Map<string, Value>();
  #nextId = 0;
  #scope = "";

  /** A builder for a graph of that name. */
  constructor(readonly name: string) {}

  /** Runs `body` with nodes marked as belonging to `scope`; errors from shape rules carry it as their path. */
  scoped<T>(scope: string, body: () => T): T {
    const outer = this.#scope;
    this.#scope = scope;
    try {
      return body();
    } finally {
      this.#scope = outer;
    }
  }

  /** The scope that new nodes get. */
  get scope(): string {
    return this.#scope;
  }

  /** Declares a graph input. */
  input(name: string, dtype: DType, shape: Shape): Value {
    if (this.#inputNames.has(name)) {
      throw new OnnxHubError("codegen/duplicate-input", `The graph ${this.name} has two inputs named ${name}`, { path: this.#scope });
    }
    this.#inputNames.add(name);
    const value: Value = { id: this.#nextId++, name, dtype, shape, producer: null };
    this.#inputs.push(value);
    return value;
  }

  /** Declares a result under a name. */
  output(name: string, value: Value): void {
    if (this.#outputNames.has(name)) {
      throw new OnnxHubError("codegen/duplicate-output", `The graph ${this.name} has two outputs named ${name}`, { path: this.#scope });
    }
    this.#outputNames.add(name);
    this.#outputs.push({ name, value });
  }

  /** Adds a node of any op and returns its outputs. */
  op<K extends OpName>(op: K, inputs: readonly Value[], attributes: OpAttributes[K]): Value[] {
    let types: TensorType[];
    try {
      types = ops[op].infer(inputs, attributes);
    } catch (error) {
      if (!(error instanceof OnnxHubError) || !this.#scope || error.path) throw error;
      const { code, expected, found, remedy } = error;
      const what = error.message.replace(/: (expected|found)[^]*$/, "").replace(/\.$/, "");
      throw new OnnxHubError(code, what, { path: this.#scope, expected, found, remedy, cause: error });
    }
    const outputs: Value[] = [];
    const node = { op, attributes, inputs, outputs, scope: this.#scope } as unknown as NodeOf<K>;
    for (const type of types) {
      const id = this.#nextId++;
      outputs.push({ id, name: `${op.toLowerCase()}_${id}`, ...type, producer: node as unknown as Node });
    }
    this.#nodes.push(node as unknown as Node);
    return outputs;
  }

  /** The graph so far. */
  finish(): Graph {
    return { name: this.name, inputs: [...this.#inputs], nodes: [...this.#nodes], outputs: [...this.#outputs] };
  }

  /** The nodes so far, in order. */
  get nodes(): readonly Node[] {
    return this.#nodes;
  }

  /** A constant tensor; equal ones are one node. */
  constant(
    data: number | readonly number[],
    shape: readonly number[] = typeof data === "number" ? [] : [data.length],
    dtype: DType = "float32",
  ): Value {
    const list = typeof data === "number" ? [data] : data;
    const key = list.length <= 16 ? `${dtype}:${shape}:${list.map((x) => Object.is(x, -0) ? "-0" : String(x))}` : null;
    const known = key === null ? undefined : this.#constants.get(key);
    if (known) return known;
    const value = this.op("Constant", [], { dtype, shape, data: list })[0];
    if (key !== null) this.#constants.set(key, value);
    return value;
  }

  #pair(a: Operand, b: Operand): [Value, Value] {
    const dtype = typeof a !== "number" ? a.dtype : typeof b !== "number" ? b.dtype : "float32";
    const value = (x: Operand) => typeof x === "number" ? this.constant(x, [], dtype) : x;
    return [value(a), value(b)];
  }

  add = (a: Operand, b: Operand): Value => this.op("Add", this.#pair(a, b), {})[0];
  sub = (a: Operand, b: Operand): Value => this.op("Sub", this.#pair(a, b), {})[0];
  mul = (a: Operand, b: Operand): Value => this.op("Mul", this.#pair(a, b), {})[0];
  div = (a: Operand, b: Operand): Value => this.op("Div", this.#pair(a, b), {})[0];
  pow = (a: Operand, b: Operand): Value => this.op("Pow", this.#pair(a, b), {})[0];
  max = (a: Operand, b: Operand): Value => this.op("Max", this.#pair(a, b), {})[0];
  min = (a: Operand, b: Operand): Value => this.op("Min", this.#pair(a, b), {})[0];
  equal = (a: Operand, b: Operand): Value => this.op("Equal", this.#pair(a, b), {})[0];
  less = (a: Operand, b: Operand): Value => this.op("Less", this.#pair(a, b), {})[0];
  lessOrEqual = (a: Operand, b: Operand): Value => this.op("LessOrEqual", this.#pair(a, b), {})[0];
  greater = (a: Operand, b: Operand): Value => this.op("Greater", this.#pair(a, b), {})[0];
  greaterOrEqual = (a: Operand, b: Operand): Value => this.op("GreaterOrEqual", this.#pair(a, b), {})[0];
  and = (a: Value, b: Value): Value => this.op("And", [a, b], {})[0];
  or = (a: Value, b: Value): Value => this.op("Or", [a, b], {})[0];
  not = (x: Value): Value => this.op("Not", [x], {})[0];
  neg = (x: Value): Value => this.op("Neg", [x], {})[0];
  abs = (x: Value): Value => this.op("Abs", [x], {})[0];
  sign = (x: Value): Value => this.op("Sign", [x], {})[0];
  exp = (x: Value): Value => this.op("Exp", [x], {})[0];
  log = (x: Value): Value => this.op("Log", [x], {})[0];
  sqrt = (x: Value): Value => this.op("Sqrt", [x], {})[0];
  reciprocal = (x: Value): Value => this.op("Reciprocal", [x], {})[0];
  sin = (x: Value): Value => this.op("Sin", [x], {})[0];
  cos = (x: Value): Value => this.op("Cos", [x], {})[0];
  tanh = (x: Value): Value => this.op("Tanh", [x], {})[0];
  sigmoid = (x: Value): Value => this.op("Sigmoid", [x], {})[0];
  relu = (x: Value): Value => this.op("Relu", [x], {})[0];
  erf = (x: Value): Value => this.op("Erf", [x], {})[0];
  softplus = (x: Value): Value => this.op("Softplus", [x], {})[0];
  gelu = (x: Value, approximate = false): Value => this.op("Gelu", [x], { approximate })[0];
  square = (x: Value): Value => this.mul(x, x);
  stopGradient = (x: Value): Value => this.op("StopGradient", [x], {})[0];
  where = (condition: Value, a: Operand, b: Operand): Value => this.op("Where", [condition, ...this.#pair(a, b)], {})[0];
  cast = (x: Value, to: DType): Value => x.dtype === to ? x : this.op("Cast", [x], { to })[0];
  matmul = (a: Value, b: Value, attributes: OpAttributes["MatMul"] = {}): Value => this.op("MatMul", [a, b], attributes)[0];
  reshape = (x: Value, shape: Shape): Value => sameShape(x.shape, shape) ? x : this.op("Reshape", [x], { shape })[0];
  transpose = (x: Value, perm: readonly number[]): Value => perm.every((p, i) => p === i) ? x : this.op("Transpose", [x], { perm })[0];
  expand = (x: Value, shape: Shape): Value => sameShape(x.shape, shape) ? x : this.op("Expand", [x], { shape })[0];
  concat = (xs: readonly Value[], axis: number): Value => this.op("Concat", xs, { axis })[0];
  slice = (x: Value, axis: number, start: number, end: number | null): Value => this.op("Slice", [x], { axis, start, end })[0];
  squeeze = (x: Value, axes: readonly number[]): Value => this.op("Squeeze", [x], { axes })[0];
  unsqueeze = (x: Value, axes: readonly number[]): Value => this.op("Unsqueeze", [x], { axes })[0];
  sum = (x: Value, axes: readonly number[] = x.shape.map((_, i) => i), keepDims = false): Value =>
    this.op("ReduceSum", [x], { axes, keepDims })[0];
  mean = (x: Value, axes: readonly number[] = x.shape.map((_, i) => i), keepDims = false): Value =>
    this.op("ReduceMean", [x], { axes, keepDims })[0];
  reduceMax = (x: Value, axes: readonly number[] = x.shape.map((_, i) => i), keepDims = false): Value =>
    this.op("ReduceMax", [x], { axes, keepDims })[0];
  softmax = (x: Value, axis = -1): Value => this.op("Softmax", [x], { axis })[0];
  logSoftmax = (x: Value, axis = -1): Value => this.op("LogSoftmax", [x], { axis })[0];
  gather = (data: Value, indices: Value, axis = 0): Value => this.op("Gather", [data, indices], { axis })[0];
  gatherElements = (data: Value, indices: Value, axis: number): Value => this.op("GatherElements", [data, indices], { axis })[0];
  argMax = (x: Value, axis = -1, keepDims = false): Value => this.op("ArgMax", [x], { axis, keepDims })[0];

  /** A value summed and reshaped down to `shape`: the gradient of broadcasting. */
  reduceTo(x: Value, shape: Shape): Value {
    if (sameShape(x.shape, shape)) return x;
    const lead = x.shape.length - shape.length;
    const axes = x.shape.flatMap((dim, i) => i < lead || (shape[i - lead] === 1 && dim !== 1) ? [i] : []);
    if (axes.length === lead && sameShape(x.shape.slice(lead), shape)) return this.sum(x, axes);
    const summed = axes.length > 0 ? this.sum(x, axes, true) : x;
    const kept = summed.shape.slice(lead);
    if (!sameShape(kept, shape)) {
      throw new OnnxHubError("internal/reduce-to", `${formatShape(x.shape)} is no broadcast of ${formatShape(shape)}`, {
        path: this.#scope,
      });
    }
    return lead > 0 ? this.squeeze(summed, Array.from({ length: lead }, (_, i) => i)) : summed;
  }
}
