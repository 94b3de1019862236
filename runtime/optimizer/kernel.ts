/** Runs a kernel over typed arrays: scalars in float32 once a call, tensors tile by tile through a small WebAssembly memory. */

import type { Graph, Node, Value } from "../../codegen/ir/types.ts";
import { ops } from "../../codegen/ops/index.ts";
import type { ReferenceTensor } from "../../codegen/ops/rule.ts";
import { type KernelCode, layout, lowerKernel, TILE } from "../../codegen/optimizers/kernel/lower.ts";
import { type KernelPlan, type Pass, planKernel } from "../../codegen/optimizers/kernel/plan.ts";

/** A compiled module with the views of its memory. */
export interface KernelInstance {
  readonly run: readonly ((count: number) => void)[];
  readonly floats: Float32Array;
  readonly scalars: Float32Array;
  readonly conditions: Int32Array;
  readonly sums: Float64Array;
}

/** An expression over tensors of one shape, compiled for the CPU. */
export class Kernel {
  readonly #plan: KernelPlan;
  readonly #instance: KernelInstance;

  private constructor(plan: KernelPlan, instance: KernelInstance) {
    this.#plan = plan;
    this.#instance = instance;
  }

  /** Compiles a graph, or returns null where it needs more than elementwise ops and whole sums; equal modules are compiled once. */
  static compile(graph: Graph, shape: readonly number[], modules: Map<string, KernelInstance> = new Map()): Kernel | null {
    const plan = planKernel(graph, shape);
    if (plan === null) return null;
    const code = lowerKernel(plan);
    const key = code.wasm.join();
    const instance = modules.get(key) ?? instantiate(code, plan.passes.length);
    modules.set(key, instance);
    return new Kernel(plan, instance);
  }

  /**
   * Computes the graph. The tensors, all of one length, are changed in place: the output `next_x` is written to `x`.
   * Returns the scalar outputs.
   */
  run(tensors: Readonly<Record<string, Float32Array>>, scalars: Readonly<Record<string, number>>): Record<string, number> {
    const plan = this.#plan;
    const known = new Map<number, number>();
    for (const { id, name } of plan.scalarInputs) known.set(id, Math.fround(scalars[name]));
    const length = plan.tensors.length > 0 ? tensors[plan.tensors[0].name].length : 0;
    plan.passes.forEach((pass, index) => {
      for (const node of plan.scalarNodes[index]) known.set(node.outputs[0].id, evaluateScalar(node, known));
      this.#sweep(pass, this.#instance.run[index], tensors, length, known);
    });
    for (const node of plan.scalarNodes[plan.passes.length]) known.set(node.outputs[0].id, evaluateScalar(node, known));
    return Object.fromEntries(plan.scalarOutputs.map(({ name, value }) => [name, known.get(value.id)!]));
  }

  #sweep(
    pass: Pass,
    run: (count: number) => void,
    tensors: Readonly<Record<string, Float32Array>>,
    length: number,
    known: Map<number, number>,
  ): void {
    const { floats, scalars, conditions, sums } = this.#instance;
    pass.scalars.forEach((value: Value, i) => {
      if (value.dtype === "bool") conditions[i] = known.get(value.id) ? -1 : 0;
      else scalars[i] = known.get(value.id)!;
    });
    const place = ({ name }: { readonly name: string }) => ({
      data: tensors[name],
      at: (layout.tiles + layout.tileStride * this.#plan.tensors.findIndex((tensor) => tensor.name === name)) / 4,
    });
    const loads = pass.loads.map(place);
    const stores = pass.stores.map(place);
    const totals = pass.sums.map(() => 0);
    for (let start = 0; start < length; start += TILE) {
      const count = Math.min(TILE, length - start);
      for (const { data, at } of loads) floats.set(count === length ? data : data.subarray(start, start + count), at);
      run(count);
      for (const { data, at } of stores) data.set(floats.subarray(at, at + count), start);
      for (let i = 0; i < totals.length; i++) totals[i] += sums[i];
    }
    pass.sums.forEach(({ node, mean }, i) => known.set(node.outputs[0].id, Math.fround(mean ? totals[i] / length : totals[i])));
  }
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
