/** What the project wants to reach, and whether results show it. */

import type { PointResult, ScenarioResult } from "./results.ts";
import { formatBytes } from "./table.ts";

/** One goal, about one scenario of a single point. */
export type Goal =
  & { readonly title: string; readonly scenario: string }
  & (
    /** The peer takes at least that many times as long. */
    | { readonly kind: "faster"; readonly ours: string; readonly peer: string; readonly atLeast: number }
    /** At most that share of a step is spent outside onnxruntime. */
    | { readonly kind: "outside"; readonly ours: string; readonly atMost: number }
    /** Not more memory than the peer. */
    | { readonly kind: "memory"; readonly ours: string; readonly peer: string }
    /** At most that many seconds. */
    | { readonly kind: "seconds"; readonly ours: string; readonly atMost: number }
  );

/** What became of a goal. */
export interface Outcome {
  readonly goal: Goal;
  /** In words: what was wanted, and what was measured. */
  readonly wanted: string;
  readonly measured: string;
  /** Null where it wasn't measured. */
  readonly reached: boolean | null;
}

/** The table. */
export const GOALS: readonly Goal[] = [
  {
    title: "base-size training step, `native`, against KerasHub on JAX",
    scenario: "base-train",
    kind: "faster",
    ours: "OnnxHub, native",
    peer: "KerasHub, jax",
    atLeast: 1.35,
  },
  {
    title: "the same, `wasm` with 2 threads, against KerasHub on PyTorch",
    scenario: "base-train",
    kind: "faster",
    ours: "OnnxHub, wasm",
    peer: "KerasHub, torch",
    atLeast: 1.1,
  },
  {
    title: "prediction of that batch, `native`, against KerasHub on JAX",
    scenario: "base-predict",
    kind: "faster",
    ours: "OnnxHub, native",
    peer: "KerasHub, jax",
    atLeast: 1.2,
  },
  {
    title: "small transformer's training step on `wasm`, one thread each, against jax-js",
    scenario: "small-train",
    kind: "faster",
    ours: "OnnxHub, wasm",
    peer: "jax-js",
    atLeast: 1.5,
  },
  {
    title: "fill-mask, one mask in 128 tokens, XLM-RoBERTa base, `native`, against transformers.js on its CPU device",
    scenario: "fill-mask",
    kind: "faster",
    ours: "OnnxHub, native",
    peer: "transformers.js, cpu",
    atLeast: 2.8,
  },
  {
    title: "the same in Chromium on `wasm`, in multilingual-e5-small's shape",
    scenario: "fill-mask-browser",
    kind: "faster",
    ours: "OnnxHub, Chromium",
    peer: "transformers.js, Chromium",
    atLeast: 2.8,
  },
  ...["native", "wasm"].map((backend): Goal => ({
    title: `time outside onnxruntime in a base-size training step, \`${backend}\``,
    scenario: "base-train",
    kind: "outside",
    ours: `OnnxHub, ${backend}`,
    atMost: 0.2,
  })),
  ...["native", "wasm"].map((backend): Goal => ({
    title: `peak memory of a base-size training step, \`${backend}\`, against KerasHub on JAX`,
    scenario: "base-train",
    kind: "memory",
    ours: `OnnxHub, ${backend}`,
    peer: "KerasHub, jax",
  })),
  {
    title: "`deno run` to the first filled mask on the built-in preset, warm",
    scenario: "start-up",
    kind: "seconds",
    ours: "OnnxHub, deno run",
    atMost: 1,
  },
];

/** Looks for a goal among the results. */
export function outcomeOf(goal: Goal, results: readonly ScenarioResult[]): Outcome {
  const point = results.find(({ scenario }) => scenario === goal.scenario)?.points[0];
  const [wanted, measured, reached] = judge(goal, point);
  return { goal, wanted, measured: measured ?? "not measured", reached };
}

function judge(goal: Goal, point: PointResult | undefined): [wanted: string, measured: string | null, reached: boolean | null] {
  const measurement = (name: string) => point?.measurements.find(({ contestant }) => contestant === name);
  const mine = measurement(goal.ours);
  switch (goal.kind) {
    case "faster": {
      const wanted = `at least ${goal.atLeast}× faster`;
      const ratio = point?.comparisons.find(({ ours, peer }) => ours === goal.ours && peer === goal.peer)?.ratio;
      if (!ratio) return [wanted, null, null];
      return [wanted, `${ratio.median.toFixed(2)}× (${ratio.min.toFixed(2)}–${ratio.max.toFixed(2)})`, ratio.median >= goal.atLeast];
    }
    case "outside": {
      const wanted = `at most ${goal.atMost * 100} %`;
      const share = mine?.facts.outsideRuntime;
      if (typeof share !== "number") return [wanted, null, null];
      return [wanted, `${(share * 100).toFixed(1)} %`, share <= goal.atMost];
    }
    case "memory": {
      const theirs = measurement(goal.peer)?.peakBytes;
      if (!mine?.peakBytes || !theirs) return ["not more", null, null];
      return ["not more", `${formatBytes(mine.peakBytes)} against ${formatBytes(theirs)}`, mine.peakBytes <= theirs];
    }
    case "seconds": {
      const wanted = `at most ${goal.atMost} s`;
      if (!mine) return [wanted, null, null];
      return [wanted, `${mine.seconds.median.toFixed(2)} s`, mine.seconds.median <= goal.atMost];
    }
  }
}
