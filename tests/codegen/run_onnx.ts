/** Runs an encoded graph with onnxruntime-web on WebAssembly. */

import * as ort from "onnxruntime-web";
import type { DType, Graph, Value } from "../../codegen/ir/types.ts";
import type { ReferenceTensor } from "../../codegen/ops/rule.ts";

ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";

function feed({ dtype }: Value, { shape, data }: ReferenceTensor): ort.Tensor {
  const dims = [...shape];
  const make: Partial<Record<DType, () => ort.Tensor>> = {
    float32: () => new ort.Tensor("float32", Float32Array.from(data), dims),
    float64: () => new ort.Tensor("float64", data, dims),
    int32: () => new ort.Tensor("int32", Int32Array.from(data), dims),
    int64: () => new ort.Tensor("int64", BigInt64Array.from([...data].map(BigInt)), dims),
    int8: () => new ort.Tensor("int8", Int8Array.from(data), dims),
    uint8: () => new ort.Tensor("uint8", Uint8Array.from(data), dims),
    bool: () => new ort.Tensor("bool", Uint8Array.from(data), dims),
  };
  const tensor = make[dtype];
  if (!tensor) throw new TypeError(`no test feeds ${dtype}`);
  return tensor();
}

/** The outputs of a model, given the graph that it encodes and its feeds. */
export async function runOnnx(
  model: Uint8Array,
  graph: Graph,
  feeds: Readonly<Record<string, ReferenceTensor>>,
  options: ort.InferenceSession.SessionOptions = {},
): Promise<Record<string, ReferenceTensor>> {
  const session = await ort.InferenceSession.create(model, options);
  try {
    const inputs = graph.inputs.filter(({ name }) => session.inputNames.includes(name));
    const results = await session.run(Object.fromEntries(inputs.map((input) => [input.name, feed(input, feeds[input.name])])));
    return Object.fromEntries(
      graph.outputs.map(({ name }) => [
        name,
        { shape: results[name].dims, data: Float64Array.from(results[name].data as Float32Array | BigInt64Array, Number) },
      ]),
    );
  } finally {
    await session.release();
  }
}
