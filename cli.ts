#!/usr/bin/env -S deno run --allow-read
/**
 * The command line: compiles, checks and explains model specs, without running them.
 *
 * ```sh
 * deno run --allow-read cli.ts explain SPEC --task masked_lm --config num_layers=4 …
 * ```
 *
 * @module
 */

import process from "node:process";
import { main } from "./cli/main.ts";

if (import.meta.main) {
  process.exitCode = await main(process.argv.slice(2), { out: (line) => console.log(line), error: (line) => console.error(line) });
}
