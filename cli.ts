#!/usr/bin/env -S deno run --allow-read
/**
 * The command line: fills masks, downloads and exports presets; compiles, checks and explains model specs.
 *
 * ```sh
 * deno run --allow-read cli.ts fill-mask DIR "All human beings are born <mask> and equal."
 * deno run --allow-read cli.ts explain SPEC --task masked_lm --config num_layers=4 …
 * ```
 *
 * @module
 */

import process from "node:process";
import { main } from "./cli/main.ts";

/** The lines of standard input, which is not opened before the first is asked for. */
async function* lines(): AsyncGenerator<string> {
  let rest = "";
  process.stdin.setEncoding("utf8");
  for await (const chunk of process.stdin) {
    const parts = `${rest}${chunk}`.split(/\r?\n/);
    rest = parts.pop()!;
    yield* parts;
  }
  if (rest !== "") yield rest;
}

if (import.meta.main) {
  const code = await main(process.argv.slice(2), {
    out: (line) => console.log(line),
    error: (line) => console.error(line),
    input: process.stdin.isTTY ? null : lines(),
  });
  // Threads of a model that failed to load would keep the process alive.
  process.exit(code);
}
