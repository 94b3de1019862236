/** How far outputs are from what they should be: the numbers that tell whether a quantized model will do. */

import { OnnxHubError } from "../errors.ts";
import type { Tensor } from "./tensor.ts";

/** How an output differs from the exact one. */
export interface OutputChange {
  /** The greatest difference of two elements, as a magnitude. */
  readonly greatest: number;
  /** The mean magnitude of the differences. */
  readonly mean: number;
  /** How many vectors along the last axis there are. */
  readonly rows: number;
  /** In how many of them the greatest element is the same one: of logits, the best class. */
  readonly sameBest: number;
  /** How many elements were compared. */
  readonly elements: number;
}

/**
 * Compares an output [..., width] with the exact one; of `places` only the vectors with these indices, counted through all leading axes.
 *
 * Throws "data/shape" for two shapes.
 */
export function outputChange(exact: Tensor, found: Tensor, places?: readonly number[]): OutputChange {
  if (exact.shape.join() !== found.shape.join()) {
    throw new OnnxHubError("data/shape", "These outputs can't be compared", {
      expected: `[${exact.shape.join(", ")}]`,
      found: `[${found.shape.join(", ")}]`,
    });
  }
  const width = exact.shape.at(-1) ?? 1;
  const rows = places ?? Array.from({ length: width === 0 ? 0 : exact.data.length / width }, (_, i) => i);
  let [greatest, sum, sameBest] = [0, 0, 0];
  for (const row of rows) {
    const from = row * width;
    let [best, ours] = [from, from];
    for (let at = from; at < from + width; at++) {
      const difference = Math.abs(exact.data[at] - found.data[at]);
      if (!(difference <= greatest)) greatest = difference;
      sum += difference;
      if (exact.data[at] > exact.data[best]) best = at;
      if (found.data[at] > found.data[ours]) ours = at;
    }
    if (best === ours) sameBest++;
  }
  const elements = rows.length * width;
  return { greatest, mean: elements === 0 ? 0 : sum / elements, rows: rows.length, sameBest, elements };
}

/** Several changes as one. */
export function totalChange(changes: readonly OutputChange[]): OutputChange {
  const sum = (of: (change: OutputChange) => number): number => changes.reduce((total, change) => total + of(change), 0);
  const elements = sum((change) => change.elements);
  return {
    greatest: changes.reduce((most, { greatest }) => greatest <= most ? most : greatest, 0),
    mean: elements === 0 ? 0 : sum(({ mean, elements }) => mean * elements) / elements,
    rows: sum(({ rows }) => rows),
    sameBest: sum(({ sameBest }) => sameBest),
    elements,
  };
}
