/** This project as a contestant that starts: a process from its start to the first mask it filled. `start_up.ts deno | bun`. */

import { spawn } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { type Prepared, serve } from "../serve.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const SCRIPT = join("bench", "startup", "first_fill_mask.ts");

/** No permission but to read files. */
const RUNTIMES: Readonly<Record<string, readonly [command: string, ...args: string[]]>> = {
  deno: [process.execPath, "run", "--allow-read", SCRIPT],
  bun: [join("node_modules", ".bin", process.platform === "win32" ? "bun.exe" : "bun"), SCRIPT],
};

/** Seconds until the script has printed its line. */
function run([command, ...args]: readonly [string, ...string[]]): Promise<number> {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(command, args, { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] });
    let seconds: number | null = null;
    child.stdout.on("data", () => seconds ??= (performance.now() - start) / 1000);
    child.on("error", reject);
    // The next one begins when this one has gone.
    child.on("close", (code) => seconds === null ? reject(new Error(`it ended with code ${code}`)) : resolve(seconds));
  });
}

const runtime = process.argv[2];

await serve((): Promise<Prepared> => {
  const facts = { runtime: `${runtime} ${runtime === "deno" ? process.versions.deno : ""}`.trim() };
  return Promise.resolve({ facts, step: async () => ({ seconds: await run(RUNTIMES[runtime]) }) });
});
