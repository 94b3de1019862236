/** Runs every test on Deno, then on Bun, and compares what the two executed: `deno run -A tools/test.ts [test files…]`. */

import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { ensureChromium } from "./chromium.ts";
import { parseReport, type TestResult } from "./junit.ts";

interface Runner {
  name: string;
  command: string;
  /** Arguments that write a JUnit report to `report`. */
  args: (report: string, files: readonly string[]) => string[];
  /** Lines of its output that only say that a test passed. */
  noise: RegExp;
}

const RUNNERS: readonly Runner[] = [
  {
    name: "deno",
    command: process.execPath,
    args: (report, files) => ["test", "-A", "--no-check", `--junit-path=${report}`, ...files],
    noise: /^\s*$| \.\.\.$| \.\.\. ok \(.*\)$/,
  },
  {
    name: "bun",
    command: join("node_modules", ".bin", process.platform === "win32" ? "bun.exe" : "bun"),
    args: (report, files) => ["test", "--timeout=300000", "--reporter=junit", `--reporter-outfile=${report}`, ...files],
    noise: /^\s*$|^\(pass\) /,
  },
];

/** Runs one command, passes on what is not noise of its output, and gives its exit code. */
function execute({ command, noise }: Runner, args: readonly string[]): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, NO_COLOR: "1" } });
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        if (!noise.test(line)) console.log(line);
      });
    }
    child.on("error", (error) => {
      console.error(`${command}: ${error.message}`);
      resolve(127);
    });
    child.on("close", (code) => resolve(code ?? 1));
  });
}

/** How often each name occurs. */
function tally(results: readonly TestResult[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { name } of results) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

const directory = await mkdtemp(join(tmpdir(), "onnxhub-test-"));
const files = process.argv.slice(2);
if (files.length === 0 || files.some((file) => file.includes("browser"))) ensureChromium();
const problems: string[] = [];
const executed: TestResult[][] = [];
const summary: string[] = [];
let passed = 0;
let failed = 0;

for (const runner of RUNNERS) {
  const { name } = runner;
  console.log(`${name} test`);
  const report = join(directory, `${name}.xml`);
  const started = performance.now();
  const code = await execute(runner, runner.args(report, files.length > 0 ? files : ["./tests"]));
  const results = parseReport(await readFile(report, "utf8").catch(() => ""));
  const count = (outcome: TestResult["outcome"]): number => results.filter((result) => result.outcome === outcome).length;
  // A module that throws while loading fails the run, and no test bears the failure.
  const failures = Math.max(count("failed"), code === 0 ? 0 : 1);
  if (code !== 0) problems.push(`${name}: exit code ${code}`);
  if (count("passed") === 0) problems.push(`${name}: no test passed`);
  for (const { name: skipped } of results.filter(({ outcome }) => outcome === "skipped")) problems.push(`${name}: skipped "${skipped}"`);
  for (const { name: broken } of results.filter(({ outcome }) => outcome === "failed")) problems.push(`${name}: failed "${broken}"`);
  executed.push(results.filter(({ outcome }) => outcome !== "skipped"));
  passed += count("passed");
  failed += failures;
  summary.push(`${name}: ${count("passed")} passed, ${failures} failed (${((performance.now() - started) / 1000).toFixed(0)} s)`);
}
await rm(directory, { recursive: true });

const [onDeno, onBun] = executed.map(tally);
for (const name of new Set([...onDeno.keys(), ...onBun.keys()])) {
  const [deno, bun] = [onDeno.get(name) ?? 0, onBun.get(name) ?? 0];
  if (deno !== bun) problems.push(`"${name}": executed ${deno} times on deno, ${bun} times on bun`);
}
// A difference between the runtimes is a failure even where each is content with its own tests.
if (problems.length > 0 && failed === 0) failed = 1;

for (const problem of problems) console.error(problem);
for (const line of summary) console.log(line);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
