/** Runs a kernel over typed arrays: scalars in float32 once a call, tensors pass by pass. */

import { sameShape } from "../../codegen/ir/dims.ts";
import type { Graph, Node, Shape, Value } from "../../codegen/ir/types.ts";
import { ops } from "../../codegen/ops/index.ts";
import type { ReferenceTensor } from "../../codegen/ops/rule.ts";
import { type KernelCode, lowerKernel } from "../../codegen/optimizers/kernel/lower.ts";
import { type KernelPlan, type Pass, planKernel } from "../../codegen/optimizers/kernel/plan.ts";
import type { Heap } from "../backend.ts";
import { type KernelMemory, MOST_SUMS, MOST_TENSORS, stagingMemory } from "./kernel_memory.ts";
import { type PassFunction, type Sweep, sweepAlone } from "./sweep.ts";
import type { KernelThreads } from "./threads.ts";

/** Kernels by what they compute, so that weights of the same kind share one; null for what is no kernel. */
export type KernelCache = Map<string, Kernel | null>;

/** An expression over tensors of one shape, compiled for the CPU. It serves tensors of any length. */
export class Kernel {
  readonly #plan: KernelPlan;
  readonly #code: KernelCode;
  readonly #instances = new Map<KernelMemory, Map<string, readonly PassFunction[]>>();
  #lastScalars: readonly number[] | null = null;
  /** The scalars that need no sum, as of the last run's scalar inputs. */
  #known: ReadonlyMap<number, number> = new Map();

  private constructor(plan: KernelPlan) {
    this.#plan = plan;
    this.#code = lowerKernel(plan);
  }

  /** Compiles a graph, or returns null where it needs more than elementwise ops and whole sums. */
  static compile(graph: Graph, shape: readonly number[], cache: KernelCache = new Map()): Kernel | null {
    const key = kernelKey(graph, shape);
    const known = cache.get(key);
    if (known !== undefined) return known;
    const plan = planKernel(graph, shape);
    const fits = plan && plan.tensors.length <= MOST_TENSORS && plan.passes.every(({ sums }) => sums.length <= MOST_SUMS);
    const kernel = fits ? new Kernel(plan) : null;
    cache.set(key, kernel);
    return kernel;
  }

  /** Whether every element is computed from those at its own place and from scalars: then parts can be computed one by one. */
  get isElementwise(): boolean {
    return this.#plan.passes.length === 1 && this.#plan.passes[0].sums.length === 0;
  }

  /**
   * Computes the graph. The tensors, all of one length, are changed in place: the output `next_x` is written to `x`. Those that live in
   * `memory` or in `heap` are worked on there, the others tile by tile through copies in `memory`; large ones by all threads. Returns the scalar
   * outputs, the same bits however many threads there are.
   */
  run(
    tensors: Readonly<Record<string, Float32Array>>,
    scalars: Readonly<Record<string, number>>,
    memory: KernelMemory = stagingMemory(),
    threads: KernelThreads | null = null,
    heap: Heap | null = null,
  ): Record<string, number> {
    const plan = this.#plan;
    const known = new Map(this.#withoutSums(scalars));
    const length = plan.tensors.length > 0 ? tensors[plan.tensors[0].name].length : 0;
    const inHeap = new Set(heap ? plan.tensors.flatMap(({ name }) => heap.holds(tensors[name]) ? [name] : []) : []);
    const passes = this.passes(memory, inHeap, heap);
    plan.passes.forEach((pass, index) => {
      setScalars(memory, pass, known);
      const sweep: Sweep = {
        run: passes[index],
        memory,
        tensors: plan.tensors.map((tensor, i) => {
          const loaded = pass.loads.includes(tensor);
          const stored = pass.stores.includes(tensor);
          if (!loaded && !stored) return null;
          const array = tensors[tensor.name];
          const isThere = inHeap.has(tensor.name) || memory.holds(array);
          return { address: isThere ? array.byteOffset : null, tile: memory.tile(i), array, loaded, stored };
        }),
        length,
        sums: pass.sums.length,
      };
      const totals = threads?.takes(sweep) ? threads.sweep(sweep) : sweepAlone(sweep);
      pass.sums.forEach(({ node, mean }, i) => known.set(node.outputs[0].id, Math.fround(mean ? totals[i] / length : totals[i])));
      for (const node of plan.scalarNodes[index + 1]) known.set(node.outputs[0].id, evaluateScalar(node, known));
    });
    return Object.fromEntries(plan.scalarOutputs.map(({ name, value }) => [name, known.get(value.id)!]));
  }

  /** Whether its module needs no function of this thread. */
  get isSelfContained(): boolean {
    return Object.keys(this.#code.lane).length === 0;
  }

  /** The module, over a shared memory or another; the tensors named in `inHeap` are in a heap. */
  module(shared: boolean, inHeap?: ReadonlySet<string>): Uint8Array<ArrayBuffer> {
    return this.#code.wasm(shared, inHeap);
  }

  /** Which of the tensors `candidates` may be in a heap: every combination of those that the kernel has. */
  combinations(candidates: readonly string[]): ReadonlySet<string>[] {
    const own = candidates.filter((name) => this.#plan.tensors.some((tensor) => tensor.name === name));
    return own.reduce<Set<string>[]>((sets, name) => [...sets, ...sets.map((set) => new Set([...set, name]))], [new Set()]);
  }

  /** The number of passes. */
  get passCount(): number {
    return this.#plan.passes.length;
  }

  /** The functions of the passes over a memory, and over a heap where tensors named in `inHeap` are. */
  passes(memory: KernelMemory, inHeap: ReadonlySet<string> = new Set(), heap: Heap | null = null): readonly PassFunction[] {
    let instances = this.#instances.get(memory);
    if (!instances) this.#instances.set(memory, instances = new Map());
    const key = [...inHeap].sort().join();
    let passes = instances.get(key);
    if (!passes) {
      const { lane } = this.#code;
      const module = new WebAssembly.Module(this.module(memory.shared, inHeap));
      const kernel: Record<string, WebAssembly.Memory> = { memory: memory.memory };
      if (heap && inHeap.size > 0) kernel.heap = heap.memory;
      const { exports } = new WebAssembly.Instance(module, { lane, kernel });
      passes = this.#plan.passes.map((_, i) => exports[`pass${i}`] as PassFunction);
      instances.set(key, passes);
    }
    return passes;
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
}

function setScalars({ scalars, conditions }: KernelMemory, pass: Pass, known: ReadonlyMap<number, number>): void {
  pass.scalars.forEach((value: Value, i) => {
    if (value.dtype === "bool") conditions[i] = known.get(value.id) ? -1 : 0;
    else scalars[i] = known.get(value.id)!;
  });
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
