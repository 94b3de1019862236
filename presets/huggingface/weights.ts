/** Weights in Hugging Face's checkpoints, by the tables of tensors in a spec: read into place, and laid out for writing. */

import { nearest, OnnxHubError } from "../../errors.ts";
import type { SafetensorsTensor } from "../../formats/safetensors.ts";
import type { ExpandedHuggingFaceWeight } from "../../spec/types.ts";
import { enumerate } from "../enumerate.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { addFirstRow, readTransposed } from "./transforms.ts";

/** A weight as the model knows it, with its axes joined as the checkpoint has them (`joinedShapes`). */
export interface JoinedWeight {
  readonly path: string;
  readonly shape: readonly number[];
}

/** How weights are read. */
export interface ReadCheckpointOptions {
  /** Gives the array that a weight is read into. */
  readonly onto: (path: string) => Float32Array;
  /** Names of tensors that may be there beside their aliases; `*` stands for anything. */
  readonly unused?: readonly string[];
  /** Whether a part without a single tensor of its own keeps its values, as a head that the checkpoint doesn't have. */
  readonly mayLack?: boolean;
}

/** A weight with the tensors that it is made of. */
interface Found {
  readonly weight: JoinedWeight;
  readonly entry: ExpandedHuggingFaceWeight;
  readonly tensor: string;
  /** The tensor whose first row is added. */
  readonly added?: string;
}

const FLOATS: ReadonlySet<string | undefined> = new Set(["float16", "bfloat16", "float32", "float64"]);

/** The shape of a weight's tensor. */
export function tensorShape({ transform, skip_rows }: ExpandedHuggingFaceWeight, shape: readonly number[]): number[] {
  const stored = transform === "transpose" ? [...shape].reverse() : [...shape];
  if (skip_rows > 0) stored[0] += skip_rows;
  return stored;
}

/**
 * Reads weights as float32, one at a time; float16, bfloat16 and float64 are converted. Every tensor's shape and type is checked before the first
 * array is asked for: an error leaves all as it was. Gives the paths of weights that the checkpoint doesn't have and may lack.
 *
 * Throws "preset/weights-missing" with every missing name, "preset/weights-duplicate" where a tensor is there under two names,
 * "preset/weights-shape", "preset/weights-dtype", "preset/weights-unmapped" for a weight that the table lacks.
 */
export function readCheckpointWeights(
  checkpoint: Checkpoint,
  table: readonly ExpandedHuggingFaceWeight[],
  weights: readonly JoinedWeight[],
  { onto, unused = [], mayLack = false }: ReadCheckpointOptions,
): { readonly lacking: readonly string[] } {
  const { found, lacking, missing } = locate(checkpoint, mapped(checkpoint.path, table, weights), unused);
  if (mayLack && found.length === 0) return { lacking: weights.map(({ path }) => path) };
  if (missing.length > 0) throw missingError(checkpoint, missing);
  for (const { weight, entry, tensor, added } of found) {
    checkTensor(checkpoint, tensor, tensorShape(entry, weight.shape), weight.path);
    if (added !== undefined) checkRow(checkpoint, added, weight);
  }
  for (const { weight, entry, tensor, added } of found) {
    const into = onto(weight.path);
    const size = weight.shape.reduce((a, b) => a * b, 1);
    if (entry.transform === "transpose") readTransposed(checkpoint, tensor, into, weight.shape);
    else checkpoint.read(tensor, into, entry.skip_rows * (size / weight.shape[0]), size);
    if (added !== undefined) addFirstRow(checkpoint, added, into, weight.shape[1]);
  }
  return { lacking };
}

/** The table's entry of each weight. One that has none would be lost without a word: "preset/weights-unmapped". */
export function mapped(
  path: string,
  table: readonly ExpandedHuggingFaceWeight[],
  weights: readonly JoinedWeight[],
): (readonly [JoinedWeight, ExpandedHuggingFaceWeight])[] {
  const byPath = new Map(table.map((entry) => [entry.weight, entry]));
  const lost = weights.filter((weight) => !byPath.has(weight.path));
  if (lost.length > 0) {
    throw new OnnxHubError("preset/weights-unmapped", "Hugging Face's format has no place for some weights", {
      path,
      expected: "weights that the spec's checkpoints.huggingface lists",
      found: enumerate(lost.map((weight) => weight.path)),
    });
  }
  return weights.map((weight) => [weight, byPath.get(weight.path)!]);
}

function locate(
  checkpoint: Checkpoint,
  entries: readonly (readonly [JoinedWeight, ExpandedHuggingFaceWeight])[],
  unused: readonly string[],
): { found: Found[]; lacking: string[]; missing: { weight: string; tensor: string }[] } {
  const { tensors } = checkpoint;
  const ignored = matcher(unused);
  const one = (names: readonly string[]): string | undefined => {
    const there = names.filter((name) => tensors.has(name));
    const other = there.slice(1).find((name) => !ignored(name));
    if (other === undefined) return there[0];
    throw new OnnxHubError("preset/weights-duplicate", "A tensor is there under two names", {
      path: checkpoint.where(other),
      expected: `${there[0]} or ${other}`,
      found: "both",
    });
  };
  const found: Found[] = [];
  const lacking: string[] = [];
  const missing: { weight: string; tensor: string }[] = [];
  for (const [weight, entry] of entries) {
    const tensor = one([entry.tensor, ...entry.aliases]);
    const added = entry.add_row === undefined ? undefined : one([entry.add_row, ...entry.add_row_aliases ?? []]);
    if (tensor === undefined && entry.optional) lacking.push(weight.path);
    else if (tensor === undefined) missing.push({ weight: weight.path, tensor: entry.tensor });
    else if (entry.add_row !== undefined && added === undefined) missing.push({ weight: weight.path, tensor: entry.add_row });
    else found.push({ weight, entry, tensor, ...(added === undefined ? {} : { added }) });
  }
  return { found, lacking, missing };
}

function missingError(checkpoint: Checkpoint, missing: readonly { weight: string; tensor: string }[]): OnnxHubError {
  const names = [...checkpoint.tensors.keys()];
  const near = nearest(missing[0].tensor, names);
  return new OnnxHubError(
    "preset/weights-missing",
    `${missing.length === 1 ? "A weight is" : `${missing.length} weights are`} missing in the checkpoint`,
    {
      path: checkpoint.path,
      expected: enumerate(missing.map(({ weight, tensor }) => `${tensor} for ${weight}`)),
      found: names.length === 0 ? "no tensors at all" : near ? `the nearest name is ${near}` : `names such as ${enumerate(names, 3)}`,
      remedy: "Is this the file of another model or configuration?",
    },
  );
}

function checkTensor(checkpoint: Checkpoint, name: string, shape: readonly number[], weight: string): void {
  const tensor = checkpoint.tensors.get(name)!;
  if (tensor.shape.join() !== shape.join()) {
    throw new OnnxHubError("preset/weights-shape", `The tensor for ${weight} has another shape`, {
      path: checkpoint.where(name),
      expected: `[${shape.join(", ")}]`,
      found: `[${tensor.shape.join(", ")}]`,
      remedy: "Is this the file of another configuration?",
    });
  }
  checkType(checkpoint, name, tensor, weight);
}

/** The added row is the first of a matrix of any number of rows. */
function checkRow(checkpoint: Checkpoint, name: string, { path, shape }: JoinedWeight): void {
  const rows = checkpoint.tensors.get(name)!.shape[0];
  checkTensor(checkpoint, name, [rows > 0 ? rows : 1, ...shape.slice(1)], path);
}

function checkType(checkpoint: Checkpoint, name: string, { dtype, type }: SafetensorsTensor, weight: string): void {
  if (FLOATS.has(dtype)) return;
  throw new OnnxHubError("preset/weights-dtype", `The tensor for ${weight} is not of floating-point numbers that are read`, {
    path: checkpoint.where(name),
    expected: "F16, BF16, F32 or F64",
    found: type,
    remedy: "Quantized checkpoints can't be loaded: save it in float32 or bfloat16.",
  });
}

/**
 * Requires that the backbone's part of a checkpoint holds nothing that the table of its own configuration lacks: an eleventh layer, a bias.
 *
 * Throws "preset/weights-extra" with the names.
 */
export function checkNothingExtra(checkpoint: Checkpoint, table: readonly ExpandedHuggingFaceWeight[], unused: readonly string[]): void {
  const known = new Set(
    table.flatMap((
      { tensor, aliases, add_row = [], add_row_aliases = [] },
    ) => [tensor, ...aliases, ...[add_row].flat(), ...add_row_aliases]),
  );
  const ignored = matcher(unused);
  const firstPart = (name: string): string => name.slice(0, name.indexOf("."));
  const own = new Set([...known].map(firstPart));
  const extra = [...checkpoint.tensors.keys()].filter((name) => own.has(firstPart(name)) && !known.has(name) && !ignored(name));
  if (extra.length === 0) return;
  throw new OnnxHubError("preset/weights-extra", "The checkpoint has weights that its configuration doesn't speak of", {
    path: checkpoint.path,
    expected: "the tensors of this architecture and configuration alone",
    found: enumerate(extra),
    remedy: "Is its config.json that of another model?",
  });
}

/** Whether a name is one of the patterns, in which `*` stands for anything. */
function matcher(patterns: readonly string[]): (name: string) => boolean {
  const expressions = patterns.map((pattern) =>
    new RegExp(`^${pattern.split("*").map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, "\\$&")).join(".*")}$`, "s")
  );
  return (name) => expressions.some((expression) => expression.test(name));
}
