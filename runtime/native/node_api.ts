/** onnxruntime-node's own JavaScript interface, an addon: where native functions can't be called directly. It copies all results. */

import type { InferenceSession } from "onnxruntime-web";
import type { FeedTensor } from "../backend.ts";
import { type LoadedGraph, loadedGraph, type OnnxRuntime } from "../onnx_session.ts";
import { foreignFunctions } from "./foreign_functions.ts";
import type { GraphOptions } from "./graph_options.ts";

/** Loads a graph; throws what onnxruntime says. */
export async function loadInAddon(
  ort: OnnxRuntime,
  model: Uint8Array<ArrayBuffer>,
  { threads, config, external }: GraphOptions,
): Promise<LoadedGraph> {
  const options: InferenceSession.SessionOptions = {
    executionProviders: ["cpu"],
    graphOptimizationLevel: "all",
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    extra: config,
    externalData: [...external].map(([path, data]) => ({ path, data: unshared(data) as Uint8Array })),
  };
  return loadedGraph(await ort.InferenceSession.create(model, options), ort, unshared);
}

const aliases = new WeakMap<ArrayBufferLike, ArrayBuffer>();

/** Deno hands no shared memory to native code: there the same bytes are given as an ordinary buffer. */
function unshared(data: FeedTensor["data"] | Uint8Array): FeedTensor["data"] {
  const buffer = data.buffer as ArrayBufferLike;
  const foreign = buffer instanceof SharedArrayBuffer && "Deno" in globalThis ? foreignFunctions() : null;
  if (!foreign) return data as FeedTensor["data"];
  let alias = aliases.get(buffer);
  if (!alias) aliases.set(buffer, alias = foreign.memory(foreign.addressOf(buffer), buffer.byteLength));
  const View = data.constructor as Float32ArrayConstructor;
  return new View(alias, data.byteOffset, data.length) as FeedTensor["data"];
}
