/** Runs every test on Deno and on Bun, side by side, and compares what the two executed: `deno run -A tools/test.ts [test files…]`. */

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

/** Runs one command, passes on what is not noise of its output, each line with the runner's name before it, and gives its exit code. */
function execute({ name, command, noise }: Runner, args: readonly string[]): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, NO_COLOR: "1" } });
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        if (!noise.test(line)) console.log(`${name}| ${line}`);
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

/** What a runner made of the tests. */
interface Run {
  readonly results: readonly TestResult[];
  readonly passed: number;
  readonly failed: number;
  readonly problems: readonly string[];
  readonly summary: string;
}

/** Runs the tests of some files on one runtime. */
async function run(runner: Runner, report: string, files: readonly string[]): Promise<Run> {
  const { name } = runner;
  const started = performance.now();
  const code = await execute(runner, runner.args(report, files));
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  const results = parseReport(await readFile(report, "utf8").catch(() => ""));
  const those = (wanted: TestResult["outcome"]): TestResult[] => results.filter(({ outcome }) => outcome === wanted);
  const passed = those("passed").length;
  // A module that throws while loading fails the run, and no test bears the failure.
  const failed = Math.max(those("failed").length, code === 0 ? 0 : 1);
  const problems = [
    ...code === 0 ? [] : [`exit code ${code}`],
    ...passed === 0 ? ["no test passed"] : [],
    ...those("skipped").map((test) => `skipped "${test.name}"`),
    ...those("failed").map((test) => `failed "${test.name}"`),
  ].map((problem) => `${name}: ${problem}`);
  return { results, passed, failed, problems, summary: `${name}: ${passed} passed, ${failed} failed (${seconds} s)` };
}

const files = process.argv.slice(2);
if (files.length === 0 || files.some((file) => file.includes("browser"))) ensureChromium();
const directory = await mkdtemp(join(tmpdir(), "onnxhub-test-"));
const runs = await Promise.all(
  RUNNERS.map((runner) => run(runner, join(directory, `${runner.name}.xml`), files.length > 0 ? files : ["./tests"])),
);
await rm(directory, { recursive: true });

const problems = runs.flatMap((run) => run.problems);
const [onDeno, onBun] = runs.map(({ results }) => tally(results.filter(({ outcome }) => outcome !== "skipped")));
for (const name of new Set([...onDeno.keys(), ...onBun.keys()])) {
  const [deno, bun] = [onDeno.get(name) ?? 0, onBun.get(name) ?? 0];
  if (deno !== bun) problems.push(`"${name}": executed ${deno} times on deno, ${bun} times on bun`);
}
const passed = runs.reduce((sum, run) => sum + run.passed, 0);
// A difference between the runtimes is a failure even where each is content with its own tests.
const failed = runs.reduce((sum, run) => sum + run.failed, 0) || Math.min(problems.length, 1);

for (const problem of problems) console.error(problem);
for (const { summary } of runs) console.log(summary);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
