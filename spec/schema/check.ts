/** Checks a value against a schema: the first thing that is wrong becomes one error that says where, what and what would be right. */

import * as v from "valibot";
import { nearest, OnnxHubError } from "../../errors.ts";
import { joinPath, type Place, where } from "../expressions.ts";
import type { Schema } from "./dispatch.ts";

/** The value, if the schema takes it; else throws "spec/unknown-key", "spec/missing-key" or "spec/value". */
export function check<T>(schema: Schema, value: unknown, place: Place): T {
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return result.output as T;
  throw toError(result.issues[0], place);
}

function toError(issue: v.BaseIssue<unknown>, place: Place): OnnxHubError {
  const keys = (issue.path ?? []).map((item) => item.key as string | number);
  const path = where({ ...place, path: keys.reduce<string>(joinPath, place.path) });
  if (issue.type === "strict_object" && issue.expected === "never") return unknownKey(String(keys.at(-1)), issue.message, path);
  if (issue.type === "strict_object" && issue.received === "undefined") {
    const key = String(keys.at(-1));
    return new OnnxHubError("spec/missing-key", `The key \`${key}\` is missing`, {
      path: where({ ...place, path: keys.slice(0, -1).reduce<string>(joinPath, place.path) }),
      remedy: `Add \`${key}\`.`,
    });
  }
  const found = describe(issue.input);
  const choices = [...(issue.expected ?? "").matchAll(/"([^"]*)"/g)].map((match) => match[1]);
  const guess = issue.type === "picklist" && typeof issue.input === "string" ? nearest(issue.input, choices) : undefined;
  return new OnnxHubError("spec/value", "Wrong value", {
    path,
    expected: issue.kind === "validation" || issue.type === "custom" ? issue.message : expectation(issue, choices),
    found,
    remedy: guess ? `Did you mean \`${guess}\`?` : undefined,
  });
}

/** The error for a key that no schema knows; `known` is a list of names with commas. */
function unknownKey(key: string, known: string, path: string): OnnxHubError {
  const guess = nearest(key, known.split(", "));
  return new OnnxHubError("spec/unknown-key", `Unknown key \`${key}\``, {
    path,
    expected: `one of ${known}`,
    remedy: guess ? `Did you mean \`${guess}\`?` : "Remove it.",
  });
}

function expectation(issue: v.BaseIssue<unknown>, choices: readonly string[]): string {
  if (issue.type === "picklist" && choices.length > 0) return `one of ${choices.join(", ")}`;
  const names: Record<string, string> = {
    Object: "an object",
    Array: "a list",
    string: "a string",
    number: "a number",
    boolean: "true or false",
  };
  return names[issue.expected ?? ""] ?? issue.expected ?? issue.message;
}

/** A value as messages show it. */
export function describe(value: unknown): string {
  if (value === undefined) return "nothing";
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
