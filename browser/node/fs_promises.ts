/** node:fs/promises in a page, as far as the library uses it. */

import { mkdirSync, readFileSync } from "./fs.ts";

/** See node:fs/promises. */
// deno-lint-ignore require-await -- what it throws is to be a rejection
export async function readFile(path: string, encoding: "utf8"): Promise<string> {
  return readFileSync(path, encoding);
}

/** See node:fs/promises. */
// deno-lint-ignore require-await -- what it throws is to be a rejection
export async function mkdir(path: string, options?: { recursive?: boolean }): Promise<void> {
  mkdirSync(path, options);
}
