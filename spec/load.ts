/** Reads specs: built-in names, files, URLs, objects; resolves `extends` and checks everything that needs no configuration. */

import { existsSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { nearest, OnnxHubError } from "../errors.ts";
import { architectures } from "./architectures/index.ts";
import { checkSpec } from "./check.ts";
import { merge } from "./merge.ts";
import { check, describe } from "./schema/check.ts";
import { specSchema } from "./schema.ts";
import type { Json, Spec, SpecSource } from "./source.ts";

/** The names of the built-in architectures. */
export const architectureNames: readonly string[] = Object.keys(architectures);

/**
 * Reads a spec: a built-in name ("xlm_roberta"), the path or URL of a JSON file, or an object.
 *
 * Throws "spec/…" errors that name the file and the JSON path: for an unknown key, a wrong type, an unknown name in an
 * expression, a dangling reference, a cycle.
 *
 * @example
 * ```ts
 * import { spec } from "onnxhub";
 * const { source } = await spec.load("xlm_roberta");
 * console.log(Object.keys(source.heads ?? {})); // [ "masked_lm", "text_classifier" ]
 * ```
 */
export async function load(source: string | URL | object): Promise<Spec> {
  if (source instanceof URL && source.protocol !== "file:") {
    const response = await fetch(source);
    if (!response.ok) throw unreadable(source.href, `HTTP status ${response.status}`);
    return parseSpec(parseJson(await response.text(), source.href), source.href);
  }
  if (typeof source !== "string" && !(source instanceof URL)) return parseSpec(source, "<object>");
  if (typeof source === "string" && Object.hasOwn(architectures, source)) return structuredClone(builtIn(source));
  const path = source instanceof URL ? fileURLToPath(source) : source;
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw unreadable(path, cause);
  }
  return parseSpec(parseJson(text, path), path);
}

/**
 * Checks the JSON of a spec. `file` is its name in messages; a relative `extends` is looked up beside it.
 *
 * Throws as {@linkcode load} does.
 */
export function parseSpec(json: unknown, file: string): Spec {
  return parseExtending(json, file, []);
}

/** `chain`: the files that extend this one. */
function parseExtending(json: unknown, file: string, chain: readonly string[]): Spec {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new OnnxHubError("spec/value", "A spec must be an object", { path: file, expected: "a JSON object", found: describe(json) });
  }
  if ("expanded" in json) {
    throw new OnnxHubError("spec/already-expanded", "This spec is expanded already", {
      path: file,
      remedy: "Use it as it is, or load its source.",
    });
  }
  checkNesting(json, file, DEPTH_LIMIT);
  const { extends: base, ...own } = json as Record<string, Json>;
  const source = base === undefined ? own : merge(parentOf(base, file, [...chain, file]).source as unknown as Json, own);
  const spec: Spec = { file, source: check<SpecSource>(specSchema, source, { file, path: "" }) };
  checkSpec(spec);
  return spec;
}

/** The most levels of objects and lists. */
const DEPTH_LIMIT = 64;

/** All that reads a spec recurs into it: without a bound a few kilobytes of brackets would overflow the stack. */
function checkNesting(value: unknown, file: string, left: number): void {
  if (typeof value !== "object" || value === null) return;
  if (left === 0) {
    throw new OnnxHubError("spec/value", "The spec is nested too deep", { path: file, expected: `at most ${DEPTH_LIMIT} levels` });
  }
  for (const [key, item] of Object.entries(value)) {
    // The schemas' library passes over this key, which no object should have.
    if (key === "__proto__") throw new OnnxHubError("spec/unknown-key", "No key may be called `__proto__`", { path: file });
    checkNesting(item, file, left - 1);
  }
}

function parentOf(base: Json, file: string, chain: readonly string[]): Spec {
  if (typeof base !== "string") {
    throw new OnnxHubError("spec/value", "Wrong value", {
      path: `${file}: extends`,
      expected: "a built-in name or a path",
      found: describe(base),
    });
  }
  const isBuiltIn = Object.hasOwn(architectures, base);
  const path = isBuiltIn ? base : resolve(dirname(file.startsWith("file:") ? fileURLToPath(file) : file), base);
  if (chain.some((link) => link === path || (!isBuiltIn && resolve(link) === path))) {
    throw new OnnxHubError("spec/cycle", "The specs extend each other in a circle", {
      path: `${file}: extends`,
      found: [...chain, path].join(" → "),
    });
  }
  if (isBuiltIn) return builtIn(base);
  if (!existsSync(path)) {
    const guess = nearest(base, architectureNames);
    throw new OnnxHubError("spec/unreadable", `There is no spec \`${base}\` to extend`, {
      path: `${file}: extends`,
      expected: `a path, or one of ${architectureNames.join(", ")}`,
      remedy: guess ? `Did you mean \`${guess}\`?` : undefined,
    });
  }
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw new OnnxHubError("spec/unreadable", `The spec \`${base}\` to extend cannot be read`, {
      path: `${file}: extends`,
      expected: `a path, or one of ${architectureNames.join(", ")}`,
      found: reason(cause),
      cause,
    });
  }
  return parseExtending(parseJson(text, path), path, chain);
}

const builtIns = new Map<string, Spec>();

/**
 * The built-in spec of a name, the same object whenever it is asked for. It is taken as it is: a test checks every one, and to do it again would be a third
 * of the time that a small preset takes to load.
 */
export function builtIn(name: string): Spec {
  let spec = builtIns.get(name);
  if (!spec) {
    const { extends: base, ...own } = architectures[name] as Record<string, Json>;
    const source = base === undefined ? own : merge(builtIn(base as string).source as unknown as Json, own);
    builtIns.set(name, spec = { file: name, source: source as unknown as SpecSource });
  }
  return spec;
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new OnnxHubError("spec/json", "This is no JSON", {
      path: file,
      found: cause instanceof Error ? cause.message : String(cause),
      cause,
    });
  }
}

function unreadable(path: string, cause: unknown): OnnxHubError {
  const guess = nearest(path, architectureNames);
  return new OnnxHubError("spec/unreadable", `The spec cannot be read`, {
    path,
    expected: `a file, or one of ${architectureNames.join(", ")}`,
    found: reason(cause),
    remedy: guess ? `Did you mean \`${guess}\`?` : undefined,
    cause: cause instanceof Error ? cause : undefined,
  });
}

/** The system's code where there is one ("EISDIR"), else the message. */
function reason(cause: unknown): string {
  return cause instanceof Error ? (cause as Error & { code?: string }).code ?? cause.message : String(cause);
}
