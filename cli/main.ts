/** Runs the command that the arguments name, and turns errors into messages and exit codes. */

import { nearest, OnnxHubError } from "../errors.ts";
import { parseArguments } from "./arguments.ts";
import { check } from "./check.ts";
import type { Command, Console } from "./command.ts";
import { compileFiles } from "./compile.ts";
import { downloadPreset } from "./download.ts";
import { explainModel } from "./explain.ts";
import { exportPreset } from "./export.ts";
import { fillMask } from "./fill_mask.ts";
import { helpOn, overview } from "./help.ts";
import { listPresets } from "./presets.ts";
import { summarize } from "./summary.ts";

/** All commands. */
const commands: readonly Command[] = [
  fillMask,
  summarize,
  listPresets,
  downloadPreset,
  exportPreset,
  compileFiles,
  check,
  explainModel,
];

/**
 * Runs the command line and gives the exit code: 0, 1 where something is wrong with what was given, 2 for arguments that it
 * doesn't understand. Errors other than {@linkcode OnnxHubError} go through.
 */
export async function main(args: readonly string[], console: Console): Promise<number> {
  try {
    return await dispatch(args, console);
  } catch (error) {
    if (isRefused(error)) {
      console.error(`error: Deno was not allowed to do this: ${error.message}. \`--help\` says what each command needs.`);
      return 1;
    }
    if (!(error instanceof OnnxHubError)) throw error;
    console.error(`error: ${error.message}`);
    return error.code.startsWith("cli/") ? 2 : 1;
  }
}

/** Whether it is Deno's error for a permission that wasn't given. */
function isRefused(error: unknown): error is Error {
  return error instanceof Error && error.name === "NotCapable";
}

async function dispatch([name, ...args]: readonly string[], console: Console): Promise<number> {
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    const lines = overview(commands);
    for (const line of lines) name === undefined ? console.error(line) : console.out(line);
    return name === undefined ? 2 : 0;
  }
  const command = commands.find((command) => command.name === name);
  if (!command) {
    const names = commands.map(({ name }) => name);
    const guess = nearest(name, names);
    throw new OnnxHubError("cli/unknown-command", `Unknown command ${name}`, {
      expected: `one of ${names.join(", ")}`,
      remedy: guess ? `Did you mean \`${guess}\`?` : "See `--help`.",
    });
  }
  const invocation = parseArguments(command, args);
  if (!invocation.help) return await command.run(invocation.positionals, invocation.values, console);
  for (const line of helpOn(command)) console.out(line);
  return 0;
}
