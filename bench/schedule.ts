/** Runs a scenario: contestants in processes of their own, one awake at a time, in turns. */

import { type Contestant, contestant, expectedBytes } from "./contestants.ts";
import { ContestantProcess } from "./contestant_process.ts";
import { availableBytes } from "./memory.ts";
import type { Facts, Request, Response } from "./protocol.ts";
import type { Comparison, Measurement, PointResult } from "./results.ts";
import type { Point, Scenario } from "./scenarios.ts";
import { median, pairedRatios, spreadOf } from "./statistics.ts";

/** The part of the free memory that contestants may be expected to fill. */
const FILL = 0.9;

/**
 * Splits contestants into groups that fit into memory together, ours in each, in order. One that never fits is tried in a group of its own
 * with ours.
 */
export function groupsOf<C extends Pick<Contestant, "ours">>(
  contestants: readonly C[],
  bytes: (contestant: C) => number,
  available: number,
): C[][] {
  const ours = contestants.filter((one) => one.ours);
  const peers = contestants.filter((one) => !one.ours);
  if (peers.length === 0) return [ours];
  const room = available - ours.reduce((sum, one) => sum + bytes(one), 0);
  const groups: C[][] = [];
  let left = -Infinity;
  for (const peer of peers) {
    if (left < bytes(peer)) {
      groups.push([...ours]);
      left = room;
    }
    groups.at(-1)!.push(peer);
    left -= bytes(peer);
  }
  return groups;
}

/** A contestant while a scenario runs. */
interface Entry {
  readonly contestant: Contestant;
  readonly process: ContestantProcess;
  readonly lane?: string;
  /** What is prepared, by its point's label; null for nothing. */
  prepared: string | null;
}

/** What a contestant showed at one point. */
interface Shown {
  prepareSeconds: number;
  facts: Facts;
  peakBytes: number | null;
  /** Seconds by round; rounds count on over the groups. */
  readonly rounds: Map<number, number>;
}

/** What a run may be told beside its scenario. */
export interface RunOptions {
  /** Who a name is; default {@linkcode contestant}. */
  readonly find?: (name: string) => Contestant;
  /** Milliseconds between one contestant and the next. */
  readonly settle?: number;
}

/** Runs a scenario; `log` gets a line for each thing that happens. */
export class ScenarioRun {
  readonly #scenario: Scenario;
  readonly #directory: string;
  readonly #find: (name: string) => Contestant;
  readonly #settle: number | undefined;
  readonly #log: (line: string) => void;
  readonly #entries = new Map<string, Entry>();
  readonly #missing = new Map<string, string>();

  /** Contestants run in `directory`. */
  constructor(scenario: Scenario, directory: string, log: (line: string) => void, { find = contestant, settle }: RunOptions = {}) {
    this.#find = find;
    this.#settle = settle;
    this.#scenario = scenario;
    this.#directory = directory;
    this.#log = log;
  }

  /** All points. Ends every process that it started, whatever happens. */
  async run(): Promise<PointResult[]> {
    const { points, contestants } = this.#scenario;
    const largest = (one: Contestant) => Math.max(...points.map(({ workload }) => expectedBytes(one, workload.measured, workload.shape)));
    const groups = groupsOf(contestants.map(this.#find), largest, availableBytes() * FILL);
    const shown = points.map(() => new Map<string, Shown>());
    try {
      for (const [g, group] of groups.entries()) {
        for (const [p, point] of points.entries()) await this.#point(point, group, g, shown[p]);
        const after = new Set(groups[g + 1] ?? []);
        for (const one of group) if (!after.has(one)) await this.#stop(one.name);
      }
    } finally {
      for (const name of [...this.#entries.keys()]) await this.#stop(name);
    }
    return points.map((point, p) => this.#result(point, shown[p]));
  }

  async #point(point: Point, group: readonly Contestant[], g: number, shown: Map<string, Shown>): Promise<void> {
    for (const one of group) await this.#prepare(one, point, shown);
    const { rounds, steps } = this.#scenario;
    for (let round = 0; round < rounds; round++) {
      for (const { name } of group) {
        const last = [...shown.get(name)?.rounds.values() ?? []].at(-1) ?? 0;
        const response = await this.#ask(name, { do: "measure", steps: stepsOf(steps, last) });
        if (response?.did !== "measure") continue;
        const seconds = median(response.seconds);
        const record = shown.get(name)!;
        record.rounds.set(g * rounds + round, seconds);
        record.facts = { ...record.facts, ...response.facts };
        const { process, lane } = this.#entries.get(name)!;
        // A process of several contestants doesn't say whose its memory is, and one that ended says nothing.
        record.peakBytes = lane === undefined && point.workload.measured !== "start-up" ? process.peakBytes() : null;
        this.#log(`${point.label} round ${round + 1} of ${rounds}: ${name} ${seconds.toFixed(4)} s`.trim());
      }
    }
  }

  /** Starts a contestant where it isn't running, and has it prepare the point. */
  async #prepare(one: Contestant, point: Point, shown: Map<string, Shown>): Promise<void> {
    const { name } = one;
    if (this.#missing.has(name) || this.#entries.get(name)?.prepared === point.label) return;
    const start = performance.now();
    if (!this.#entries.has(name) && !this.#start(one)) return;
    const response = await this.#ask(name, { do: "prepare", workload: point.workload });
    if (response?.did !== "prepare") return;
    const prepareSeconds = (performance.now() - start) / 1000;
    this.#entries.get(name)!.prepared = point.label;
    shown.set(name, { prepareSeconds, facts: response.facts, peakBytes: null, rounds: new Map() });
    this.#log(`${point.label} ${name} is ready after ${prepareSeconds.toFixed(1)} s`.trim());
  }

  #start(one: Contestant): boolean {
    const launch = one.launch();
    if ("missing" in launch) {
      this.#missing.set(one.name, launch.missing);
      this.#log(`${one.name} is not there: ${launch.missing}`);
      return false;
    }
    const { shared } = launch;
    const other = shared && [...this.#entries.values()].find(({ contestant }) => keyOf(contestant) === shared.key);
    const process = other?.process ?? new ContestantProcess(launch, this.#directory);
    this.#entries.set(one.name, { contestant: one, process, lane: shared?.lane, prepared: null });
    return true;
  }

  /** Wakes a contestant, asks, and puts it to sleep again; null for one that isn't there or fails, which is then out. */
  async #ask(name: string, request: Request): Promise<Response | null> {
    const entry = this.#entries.get(name);
    if (!entry) return null;
    entry.process.wake();
    const response = await entry.process.ask({ ...request, lane: entry.lane });
    if (response.did !== "fail") {
      await entry.process.sleep(this.#settle);
      return response;
    }
    this.#missing.set(name, response.reason);
    this.#log(`${name} failed: ${response.reason}`);
    await this.#stop(name);
    return null;
  }

  async #stop(name: string): Promise<void> {
    const entry = this.#entries.get(name);
    if (!entry) return;
    this.#entries.delete(name);
    if (![...this.#entries.values()].some(({ process }) => process === entry.process)) await entry.process.stop();
  }

  #result({ label, workload }: Point, shown: ReadonlyMap<string, Shown>): PointResult {
    const present = [...shown].filter(([, { rounds }]) => rounds.size > 0);
    const measurements = present.map(([name, { rounds, ...rest }]): Measurement => {
      const values = [...rounds.values()];
      return { contestant: name, seconds: spreadOf(values), rounds: values, ...rest };
    });
    const isOurs = ([name]: [string, Shown]) => this.#find(name).ours;
    const comparisons = present.filter(isOurs).flatMap(([ours, mine]) =>
      present.filter((one) => !isOurs(one)).flatMap(([peer, theirs]): Comparison[] => {
        const ratio = pairedRatios(theirs.rounds, mine.rounds);
        return ratio ? [{ ours, peer, ratio }] : [];
      })
    );
    const missing = [...this.#missing].filter(([name]) => !present.some(([known]) => known === name))
      .map(([name, reason]) => ({ contestant: name, reason }));
    const { agreement } = this.#scenario;
    const disagreements = agreement ? disagreementsOf(measurements, agreement) : null;
    return { label, workload, measurements, comparisons, missing, disagreements };
  }
}

function keyOf(one: Contestant): string | undefined {
  const launch = one.launch();
  return "missing" in launch ? undefined : launch.shared?.key;
}

/** How long a round is to take at most where a step is shorter. */
const ROUND_SECONDS = 3;

/** The steps of a round: those that are asked for, fewer where a step took so long before that they would take too long, at least one. */
export function stepsOf(asked: number, lastSeconds: number): number {
  return lastSeconds === 0 ? asked : Math.max(1, Math.min(asked, Math.floor(ROUND_SECONDS / lastSeconds)));
}

/** Who differs from the first in a fact, in words. */
export function disagreementsOf(
  measurements: readonly Pick<Measurement, "contestant" | "facts">[],
  { fact, tolerance }: NonNullable<Scenario["agreement"]>,
): string[] {
  const [first, ...others] = measurements.filter(({ facts }) => facts[fact] !== undefined);
  const silent = measurements.filter(({ facts }) => facts[fact] === undefined).map(({ contestant }) => `${contestant} tells no ${fact}`);
  const same = (a: unknown, b: unknown): boolean =>
    Array.isArray(a) && Array.isArray(b)
      ? a.length === b.length && a.every((value, i) => same(value, b[i]))
      : typeof a === "number" && typeof b === "number"
      ? Math.abs(a - b) <= tolerance * Math.abs(a)
      : a === b;
  return [
    ...silent,
    ...others.filter(({ facts }) => !same(first.facts[fact], facts[fact])).map(({ contestant, facts }) =>
      `${contestant} has ${fact} ${facts[fact]}, ${first.contestant} ${first.facts[fact]}`
    ),
  ];
}
