/** Medians, spreads and ratios of what was measured. */

/** The middle of several numbers, their least and their greatest. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** The middle value; the mean of the two in the middle where their number is even. Throws a RangeError for none. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError("no values, no median");
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Median, least and greatest. */
export function spreadOf(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/**
 * How many times as long the others took as ours, round by round: what slows a machine for a while slows both, and cancels.
 *
 * Rounds that only one of the two has don't count; null where they share none.
 */
export function pairedRatios(theirs: ReadonlyMap<number, number>, ours: ReadonlyMap<number, number>): Spread | null {
  const ratios = [...theirs].flatMap(([round, seconds]) => ours.has(round) ? [seconds / ours.get(round)!] : []);
  return ratios.length === 0 ? null : spreadOf(ratios);
}
