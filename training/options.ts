/** The options of `fit`, `evaluate` and `predict`, and their checks at run time. */

import { OnnxHubError } from "../errors.ts";
import { Callback } from "./callbacks/callback.ts";
import { checkOptions } from "./callbacks/monitor_callback.ts";
import { type Batches, checkClassWeight, type ClassWeight, type Rows, type ValidationData } from "./data.ts";

/** How much is printed: 0 nothing, 1 a progress bar, 2 a line an epoch; "auto" is 1. */
export type Verbose = "auto" | 0 | 1 | 2;

/** What all three take. */
interface RunOptions {
  /** Rows of the inputs (texts where the model has a preprocessor), or an iterable of batches. */
  readonly x: Rows | Batches;
  /** Rows in a batch. Default: 32. Not with an iterable. */
  readonly batchSize?: number;
  /** Default: "auto". */
  readonly verbose?: Verbose;
  readonly callbacks?: readonly Callback[];
}

/** What `fit` takes; the names and defaults are Keras'. */
export interface FitOptions extends RunOptions {
  /** Labels. Not where `x` is an iterable, whose batches bring theirs, nor where a preprocessor makes them. */
  readonly y?: Rows;
  /** Weights of the labels. */
  readonly sampleWeight?: Rows;
  /** The final index of the epochs: `epochs - initialEpoch` run. Default: 1. */
  readonly epochs?: number;
  /** The last fraction of the rows, from 0 to below 1, that is kept for validation. Default: 0. */
  readonly validationSplit?: number;
  /** What validation runs on; goes before `validationSplit`. */
  readonly validationData?: ValidationData;
  /** Whether rows are shuffled before each epoch, by the seed and the epoch. Default: true. An iterable's order is its own. */
  readonly shuffle?: boolean;
  /** A weight for each class. */
  readonly classWeight?: ClassWeight;
  /** The epoch to start at, from 0. Default: 0. */
  readonly initialEpoch?: number;
  /** Batches in an epoch. Default: one pass over the data. */
  readonly stepsPerEpoch?: number;
  /** Batches in a validation run. Default: one pass. */
  readonly validationSteps?: number;
  /** Default: `batchSize`. */
  readonly validationBatchSize?: number;
  /** Every how many epochs to validate, or in which (counted from 1). Default: 1. */
  readonly validationFreq?: number | readonly number[];
}

/** What `evaluate` takes. */
export interface EvaluateOptions extends RunOptions {
  /** Labels. */
  readonly y?: Rows;
  /** Weights of the labels. */
  readonly sampleWeight?: Rows;
  /** Batches to run on. Default: all. */
  readonly steps?: number;
}

/** What `predict` takes. */
export interface PredictOptions extends RunOptions {
  /** Batches to run on. Default: all. */
  readonly steps?: number;
}

/** A check of one option: whether the value is right, and what would be. */
interface Check {
  readonly ok: (value: unknown) => boolean;
  readonly expected: string;
}

const positive: Check = { ok: (value) => Number.isSafeInteger(value) && (value as number) > 0, expected: "a whole number above 0" };
const whole: Check = { ok: (value) => Number.isSafeInteger(value) && (value as number) >= 0, expected: "a whole number" };
const anything: Check = { ok: () => true, expected: "" };
const verbose: Check = { ok: (value) => ["auto", 0, 1, 2].includes(value as Verbose), expected: '"auto", 0, 1 or 2' };
const callbacks: Check = {
  ok: (value) => Array.isArray(value) && value.every((item) => item instanceof Callback),
  expected: "an array of callbacks",
};

const FIT: Readonly<Record<keyof FitOptions, Check>> = {
  x: anything,
  y: anything,
  sampleWeight: anything,
  batchSize: positive,
  epochs: whole,
  verbose,
  callbacks,
  validationSplit: { ok: (value) => typeof value === "number" && value >= 0 && value < 1, expected: "a number from 0 to below 1" },
  validationData: anything,
  shuffle: { ok: (value) => typeof value === "boolean", expected: "true or false" },
  classWeight: anything,
  initialEpoch: whole,
  stepsPerEpoch: positive,
  validationSteps: positive,
  validationBatchSize: positive,
  validationFreq: {
    ok: (value) => positive.ok(value) || (Array.isArray(value) && value.every((epoch) => positive.ok(epoch))),
    expected: "a whole number above 0, or an array of epochs counted from 1",
  },
};

const EVALUATE: Readonly<Record<keyof EvaluateOptions, Check>> = {
  x: anything,
  y: anything,
  sampleWeight: anything,
  batchSize: positive,
  verbose,
  steps: positive,
  callbacks,
};

const PREDICT: Readonly<Record<keyof PredictOptions, Check>> = { x: anything, batchSize: positive, verbose, steps: positive, callbacks };

/** Throws "training/unknown-option" or "training/option". */
export function checkFitOptions(options: FitOptions): void {
  check("fit", options, FIT);
  if (options.classWeight !== undefined) checkClassWeight(options.classWeight);
}

/** Throws "training/unknown-option" or "training/option". */
export function checkEvaluateOptions(options: EvaluateOptions): void {
  check("evaluate", options, EVALUATE);
}

/** Throws "training/unknown-option" or "training/option". */
export function checkPredictOptions(options: PredictOptions): void {
  check("predict", options, PREDICT);
}

function check(method: string, options: object, checks: Readonly<Record<string, Check>>): void {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new OnnxHubError("training/option", `${method} takes one object of options`, {
      path: method,
      expected: "{ x, … }",
      found: typeof options,
    });
  }
  checkOptions(method, options, Object.keys(checks));
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || checks[name].ok(value)) continue;
    throw new OnnxHubError("training/option", `Wrong value for \`${name}\``, {
      path: `${method}.${name}`,
      expected: checks[name].expected,
      found: show(value),
    });
  }
}

function show(value: unknown): string {
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "an array" : value.constructor?.name ?? "an object";
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}
