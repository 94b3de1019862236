/** What is measured: a table of scenarios, each one or several pieces of work and who does them. */

import type { ModelShape, Workload } from "./workload.ts";

/** One row of a scenario that shows how cost grows, or its only one. */
export interface Point {
  /** Where on the axis; empty where there is one point alone. */
  readonly label: string;
  readonly workload: Workload;
}

/** Something to measure. */
export interface Scenario {
  /** As the command line and the results call it. */
  readonly name: string;
  readonly title: string;
  readonly points: readonly Point[];
  /** Who takes part, by name, ours first: those stay while peers that don't fit into memory together take turns. */
  readonly contestants: readonly string[];
  /** How many times each is measured, in turns. */
  readonly rounds: number;
  /** Steps in a round; a round counts as their median. */
  readonly steps: number;
  /** A fact that all must agree on, and how far numbers may differ, relatively. */
  readonly agreement?: { readonly fact: string; readonly tolerance: number };
}

const BASE: ModelShape = {
  vocabularySize: 250002,
  numLayers: 12,
  numHeads: 12,
  hiddenDim: 768,
  intermediateDim: 3072,
  maxSequenceLength: 512,
};

const LARGE: ModelShape = { ...BASE, numLayers: 24, numHeads: 16, hiddenDim: 1024, intermediateDim: 4096 };

const E5_SMALL: ModelShape = { ...BASE, vocabularySize: 250037, hiddenDim: 384, intermediateDim: 1536 };

const SMALL: ModelShape = {
  vocabularySize: 8000,
  numLayers: 2,
  numHeads: 4,
  hiddenDim: 256,
  intermediateDim: 1024,
  maxSequenceLength: 128,
};

const TINY: ModelShape = { ...SMALL, vocabularySize: 1000, hiddenDim: 64, intermediateDim: 256 };

/** What KerasHub takes for masked language modeling: Adam with 5e-5; 15 % of the tokens are masked. */
const training = (shape: ModelShape, batch: number, sequence: number): Workload => ({
  measured: "training step",
  shape,
  batch,
  sequence,
  masks: Math.max(1, Math.round(sequence * 0.15)),
  dropout: 0.1,
  optimizer: "adam",
  learningRate: 5e-5,
  threads: 2,
  warmUp: 2,
  sameWeights: false,
});

const BASE_TRAINING: Workload = training(BASE, 4, 128);

/** Runs until a session holds large weights that have stayed the same: what is measured is what a long-running program gets. */
const STEADY = 20;

/** One text of 128 tokens with one mask. */
const filling = (shape: ModelShape): Workload => ({
  ...training(shape, 1, 128),
  measured: "fill-mask",
  masks: 1,
  dropout: 0,
  warmUp: STEADY,
});

const only = (workload: Workload): Point[] => [{ label: "", workload }];

/** A scenario of several sizes of one number. */
function growth(axis: string, title: string, sizes: readonly number[], workload: (size: number) => Workload): Scenario {
  return {
    name: `grow-${axis}`,
    title: `How a training step grows with ${title}`,
    // Enough steps for WebAssembly's second compiler.
    points: sizes.map((size) => ({ label: `${axis} ${size}`, workload: { ...workload(size), warmUp: 6 } })),
    contestants: ["OnnxHub, native", "OnnxHub, wasm", "KerasHub, jax"],
    rounds: 3,
    steps: 1,
  };
}

/** The table. */
export const SCENARIOS: readonly Scenario[] = [
  {
    name: "base-train",
    title: "A training step of XLM-RoBERTa base",
    points: only(BASE_TRAINING),
    contestants: [
      "OnnxHub, native",
      "OnnxHub, wasm",
      "KerasHub, jax",
      "KerasHub, torch",
      "PyTorch",
      "KerasHub, tensorflow",
    ],
    rounds: 4,
    steps: 1,
  },
  {
    name: "large-train",
    title: "A training step of XLM-RoBERTa large, 560 million parameters, in a heap of 4 GiB",
    points: only({ ...training(LARGE, 4, 128), warmUp: 1 }),
    contestants: ["OnnxHub, wasm"],
    rounds: 2,
    steps: 1,
  },
  {
    name: "large-train-head",
    title: "The same with a frozen backbone",
    points: only({ ...training(LARGE, 4, 128), warmUp: 1, trains: "head" }),
    contestants: ["OnnxHub, wasm"],
    rounds: 2,
    steps: 1,
  },
  {
    name: "base-predict",
    title: "A prediction of XLM-RoBERTa base",
    points: only({ ...BASE_TRAINING, measured: "prediction", warmUp: STEADY }),
    contestants: [
      "OnnxHub, native",
      "OnnxHub, wasm",
      "KerasHub, jax",
      "KerasHub, torch",
      "PyTorch",
      "KerasHub, tensorflow",
    ],
    rounds: 6,
    steps: 2,
  },
  {
    name: "small-train",
    title: "A training step of a small transformer, one thread, from the same weights",
    points: only({ ...training(SMALL, 8, 64), dropout: 0, threads: 1, warmUp: 3, sameWeights: true }),
    contestants: ["OnnxHub, wasm", "OnnxHub, native", "jax-js", "TensorFlow.js, wasm"],
    rounds: 7,
    steps: 3,
    agreement: { fact: "losses", tolerance: 1e-4 },
  },
  {
    name: "tiny-train",
    title: "A training step of a tiny transformer, one thread, from the same weights: what TensorFlow.js' `cpu` backend can do in a while",
    points: only({ ...training(TINY, 4, 32), dropout: 0, threads: 1, warmUp: 3, sameWeights: true }),
    contestants: ["OnnxHub, wasm", "OnnxHub, native", "jax-js", "TensorFlow.js, wasm", "TensorFlow.js, cpu"],
    rounds: 5,
    steps: 3,
    agreement: { fact: "losses", tolerance: 1e-4 },
  },
  {
    name: "fill-mask",
    title: "Filling one mask in a text of 128 tokens, XLM-RoBERTa base, in Deno",
    points: only(filling(BASE)),
    contestants: ["OnnxHub, native", "OnnxHub, wasm", "transformers.js, cpu"],
    rounds: 7,
    steps: 3,
    agreement: { fact: "tokens", tolerance: 0 },
  },
  {
    name: "fill-mask-browser",
    title: "Filling one mask in a text of 128 tokens in Chromium on WebAssembly, the shape of multilingual-e5-small",
    points: only(filling(E5_SMALL)),
    contestants: ["OnnxHub, Chromium", "transformers.js, Chromium"],
    rounds: 7,
    steps: 3,
    agreement: { fact: "tokens", tolerance: 0 },
  },
  {
    name: "fill-mask-int8",
    title: "The same in Deno with weights in int8",
    points: only({ ...filling(BASE), weights: "int8" }),
    contestants: ["OnnxHub, native", "OnnxHub, wasm", "transformers.js, cpu"],
    rounds: 5,
    steps: 3,
  },
  {
    name: "fill-mask-browser-int8",
    title: "The same in Chromium with weights in int8, which is what transformers.js takes there by itself",
    points: only({ ...filling(E5_SMALL), weights: "int8" }),
    contestants: ["OnnxHub, Chromium", "transformers.js, Chromium"],
    rounds: 5,
    steps: 3,
  },
  {
    name: "start-up",
    title: "From the start of a process to the first mask that the built-in preset filled",
    // The preset is small, and says itself what it is.
    points: only({ ...filling(TINY), measured: "start-up", warmUp: 1 }),
    contestants: ["OnnxHub, deno run", "OnnxHub, bun run"],
    rounds: 9,
    steps: 1,
  },
  growth("batch", "the batch", [1, 2, 4, 8, 16, 32], (size) => training(SMALL, size, 128)),
  growth("sequence", "the sequence", [32, 64, 128, 256, 512], (size) => training({ ...SMALL, maxSequenceLength: 512 }, 4, size)),
  growth("layers", "the number of layers", [2, 4, 8, 12, 24], (size) => training({ ...SMALL, numLayers: size }, 4, 128)),
  growth("vocabulary", "the vocabulary", [8_000, 32_000, 128_000, 250_000], (size) => training({ ...SMALL, vocabularySize: size }, 4, 128)),
];
