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

/** The most often that anything may be repeated. */
const REPEAT_LIMIT = 10_000;

/** The scopes in which an entry stands, one a repetition. */
export function repetitions({ when, repeat, as = "i" }: Repeatable, scope: Scope, place: Place): Scope[] {
  const scopes = repeat === undefined
    ? [scope]
    : counts(repeat, scope, inside(place, "repeat")).map((count) => ({ ...scope, [as]: count }));
  return when === undefined ? scopes : scopes.filter((each) => condition(when, each, inside(place, "when")));
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
