/** Weights as a session holds them: as they are, rounded to float16, or in int8. */

import type { Graph } from "../codegen/ir/types.ts";
import { encode, type ExternalData } from "../codegen/onnx/encode.ts";
import { toFloat16 } from "../codegen/passes/float16.ts";
import { type Int8Weight, toInt8 } from "../codegen/passes/int8.ts";
import { halfWeight, quantizeMatrix } from "./quantize.ts";

/** What the weights are held in. */
export type WeightFormat = "float32" | "float16" | "int8";

/** A graph whose weights are in a format, still inputs. */
export interface HeldGraph {
  readonly graph: Graph;
  /** The inputs that are weights, or parts of them: all to be initializers. */
  readonly names: ReadonlySet<string>;
  /** The float32 weight of each input that is a rounded one. */
  readonly halves: ReadonlySet<string>;
  readonly matrices: readonly Int8Weight[];
}

/** A model with what lies outside it. */
export interface HeldModel {
  readonly model: Uint8Array<ArrayBuffer>;
  readonly bytes: Map<string, Uint8Array>;
}

/** The graph for weights in a format. Its inputs named `weights` are float32 before. */
export function heldGraph(graph: Graph, weights: ReadonlySet<string>, format: WeightFormat): HeldGraph {
  if (format === "int8") {
    const { graph: changed, weights: matrices } = toInt8(graph, weights);
    const names = new Set([...weights, ...matrices.flatMap(({ values, scales }) => [values, scales])]);
    return { graph: changed, names, halves: new Set(), matrices };
  }
  const changed = format === "float16" ? toFloat16(graph, weights) : graph;
  const halves = new Set(changed.inputs.flatMap(({ name, dtype }) => weights.has(name) && dtype === "float16" ? [name] : []));
  return { graph: changed, names: weights, halves, matrices: [] };
}

/**
 * The graph encoded, with its weights' bytes; `read` gives a weight's float32 values. Weights in float32 are not copied, others are made one by one.
 * `range` is the greatest magnitude of int8 weights.
 */
export function heldModel({ graph, names, halves, matrices }: HeldGraph, read: (name: string) => Float32Array, range: number): HeldModel {
  const bytes = new Map<string, Uint8Array>();
  const put = (name: string, { buffer, byteOffset, byteLength }: ArrayBufferView<ArrayBuffer>): void => {
    bytes.set(name, new Uint8Array(buffer, byteOffset, byteLength));
  };
  for (const matrix of matrices) {
    const { values, scales } = quantizeMatrix(read(matrix.weight), matrix, range);
    put(matrix.values, values);
    put(matrix.scales, scales);
  }
  for (const { name } of graph.inputs) {
    if (!names.has(name) || bytes.has(name)) continue;
    put(name, halves.has(name) ? halfWeight(read(name), name) : read(name) as Float32Array<ArrayBuffer>);
  }
  const places = [...bytes].map((
    [name, { byteLength }],
  ): [string, ExternalData] => [name, { location: name, offset: 0, length: byteLength }]);
  return { model: encode(graph, { initializers: new Map(places) }), bytes };
}
