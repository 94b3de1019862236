/** The file that training goes on from: weights, optimizer slots, counters, as safetensors with the counters in its metadata. */

import type { WeightInfo } from "../codegen/program.ts";
import { OnnxHubError } from "../errors.ts";
import { writeFileAtomic } from "../formats/atomic.ts";
import { openSafetensors, type SafetensorsEntry, writeSafetensors } from "../formats/safetensors.ts";
import type { OptimizerSnapshot } from "../runtime/optimizer/optimizer.ts";

/** All that training goes on from. */
export interface TrainingState {
  /** By path, in float32. */
  readonly weights: ReadonlyMap<string, Float32Array>;
  readonly optimizer: OptimizerSnapshot;
  /** Training batches so far: the position in the streams of dropout masks. */
  readonly batches: number;
}

const WEIGHTS = "weights/";
const OPTIMIZER = "optimizer/";

/** Writes a state; the file is there whole or not at all. */
export async function writeState(
  path: string,
  { weights, optimizer, batches }: TrainingState,
  infos: readonly WeightInfo[],
): Promise<void> {
  const entry = (name: string, data: Float32Array, shape: readonly number[]): SafetensorsEntry => ({ name, data, shape, dtype: "float32" });
  const entries = [
    ...infos.map(({ path, shape }) => entry(WEIGHTS + path, weights.get(path)!, shape)),
    ...Object.entries(optimizer.tensors).map(([name, data]) => entry(OPTIMIZER + name, data, [data.length])),
  ];
  const counters = { batches, optimizerBatches: optimizer.batches, learningRate: optimizer.learningRate };
  await writeFileAtomic(path, (temporary) => writeSafetensors(temporary, entries, { metadata: { onnxhub: JSON.stringify(counters) } }));
}

/** Reads a state back; throws "training/state" for a file of another model. */
export function readState(path: string, infos: readonly WeightInfo[]): TrainingState {
  const file = openSafetensors(path);
  try {
    const read = (name: string): Float32Array<ArrayBuffer> => {
      const into = new Float32Array(file.tensors.get(name)!.size);
      file.read(name, into);
      return into;
    };
    const weights = new Map<string, Float32Array<ArrayBuffer>>();
    for (const { path: weight, shape } of infos) {
      const found = file.tensors.get(WEIGHTS + weight)?.shape;
      if (found?.join() !== shape.join()) {
        throw new OnnxHubError("training/state", "This state is of another model", {
          path: `${path}: ${weight}`,
          expected: `[${shape.join(", ")}]`,
          found: found ? `[${found.join(", ")}]` : "nothing",
        });
      }
      weights.set(weight, read(WEIGHTS + weight));
    }
    const tensors: Record<string, Float32Array<ArrayBuffer>> = {};
    for (const name of file.tensors.keys()) if (name.startsWith(OPTIMIZER)) tensors[name.slice(OPTIMIZER.length)] = read(name);
    const { batches, optimizerBatches, learningRate } = counters(path, file.metadata.onnxhub);
    return { weights, optimizer: { batches: optimizerBatches, learningRate, tensors }, batches };
  } finally {
    file.close();
  }
}

interface Counters {
  readonly batches: number;
  readonly optimizerBatches: number;
  readonly learningRate: number | null;
}

function counters(path: string, text: string | undefined): Counters {
  try {
    const value = JSON.parse(text ?? "") as Counters;
    if (Number.isInteger(value.batches) && Number.isInteger(value.optimizerBatches)) return value;
  } catch {
    // Falls through to the one error below.
  }
  throw new OnnxHubError("training/state", "This file holds no training state", {
    path,
    expected: "counters in the metadata",
    found: String(text),
  });
}
