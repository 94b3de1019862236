/** Writes `bench/RESULTS.md` from `bench/results/*.json` and the notes in `bench/notes/`: `deno task bench:report`. */

import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { GOALS, outcomeOf } from "./goals.ts";
import type { Machine, ScenarioResult, ScriptResult } from "./results.ts";
import { SCENARIOS } from "./scenarios.ts";
import { SCRIPTS } from "./scripts.ts";
import { formatBytes, growthTable, pointTable, remarksOf, type Table } from "./table.ts";

/** What is said under a scenario's tables, by its name: what a profile showed. */
export type Notes = Readonly<Record<string, string>>;

/** The report, as Markdown. */
export function reportOf(results: readonly ScenarioResult[], scripts: readonly ScriptResult[], notes: Notes = {}): string {
  const sections = results.flatMap((result) => {
    const { scenario, title, points } = result;
    const runtimes = new Set(
      points.flatMap(({ measurements }) =>
        measurements.flatMap(({ contestant, facts }) => typeof facts.runtime === "string" ? [`${contestant}: ${facts.runtime}`] : [])
      ),
    );
    return [
      `## ${title}`,
      `\`deno task bench ${scenario}\`: ${describeWorkload(result)} ${describeRun(result)}`,
      ...points.length === 1 ? [markdown(pointTable(points[0]))] : [markdown(growthTable(result))],
      ...points[0]?.disagreements?.length === 0 ? ["All computed the same."] : [],
      ...bullets([...remarksOf(result), ...runtimes]),
      ...notes[scenario] ? [notes[scenario].trim()] : [],
    ];
  });
  const programs = scripts.flatMap((result) => [
    `## ${result.title}`,
    `\`deno task bench ${result.scenario}\`. ${describeRun(result)}`,
    "```text\n" + result.output + "\n```",
    ...notes[result.scenario] ? [notes[result.scenario].trim()] : [],
  ]);
  return [
    "# Results",
    "Written by `deno task bench:report` from what `deno task bench` measured. Every contestant is a process of its own; they are measured in turns, " +
    "one at a time while the others are stopped, after a warm-up that doesn't count. Times are of one step; a ratio says how many times as long the " +
    "peer took as ours in the same round, as the median over the rounds (the least and the greatest in brackets). Peak memory is the most that " +
    "a contestant's processes had resident, loading included.",
    ...machinesOf([...results, ...scripts]).map(describeMachine),
    "## Goals",
    markdown([
      ["", "goal", "measured", ""],
      ...GOALS.map((goal) => outcomeOf(goal, results)).map(({ goal, wanted, measured, reached }) => [
        goal.title,
        wanted,
        measured,
        reached === null ? "" : reached ? "reached" : "**missed**",
      ]),
    ]),
    "## What is worse than a peer",
    ...bullets(worse(results), "Nothing that was measured."),
    ...sections,
    ...programs,
  ].join("\n\n") + "\n";
}

/** Every comparison that a peer wins, in time or in memory; of a scenario that grows, at which points. */
function worse(results: readonly ScenarioResult[]): string[] {
  return results.flatMap((result) => {
    const pairs = new Map(result.points.flatMap(({ comparisons }) => comparisons.map((one) => [`${one.ours} ${one.peer}`, one])));
    return [...pairs.values()].flatMap(({ ours, peer }) => [...slower(result, ours, peer), ...larger(result, ours, peer)]);
  });
}

function slower({ title, points }: ScenarioResult, ours: string, peer: string): string[] {
  const lost = points.flatMap(({ label, comparisons }) => {
    const ratio = comparisons.find((one) => one.ours === ours && one.peer === peer)?.ratio.median ?? 1;
    return ratio < 1 ? [{ label, times: 1 / ratio }] : [];
  });
  if (lost.length === 0) return [];
  const times = lost.map((one) => one.times);
  const [least, most] = [Math.min(...times), Math.max(...times)].map((one) => one.toFixed(2));
  return [`${title}${at(lost)}: ${ours} takes ${least === most ? most : `${least} to ${most}`} times as long as ${peer}.`];
}

function larger({ title, points }: ScenarioResult, ours: string, peer: string): string[] {
  const lost = points.flatMap(({ label, measurements }) => {
    const [mine, theirs] = [ours, peer].map((name) => measurements.find(({ contestant }) => contestant === name)?.peakBytes);
    return mine && theirs && mine > theirs ? [{ label, mine, theirs }] : [];
  });
  if (lost.length === 0) return [];
  const { mine, theirs } = lost.at(-1)!;
  return [`${title}${at(lost)}: ${ours} takes ${formatBytes(mine)} at its peak, ${peer} ${formatBytes(theirs)}.`];
}

const at = (points: readonly { readonly label: string }[]): string =>
  points[0].label === "" ? "" : `, ${points.map(({ label }) => label).join(", ")}`;

function machinesOf(results: readonly Pick<ScenarioResult, "machine">[]): Machine[] {
  const key = ({ loadBefore: _, ...machine }: Machine) => JSON.stringify(machine);
  return [...new Map(results.map(({ machine }) => [key(machine), machine])).values()];
}

function describeMachine({ processor, cores, memoryBytes, system, deno }: Machine): string {
  return `Machine: ${processor}, ${cores} cores, ${formatBytes(memoryBytes)}, ${system}, Deno ${deno}.`;
}

function describeRun({ commit, day, machine }: ScenarioResult | ScriptResult): string {
  return `Measured on ${day} at commit ${commit}; load average before: ${machine.loadBefore.toFixed(1)}.`;
}

function describeWorkload({ points }: ScenarioResult): string {
  const { measured, shape, batch, sequence, masks, dropout, optimizer, threads } = points[0].workload;
  const { numLayers, hiddenDim, numHeads, intermediateDim, vocabularySize } = shape;
  if (measured === "start-up") return "a process.";
  return [
    `${numLayers} layers, width ${hiddenDim}, ${numHeads} heads, ${intermediateDim} between, ${vocabularySize} tokens`,
    `batch ${batch} × ${sequence}`,
    `${masks} masked position${masks === 1 ? "" : "s"} a row`,
    ...measured === "training step" ? [`${optimizer}, dropout ${dropout}`] : [],
    `float32, ${threads} thread${threads === 1 ? "" : "s"}${points.length > 1 ? "; at the first point" : ""}.`,
  ].join("; ");
}

function markdown(table: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  const [header, ...rows] = table;
  return [line(header), line(header.map((_, column) => column === 0 ? "---" : "---:")), ...rows.map(line)].join("\n");
}

function bullets(lines: readonly string[], none?: string): string[] {
  if (lines.length === 0) return none === undefined ? [] : [none];
  return [lines.map((line) => `- ${line}`).join("\n")];
}

if (import.meta.main) {
  const folder = (name: string): string => fileURLToPath(new URL(`./${name}/`, import.meta.url));
  const filesOf = (name: string): [name: string, text: string][] =>
    existsSync(folder(name))
      ? readdirSync(folder(name)).map((file) => [file.replace(/\.\w+$/, ""), readFileSync(`${folder(name)}${file}`, "utf8")])
      : [];
  const results = new Map(filesOf("results").map(([name, text]) => [name, JSON.parse(text) as ScenarioResult | ScriptResult]));
  const inOrder = [...SCENARIOS, ...SCRIPTS].flatMap(({ name }) => results.has(name) ? [results.get(name)!] : []);
  const scenarios = inOrder.filter((one): one is ScenarioResult => "points" in one);
  const scripts = inOrder.filter((one): one is ScriptResult => "output" in one);
  const out = fileURLToPath(new URL("./RESULTS.md", import.meta.url));
  writeFileSync(out, reportOf(scenarios, scripts, Object.fromEntries(filesOf("notes"))));
  console.log(out);
}
