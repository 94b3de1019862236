/** One step of an optimizer, which takes the gradients one by one as they arrive. */

import { OnnxHubError } from "../../errors.ts";
import type { Heap } from "../backend.ts";
import { type Gradient, wholeGradient } from "../gradient.ts";
import { Kernel } from "./kernel.ts";
import type { OnnxUpdates } from "./onnx_updates.ts";
import type { PreparedWeight } from "./prepared_weight.ts";
import type { KernelThreads } from "./threads.ts";

/** A step that has begun: every weight takes its gradient in any order, then the step is finished. */
export interface OptimizerStep {
  /**
   * Updates one weight and its slots by its gradient; while gradients accumulate it only adds it up. The gradient is not changed, and not
   * kept once the promise resolves; one in terms is put together part by part where the update works element by element. Throws "optimizer/gradient" for an unknown path, for a gradient of another size and for a second one
   * of the same weight, before anything changes; "optimizer/step" once the step is over.
   */
  update(path: string, gradient: Float32Array | Gradient): Promise<void>;
  /**
   * Averages the weights, and counts the batch. A weight that had no gradient stays as it is, with a warning the first time. Throws
   * "optimizer/gradient" where there was none at all, "optimizer/step" while an update goes on.
   */
  finish(): Promise<void>;
}

/** What a step works on, and what happens at its end. */
export interface StepContext {
  readonly entries: ReadonlyMap<string, PreparedWeight>;
  readonly data: (path: string) => Float32Array;
  readonly onnx: OnnxUpdates;
  /** The threads that share the work on large weights, started when first needed. */
  readonly threads: KernelThreads;
  /** A memory where weights and gradients may be, too. */
  readonly heap: Heap | null;
  /** The step's scalars; null while gradients are only added up. */
  readonly scalars: Readonly<Record<string, number>> | null;
  /** Throws where the step can't go on: it was finished, another one began, or the optimizer is disposed of. */
  readonly check: (step: OptimizerStep) => void;
  /** Averages and counts; gets the paths that were updated. */
  readonly finished: (updated: ReadonlySet<string>) => void;
}

/** A step over prepared weights. */
export class PreparedStep implements OptimizerStep {
  readonly #context: StepContext;
  readonly #taken = new Set<string>();
  #running = 0;

  /** Changes nothing yet. */
  constructor(context: StepContext) {
    this.#context = context;
  }

  /** See {@linkcode OptimizerStep.update}. */
  async update(path: string, gradient: Float32Array | Gradient): Promise<void> {
    const { entries, data, onnx, threads, heap, scalars, check } = this.#context;
    check(this);
    checkGradient(entries, path, gradient);
    if (this.#taken.has(path)) throw new OnnxHubError("optimizer/gradient", "This weight had its gradient in this step", { path });
    this.#taken.add(path);
    const { tensors, memory, accumulate, update } = entries.get(path)!;
    const kernel = scalars === null ? accumulate! : update;
    this.#running++;
    try {
      const all = { ...tensors, w: data(path) };
      if (memory.shared) await threads.start(heap);
      if (kernel instanceof Kernel && kernel.isElementwise && !(gradient instanceof Float32Array)) {
        for await (const { offset, data: g } of gradient.parts()) {
          kernel.run({ ...slices(all, offset, g.length), g }, scalars ?? {}, memory, threads, heap);
        }
      } else {
        const g = gradient instanceof Float32Array ? gradient : await wholeGradient(gradient);
        if (kernel instanceof Kernel) kernel.run({ ...all, g }, scalars ?? {}, memory, threads, heap);
        else await onnx.run(kernel, { ...all, g }, scalars!);
      }
      if (scalars !== null) tensors.accumulated?.fill(0);
    } finally {
      this.#running--;
    }
  }

  /** See {@linkcode OptimizerStep.finish}. */
  // deno-lint-ignore require-await -- errors come out of the promise, as those of `update` do
  async finish(): Promise<void> {
    const { check, finished } = this.#context;
    check(this);
    if (this.#running > 0) {
      throw new OnnxHubError("optimizer/step", "An update of this step is still running", {
        remedy: "Await every update before finishing the step.",
      });
    }
    finished(this.#taken);
  }
}

/** The same elements of every tensor. */
function slices(tensors: Readonly<Record<string, Float32Array>>, offset: number, length: number): Record<string, Float32Array> {
  return Object.fromEntries(Object.entries(tensors).map(([name, data]) => [name, data.subarray(offset, offset + length)]));
}

/** Throws "optimizer/gradient" unless a trained weight of that path takes a gradient of that size. */
export function checkGradient(entries: ReadonlyMap<string, PreparedWeight>, path: string, { length }: { readonly length: number }): void {
  const entry = entries.get(path);
  const expected = entry?.weight.shape.reduce((a, b) => a * b, 1);
  if (length === expected) return;
  throw new OnnxHubError("optimizer/gradient", entry ? "A gradient of the wrong size" : "A gradient of a weight that isn't trained", {
    path,
    expected: entry ? `${expected} elements` : `one of ${entries.size} trained weights`,
    found: entry ? `${length}` : path,
  });
}
