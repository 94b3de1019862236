/** One pass of a kernel over tensors: tile by tile, in place where they live in the kernel's memories, else by a copy. */

import { TILE } from "../../codegen/optimizers/kernel/lower.ts";
import type { KernelMemory } from "./kernel_memory.ts";

/** A pass as its module exports it: see `KernelCode`. */
export type PassFunction = (count: number, scalars: number, sums: number, ...tensors: readonly number[]) => void;

/** A tensor of a pass. */
export interface SweepTensor {
  /** In the memory or the heap, or null where it has to be copied. */
  readonly address: number | null;
  /** The tile of its copy. */
  readonly tile: number;
  readonly array: Float32Array;
  readonly loaded: boolean;
  readonly stored: boolean;
}

/** A pass with all that it works on. */
export interface Sweep {
  readonly run: PassFunction;
  readonly memory: KernelMemory;
  /** All tensors of the kernel, in order; null for those that the pass doesn't need. */
  readonly tensors: readonly (SweepTensor | null)[];
  /** Elements. */
  readonly length: number;
  /** The number of sums. */
  readonly sums: number;
}

/** Where the scalars of the pass are: at the memory's beginning. */
export const SCALARS = 0;

/** The elements of a tile, or of so many from that one on. */
export function tileLength({ length }: Sweep, tile: number, tiles = 1): number {
  return Math.min(tiles * TILE, length - tile * TILE);
}

/** Copies a tile of a tensor into the memory. */
export function copyIn(sweep: Sweep, array: Float32Array, tile: number, address: number): void {
  const count = tileLength(sweep, tile);
  sweep.memory.floats.set(count === sweep.length ? array : array.subarray(tile * TILE, tile * TILE + count), address / 4);
}

/** Computes one tile on this thread, its sums under the number that is given; or several, of a sweep without sums and copies. */
export function runTile(sweep: Sweep, tile: number, sums: number, tiles = 1): void {
  const { run, memory, tensors } = sweep;
  const count = tileLength(sweep, tile, tiles);
  const addresses = tensors.map((tensor) => {
    if (tensor === null) return 0;
    if (tensor.address !== null) return tensor.address + tile * TILE * 4;
    if (tensor.loaded) copyIn(sweep, tensor.array, tile, tensor.tile);
    return tensor.tile;
  });
  run(count, SCALARS, memory.sums(sums), ...addresses);
  for (const tensor of tensors) {
    if (tensor?.stored && tensor.address === null) {
      tensor.array.set(memory.floats.subarray(tensor.tile / 4, tensor.tile / 4 + count), tile * TILE);
    }
  }
}

/** Computes all tiles on this thread, and returns the sums. */
export function sweepAlone(sweep: Sweep): number[] {
  const totals: number[] = Array(sweep.sums).fill(0);
  for (let tile = 0; tile * TILE < sweep.length; tile++) {
    runTile(sweep, tile, 0);
    for (let i = 0; i < totals.length; i++) totals[i] += sweep.memory.sum(0, i);
  }
  return totals;
}
