/** Weights under the model's own paths in a safetensors file, which has a place for those of any model. */

import { nearest, OnnxHubError } from "../errors.ts";
import { openSafetensors, type SafetensorsReader, writeSafetensors } from "../formats/safetensors.ts";
import { enumerate } from "./enumerate.ts";

/** A weight as the model knows it: a `WeightInfo` will do. */
export interface OwnWeight {
  readonly path: string;
  readonly shape: readonly number[];
}

const FLOATS: readonly (string | undefined)[] = ["float16", "bfloat16", "float32", "float64"];

/**
 * Writes weights as float32, each under its path, in their order. `data` gives a weight's values when its turn comes, so that only one need be in memory.
 * Not atomic: see `writeFileAtomic`.
 */
export async function writeOwnWeights<W extends OwnWeight>(
  path: string,
  weights: readonly W[],
  data: (weight: W) => Float32Array,
): Promise<void> {
  const entries = weights.map((weight) => ({
    name: weight.path,
    shape: weight.shape,
    dtype: "float32" as const,
    data: () => data(weight),
  }));
  await writeSafetensors(path, entries, { order: "given" });
}

/**
 * Reads weights as float32 onto the arrays that `onto` gives, one at a time; float16, bfloat16 and float64 are converted. The whole file is checked before
 * the first array is asked for: an error leaves all as they were.
 *
 * Throws "preset/weights-missing" and "preset/weights-extra" with the names, "preset/weights-shape", "preset/weights-dtype", and the errors of
 * `openSafetensors`.
 */
export function readOwnWeights<W extends OwnWeight>(path: string, weights: readonly W[], onto: (weight: W) => Float32Array): void {
  const file = openSafetensors(path);
  try {
    checkNames(file, weights);
    for (const weight of weights) checkTensor(file, weight);
    for (const weight of weights) file.read(weight.path, onto(weight));
  } finally {
    file.close();
  }
}

function checkNames({ path, tensors }: SafetensorsReader, weights: readonly OwnWeight[]): void {
  const names = [...tensors.keys()];
  const missing = weights.map((weight) => weight.path).filter((name) => !tensors.has(name));
  const known = new Set(weights.map((weight) => weight.path));
  const extra = names.filter((name) => !known.has(name));
  const remedy = "Is this the file of another model or configuration?";
  if (missing.length > 0) {
    const near = nearest(missing[0], extra);
    throw new OnnxHubError(
      "preset/weights-missing",
      `${missing.length === 1 ? "A weight is" : `${missing.length} weights are`} missing in the file`,
      {
        path,
        expected: enumerate(missing),
        found: names.length === 0 ? "no tensors at all" : near ? `the nearest name is ${near}` : `names such as ${enumerate(names, 3)}`,
        remedy,
      },
    );
  }
  if (extra.length > 0) {
    throw new OnnxHubError("preset/weights-extra", "The file has weights that the model lacks", {
      path,
      expected: "the weights of this model alone",
      found: enumerate(extra),
      remedy,
    });
  }
}

function checkTensor({ path, tensors }: SafetensorsReader, weight: OwnWeight): void {
  const { shape, dtype, type } = tensors.get(weight.path)!;
  const where = `${path}, ${weight.path}`;
  if (shape.join() !== weight.shape.join()) {
    throw new OnnxHubError("preset/weights-shape", `The weight ${weight.path} has another shape`, {
      path: where,
      expected: `[${weight.shape.join(", ")}]`,
      found: `[${shape.join(", ")}]`,
      remedy: "Is this the file of another configuration?",
    });
  }
  if (FLOATS.includes(dtype)) return;
  throw new OnnxHubError("preset/weights-dtype", `The weight ${weight.path} is not of floating-point numbers that are read`, {
    path: where,
    expected: "F16, BF16, F32 or F64",
    found: type,
  });
}
