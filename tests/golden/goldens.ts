/** Reads the outputs, losses and weights that KerasHub itself recorded, and compares with them. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { getOptimizer, optimizers } from "../../mod.ts";

/** A recorded array, row-major. */
export interface GoldenArray {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

/** A recorded batch: its inputs by name, its labels and their weights. */
export interface GoldenBatch {
  readonly x: Readonly<Record<string, GoldenArray>>;
  readonly y: GoldenArray;
  readonly sample_weight?: GoldenArray;
}

/** An optimizer: its class, its arguments, its learning-rate schedule. */
export interface GoldenOptimizer {
  readonly c: string;
  readonly k: Readonly<Record<string, unknown>>;
  readonly s?: Omit<GoldenOptimizer, "s">;
}

/** What stands for a weight: its sum, the sum of its magnitudes, its first elements. */
export interface Digest {
  readonly sum: number;
  readonly abs_sum: number;
  readonly head: readonly number[];
}

/** A recorded training run: the logs of each batch in turn. */
export interface GoldenRun {
  /** Null: what the task takes by itself. */
  readonly optimizer: GoldenOptimizer | null;
  readonly frozen_backbone?: boolean;
  readonly steps: readonly Readonly<Record<string, number>>[];
  readonly evaluate_first_batch?: Readonly<Record<string, number>>;
  readonly final_weights?: Readonly<Record<string, Digest>>;
}

/** A `golden.json`. */
export interface Golden {
  readonly batches: readonly GoldenBatch[];
  readonly backbone_output?: GoldenArray | Readonly<Record<string, GoldenArray>>;
  readonly logits: GoldenArray;
  readonly loss?: number;
  readonly gradients?: Readonly<Record<string, GoldenArray>>;
  readonly runs: Readonly<Record<string, GoldenRun>>;
}

/** The path of a fixture. */
export function fixture(path: string): string {
  return fileURLToPath(new URL(`../fixtures/${path}`, import.meta.url));
}

/** The JSON of a fixture. */
export function readFixture<T>(path: string): T {
  return JSON.parse(readFileSync(fixture(path), "utf8")) as T;
}

/** The optimizer of a run. */
export function optimizerOf({ c, k, s }: GoldenOptimizer): optimizers.Optimizer {
  const rate = s && { learning_rate: { class_name: s.c, config: s.k } };
  return getOptimizer({ class_name: c, config: { ...k, ...rate } }, optimizers.schedules.scheduleFromConfig);
}

/** A key's bias has no gradient but rounding noise, which Adam and its like blow up: where it ends says nothing. */
export function isKeyBias(path: string): boolean {
  return path.endsWith("/key/bias");
}

/** The greatest difference of two lists; infinite where they aren't equally long, or where something is not a number. */
export function worstDifference(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (found.length !== expected.length) return Infinity;
  let worst = 0;
  for (let i = 0; i < found.length; i++) {
    const difference = Math.abs(found[i] - expected[i]);
    if (!(difference <= worst)) worst = Number.isNaN(difference) ? Infinity : difference;
  }
  return worst;
}

/** Requires shape and values, to within an absolute tolerance. */
export function assertTensor(
  found: { readonly shape: readonly number[]; readonly data: ArrayLike<number> },
  expected: GoldenArray,
  tolerance: number,
  what: string,
): void {
  assert.deepEqual([...found.shape], expected.shape, what);
  const worst = worstDifference(found.data, expected.data);
  assert.ok(worst <= tolerance, `${what}: differs by ${worst}, more than ${tolerance}`);
}

/** Requires a number, to within a relative tolerance. */
export function assertRelative(found: number, expected: number, tolerance: number, what: string): void {
  const error = Math.abs(found - expected) / Math.abs(expected);
  assert.ok(error <= tolerance, `${what}: ${found} instead of ${expected}, off by ${error} of it, more than ${tolerance}`);
}

/** Requires logs: the loss to within a relative tolerance, the metrics (shares of small counts) to float32's rounding. */
export function assertLogs(
  found: Readonly<Record<string, number>>,
  expected: Readonly<Record<string, number>>,
  tolerance: number,
  what: string,
): void {
  assert.deepEqual(Object.keys(found), Object.keys(expected), what);
  for (const [name, value] of Object.entries(expected)) {
    if (name === "loss") assertRelative(found[name], value, tolerance, `${what}: ${name}`);
    else assert.ok(Math.abs(found[name] - value) <= 1e-7, `${what}: ${name} is ${found[name]} instead of ${value}`);
  }
}
