/** What an optimizer goes on from, and the check that it fits. */

import { OnnxHubError } from "../../errors.ts";
import { kerasName } from "./options.ts";

/** All that an optimizer goes on from. */
export interface OptimizerSnapshot {
  /** Batches seen: Keras' raw counter. */
  readonly batches: number;
  /** Null where the rate follows a schedule. */
  readonly learningRate: number | null;
  /** Slots, accumulators, averages (`path/momentum`) and scalars, by name. */
  readonly tensors: Readonly<Record<string, Float32Array<ArrayBuffer>>>;
}

/** What a snapshot must fit. */
export interface SnapshotTarget {
  /** Keras' class name. */
  readonly optimizer: string;
  /** The elements of each tensor, by name. */
  readonly lengths: ReadonlyMap<string, number>;
  readonly hasSchedule: boolean;
}

/** Throws "optimizer/state" for a snapshot of another optimizer, of other weights, or damaged. */
export function checkSnapshot({ batches, learningRate, tensors }: OptimizerSnapshot, target: SnapshotTarget): void {
  const { optimizer, lengths, hasSchedule } = target;
  for (const name of new Set([...lengths.keys(), ...Object.keys(tensors)])) {
    const expected = lengths.get(name);
    const found = tensors[name]?.length;
    if (expected === found) continue;
    throw new OnnxHubError("optimizer/state", `This state doesn't fit the optimizer ${kerasName(optimizer)} and its weights`, {
      path: name,
      expected: expected === undefined ? "no such tensor" : `${expected} elements`,
      found: found === undefined ? "nothing" : `${found} elements`,
    });
  }
  if (!Number.isInteger(batches) || batches < 0 || (learningRate === null) !== hasSchedule) {
    throw new OnnxHubError("optimizer/state", "This state's counters don't fit the optimizer", {
      path: learningRate === null || hasSchedule ? "learningRate" : "batches",
      expected: hasSchedule ? "a schedule, and a whole number of batches" : "a learning rate, and a whole number of batches",
      found: `learningRate ${learningRate}, batches ${batches}`,
    });
  }
}
