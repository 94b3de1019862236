/** Reads a command's arguments by its table of options; whatever is wrong is a "cli/…" error with the nearest name. */

import { parseArgs } from "node:util";
import { nearest, OnnxHubError } from "../errors.ts";
import type { AnyValues, Command, Option } from "./command.ts";

/** What was asked for. */
export type Invocation =
  | { readonly help: true }
  | { readonly help: false; readonly positionals: readonly string[]; readonly values: AnyValues };

/** Parses the arguments that follow a command's name. */
export function parseArguments({ name, options, positionals: takes }: Command, args: readonly string[]): Invocation {
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(Object.entries(options).map(([key, { type }]) => [key, { type }])),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const values: Record<string, string | boolean | string[] | undefined> = {};
  for (const [key, { type, multiple }] of Object.entries(options)) values[key] = type === "boolean" ? false : multiple ? [] : undefined;
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") positionals.push(token.value);
    if (token.kind !== "option") continue;
    if (token.name === "help" || token.name === "h") return { help: true };
    const option = Object.hasOwn(options, token.name) ? options[token.name] : unknownOption(name, token.rawName, Object.keys(options));
    const value = valueOf(name, token.name, option, token.value);
    const known = values[token.name];
    if (Array.isArray(known)) known.push(String(value));
    else if (typeof known === "string") fail("option-twice", `--${token.name} is given twice`, name, { found: `${known} and ${value}` });
    else values[token.name] = value;
  }
  if (positionals.length < takes.least || positionals.length > takes.most) {
    fail("argument", `${name} takes ${takes.what}`, name, {
      expected: takes.expected,
      found: positionals.length === 0 ? "none" : positionals.join(" "),
    });
  }
  for (const [key, { required, value }] of Object.entries(options)) {
    if (required && values[key] === undefined) fail("missing-option", `--${key} is missing`, name, { expected: `--${key} ${value}` });
  }
  return { help: false, positionals, values };
}

function unknownOption(command: string, found: string, names: readonly string[]): never {
  const guess = nearest(found.replace(/^-+/, ""), [...names, "help"]);
  fail("unknown-option", `Unknown option ${found}`, command, {
    expected: `one of ${[...names, "help"].map((name) => `--${name}`).join(", ")}`,
    remedy: guess && `Did you mean --${guess}?`,
  });
}

function valueOf(command: string, name: string, { type, value: placeholder }: Option, value: string | undefined): string | true {
  if (type === "boolean") {
    if (value === undefined) return true;
    fail("option-value", `--${name} takes no value`, command, { found: value });
  }
  // An option's name right after it is a value forgotten.
  if (value === undefined || /^--\w/.test(value)) {
    fail("option-value", `--${name} needs a value`, command, { expected: `--${name} ${placeholder}`, found: value ?? "nothing" });
  }
  return value;
}

function fail(what: string, message: string, command: string, details: { expected?: string; found?: string; remedy?: string }): never {
  throw new OnnxHubError(`cli/${what}`, message, { remedy: `See \`${command} --help\`.`, ...details });
}
