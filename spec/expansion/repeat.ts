/** Reads `repeat`, `as` and `when`: how often an entry stands, and with what in scope. */

import { OnnxHubError } from "../../errors.ts";
import { evaluate, evaluateAll, joinPath, type Place, type Scope, where } from "../expressions.ts";
import { describe } from "../schema/check.ts";
import type { Json } from "../source.ts";

/** The parts of an entry that are read here. */
export interface Repeatable {
  readonly when?: boolean | string;
  readonly repeat?: number | string | readonly Json[];
  readonly as?: string;
}

/** The most often that anything may be repeated, repetitions around it counted in. */
const REPEAT_LIMIT = 10_000;

/** Where a scope says how often it stands. */
const TIMES: unique symbol = Symbol("times");

/** The scopes in which an entry stands, one a repetition. */
export function repetitions({ when, repeat, as = "i" }: Repeatable, scope: Scope, place: Place): Scope[] {
  const scopes = repeat === undefined
    ? [scope]
    : nested(counts(repeat, scope, inside(place, "repeat")), scope, place).map(({ count, times }) => ({
      ...scope,
      [as]: count,
      [TIMES]: times,
    }));
  return when === undefined ? scopes : scopes.filter((each) => condition(when, each, inside(place, "when")));
}

/** Counts, each with how often an entry then stands in all. */
function nested(values: readonly Json[], scope: Scope & { readonly [TIMES]?: number }, place: Place): { count: Json; times: number }[] {
  const times = (scope[TIMES] ?? 1) * values.length;
  if (times <= REPEAT_LIMIT) return values.map((count) => ({ count, times }));
  throw new OnnxHubError("spec/value", "Too many repetitions inside repetitions", {
    path: where(inside(place, "repeat")),
    expected: `at most ${REPEAT_LIMIT} in all`,
    found: `${times}`,
  });
}

/** A condition's value. */
export function condition(when: boolean | string, scope: Scope, place: Place): boolean {
  const value = typeof when === "string" ? evaluate(when, scope, place) : when;
  if (typeof value === "boolean") return value;
  throw new OnnxHubError("spec/value", "A condition must be true or false", {
    path: where(place),
    expected: "true or false",
    found: describe(value),
    remedy: "Compare: `{{ x is not none }}`, `{{ n > 0 }}`.",
  });
}

/** A place one key further in. */
export function inside(place: Place, key: string | number): Place {
  return { ...place, path: joinPath(place.path, key) };
}

function counts(repeat: number | string | readonly Json[], scope: Scope, place: Place): readonly Json[] {
  const value = typeof repeat === "number" ? repeat : evaluateAll(repeat, scope, place);
  if (Array.isArray(value)) return value;
  if (Number.isInteger(value) && (value as number) >= 0 && (value as number) <= REPEAT_LIMIT) {
    return Array.from({ length: value as number }, (_, i) => i);
  }
  throw new OnnxHubError("spec/value", "Wrong number of repetitions", {
    path: where(place),
    expected: `an integer from 0 to ${REPEAT_LIMIT}, or a list`,
    found: describe(value),
  });
}
