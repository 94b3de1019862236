/** Canonical JSON and its hash. */

import { OnnxHubError } from "../errors.ts";
import { sha256 } from "./sha256.ts";

/**
 * JSON with the keys of every object sorted and no white space, so that equal values give equal text.
 *
 * Keys that are undefined are left out. Throws "spec/value" for what JSON cannot say: functions, NaN, infinities.
 */
export function canonical(value: unknown): string {
  if (value === null || typeof value === "boolean" || typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number") {
    if (Number.isFinite(value)) return JSON.stringify(value);
    throw new OnnxHubError("spec/value", "A number that JSON cannot say", { expected: "a finite number", found: String(value) });
  }
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item === undefined ? null : item)).join(",")}]`;
  if (typeof value === "object") {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined).sort(([a], [b]) => a < b ? -1 : 1);
    return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`).join(",")}}`;
  }
  throw new OnnxHubError("spec/value", "A value that JSON cannot say", { expected: "plain JSON", found: typeof value });
}

/**
 * The SHA-256 of a value's canonical JSON, in hexadecimal: 64 characters, equal for equal values whatever the order of their keys.
 *
 * @example
 * ```ts
 * import { spec } from "onnxhub";
 * console.log(spec.hash({ a: 1, b: [2] }) === spec.hash({ b: [2], a: 1 })); // true
 * ```
 */
export function hash(value: unknown): string {
  return sha256(new TextEncoder().encode(canonical(value)));
}
