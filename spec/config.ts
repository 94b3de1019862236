/** Configurations: the entries' long form, and values checked against them. */

import { nearest, OnnxHubError } from "../errors.ts";
import { joinPath, type Place, where } from "./expressions.ts";
import { describe } from "./schema/check.ts";
import type { SourceConfigEntry } from "./source.ts";
import type { ConfigValue, ExpandedConfigEntry } from "./types.ts";

/** A configuration by name. */
export type Config = Readonly<Record<string, ConfigValue>>;

type Long = Exclude<SourceConfigEntry, string>;

/** An entry in its long form. */
export function longForm(entry: SourceConfigEntry): Long {
  return typeof entry === "string" ? { type: entry } : entry;
}

/**
 * Every entry with its value: the given one, or the default.
 *
 * `given` says where the values come from, for messages. Throws "spec/unknown-config", "spec/missing-config", "spec/config-value".
 */
export function resolveConfig(
  entries: Readonly<Record<string, SourceConfigEntry>>,
  values: Config,
  given: Place,
): Record<string, ExpandedConfigEntry> {
  const names = Object.keys(entries);
  for (const key of Object.keys(values)) {
    if (Object.hasOwn(entries, key)) continue;
    const guess = nearest(key, names) ?? nearest(key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), names);
    throw new OnnxHubError("spec/unknown-config", `Unknown configuration value \`${key}\``, {
      path: where({ ...given, path: joinPath(given.path, key) }),
      expected: names.length > 0 ? `one of ${names.join(", ")}` : "none at all",
      remedy: guess ? `Did you mean \`${guess}\`?` : "Remove it.",
    });
  }
  const missing = names.filter((name) => values[name] === undefined && longForm(entries[name]).default === undefined);
  if (missing.length > 0) {
    throw new OnnxHubError("spec/missing-config", `The configuration lacks ${missing.map((name) => `\`${name}\``).join(", ")}`, {
      path: where(given),
      expected: missing.map((name) => `${name}: ${expectation(longForm(entries[name]))}`).join("; "),
      remedy: "Give a value to each: they have no default.",
    });
  }
  return Object.fromEntries(names.map((name) => {
    const entry = longForm(entries[name]);
    const value = values[name] === undefined ? entry.default! : values[name];
    checkValue(entry, value, { ...given, path: joinPath(given.path, name) });
    const { type, nullable = false, kerashub = true, default: fallback, min, max, choices, description } = entry;
    return [name, {
      type,
      nullable,
      value,
      ...defined({ default: fallback, min, max, choices }),
      kerashub,
      ...defined({ description }),
    }];
  }));
}

/** The bare values of a resolved configuration. */
export function configValues(entries: Readonly<Record<string, ExpandedConfigEntry>>): Record<string, ConfigValue> {
  return Object.fromEntries(Object.entries(entries).map(([name, { value }]) => [name, value]));
}

/** Checks a value against its entry: type, bounds, choices. */
export function checkValue(entry: Long, value: ConfigValue, place: Place): void {
  if (isValid(entry, value)) return;
  throw new OnnxHubError("spec/config-value", "Wrong configuration value", {
    path: where(place),
    expected: expectation(entry),
    found: describe(value),
  });
}

function isValid({ type, nullable = false, min = -Infinity, max = Infinity, choices }: Long, value: ConfigValue): boolean {
  if (value === null) return nullable;
  if (choices && !choices.includes(value)) return false;
  switch (type) {
    case "int":
      return Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max;
    case "float":
      return Number.isFinite(value) && (value as number) >= min && (value as number) <= max;
    case "bool":
      return typeof value === "boolean";
    case "string":
      return typeof value === "string";
  }
}

const TYPE_NAMES = { int: "an integer", float: "a number", bool: "true or false", string: "a string" } as const;

function expectation({ type, nullable, min, max, choices }: Long): string {
  let text: string = choices ? `one of ${choices.filter((choice) => choice !== null).join(", ")}` : TYPE_NAMES[type];
  if (choices?.every((choice) => choice === null)) return "null";
  if (min !== undefined && max !== undefined) text += ` from ${min} to ${max}`;
  else if (min !== undefined) text += ` of at least ${min}`;
  else if (max !== undefined) text += ` of at most ${max}`;
  return nullable ? `${text}, or null` : text;
}

/** The entries that are not undefined. */
export function defined<T extends object>(entries: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}
