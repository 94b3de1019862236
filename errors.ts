/** The project's one kind of error: a code, where it happened, what was expected and found, and what to do. */

/** What an {@linkcode OnnxHubError} carries beside its message. */
export interface ErrorDetails {
  /** Where: a JSON path, a layer's path, a file with its field, an option's name. */
  path?: string;
  /** What would have been right. */
  expected?: string;
  /** What was there. */
  found?: string;
  /** What to do about it, one imperative sentence. */
  remedy?: string;
  /** The error underneath, where there is one. */
  cause?: unknown;
}

/** The areas that an error code can start with: `"spec/unknown-key"`, `"data/ragged"`. */
export type ErrorArea =
  | "backend"
  | "cli"
  | "codegen"
  | "data"
  | "format"
  | "internal"
  | "loss"
  | "metric"
  | "model"
  | "optimizer"
  | "preset"
  | "spec"
  | "text"
  | "training";

/** A stable, machine-readable code. */
export type ErrorCode = `${ErrorArea}/${string}`;

/**
 * The error that everything here throws for bad input.
 *
 * The message reads "what (at where): expected X, found Y. Remedy"; the parts are properties too, and whole where the message leaves out the
 * middle of a long one.
 *
 * @example
 * ```ts
 * import { OnnxHubError } from "onnxhub";
 * const error = new OnnxHubError("spec/unknown-key", "Unknown key `num_layer`", {
 *   path: "config.num_layer",
 *   expected: "one of num_layers, num_heads",
 *   remedy: "Did you mean `num_layers`?",
 * });
 * console.log(error.code, error.path);
 * ```
 */
export class OnnxHubError extends Error {
  /** The stable code, `area/what`. */
  readonly code: ErrorCode;
  /** What is wrong: the message without the parts that follow. */
  readonly what: string;
  /** Where it happened, if that can be said. */
  readonly path?: string;
  /** What would have been right. */
  readonly expected?: string;
  /** What was found. */
  readonly found?: string;
  /** What to do. */
  readonly remedy?: string;

  /** Makes the error; the message is put together from the parts. */
  constructor(code: ErrorCode, what: string, details: ErrorDetails = {}) {
    super(message(what, details), details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "OnnxHubError";
    this.code = code;
    this.what = what;
    this.path = details.path;
    this.expected = details.expected;
    this.found = details.found;
    this.remedy = details.remedy;
  }
}

function message(what: string, { path, expected, found, remedy }: ErrorDetails): string {
  let text = path ? `${short(what)} (at ${short(path)})` : short(what);
  if (expected !== undefined && found !== undefined) text += `: expected ${short(expected, 2400)}, found ${short(found)}`;
  else if (expected !== undefined) text += `: expected ${short(expected, 2400)}`;
  else if (found !== undefined) text += `: found ${short(found)}`;
  if (!/[.!?]$/.test(text)) text += ".";
  return remedy ? `${text} ${remedy}` : text;
}

/** A text without its middle where it is too long to read: a bad file may have a megabyte where a name should be. */
function short(text: string, limit = 600): string {
  if (text.length <= limit) return text;
  const end = Math.floor(limit / 3);
  return `${text.slice(0, limit - end)} … (${text.length - limit} characters) … ${text.slice(-end)}`;
}

/**
 * The candidate nearest to `name` by edit distance, or undefined when none is near enough to suggest.
 *
 * @example
 * ```ts
 * import { nearest } from "onnxhub";
 * console.log(nearest("num_layer", ["num_layers", "num_heads"])); // num_layers
 * ```
 */
export function nearest(name: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Levenshtein's distance, two rows at a time. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = previous[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(substitution, previous[j] + 1, row[j - 1] + 1));
    }
    previous = row;
  }
  return previous[b.length];
}
