/** Values as they are typed on a command line: `name=value` by a spec's types, whole numbers, sizes. */

import { nearest, OnnxHubError } from "../errors.ts";
import type { ConfigValue, SourceConfigEntry } from "../spec/index.ts";

/** Splits `name=value`. */
function split(option: string, text: string): [string, string] {
  const at = text.indexOf("=");
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw new OnnxHubError("cli/option-value", `--${option} takes a name and a value`, { expected: `--${option} name=value`, found: text });
}

/** A value of one type; undefined for what is none. */
const READERS: Readonly<Record<"int" | "float" | "bool" | "string", (text: string) => ConfigValue | undefined>> = {
  int: (text) => /^[-+]?\d+$/.test(text) ? Number(text) : undefined,
  float: (text) => text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : undefined,
  bool: (text) => ({ true: true, false: false } as Readonly<Record<string, boolean>>)[text],
  string: (text) => text,
};

/** How messages call the types. */
const TYPES = { int: "a whole number", float: "a number", bool: "true or false", string: "text" } as const;

/**
 * The values of `--config name=value …` by the types of the spec's entries; `null` where an entry takes it.
 *
 * Bounds are the spec's own business: `expand` checks them.
 */
export function configValues(
  option: string,
  texts: readonly string[],
  entries: Readonly<Record<string, SourceConfigEntry>>,
): Record<string, ConfigValue> {
  const values: Record<string, ConfigValue> = {};
  for (const text of texts) {
    const [name, written] = split(option, text);
    if (!Object.hasOwn(entries, name)) {
      const guess = nearest(name, Object.keys(entries));
      throw new OnnxHubError("cli/option-value", `--${option} has no \`${name}\``, {
        expected: Object.keys(entries).length > 0 ? `one of ${Object.keys(entries).join(", ")}` : "none at all",
        remedy: guess && `Did you mean \`${guess}\`?`,
      });
    }
    const entry = entries[name];
    const { type, nullable = false } = typeof entry === "string" ? { type: entry } : entry;
    const value = nullable && written === "null" ? null : READERS[type](written);
    if (value === undefined) {
      throw new OnnxHubError("cli/option-value", `--${option} ${name} has the wrong type`, {
        expected: nullable ? `${TYPES[type]}, or null` : TYPES[type],
        found: written,
      });
    }
    values[name] = value;
  }
  return values;
}

/** A whole number of an option, `least` at least. */
export function wholeNumber(option: string, text: string, least: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (Number.isSafeInteger(value) && value >= least) return value;
  throw new OnnxHubError("cli/option-value", `--${option} takes a whole number`, { expected: `${least} or more`, found: text });
}

/** The values of `--size name=number …`. */
export function sizes(option: string, texts: readonly string[]): Record<string, number> {
  return Object.fromEntries(texts.map((text) => split(option, text)).map(([name, written]) => [name, wholeNumber(option, written, 1)]));
}
