/** The texts of `--help`. */

import type { Command } from "./command.ts";

/** Help on all commands. */
export function overview(commands: readonly Command[]): string[] {
  const width = Math.max(...commands.map(({ name }) => name.length));
  return [
    "Compiles and explains model specs, without running them.",
    "",
    "  cli.ts COMMAND SPEC [options]",
    "",
    ...commands.map(({ name, about }) => `  ${name.padEnd(width)}  ${about}`),
    "",
    "SPEC is the name of a built-in architecture or the path of a JSON file.",
    "`cli.ts COMMAND --help` says more.",
  ];
}

/** Help on one command. */
export function helpOn({ name, about, details, permissions, example, options }: Command): string[] {
  const all = [
    ...Object.entries(options).map(([key, { value, about }]) => [value ? `--${key} ${value}` : `--${key}`, about]),
    ["--help", "This text"],
  ];
  const width = Math.max(...all.map(([flag]) => flag.length));
  return [
    `${about}.`,
    "",
    `  cli.ts ${name} SPEC [options]`,
    "",
    ...all.map(([flag, about]) => `  ${flag.padEnd(width)}  ${about}`),
    ...(details.length > 0 ? ["", ...details] : []),
    "",
    `  deno run ${permissions} cli.ts ${name} ${example}`,
    `  bun cli.ts ${name} ${example}`,
    "",
    "A built-in spec needs no permission to read.",
  ];
}
