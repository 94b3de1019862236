/** A scenario from its table row to the report: contestants in turns, failures, comparisons, goals. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import type { Contestant } from "../../bench/contestants.ts";
import { GOALS, outcomeOf } from "../../bench/goals.ts";
import { reportOf } from "../../bench/report.ts";
import type { Machine, PointResult, ScenarioResult } from "../../bench/results.ts";
import type { Scenario } from "../../bench/scenarios.ts";
import { ScenarioRun } from "../../bench/schedule.ts";
import { formatScenario } from "../../bench/table.ts";
import { launchFile, ROOT, TINY } from "./contestants.ts";

const echo = (name: string, ours: boolean, shared?: { key: string; lane: string }): Contestant => ({
  name,
  ours,
  launch: () => ({ ...launchFile(join("tests", "bench", "echo_contestant.ts")), shared }),
  bytesPerParameter: {},
});

const FIELD: readonly Contestant[] = [
  echo("ours", true),
  echo("peer", false),
  echo("in a page", false, { key: "page", lane: "left" }),
  echo("in the same page", false, { key: "page", lane: "right" }),
  { name: "absent", ours: false, launch: () => ({ missing: "it is not installed" }), bytesPerParameter: {} },
];

const find = (name: string): Contestant => FIELD.find((one) => one.name === name)!;

const SCENARIO: Scenario = {
  name: "echo",
  title: "Echoes",
  points: [1, 2].map((batch) => ({ label: `batch ${batch}`, workload: { ...TINY, batch } })),
  contestants: FIELD.map(({ name }) => name),
  rounds: 3,
  steps: 2,
  agreement: { fact: "tokens", tolerance: 0 },
};

const MACHINE: Machine = { processor: "a processor", cores: 2, memoryBytes: 8e9, system: "Linux 6", deno: "2.9.6", loadBefore: 0.5 };

const resultOf = (points: readonly PointResult[], scenario = "echo"): ScenarioResult => ({
  scenario,
  title: "Echoes",
  commit: "abc1234",
  day: "2026-01-02",
  machine: MACHINE,
  points,
});

/** A point with one of ours and a peer. */
function pointOf(ours: string, peer: string, ratio: number, facts = {}): PointResult {
  const spread = (median: number) => ({ median, min: median, max: median });
  const measurement = (contestant: string, seconds: number, peakBytes: number) => ({
    contestant,
    seconds: spread(seconds),
    rounds: [seconds],
    prepareSeconds: 1,
    peakBytes,
    facts,
  });
  return {
    label: "",
    workload: TINY,
    measurements: [measurement(ours, 1, 5e9), measurement(peer, ratio, 6e9)],
    comparisons: [{ ours, peer, ratio: spread(ratio) }],
    missing: [],
    disagreements: [],
  };
}

describe("a scenario that runs", () => {
  const lines: string[] = [];
  let points: PointResult[] = [];
  before(async () => {
    points = await new ScenarioRun(SCENARIO, ROOT, (line) => lines.push(line), { find, settle: 0 }).run();
  });

  it("measures all in turns, one after the other in every round", () => {
    const rounds = lines.filter((line) => line.startsWith("batch 2 round")).map((line) => line.replace(/ [\d.]+ s$/, ""));
    const present = SCENARIO.contestants.filter((name) => name !== "absent");
    assert.deepEqual(rounds, [1, 2, 3].flatMap((round) => present.map((name) => `batch 2 round ${round} of 3: ${name}`)));
  });

  it("has each point's medians from each contestant, and who is missing", () => {
    assert.deepEqual(points.map(({ label }) => label), ["batch 1", "batch 2"]);
    for (const { measurements, missing, workload } of points) {
      assert.deepEqual(missing, [{ contestant: "absent", reason: "it is not installed" }]);
      assert.equal(measurements.length, 4);
      for (const { rounds, facts } of measurements) {
        // The warm-up was steps 1 and 2, of 1 ms each more; a round is the median of two.
        assert.deepEqual(rounds.map((seconds) => Math.round(seconds * 1e4)), [35, 55, 75]);
        assert.equal(facts.batch, workload.batch);
      }
    }
  });

  it("compares ours with each peer, and finds that they computed the same", () => {
    const [{ comparisons, disagreements }] = points;
    assert.deepEqual(comparisons.map(({ ours, peer, ratio }) => [ours, peer, ratio.median]), [
      ["ours", "peer", 1],
      ["ours", "in a page", 1],
      ["ours", "in the same page", 1],
    ]);
    assert.deepEqual(disagreements, []);
  });

  it("gives lanes of one process no memory of their own", () => {
    const lanes = points[0].measurements.filter(({ contestant }) => contestant.includes("page"));
    assert.deepEqual(lanes.map(({ facts, peakBytes }) => [facts.lane, peakBytes]), [["left", null], ["right", null]]);
  });

  it("shows as a table with a row for each point", () => {
    const text = formatScenario(resultOf(points));
    assert.match(text, /^batch 1 +5\.50 ms/m);
    assert.match(text, /absent is missing: it is not installed/);
  });
});

describe("a contestant that fails in the middle", () => {
  it("is missing from then on, and the others go on", async () => {
    const [first, second] = SCENARIO.points;
    const points = [first, { ...second, workload: { ...second.workload, text: "fail" } }];
    const scenario = { ...SCENARIO, points, contestants: ["ours"], rounds: 1 };
    const [good, bad] = await new ScenarioRun(scenario, ROOT, () => {}, { find, settle: 0 }).run();
    assert.equal(good.measurements.length, 1);
    assert.deepEqual(bad.measurements, []);
    assert.deepEqual(bad.missing, [{ contestant: "ours", reason: "TypeError: as it was told" }]);
  });
});

describe("the report", () => {
  const train = (ratio: number, outsideRuntime: number) =>
    resultOf([pointOf("OnnxHub, native", "KerasHub, jax", ratio, { outsideRuntime, runtime: "some 1.2" })], "base-train");

  it("says of each goal whether it was reached", () => {
    const outcomes = (result: ScenarioResult) =>
      GOALS.map((goal) => outcomeOf(goal, [result])).filter(({ reached }) => reached !== null).map((
        { goal, reached },
      ) => [goal.kind, reached]);
    assert.deepEqual(outcomes(train(1.4, 0.1)), [["faster", true], ["outside", true], ["memory", true]]);
    assert.deepEqual(outcomes(train(1.3, 0.3)), [["faster", false], ["outside", false], ["memory", true]]);
  });

  it("names the machine, the commit, the command and the versions", () => {
    const text = reportOf([train(1.4, 0.1)], []);
    for (const part of ["a processor, 2 cores", "commit abc1234", "`deno task bench base-train`", "OnnxHub, native: some 1.2", "1.40×"]) {
      assert.ok(text.includes(part), part);
    }
    assert.match(text, /## What is worse than a peer\n\nNothing that was measured\./);
  });

  it("says as plainly what is worse", () => {
    const text = reportOf([train(0.5, 0.1)], []);
    assert.match(text, /^- Echoes: OnnxHub, native takes 2\.00 times as long as KerasHub, jax\.$/m);
    assert.match(text, /KerasHub on JAX +\| at least 1\.35× faster \| 0\.50× \(0\.50–0\.50\) \| \*\*missed\*\* \|/);
  });

  it("has the notes and what programs of their own printed", () => {
    const { points: _, ...run } = resultOf([], "load");
    const text = reportOf([train(1, 0)], [{ ...run, output: "a table" }], { "base-train": "Because of this." });
    assert.match(text, /Because of this\./);
    assert.match(text, /`deno task bench load`.*\n\n```text\na table\n```/);
  });
});
