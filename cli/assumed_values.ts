/** Small values for what a configuration requires and nobody gave, so that a spec can be checked all the same. */

import type { ConfigValue, SourceConfigEntry } from "../spec/index.ts";

type Entries = Readonly<Record<string, SourceConfigEntry>>;

/** Counts are named so in every configuration of KerasHub's: num_layers, num_heads, num_classes. */
const isCount = (name: string): boolean => name.startsWith("num_");

/** What is assumed of a count, and of a width as a multiple of all counts. */
const COUNT = 2;
const MULTIPLE = 8;

/**
 * A valid value for every entry that is required and not given: 2 for counts, for other whole numbers a multiple of 8 that
 * every count divides (so that heads fit into widths), as far as the entries' bounds let it.
 */
export function assumedValues(entries: Entries, given: Readonly<Record<string, ConfigValue>>): Record<string, ConfigValue> {
  const missing = Object.entries(entries).map(([name, entry]) => ({ name, entry: typeof entry === "string" ? { type: entry } : entry }))
    .filter(({ name, entry }) => given[name] === undefined && entry.default === undefined);
  const within = (value: number, { min = -Infinity, max = Infinity }: { min?: number; max?: number }): number =>
    Math.min(Math.max(value, min), max);
  const values: Record<string, ConfigValue> = {};
  for (const { name, entry } of missing) if (entry.type === "int" && isCount(name)) values[name] = within(COUNT, entry);
  const counts = Object.entries({ ...given, ...values }).flatMap(([name, value]) =>
    isCount(name) && typeof value === "number" ? [value] : []
  );
  const width = MULTIPLE * counts.reduce((a, b) => b > 0 ? a * b / greatestCommonDivisor(a, b) : a, 1);
  for (const { name, entry } of missing) {
    if (entry.choices?.length) values[name] = entry.choices[0];
    else if (entry.type === "int") values[name] ??= within(width, entry);
    else if (entry.type === "float") values[name] = within(0.5, entry);
    else if (entry.type === "bool") values[name] = false;
    else values[name] = entry.nullable ? null : "";
  }
  return values;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
