/** From what a caller gives to what a stage is fed: names, dtypes, shapes and ranges checked, defaults filled in, masks drawn. */

import { evaluateShape, formatShape } from "../codegen/ir/dims.ts";
import type { Program, ProgramInput } from "../codegen/program.ts";
import { nearest, OnnxHubError } from "../errors.ts";
import { RandomStream } from "../random.ts";
import type { FeedTensor } from "./backend.ts";
import { fillDropoutMask, type MaskArrays } from "./dropout_mask.ts";
import { type Tensor, tensor, type TensorDType, type TensorLike } from "./tensor.ts";

/** What a caller gives for one run. */
export interface RunInputs {
  readonly x: Readonly<Record<string, TensorLike>>;
  readonly labels?: TensorLike;
  readonly sampleWeight?: TensorLike;
  readonly lossScale?: number;
  /** Tells the dropout masks of this run from those of others. */
  readonly dropout?: { readonly seed: number; readonly step: number };
}

/** The feeds of a batch by name, with the symbols' sizes. Weights, dropout masks and stashes are bound stage by stage. */
export interface BoundFeeds {
  readonly feeds: Record<string, FeedTensor>;
  readonly symbols: Readonly<Record<string, number>>;
}

/**
 * Binds a run's inputs to a program's.
 *
 * Throws "data/missing-input", "data/unknown-input", "data/shape", "data/range", "data/nan", "data/too-long", each naming the input.
 */
export function bindFeeds(program: Program, run: RunInputs): BoundFeeds {
  const { inputs } = program;
  const { feeds, symbols } = bindGiven(program, run);
  const data = inputs.filter((input) => input.role === "data");
  for (const input of inputs) {
    if (feeds[input.name]) continue;
    switch (input.role) {
      case "data":
        feeds[input.name] = fillIn(input, run, data, symbols);
        break;
      case "sample_weight":
        feeds[input.name] = sampleWeights(input, run.sampleWeight, symbols, program);
        break;
      case "loss_scale":
        feeds[input.name] = { dtype: "float32", shape: [], data: Float32Array.of(run.lossScale ?? 1) };
        break;
    }
  }
  for (const input of inputs) if (input.role === "data" || input.role === "label") checkRange(input, feeds[input.name], symbols);
  return { feeds, symbols };
}

/** The sizes of the symbolic dimensions that a run's data and labels have; throws what {@linkcode bindFeeds} throws. */
export function sizesOf(program: Program, run: Pick<RunInputs, "x" | "labels">): Readonly<Record<string, number>> {
  return bindGiven(program, run).symbols;
}

/** What the caller gives of data and labels. */
function bindGiven(
  program: Program,
  run: Pick<RunInputs, "x" | "labels">,
): { feeds: Record<string, FeedTensor>; symbols: Record<string, number> } {
  const feeds: Record<string, FeedTensor> = {};
  const symbols: Record<string, number> = {};
  const { inputs } = program;
  checkNames(run.x, inputs.flatMap((input) => input.role === "data" ? [input.name] : []));
  for (const input of inputs) {
    const given = input.role === "data" ? run.x[input.name] : undefined;
    if (given !== undefined) feeds[input.name] = bind(input, given, symbols, program);
  }
  for (const input of inputs) {
    if (input.role !== "label") continue;
    if (run.labels === undefined) {
      throw new OnnxHubError("data/missing-labels", "This needs labels", {
        path: "y",
        expected: formatShape(input.shape),
        remedy: "Give `y`.",
      });
    }
    feeds[input.name] = bind(input, run.labels, symbols, program);
  }
  return { feeds, symbols };
}

/** Names in `x` that the model does not know are errors. */
function checkNames(x: Readonly<Record<string, unknown>>, known: Iterable<string>): void {
  const names = [...known];
  for (const name of Object.keys(x)) {
    if (names.includes(name)) continue;
    const guess = nearest(name, names);
    throw new OnnxHubError("data/unknown-input", `The model has no input ${name}`, {
      path: `x.${name}`,
      expected: names.join(", "),
      found: name,
      remedy: guess ? `Did you mean \`${guess}\`?` : undefined,
    });
  }
}

/** One given array against a declared input: dtype, rank, sizes that agree with those seen before. */
function bind(input: ProgramInput, given: TensorLike, symbols: Record<string, number>, program: Program): FeedTensor {
  const path = input.role === "data" ? `x.${input.name}` : input.role === "label" ? "y" : "sampleWeight";
  const value = squeezed(tensor(given, input.dtype as TensorDType, path), input);
  const wrong = (): never => {
    const sizes = input.shape.map((dim) => typeof dim === "string" && dim in symbols ? `${dim} = ${symbols[dim]}` : dim);
    throw new OnnxHubError("data/shape", `${path} has the wrong shape`, {
      path,
      expected: formatShape(sizes),
      found: formatShape(value.shape),
    });
  };
  if (value.shape.length !== input.shape.length) wrong();
  input.shape.forEach((dim, i) => {
    const size = value.shape[i];
    if (size === 0) {
      throw new OnnxHubError("data/empty", `${path} is empty`, {
        path,
        expected: formatShape(input.shape),
        found: formatShape(value.shape),
      });
    }
    if (typeof dim === "number" ? dim !== size : (symbols[dim] ??= size) !== size) wrong();
    const limit = typeof dim === "string" ? program.limits[dim] : undefined;
    if (limit !== undefined && size > limit) {
      throw new OnnxHubError("data/too-long", `${path} is longer than the model can take`, {
        path,
        expected: `${dim} of at most ${limit}`,
        found: String(size),
        remedy: "Cut it, or set the preprocessor's `sequenceLength`.",
      });
    }
  });
  checkNumbers(value, path);
  return value as FeedTensor;
}

/** Labels of shape [batch, 1] are taken for [batch], as Keras does. */
function squeezed(value: Tensor, input: ProgramInput): Tensor {
  if (input.role === "data" || value.shape.length !== input.shape.length + 1 || value.shape.at(-1) !== 1) return value;
  return { ...value, shape: value.shape.slice(0, -1) } as Tensor;
}

function checkNumbers(value: Tensor, path: string): void {
  if (value.dtype !== "float32") return;
  const at = value.data.findIndex((x) => !Number.isFinite(x));
  if (at < 0) return;
  throw new OnnxHubError("data/nan", `${path} holds a number that isn't finite`, {
    path: `${path}, element ${at}`,
    expected: "finite numbers",
    found: String(value.data[at]),
  });
}

/** Ids and labels within their bounds, before they reach a gather inside WebAssembly. */
function checkRange(
  input: Extract<ProgramInput, { role: "data" | "label" }>,
  { data, shape }: FeedTensor,
  symbols: Readonly<Record<string, number>>,
): void {
  const low = input.min ?? -Infinity;
  const high = input.max ?? Infinity;
  const limit = input.role === "data" && input.below !== null ? Math.min(high, symbols[input.below] - 1) : high;
  if (low === -Infinity && limit === Infinity) return;
  const ignored = input.role === "label" ? input.ignored : null;
  for (let i = 0; i < data.length; i++) {
    if ((data[i] >= low && data[i] <= limit) || data[i] === ignored) continue;
    const path = input.role === "label" ? "y" : `x.${input.name}`;
    throw new OnnxHubError("data/range", `${path} holds a value out of range`, {
      path: `${path}[${position(i, shape).join("][")}]`,
      expected: limit === Infinity ? `at least ${low}` : `${low} to ${limit}`,
      found: String(data[i]),
    });
  }
}

/** The indices of the element at a flat offset. */
function position(offset: number, shape: readonly number[]): number[] {
  const at: number[] = [];
  for (const size of [...shape].reverse()) {
    at.unshift(offset % size);
    offset = Math.floor(offset / size);
  }
  return at;
}

function fillIn(
  input: Extract<ProgramInput, { role: "data" }>,
  run: RunInputs,
  all: readonly ProgramInput[],
  symbols: Record<string, number>,
): FeedTensor {
  if (input.fill === "required") {
    const guess = nearest(input.name, Object.keys(run.x));
    throw new OnnxHubError("data/missing-input", `The input ${input.name} is missing`, {
      path: `x.${input.name}`,
      expected: all.filter((other) => other.role === "data" && other.fill === "required").map(({ name }) => name).join(", "),
      found: Object.keys(run.x).join(", ") || "nothing",
      remedy: guess && !all.some(({ name }) => name === guess) ? `Did you mean it by \`${guess}\`?` : undefined,
    });
  }
  const shape = evaluateShape(input.shape, symbols);
  const size = shape.reduce((a, b) => a * b, 1);
  const width = shape.at(-1) ?? 1;
  const at = (i: number) => input.fill === "ones" ? 1 : input.fill === "zeros" ? 0 : i % width;
  const list = Array.from({ length: size }, (_, i) => at(i));
  return { ...tensor(list, input.dtype as TensorDType), shape } as FeedTensor;
}

/** Ones where nothing is given; weights of examples spread over their label slots. */
function sampleWeights(input: ProgramInput, given: TensorLike | undefined, symbols: Record<string, number>, program: Program): FeedTensor {
  const shape = evaluateShape(input.shape, symbols);
  const size = shape.reduce((a, b) => a * b, 1);
  if (given === undefined) return { dtype: "float32", shape, data: new Float32Array(size).fill(1) };
  const value = tensor(given, "float32", "sampleWeight");
  if (value.shape.length === 1 && shape.length > 1 && value.shape[0] === shape[0]) {
    checkNumbers(value, "sampleWeight");
    const each = size / shape[0];
    return { dtype: "float32", shape, data: Float32Array.from({ length: size }, (_, i) => value.data[Math.floor(i / each)]) };
  }
  return bind(input, value, symbols, program);
}

/** A dropout mask: a pure function of the seed, the step and the site. */
export function dropoutMask(
  input: Extract<ProgramInput, { role: "dropout" }>,
  run: RunInputs,
  symbols: Readonly<Record<string, number>>,
  arrays: MaskArrays,
): FeedTensor {
  const shape = evaluateShape(input.shape, symbols);
  const data = arrays.take(shape.reduce((a, b) => a * b, 1));
  const { seed, step } = run.dropout ?? { seed: 0, step: 0 };
  fillDropoutMask(data, new RandomStream(seed, "dropout", step, input.site), input.rate);
  return { dtype: "float32", shape, data };
}
