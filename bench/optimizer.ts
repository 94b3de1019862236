/** How long an optimizer's update takes: Adam over one large tensor and over XLM-RoBERTa base, beside a plain loop and copying. */

import process from "node:process";
import { compile } from "../codegen/compile.ts";
import { trainingRequest } from "../codegen/training_request.ts";
import { Adam } from "../runtime/optimizer/config.ts";
import { OptimizerState, type TrainedWeight } from "../runtime/optimizer/optimizer.ts";
import { threadsOf } from "../runtime/threads.ts";
import { expand, load } from "../spec/index.ts";
import { median } from "./statistics.ts";

const ROUNDS = 7;

/** What an update moves between processor and memory: g, w, m, v in, w, m, v out, 4 bytes each. */
const BYTES = 28;

const config = { vocabulary_size: 250002, num_layers: 12, num_heads: 12, hidden_dim: 768, intermediate_dim: 3072, dropout: 0.1 };

/** The trained weights of XLM-RoBERTa base with its head for masked language modeling. */
async function baseWeights(): Promise<TrainedWeight[]> {
  const expanded = expand(await load("xlm_roberta"), { config, task: "masked_lm" });
  return compile(expanded, trainingRequest(expanded)).program.weights.map(({ path, shape }) => ({ path, shape }));
}

/** One tensor of so many million elements. */
const single = (millions: number): TrainedWeight[] => [{ path: "w", shape: [millions * 1e6] }];

/** The sizes to choose from. */
const SIZES: Readonly<Record<string, () => TrainedWeight[] | Promise<TrainedWeight[]>>> = {
  "32M": () => single(32),
  "100M": () => single(100),
  base: baseWeights,
};

/** Adam as one would write it. */
function plainAdam(w: Float32Array, g: Float32Array, m: Float32Array, v: Float32Array, alpha: number): void {
  for (let i = 0; i < w.length; i++) {
    const mi = m[i] + (g[i] - m[i]) * 0.1;
    const vi = v[i] + (g[i] * g[i] - v[i]) * 0.001;
    m[i] = mi;
    v[i] = vi;
    w[i] -= mi * alpha / (Math.sqrt(vi) + 1e-7);
  }
}

/** One line of the table. */
interface Row {
  readonly run: () => void | Promise<void>;
  /** Parameters that a run goes through. */
  readonly count: number;
  /** Bytes that it moves for each. */
  readonly bytes: number;
  /** Milliseconds of each round. */
  readonly times: number[];
}

const sizeOf = ({ shape }: TrainedWeight): number => shape.reduce((a, b) => a * b, 1);
/** A running Adam over weights of its own. */
function runningAdam(weights: readonly TrainedWeight[], threads: number): OptimizerState {
  const data = new Map<string, Float32Array>(weights.map((weight) => [weight.path, new Float32Array(sizeOf(weight)).fill(0.01)]));
  return new OptimizerState({
    optimizer: new Adam(1e-4),
    weights,
    data: (path) => data.get(path)!,
    move: (path, _, copy) => void data.set(path, copy()),
    threads,
  });
}

/** Measures one size; every row's rounds are interleaved with the others'. */
async function measure(name: string, weights: readonly TrainedWeight[]): Promise<void> {
  const count = weights.reduce((sum, weight) => sum + sizeOf(weight), 0);
  const values = new Float32Array(Math.max(...weights.map(sizeOf))).fill(0.01);
  const gradients = new Map(weights.map((weight) => [weight.path, values.subarray(0, sizeOf(weight))]));
  const states = [...new Set([1, threadsOf(undefined)])].map((threads) => ({ threads, state: runningAdam(weights, threads) }));
  const [w, g, m, v] = [0, 1, 2, 3].map(() => new Float32Array(Math.min(count, 32e6)).fill(0.01));
  const rows: Record<string, Row> = {
    ...Object.fromEntries(states.map(({ threads, state }): [string, Row] => [
      `${threads} thread${threads > 1 ? "s" : ""}`,
      { run: () => state.apply(gradients), count, bytes: BYTES, times: [] },
    ])),
    "a plain loop": { run: () => plainAdam(w, g, m, v, 1e-4), count: w.length, bytes: BYTES, times: [] },
    "copying (set)": { run: () => w.set(g), count: w.length, bytes: 8, times: [] },
  };
  for (let round = -1; round < ROUNDS; round++) {
    for (const { run, times } of Object.values(rows)) {
      const start = performance.now();
      await run();
      // The first round pays for pages that were never touched, and for the threads' start.
      if (round >= 0) times.push(performance.now() - start);
    }
  }
  console.log(`\nAdam, ${name}: ${count} parameters in ${weights.length} tensors; medians of ${ROUNDS}, all rows in turn`);
  console.log(`${"".padEnd(14)}  ns/parameter   GB/s  ms for all`);
  for (const [row, { count: done, bytes, times }] of Object.entries(rows)) {
    const ns = median(times) * 1e6 / done;
    const cells = [ns.toFixed(2).padStart(12), (bytes / ns).toFixed(1).padStart(5), (ns * count / 1e6).toFixed(0).padStart(10)];
    console.log(`${row.padEnd(14)}  ${cells.join("  ")}`);
  }
  for (const { state } of states) await state.dispose();
}

const chosen = process.argv.slice(2);
for (const name of chosen.length > 0 ? chosen : Object.keys(SIZES)) await measure(name, await SIZES[name]());
