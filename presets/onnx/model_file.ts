/** Writes a graph with its weights as an ONNX file: weights inside, or beside it where it would be too large. */

import * as fs from "node:fs";
import { basename, dirname, join } from "node:path";
import { type DeferredData, encodePieces, type ExternalData } from "../../codegen/onnx/encode.ts";
import type { StandaloneGraph } from "../../codegen/standalone.ts";
import { OnnxHubError } from "../../errors.ts";
import { float32ToFloat16 } from "../../formats/float16.ts";

/** A ModelProto must be smaller than this: 2 GiB, protobuf's limit. */
const MODEL_LIMIT = 2 ** 31;
/** What the nodes and constants of a graph take at most. */
const GRAPH_ALLOWANCE = 64 * 2 ** 20;
/** A file of weights stays below this: what one ArrayBuffer of a browser holds. */
const CHUNK_LIMIT = 2 ** 31 - 2 ** 20;
/** Where memory can be mapped. */
const PAGE = 4096;
/** Elements that are converted at once. */
const BLOCK = 2 ** 20;

/** How a model file is written. */
export interface ModelFileOptions {
  /** Weights in files beside the model: default where the model would reach 2 GiB. */
  readonly externalData?: boolean;
  /** The most bytes of one such file; default a little under 2 GiB. A weight that is larger has a file of its own. */
  readonly chunkSize?: number;
  /** The values of a weight. */
  readonly values: (path: string) => Float32Array;
}

type Weight = StandaloneGraph["weights"][number];

const bytesOf = ({ dtype, shape }: Weight): number => shape.reduce((a, b) => a * b, 1) * (dtype === "float16" ? 2 : 4);

/**
 * Writes `path` (`…/model.onnx`), and `…/model.onnx_data`, `…/model.onnx_data_1`, … where weights lie beside it; gives the number of those.
 *
 * Throws "preset/float16" for a weight that float16 can't hold.
 */
export function writeModelFile(path: string, { graph, weights }: StandaloneGraph, options: ModelFileOptions): number {
  const total = weights.reduce((sum, weight) => sum + bytesOf(weight), 0);
  const external = options.externalData ?? total + GRAPH_ALLOWANCE >= MODEL_LIMIT;
  const chunks = external ? chunked(basename(path), weights, options.chunkSize ?? CHUNK_LIMIT) : [];
  const placed = chunks.flatMap(({ places }) => places);
  const initializers = external
    ? new Map<string, ExternalData>(placed.map(({ weight, data }) => [weight.path, data]))
    : new Map<string, DeferredData>(weights.map((weight) => [weight.path, { deferred: bytesOf(weight) }]));
  const byPath = new Map(weights.map((weight) => [weight.path, weight]));
  writing(path, (file) => {
    for (const piece of encodePieces(graph, { initializers })) {
      if (piece instanceof Uint8Array) writeAll(file, piece);
      else writeWeight(file, byPath.get(piece.name)!, options.values(piece.name));
    }
  });
  for (const { name, places } of chunks) {
    writing(join(dirname(path), name), (file) => {
      for (const { weight, data } of places) writeWeight(file, weight, options.values(weight.path), data.offset);
    });
  }
  return chunks.length;
}

interface Chunk {
  readonly name: string;
  readonly places: { readonly weight: Weight; readonly data: ExternalData }[];
}

/** Puts weights into files, each at the start of a page. */
function chunked(model: string, weights: readonly Weight[], size: number): Chunk[] {
  const chunks: Chunk[] = [];
  let end = Infinity;
  for (const weight of weights) {
    const length = bytesOf(weight);
    let offset = Math.ceil(end / PAGE) * PAGE;
    if (!(offset + length <= size)) {
      chunks.push({ name: `${model}_data${chunks.length === 0 ? "" : `_${chunks.length}`}`, places: [] });
      offset = 0;
    }
    const { name, places } = chunks[chunks.length - 1];
    places.push({ weight, data: { location: name, offset, length } });
    end = offset + length;
  }
  return chunks;
}

function writing(path: string, body: (file: number) => void): void {
  const file = fs.openSync(path, "w");
  try {
    body(file);
  } finally {
    fs.closeSync(file);
  }
}

/** Writes all bytes, at a place or where the last write ended. */
function writeAll(file: number, bytes: Uint8Array, at: number | null = null): void {
  for (let done = 0; done < bytes.length;) {
    done += fs.writeSync(file, bytes, done, Math.min(bytes.length - done, 2 ** 28), at === null ? null : at + done);
  }
}

/** Writes a weight's values in its dtype, little-endian, a block at a time. */
function writeWeight(file: number, { path, dtype }: Weight, values: Float32Array, at: number | null = null): void {
  const size = dtype === "float16" ? 2 : 4;
  for (let start = 0; start < values.length; start += BLOCK) {
    const block = values.subarray(start, start + BLOCK);
    const bits = dtype === "float16" ? halves(path, block) : block;
    writeAll(file, new Uint8Array(bits.buffer, bits.byteOffset, bits.byteLength), at === null ? null : at + start * size);
  }
}

function halves(path: string, block: Float32Array): Uint16Array<ArrayBuffer> {
  const bits = float32ToFloat16(block);
  const at = bits.findIndex((half, i) => (half & 0x7fff) === 0x7c00 && Number.isFinite(block[i]));
  if (at < 0) return bits;
  throw new OnnxHubError("preset/float16", `The weight ${path} has values that float16 can't hold`, {
    path,
    expected: "magnitudes below 65520",
    found: String(block[at]),
    remedy: 'Export with `dtype: "float32"`.',
  });
}
