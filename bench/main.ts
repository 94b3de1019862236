/** Measures this project beside its peers, prints tables and writes `bench/results/*.json`: `deno task bench [name…]`. */

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { withCheckpoint } from "./checkpoint.ts";
import { PEERS } from "./contestants.ts";
import { describeCommit, describeMachine } from "./machine.ts";
import type { ScenarioResult, ScriptResult } from "./results.ts";
import { type Scenario, SCENARIOS } from "./scenarios.ts";
import { ScenarioRun } from "./schedule.ts";
import { type Script, SCRIPTS } from "./scripts.ts";
import { formatScenario } from "./table.ts";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const BENCH = join(ROOT, "bench");

const list = (entries: readonly { name: string; title: string }[]): string =>
  entries.map(({ name, title }) => `  ${name.padEnd(18)} ${title}`).join("\n");

const USAGE = `deno task bench [name…] [--only CONTESTANT]… [--rounds N] [--quiet] [--list]

Measures what is named; all scenarios where nothing is. --only leaves out all other contestants.
PEERS_PYTHON is a Python with keras, keras_hub, jax, torch and transformers; PEERS_TENSORFLOW_PYTHON one that has tensorflow too;
CHROMIUM is Chromium where it isn't in the search path. Who is not there is left out, and the results say so.

Scenarios, beside the peers:
${list(SCENARIOS)}

Programs of their own, which run when they are named:
${list(SCRIPTS)}`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    only: { type: "string", multiple: true },
    rounds: { type: "string" },
    quiet: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

const started = performance.now();
const log = (line: string): void => {
  if (!values.quiet) console.error(`${((performance.now() - started) / 1000).toFixed(0).padStart(5)} s  ${line}`);
};

function write(result: ScenarioResult | ScriptResult): void {
  mkdirSync(join(BENCH, "results"), { recursive: true });
  writeFileSync(join(BENCH, "results", `${result.scenario}.json`), `${JSON.stringify(result, null, 1)}\n`);
}

/** When and where this is. */
function circumstances({ name, title }: { readonly name: string; readonly title: string }) {
  const day = new Date().toISOString().slice(0, 10);
  return { scenario: name, title, commit: describeCommit(ROOT), day, machine: describeMachine() };
}

async function runScenario(scenario: Scenario): Promise<void> {
  log(scenario.title);
  if (scenario.contestants.some((name) => name.endsWith(", Chromium"))) {
    spawnSync(join("node_modules", ".bin", "bun"), ["tools/build_browser.ts"], { cwd: ROOT, stdio: ["ignore", "ignore", "inherit"] });
  }
  const points = [];
  for (const { label, workload } of scenario.points) {
    points.push({ label, workload: workload.measured === "fill-mask" ? await withCheckpoint(workload, log) : workload });
  }
  const chosen: Scenario = {
    ...scenario,
    points,
    contestants: scenario.contestants.filter((name) => values.only?.includes(name) ?? true),
    rounds: values.rounds ? Number(values.rounds) : scenario.rounds,
  };
  const before = circumstances(scenario);
  const result: ScenarioResult = { ...before, points: await new ScenarioRun(chosen, ROOT, log).run() };
  write(result);
  console.log(`${formatScenario(result)}\n`);
}

function runScript(script: Script): void {
  log(script.title);
  const before = circumstances(script);
  const flags = "Deno" in globalThis ? ["run", "--allow-all", "--no-check"] : [];
  const { stdout, status } = spawnSync(process.execPath, [...flags, join(BENCH, script.file), ...script.args], {
    cwd: ROOT,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  console.log(stdout);
  if (status === 0) write({ ...before, output: stdout.trimEnd() });
  else console.error(`${script.file} ended with code ${status}`);
}

if (values.list || values.help) {
  console.log(USAGE);
  process.exit(0);
}
const unknown = positionals.filter((name) => ![...SCENARIOS, ...SCRIPTS].some((one) => one.name === name));
if (unknown.length > 0) {
  console.error(`There is nothing called ${unknown.join(", ")}.\n\n${USAGE}`);
  process.exit(1);
}
if (!existsSync(join(PEERS, "node_modules"))) {
  console.error("Installing the peers' packages into bench/peers/node_modules.");
  spawnSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: PEERS, stdio: ["ignore", "ignore", "inherit"] });
}
for (const scenario of SCENARIOS) if (positionals.length === 0 || positionals.includes(scenario.name)) await runScenario(scenario);
for (const script of SCRIPTS) if (positionals.includes(script.name)) runScript(script);
