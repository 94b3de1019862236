/** Runs a kernel over typed arrays: scalars in float32 once a call, tensors tile by tile through a small WebAssembly memory. */

import { sameShape } from "../../codegen/ir/dims.ts";
import type { Graph, Node, Shape, Value } from "../../codegen/ir/types.ts";
import { ops } from "../../codegen/ops/index.ts";
import type { ReferenceTensor } from "../../codegen/ops/rule.ts";
import { type KernelCode, layout, lowerKernel, TILE } from "../../codegen/optimizers/kernel/lower.ts";
import { type KernelPlan, type Pass, planKernel } from "../../codegen/optimizers/kernel/plan.ts";

/** A compiled module with the views of its memory. */
interface KernelInstance {
  readonly run: readonly ((count: number) => void)[];
  readonly floats: Float32Array;
  readonly scalars: Float32Array;
  readonly conditions: Int32Array;
  readonly sums: Float64Array;
}

/** Where a tensor's tile lies in the memory, in floats. */
interface Tile {
  readonly name: string;
  readonly at: number;
}

/** Kernels by what they compute, so that weights of the same kind share one; null for what is no kernel. */
export type KernelCache = Map<string, Kernel | null>;

/** An expression over tensors of one shape, compiled for the CPU. It serves tensors of any length. */
export class Kernel {
  readonly #plan: KernelPlan;
  readonly #instance: KernelInstance;
  readonly #passes: readonly { readonly pass: Pass; readonly loads: readonly Tile[]; readonly stores: readonly Tile[] }[];
  #lastScalars: readonly number[] | null = null;
  /** The scalars that need no sum, as of the last run's scalar inputs. */
  #known: ReadonlyMap<number, number> = new Map();

  private constructor(plan: KernelPlan) {
    this.#plan = plan;
    this.#instance = instantiate(lowerKernel(plan), plan.passes.length);
    const tiles = new Map(plan.tensors.map(({ name }, i) => [name, { name, at: (layout.tiles + layout.tileStride * i) / 4 }]));
    const place = ({ name }: { readonly name: string }): Tile => tiles.get(name)!;
    this.#passes = plan.passes.map((pass) => ({ pass, loads: pass.loads.map(place), stores: pass.stores.map(place) }));
  }

  /** Compiles a graph, or returns null where it needs more than elementwise ops and whole sums. */
  static compile(graph: Graph, shape: readonly number[], cache: KernelCache = new Map()): Kernel | null {
    const key = kernelKey(graph, shape);
    const known = cache.get(key);
    if (known !== undefined) return known;
    const plan = planKernel(graph, shape);
    const kernel = plan && new Kernel(plan);
    cache.set(key, kernel);
    return kernel;
  }

  /** Whether every element is computed from those at its own place and from scalars: then parts can be computed one by one. */
  get isElementwise(): boolean {
    return this.#plan.passes.length === 1 && this.#plan.passes[0].sums.length === 0;
  }

  /**
   * Computes the graph. The tensors, all of one length, are changed in place: the output `next_x` is written to `x`.
   * Returns the scalar outputs.
   */
  run(tensors: Readonly<Record<string, Float32Array>>, scalars: Readonly<Record<string, number>>): Record<string, number> {
    const plan = this.#plan;
    const known = new Map(this.#withoutSums(scalars));
    const length = plan.tensors.length > 0 ? tensors[plan.tensors[0].name].length : 0;
    this.#passes.forEach(({ pass, loads, stores }, index) => {
      this.#setScalars(pass, known);
      const totals = this.#sweep(index, loads, stores, tensors, length, pass.sums.length);
      pass.sums.forEach(({ node, mean }, i) => known.set(node.outputs[0].id, Math.fround(mean ? totals[i] / length : totals[i])));
      for (const node of plan.scalarNodes[index + 1]) known.set(node.outputs[0].id, evaluateScalar(node, known));
    });
    return Object.fromEntries(plan.scalarOutputs.map(({ name, value }) => [name, known.get(value.id)!]));
  }

  #withoutSums(scalars: Readonly<Record<string, number>>): ReadonlyMap<number, number> {
    const { scalarInputs, scalarNodes } = this.#plan;
    const values = scalarInputs.map(({ name }) => Math.fround(scalars[name]));
    if (this.#lastScalars?.every((value, i) => Object.is(value, values[i]))) return this.#known;
    const known = new Map(scalarInputs.map(({ id }, i) => [id, values[i]]));
    for (const node of scalarNodes[0]) known.set(node.outputs[0].id, evaluateScalar(node, known));
    this.#lastScalars = values;
    return this.#known = known;
  }

  #setScalars(pass: Pass, known: ReadonlyMap<number, number>): void {
    const { scalars, conditions } = this.#instance;
    pass.scalars.forEach((value: Value, i) => {
      if (value.dtype === "bool") conditions[i] = known.get(value.id) ? -1 : 0;
      else scalars[i] = known.get(value.id)!;
    });
  }

  #sweep(
    pass: number,
    loads: readonly Tile[],
    stores: readonly Tile[],
    tensors: Readonly<Record<string, Float32Array>>,
    length: number,
    sums: number,
  ): number[] {
    const { run, floats, sums: partial } = this.#instance;
    const totals: number[] = Array(sums).fill(0);
    for (let start = 0; start < length; start += TILE) {
      const count = Math.min(TILE, length - start);
      for (const { name, at } of loads) floats.set(count === length ? tensors[name] : tensors[name].subarray(start, start + count), at);
      run[pass](count);
      for (const { name, at } of stores) tensors[name].set(floats.subarray(at, at + count), start);
      for (let i = 0; i < sums; i++) totals[i] += partial[i];
    }
    return totals;
  }
}

/** What a graph computes, whatever the length of its tensors. */
function kernelKey(graph: Graph, shape: readonly number[]): string {
  const form = (dims: Shape): string => dims.length === 0 ? "scalar" : sameShape(dims, shape) ? "tensor" : dims.join();
  const axes = (node: Node): unknown => "axes" in node.attributes && node.attributes.axes.length === shape.length ? "all" : node.attributes;
  return JSON.stringify([
    graph.inputs.map(({ name, dtype, shape }) => [name, dtype, form(shape)]),
    graph.nodes.map((
      node,
    ) => [node.op, axes(node), node.inputs.map(({ id }) => id), node.outputs.map(({ id, shape }) => [id, form(shape)])]),
    graph.outputs.map(({ name, value }) => [name, value.id]),
  ]);
}

/** A scalar node in float32: exact in double precision, then rounded once. */
function evaluateScalar(node: Node, known: ReadonlyMap<number, number>): number {
  const rule = ops[node.op] as {
    evaluate(inputs: readonly ReferenceTensor[], attributes: unknown, outputs: readonly unknown[]): ReferenceTensor[];
  };
  const inputs = node.inputs.map(({ id }) => ({ shape: [], data: Float64Array.of(known.get(id)!) }));
  const outputs = node.outputs.map(({ dtype }) => ({ dtype, shape: [] }));
  return Math.fround(rule.evaluate(inputs, node.attributes, outputs)[0].data[0]);
}

function instantiate(code: KernelCode, passes: number): KernelInstance {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code.wasm), { lane: code.lane });
  const { buffer } = exports.memory as WebAssembly.Memory;
  return {
    run: Array.from({ length: passes }, (_, i) => exports[`pass${i}`] as (count: number) => void),
    floats: new Float32Array(buffer),
    scalars: new Float32Array(buffer, layout.scalars, layout.scalarCapacity),
    conditions: new Int32Array(buffer, layout.scalars, layout.scalarCapacity),
    sums: new Float64Array(buffer, layout.sums, (layout.tiles - layout.sums) / 8),
  };
}
