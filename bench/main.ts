/** Measures this project beside its peers: `deno task bench [scenario…]` prints tables and writes `bench/results/*.json`. */

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { withCheckpoint } from "./checkpoint.ts";
import { PEERS } from "./contestants.ts";
import { describeCommit, describeMachine } from "./machine.ts";
import type { ScenarioResult } from "./results.ts";
import { type Scenario, SCENARIOS } from "./scenarios.ts";
import { ScenarioRun } from "./schedule.ts";
import { formatScenario } from "./table.ts";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const RESULTS = fileURLToPath(new URL("./results/", import.meta.url));

const USAGE = `deno task bench [scenario…] [--only CONTESTANT]… [--rounds N] [--quiet] [--list]

Measures all scenarios, or those that are named; --only leaves out all other contestants.
PEERS_PYTHON is a Python with keras, keras_hub, jax, torch and transformers; PEERS_TENSORFLOW_PYTHON one that has tensorflow too.

${SCENARIOS.map(({ name, title }) => `  ${name.padEnd(18)}${title}`).join("\n")}`;

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
if (values.list || values.help) {
  console.log(USAGE);
  process.exit(0);
}
const unknown = positionals.filter((name) => !SCENARIOS.some((scenario) => scenario.name === name));
if (unknown.length > 0) {
  console.error(`There is no scenario ${unknown.join(", ")}.\n\n${USAGE}`);
  process.exit(1);
}

if (!existsSync(join(PEERS, "node_modules"))) {
  console.error("Installing the peers' packages into bench/peers/node_modules.");
  spawnSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: PEERS, stdio: ["ignore", "ignore", "inherit"] });
}

mkdirSync(RESULTS, { recursive: true });
const started = performance.now();
const log = (line: string): void => {
  if (!values.quiet) console.error(`${((performance.now() - started) / 1000).toFixed(0).padStart(5)} s  ${line}`);
};
for (const scenario of SCENARIOS.filter(({ name }) => positionals.length === 0 || positionals.includes(name))) {
  log(scenario.title);
  const points = await Promise.all(scenario.points.map(async ({ label, workload }) => ({
    label,
    workload: workload.measured === "fill-mask" ? await withCheckpoint(workload, log) : workload,
  })));
  const chosen: Scenario = {
    ...scenario,
    points,
    contestants: scenario.contestants.filter((name) => values.only?.includes(name) ?? true),
    rounds: values.rounds ? Number(values.rounds) : scenario.rounds,
  };
  const machine = describeMachine();
  const measured = await new ScenarioRun(chosen, ROOT, log).run();
  const result: ScenarioResult = {
    scenario: scenario.name,
    title: scenario.title,
    commit: describeCommit(ROOT),
    day: new Date().toISOString().slice(0, 10),
    machine,
    points: measured,
  };
  writeFileSync(join(RESULTS, `${scenario.name}.json`), `${JSON.stringify(result, null, 1)}\n`);
  console.log(`${formatScenario(result)}\n`);
}
