/** How long a script takes from `deno run` to its first filled mask, on Deno and on Bun: medians of warm runs, interleaved. */

import { spawn } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { median } from "./statistics.ts";

const ROUNDS = Number(process.argv[2] ?? 9);

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const SCRIPT = join("bench", "startup", "first_fill_mask.ts");

/** No permission but to read files. */
const RUNTIMES: Readonly<Record<string, readonly [command: string, ...args: string[]]>> = {
  deno: [process.execPath, "run", "--allow-read", SCRIPT],
  bun: [join("node_modules", ".bin", process.platform === "win32" ? "bun.exe" : "bun"), SCRIPT],
};

const STEPS = ["begun", "import", "fromPreset", "fillMask"] as const;

type Times = Record<typeof STEPS[number] | "all of it", number>;

/** Runs the script once; what it says of its steps, and how long after its start the result was there. */
function run([command, ...args]: readonly [string, ...string[]]): Promise<Times> {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(command, args, { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (part: string) => {
      text += part;
      if (!text.endsWith("\n")) return;
      resolve({ ...JSON.parse(text), "all of it": performance.now() - start });
    });
    child.on("error", reject);
    child.on("close", (code) => reject(new Error(`${command} gave nothing: exit code ${code}`)));
  });
}

const times: Record<string, Times[]> = {};
// The first round, in which caches fill, does not count.
for (let round = 0; round <= ROUNDS; round++) {
  for (const [name, command] of Object.entries(RUNTIMES)) {
    const result = await run(command);
    if (round > 0) (times[name] ??= []).push(result);
  }
}

const cell = (text: string): string => text.padStart(11);
console.log(`First fillMask of the embedded preset, milliseconds, median of ${ROUNDS} warm runs (fastest in brackets)`);
console.log(`${"".padEnd(6)}${STEPS.map(cell).join("")}${"all of it".padStart(16)}`);
for (const [name, runs] of Object.entries(times)) {
  const all = runs.map((run) => run["all of it"]);
  const steps = STEPS.map((step) => cell(median(runs.map((run) => run[step])).toFixed(0)));
  console.log(`${name.padEnd(6)}${steps.join("")}${`${median(all).toFixed(0)} (${Math.min(...all).toFixed(0)})`.padStart(16)}`);
}
