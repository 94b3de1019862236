/** What a scenario gave: plain data, written as JSON, from which tables and the report are made. */

import type { Facts } from "./protocol.ts";
import type { Spread } from "./statistics.ts";
import type { Workload } from "./workload.ts";

/** One contestant at one point. */
export interface Measurement {
  readonly contestant: string;
  /** Seconds a step: a round's median, over all rounds. */
  readonly seconds: Spread;
  /** All rounds' medians, in order. */
  readonly rounds: readonly number[];
  /** Seconds from the process' start, or the point's, to the end of the warm-up. */
  readonly prepareSeconds: number;
  /** The most that its processes had resident up to then; null where the system doesn't say. */
  readonly peakBytes: number | null;
  readonly facts: Facts;
}

/** How many times as long a peer took as one of ours: above 1, ours is faster. */
export interface Comparison {
  readonly ours: string;
  readonly peer: string;
  readonly ratio: Spread;
}

/** One point of a scenario. */
export interface PointResult {
  readonly label: string;
  readonly workload: Workload;
  readonly measurements: readonly Measurement[];
  readonly comparisons: readonly Comparison[];
  /** Who could not take part, and why. */
  readonly missing: readonly { readonly contestant: string; readonly reason: string }[];
  /** What was to agree and didn't; null where nothing was to. */
  readonly disagreements: readonly string[] | null;
}

/** What the machine is. */
export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly system: string;
  readonly deno: string;
  /** The load average of the minute before, in processes that wanted to run. */
  readonly loadBefore: number;
}

/** When and where something was measured. */
interface Run {
  readonly scenario: string;
  readonly title: string;
  /** The commit that was measured, with a plus where files differed from it. */
  readonly commit: string;
  /** The day, as YYYY-MM-DD. */
  readonly day: string;
  readonly machine: Machine;
}

/** One scenario. */
export interface ScenarioResult extends Run {
  readonly points: readonly PointResult[];
}

/** What one of {@linkcode SCRIPTS} printed. */
export interface ScriptResult extends Run {
  readonly output: string;
}
