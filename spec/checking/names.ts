/** Checks of names: in expressions, and against the names that are taken. */

import { nearest, OnnxHubError } from "../../errors.ts";
import { checkNames, isTemplate, joinPath, type Place, reservedNames, where } from "../expressions.ts";
import type { Json } from "../source.ts";

/** The names that expressions can use. */
export type Names = readonly string[];

/** Checks every expression in a JSON value. */
export function checkExpressions(value: unknown, names: Names, place: Place): void {
  if (typeof value === "string") {
    if (isTemplate(value)) checkNames(value, names, place);
  } else if (typeof value === "object" && value !== null) {
    for (const [key, item] of Object.entries(value)) {
      checkExpressions(item, names, { ...place, path: joinPath(place.path, Array.isArray(value) ? Number(key) : key) });
    }
  }
}

/** The names with those of a `let` added; each of its values may use the ones before it. */
export function withLetNames(lets: Readonly<Record<string, Json>> | undefined, names: Names, place: Place): Names {
  let known = names;
  for (const [name, value] of Object.entries(lets ?? {})) {
    const here = { ...place, path: joinPath(place.path, name) };
    checkFree(name, known, here);
    checkExpressions(value, known, here);
    known = [...known, name];
  }
  return known;
}

/** Throws "spec/duplicate-name" for a name that is taken or means something already. */
export function checkFree(name: string, taken: Names, place: Place): void {
  const reserved = reservedNames.has(name);
  if (!reserved && !taken.includes(name)) return;
  throw new OnnxHubError("spec/duplicate-name", reserved ? `The name \`${name}\` is reserved` : `The name \`${name}\` is taken`, {
    path: where(place),
    expected: reserved ? `a name that is none of ${[...reservedNames].join(", ")}` : "a name of its own",
    remedy: "Rename it.",
  });
}

/** Throws an error unless the name is one of the known ones. */
export function checkKnown(name: string, known: Names, what: string, place: Place): void {
  if (known.includes(name)) return;
  const guess = nearest(name, known);
  throw new OnnxHubError("spec/dangling", `There is no ${what} \`${name}\``, {
    path: where(place),
    expected: known.length > 0 ? `one of ${known.join(", ")}` : "none: there are none",
    remedy: guess ? `Did you mean \`${guess}\`?` : undefined,
  });
}
