/** Turns a kernel's passes into WebAssembly: one function a pass, four elements at a time. */

import { ops } from "../../ops/index.ts";
import type { Node, OpName, Value } from "../../ir/types.ts";
import type { KernelPlan, Pass } from "./plan.ts";
import {
  encodeModule,
  float32Bits,
  FunctionBody,
  type ImportedFunction,
  IN_HEAP,
  op,
  type SimdName,
  unsigned,
  wasmType,
} from "../../wasm/assembler.ts";

/** Elements of a tensor that are worked on at a time: few enough that all tensors of a rule stay in the second-level cache. */
export const TILE = 8192;

/** The parameters of a pass before the addresses of its tensors: how many elements, where its scalars are, where its sums go. */
const PARAMETERS = { count: 0, scalars: 1, sums: 2, tensors: 3 } as const;

/** A function of one element that WebAssembly lacks. */
export type LaneFunction = (...x: number[]) => number;

/**
 * A kernel ready to be instantiated. Its exports are `pass0`, `pass1`, …, each over at most {@linkcode TILE} elements where it sums. Their
 * parameters: the number of elements, 1 at least; the byte address of the pass's scalars, 4 bytes each; the byte address that its sums are
 * written to, 8 bytes each; the byte address of each of the plan's tensors, used or not. Tensors are read and written in whole vectors of 16
 * bytes.
 */
export interface KernelCode {
  /**
   * Imports its memory as `kernel.memory`: a shared one, or not. Tensors named in `inHeap` are in another memory, which it imports as `kernel.heap`, a
   * shared one; without such there is no other.
   */
  readonly wasm: (shared: boolean, inHeap?: ReadonlySet<string>) => Uint8Array<ArrayBuffer>;
  /** What the module imports as `lane.…`. */
  readonly lane: Readonly<Record<string, LaneFunction>>;
}

const binary: { readonly [K in OpName]?: SimdName } = {
  Add: "f32x4Add",
  Sub: "f32x4Sub",
  Mul: "f32x4Mul",
  Div: "f32x4Div",
  Max: "f32x4Max",
  Min: "f32x4Min",
  Less: "f32x4Lt",
  LessOrEqual: "f32x4Le",
  Greater: "f32x4Gt",
  GreaterOrEqual: "f32x4Ge",
  And: "v128And",
  Or: "v128Or",
};

const unary: { readonly [K in OpName]?: SimdName } = {
  Neg: "f32x4Neg",
  Abs: "f32x4Abs",
  Sqrt: "f32x4Sqrt",
  Floor: "f32x4Floor",
  Ceil: "f32x4Ceil",
  Round: "f32x4Nearest",
  Not: "v128Not",
};

/** Where a pass keeps its values while it is written. */
class PassWriter {
  readonly #body: FunctionBody;
  readonly #locals = new Map<number, number>();
  readonly #lane: Map<string, LaneFunction>;

  constructor(lane: Map<string, LaneFunction>, tensors: number) {
    this.#lane = lane;
    this.#body = new FunctionBody(PARAMETERS.tensors + tensors);
  }

  #push(value: Value): FunctionBody {
    return this.#body.get(this.#locals.get(value.id)!);
  }

  #constant(value: number): FunctionBody {
    return this.#body.fourOf(float32Bits(value));
  }

  /** Pops the vector on the stack into a value's local. */
  #keep(value: Value): void {
    const local = this.#body.local(wasmType.v128);
    this.#locals.set(value.id, local);
    this.#body.set(local);
  }

  #node(node: Node): void {
    const { inputs: [x, y, z], outputs: [result] } = node;
    if (node.op === "Pow") this.#power(node, x, y);
    else if (node.op === "Equal") this.#push(x), this.#push(y).vector("f32x4Eq");
    else if (binary[node.op]) this.#push(x), this.#push(y).vector(binary[node.op]!);
    else if (unary[node.op]) this.#push(x).vector(unary[node.op]!);
    else if (node.op === "StopGradient" || (node.op === "Cast" && node.attributes.to === x.dtype)) this.#push(x);
    else if (node.op === "Cast" && x.dtype === "bool" && node.attributes.to === "float32") {
      this.#constant(1), this.#push(x).vector("v128And");
    } else if (node.op === "Where") this.#push(y), this.#push(z), this.#push(x).vector("v128Bitselect");
    else if (node.op === "Reciprocal") this.#constant(1), this.#push(x).vector("f32x4Div");
    else if (node.op === "Relu") this.#push(x), this.#constant(0).vector("f32x4Max");
    else if (node.op === "Sign") this.#sign(x);
    else this.#lanes(node, [x, y].filter((value) => value !== undefined));
    this.#keep(result);
  }

  /** 1 where x > 0, -1 where x < 0, else x itself: zeros and NaN. */
  #sign(x: Value): void {
    this.#constant(1);
    this.#constant(-1);
    this.#push(x);
    this.#push(x), this.#constant(0).vector("f32x4Lt");
    this.#body.vector("v128Bitselect");
    this.#push(x), this.#constant(0).vector("f32x4Gt");
    this.#body.vector("v128Bitselect");
  }

  #power(node: Node, x: Value, y: Value): void {
    const exponent = y.producer?.op === "Constant" ? y.producer.attributes.data[0] : null;
    if (exponent === 0) this.#constant(1);
    else if (exponent === 1) this.#push(x);
    else if (exponent === 2) this.#push(x), this.#push(x).vector("f32x4Mul");
    else if (exponent === 0.5) this.#push(x).vector("f32x4Sqrt");
    else if (exponent === -0.5) this.#constant(1), this.#push(x).vector("f32x4Sqrt").vector("f32x4Div");
    else if (exponent === -1) this.#constant(1), this.#push(x).vector("f32x4Div");
    else this.#lanes(node, [x, y]);
  }

  /** One element after another, through a function from outside. */
  #lanes(node: Node, inputs: readonly Value[]): void {
    const name = node.op === "Gelu" && node.attributes.approximate ? "GeluTanh" : node.op;
    if (!this.#lane.has(name)) this.#lane.set(name, laneFunction(node));
    const index = [...this.#lane.keys()].indexOf(name);
    this.#constant(0);
    for (let lane = 0; lane < 4; lane++) {
      for (const input of inputs) this.#push(input).vector("f32x4ExtractLane", lane).emit(op.f64PromoteF32);
      this.#body.emit(op.call, ...unsigned(index), op.f32DemoteF64).vector("f32x4ReplaceLane", lane);
    }
  }

  /** Adds a value's four elements, masked to those that exist, to two float64 accumulators. */
  #accumulate(value: Value, mask: number, low: number, high: number): void {
    const body = this.#body;
    const masked = body.local(wasmType.v128);
    this.#push(value).get(mask).vector("v128And").set(masked);
    body.get(low).get(masked).vector("f64x2PromoteLowF32x4").vector("f64x2Add").set(low);
    body.get(high).get(masked).get(masked).vector("i8x16Shuffle", ...Array.from({ length: 16 }, (_, i) => (i + 8) % 16));
    body.vector("f64x2PromoteLowF32x4").vector("f64x2Add").set(high);
  }

  /** The pass's function; the tensors named in `inHeap` are in the second memory. */
  write(plan: KernelPlan, pass: Pass, inHeap: ReadonlySet<string>): FunctionBody {
    const body = this.#body;
    const { count, scalars, sums: results, tensors } = PARAMETERS;
    const offset = body.local(wasmType.i32);
    const address = (name: string): FunctionBody =>
      body.get(tensors + plan.tensors.findIndex((tensor) => tensor.name === name)).get(offset).emit(op.i32Add);
    const place = (name: string): readonly number[] => inHeap.has(name) ? IN_HEAP : [2, 0];
    pass.scalars.forEach((value, i) => {
      body.get(scalars).vector("v128Load32Splat", 2, ...unsigned(4 * i));
      this.#keep(value);
    });
    const sums = pass.sums.map(({ node }) => ({ value: node.inputs[0], low: body.local(wasmType.v128), high: body.local(wasmType.v128) }));
    body.emit(op.loop, 0x40);
    for (const { name, input } of pass.loads) {
      address(name).vector("v128Load", ...place(name));
      this.#keep(input!);
    }
    for (const node of pass.nodes) this.#node(node);
    if (sums.length > 0) {
      const mask = body.local(wasmType.v128);
      body.get(offset).vector("i32x4Splat").vector("v128Const", 0, 0, 0, 0, 4, 0, 0, 0, 8, 0, 0, 0, 12, 0, 0, 0).vector("i32x4Add");
      body.get(count).i32(2).emit(op.i32Shl).vector("i32x4Splat").vector("i32x4LtS").set(mask);
      for (const { value, low, high } of sums) this.#accumulate(value, mask, low, high);
    }
    for (const { name, output } of pass.stores) {
      address(name);
      this.#push(output!).vector("v128Store", ...place(name));
    }
    body.get(offset).i32(16).emit(op.i32Add).set(offset);
    body.get(offset).get(count).i32(2).emit(op.i32Shl, op.i32LtU, op.br_if, 0, op.end);
    sums.forEach(({ low, high }, i) => {
      body.get(results).get(low).get(high).vector("f64x2Add").set(low);
      body.get(low).vector("f64x2ExtractLane", 0).get(low).vector("f64x2ExtractLane", 1).emit(op.f64Add);
      body.emit(op.f64Store, 3, ...unsigned(8 * i));
    });
    return body;
  }
}

/** One element through the op's own reference. */
function laneFunction(node: Node): LaneFunction {
  if (node.op === "Pow") return Math.pow;
  const rule = ops[node.op] as { evaluate(...of: unknown[]): { data: Float64Array }[] };
  const types = node.outputs.map(({ dtype }) => ({ dtype, shape: [] }));
  return (...x) => rule.evaluate(x.map((value) => ({ shape: [], data: Float64Array.of(value) })), node.attributes, types)[0].data[0];
}

/** The module of a plan. */
export function lowerKernel(plan: KernelPlan): KernelCode {
  const lane = new Map<string, LaneFunction>();
  const functions = (inHeap: ReadonlySet<string>) =>
    plan.passes.map((pass, i) => ({ name: `pass${i}`, body: new PassWriter(lane, plan.tensors.length).write(plan, pass, inHeap) }));
  const outside = functions(new Set());
  const imports: ImportedFunction[] = [...lane].map(([name]) => ({ name, parameters: name === "Pow" ? 2 : 1 }));
  return {
    wasm: (shared, inHeap = new Set()) => {
      const usesHeap = inHeap.size > 0;
      return encodeModule(imports, usesHeap ? functions(inHeap) : outside, shared, usesHeap);
    },
    lane: Object.fromEntries(lane),
  };
}
