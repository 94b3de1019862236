/** The texts of `--help`. */

import type { Command } from "./command.ts";

/** Help on all commands. */
export function overview(commands: readonly Command[]): string[] {
  const width = Math.max(...commands.map(({ name }) => name.length));
  return [
    "Uses pretrained models, and compiles and explains model specs.",
    "",
    "  cli.ts COMMAND …",
    "",
    ...commands.map(({ name, about }) => `  ${name.padEnd(width)}  ${about}`),
    "",
    "`cli.ts COMMAND --help` says more.",
  ];
}

/** Help on one command. */
export function helpOn({ name, about, details, permissions, example, positionals, options }: Command): string[] {
  const all = [
    ...Object.entries(options).map(([key, { value, about }]) => [value ? `--${key} ${value}` : `--${key}`, about]),
    ["--help", "This text"],
  ];
  const width = Math.max(...all.map(([flag]) => flag.length));
  return [
    `${about}.`,
    "",
    `  ${["cli.ts", name, positionals.usage, "[options]"].filter(Boolean).join(" ")}`,
    "",
    ...all.map(([flag, about]) => `  ${flag.padEnd(width)}  ${about}`),
    ...(details.length > 0 ? ["", ...details] : []),
    "",
    `  ${["deno run", permissions, "cli.ts", name, example].filter(Boolean).join(" ")}`,
    `  bun cli.ts ${name} ${example}`,
    ...(positionals.notes.length > 0 ? ["", ...positionals.notes] : []),
  ];
}
