/** Writes weights as a Hugging Face checkpoint: one safetensors file, or shards with an index. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { OnnxHubError } from "../../errors.ts";
import { float32ToFloat16 } from "../../formats/float16.ts";
import { formatJson } from "../../formats/json.ts";
import { type SafetensorsEntry, writeSafetensors } from "../../formats/safetensors.ts";
import type { ExpandedHuggingFaceWeight } from "../../spec/types.ts";
import { CHECKPOINT_FILES, shardName } from "./files.ts";
import { tensorValues } from "./transforms.ts";
import { type JoinedWeight, mapped, tensorShape } from "./weights.ts";

/** What weights can be written in. */
export type CheckpointTensorType = "float32" | "float16";

/** How a checkpoint is written. */
export interface WriteCheckpointOptions {
  readonly dtype: CheckpointTensorType;
  /** The most bytes of tensors in a file, but for one tensor that is larger. */
  readonly maximumBytes: number;
  /** The names of tensors in this checkpoint, from those in the table. */
  readonly rename: (tensor: string) => string;
}

const SIZES: Readonly<Record<CheckpointTensorType, number>> = { float32: 4, float16: 2 };
const METADATA = { format: "pt" } as const;
/** The greatest float16; what rounds to more becomes infinite. */
const LARGEST_HALF = 65520;

/**
 * Writes `model.safetensors`, or shards and their index where it would be larger than `maximumBytes`, into a directory. `data` gives a weight's values
 * when its turn comes, so that only one need be in memory.
 *
 * Throws "preset/weights-unmapped" for a weight that the table lacks, "preset/float16" for a value that float16 doesn't reach.
 */
export async function writeCheckpointWeights(
  directory: string,
  table: readonly ExpandedHuggingFaceWeight[],
  weights: readonly JoinedWeight[],
  data: (path: string) => Float32Array,
  { dtype, maximumBytes, rename }: WriteCheckpointOptions,
): Promise<void> {
  const byEntry = new Map(mapped(directory, table, weights).map(([weight, entry]) => [entry, weight]));
  const entries = table.flatMap((entry) => {
    const weight = byEntry.get(entry);
    return weight ? entriesOf(entry, weight, data, dtype, rename) : [];
  });
  const shards = split(entries, maximumBytes, SIZES[dtype]);
  if (shards.length === 1) {
    await writeSafetensors(join(directory, CHECKPOINT_FILES.weights), shards[0], { metadata: METADATA });
    return;
  }
  const places: Record<string, string> = {};
  for (const [i, shard] of shards.entries()) {
    const name = shardName(i + 1, shards.length);
    for (const entry of shard) places[entry.name] = name;
    await writeSafetensors(join(directory, name), shard, { metadata: METADATA });
  }
  const elements = entries.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const index = {
    metadata: { total_parameters: elements, total_size: elements * SIZES[dtype] },
    weight_map: Object.fromEntries(Object.keys(places).sort().map((name) => [name, places[name]])),
  };
  writeFileSync(join(directory, CHECKPOINT_FILES.index), `${formatJson(index, 2)}\n`);
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** The tensors that stand for a weight; a row that is added to it is nothing but zeros. */
function entriesOf(
  entry: ExpandedHuggingFaceWeight,
  { path, shape }: JoinedWeight,
  data: (path: string) => Float32Array,
  dtype: CheckpointTensorType,
  rename: (tensor: string) => string,
): SafetensorsEntry[] {
  const stored = (values: Float32Array): Float32Array | Uint16Array => dtype === "float32" ? values : halves(values, path);
  const own: SafetensorsEntry = {
    name: rename(entry.tensor),
    shape: tensorShape(entry, shape),
    dtype,
    data: () => stored(tensorValues(entry, data(path), shape)),
  };
  if (entry.add_row === undefined) return [own];
  const row = [1, ...shape.slice(1)];
  return [own, { name: rename(entry.add_row), shape: row, dtype, data: () => stored(new Float32Array(sizeOf(row))) }];
}

function halves(values: Float32Array, path: string): Uint16Array {
  const beyond = values.find((value) => Math.abs(value) >= LARGEST_HALF && Number.isFinite(value));
  if (beyond === undefined) return float32ToFloat16(values);
  throw new OnnxHubError("preset/float16", "A weight is too large for float16", {
    path,
    expected: `less than ${LARGEST_HALF}`,
    found: String(beyond),
    remedy: 'Save it with `dtype: "float32"`.',
  });
}

/** Tensors in their order, as many to a file as fit. */
function split(entries: readonly SafetensorsEntry[], maximumBytes: number, elementSize: number): SafetensorsEntry[][] {
  const shards: SafetensorsEntry[][] = [[]];
  let filled = 0;
  for (const entry of entries) {
    const bytes = sizeOf(entry.shape) * elementSize;
    if (shards.at(-1)!.length > 0 && filled + bytes > maximumBytes) {
      shards.push([]);
      filled = 0;
    }
    shards.at(-1)!.push(entry);
    filled += bytes;
  }
  return shards;
}
