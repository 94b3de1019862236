/** Where weights and their slots live: large ones together in memories that kernels work in. */

import type { StepSettings } from "../../codegen/optimizers/step.ts";
import type { Slot } from "../../codegen/optimizers/types.ts";
import type { Heap } from "../backend.ts";
import { KernelMemory } from "./kernel_memory.ts";

/** The fewest elements of a weight that are worth a place in such a memory: below, copying a few tiles costs less than a call. */
export const LEAST_PLACED = 65536;

/** A tensor that an optimizer keeps for a weight. */
export interface KeptTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly initial: number;
}

/** A weight with what is kept for it. */
export interface PlacedWeight {
  readonly path: string;
  readonly shape: readonly number[];
  readonly kept: readonly KeptTensor[];
}

/** Everything that is kept for a weight: its slots, then the sum of its gradients and its average where there are such. */
export function keptTensors(settings: StepSettings, shape: readonly number[], slots: readonly Slot[]): KeptTensor[] {
  const kept: KeptTensor[] = [...slots];
  if (settings.gradientAccumulationSteps !== null) kept.push({ name: "accumulated", shape, initial: 0 });
  if (settings.useEma) kept.push({ name: "average", shape, initial: 0 });
  return kept;
}

/** The elements of a shape. */
export function elements(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

/**
 * A memory for each large weight, shared by as many as fit: with room for what is kept and, if `moves`, for the weight itself. A weight that
 * gets none, as one too large for 4 GiB, is worked on by copies.
 */
export function placeWeights(weights: readonly PlacedWeight[], moves: boolean, workers: number): Map<string, KernelMemory> {
  const groups: { paths: string[]; tensors: number[] }[] = [];
  for (const { path, shape, kept } of weights) {
    if (elements(shape) < LEAST_PLACED) continue;
    const tensors = [...moves ? [shape] : [], ...kept.map((tensor) => tensor.shape)].map(elements);
    const last = groups.at(-1);
    if (last && KernelMemory.bytes({ tensors: [...last.tensors, ...tensors], workers }) <= KernelMemory.mostBytes) {
      last.paths.push(path);
      last.tensors.push(...tensors);
    } else groups.push({ paths: [path], tensors });
  }
  const placed = new Map<string, KernelMemory>();
  for (const { paths, tensors } of groups) {
    const memory = KernelMemory.create({ tensors, workers });
    if (memory) { for (const path of paths) placed.set(path, memory); }
  }
  return placed;
}

/** Lets a weight be found in a copy of its values, in place of `from`; does nothing where it isn't there any more. */
export type MoveWeight = (path: string, from: Float32Array, copy: () => Float32Array) => void;

type Homes = ReadonlyMap<string, { readonly home: Float32Array | null }>;

/** Moves the weights that have a home there, but for those that a heap holds. */
export function moveIn(homes: Homes, data: (path: string) => Float32Array, move: MoveWeight, heap: Heap | null): void {
  for (const [path, { home }] of homes) {
    if (!home) continue;
    const from = data(path);
    if (from === home || heap?.holds(from)) continue;
    move(path, from, () => {
      home.set(from);
      return home;
    });
  }
}

/** Moves those that are still at home to arrays of their own. */
export function moveOut(homes: Homes, move: MoveWeight): void {
  for (const [path, { home }] of homes) if (home) move(path, home, () => home.slice());
}
