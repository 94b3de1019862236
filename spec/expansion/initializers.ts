/** Initializers with all their numbers, by Keras' defaults. */

import type { Json } from "../source.ts";
import type { Initializer } from "../types.ts";

/** Keras' defaults of the initializers that take numbers. */
const DEFAULTS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  constant: { value: 0 },
  random_normal: { mean: 0, stddev: 0.05 },
  random_uniform: { minval: -0.05, maxval: 0.05 },
  truncated_normal: { mean: 0, stddev: 0.05 },
};

/** The full form of an initializer that was checked already: a name, or a name with some of its numbers. */
export function fullInitializer(value: Json): Initializer {
  const given = typeof value === "string" ? { type: value } : value as { type: string };
  return Object.assign({ type: given.type }, DEFAULTS[given.type], given) as Initializer;
}
