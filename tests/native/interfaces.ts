/** What runs in a project with onnxruntime-node: the same graphs by its C API and by its addon, printed as JSON. */

import process from "node:process";
import { GraphBuilder } from "../../codegen/ir/builder.ts";
import { encode } from "../../codegen/onnx/encode.ts";
import { models } from "../../mod.ts";
import type { Feeds, Session } from "../../runtime/backend.ts";
import { type LoadedGraph, openSession } from "../../runtime/onnx_session.ts";
import { openBackend } from "../../runtime/backends.ts";
import { CApi } from "../../runtime/native/c_api.ts";
import { GraphInC, loadInC } from "../../runtime/native/c_graph.ts";
import { foreignFunctions } from "../../runtime/native/foreign_functions.ts";
import { loadInAddon } from "../../runtime/native/node_api.ts";
import { libraryOf, openPackage } from "../../runtime/native/package.ts";
import { ResultHeap } from "../../runtime/native/result_heap.ts";
import { release } from "../../runtime/release.ts";

const options = { threads: 2, config: {}, external: new Map<string, Uint8Array>() };
const api = openPackage((found) => new CApi(foreignFunctions()!, libraryOf(found)!));
const ort = openPackage((found) => found.load());
const traits = { alone: <T>(job: () => Promise<T>) => job(), memoryRemedy: "" };
type Load = (model: Uint8Array<ArrayBuffer>) => Promise<LoadedGraph>;
const interfaces: Readonly<Record<string, Load>> = {
  c: (model) => Promise.resolve(loadInC(api, model, options)),
  addon: (model) => loadInAddon(ort, model, options),
};

/** A graph with results of all element types, a scalar and one that may be empty among them. */
function model(): Uint8Array<ArrayBuffer> {
  const g = new GraphBuilder("all_types");
  const [x, y] = [g.input("x", "float32", ["n", 3]), g.input("y", "float32", ["n", 3])];
  const ids = g.input("ids", "int32", ["n"]);
  g.output("sum", g.add(x, y)); // [n, 3]
  g.output("less", g.op("Less", [x, y], {})[0]); // [n, 3]
  g.output("mean", g.op("ReduceMean", [x], { axes: [0, 1], keepDims: false })[0]); // []
  g.output("twice", g.add(ids, ids)); // [n]
  return encode(g.finish());
}

function feeds(n: number, buffer: ArrayBufferLike = new ArrayBuffer(12 * n)): Feeds {
  const x = new Float32Array(buffer as ArrayBuffer, 0, 3 * n);
  x.forEach((_, i) => x[i] = i / 2);
  return {
    x: { dtype: "float32", shape: [n, 3], data: x },
    y: { dtype: "float32", shape: [n, 3], data: new Float32Array(3 * n).fill(1) },
    ids: { dtype: "int32", shape: [n], data: Int32Array.from({ length: n }, (_, i) => i) },
  };
}

const plain = (results: Feeds): unknown =>
  Object.fromEntries(Object.entries(results).map(([name, { dtype, shape, data }]) => [name, { dtype, shape, data: [...data] }]));

const failure = async (body: () => Promise<unknown>): Promise<unknown> => {
  try {
    return await body();
  } catch (error) {
    const { code, message } = error as { readonly code: string; readonly message: string };
    return { code, message };
  }
};

const results: Record<string, unknown> = {};
for (const [name, load] of Object.entries(interfaces)) {
  const session: Session = await openSession(traits, () => load(model()), "all types");
  const runs = [];
  // Twice in one shape: results are copied at first, written to arrays of their own afterwards. Then shared memory, nothing at all, and some outputs.
  for (const fed of [feeds(2), feeds(2), feeds(5), feeds(2), feeds(3, new SharedArrayBuffer(36)), feeds(0), feeds(0)]) {
    runs.push(plain(await session.run(fed)));
  }
  runs.push(plain(await session.run(feeds(4), ["twice", "sum"])));
  const { x, ...without } = feeds(2);
  const errors = [
    await failure(() => openSession(traits, () => load(new Uint8Array([1, 2, 3])), "broken")),
    await failure(() => session.run(without)),
    await failure(() => session.run({ ...without, x: { ...x, dtype: "float32", shape: [3, 2], data: new Float32Array(6) } })),
    await failure(() => session.run(feeds(2), ["nothing"])),
  ];
  // After errors it runs as before.
  runs.push(plain(await session.run(feeds(2))));
  await session.dispose();
  results[name] = { runs, errors, disposed: await failure(() => session.run(feeds(2))) };
}

/** Results that stay in onnxruntime's memory: as long as they are not released, however often the graph runs meanwhile. */
async function kept(): Promise<unknown> {
  const g = new GraphBuilder("kept");
  const x = g.input("x", "float32", ["n"]);
  g.output("y", g.add(x, 1));
  const session = await openSession(traits, () => interfaces.c(encode(g.finish())), "kept");
  const n = 2 ** 20;
  const run = async (value: number) => {
    const x = { dtype: "float32", shape: [n], data: new Float32Array(n).fill(value) } as const;
    return (await session.run({ x }, undefined, new Set(["y"]))).y.data as Float32Array;
  };
  const first = await run(1);
  const second = await run(2);
  const values = [first[0], second[n - 1]];
  release(first);
  const detached = first.length;
  const before = process.memoryUsage().rss;
  for (let i = 0; i < 200; i++) release(await run(i));
  const grown = process.memoryUsage().rss - before;
  values.push(second[0]);
  await session.dispose();
  values.push(second[1]);
  release(second);
  return { values, detached, grown };
}

/** Results that go to a heap: where they are, and what they are, if it has room for one of two. */
async function inHeap(): Promise<unknown> {
  const heap = ResultHeap.create(65536, () => {})!;
  const g = new GraphBuilder("in_heap");
  const x = g.input("x", "float32", [10_000]);
  g.output("y", g.add(x, 1));
  g.output("z", g.add(x, 2));
  g.output("own", g.add(x, 3));
  const session = await openSession(traits, () => Promise.resolve(loadInC(api, encode(g.finish()), options, () => heap)), "in heap");
  const steps = [];
  for (let step = 0; step < 2; step++) {
    const x = { dtype: "float32", shape: [10_000], data: new Float32Array(10_000).fill(step) } as const;
    const { y, z, own } = await session.run({ x }, undefined, new Set(["y", "z"]));
    const [kept, other, copied] = [y, z, own].map(({ data }) => data as Float32Array);
    steps.push({ places: [kept, other, copied].map((array) => heap.holds(array)), values: [kept[0], other[9999], copied[5]] });
    for (const array of [kept, other]) release(array);
  }
  const x64 = { dtype: "float32", shape: [5], data: new Float32Array(5) } as const;
  const error = await failure(() => session.run({ x: x64 }, undefined, new Set(["y"])));
  return { steps, error, held: heap.heldBytes };
}

/** The weights whose gradients a training step of a model leaves in its heap, of all weights. */
async function gradientsInHeap(): Promise<readonly [number, number]> {
  let held = 0;
  const { allocate } = ResultHeap.prototype;
  ResultHeap.prototype.allocate = function (elements) {
    const array = allocate.call(this, elements);
    if (array) held++;
    return array;
  };
  const sizes = { vocabularySize: 50, numLayers: 1, numHeads: 2, hiddenDim: 8, intermediateDim: 16, maxSequenceLength: 8 };
  const backbone = new models.XLMRobertaBackbone({ ...sizes, backend: "native", threads: 2 });
  const model = new models.XLMRobertaTextClassifier({ backbone, numClasses: 3 });
  const x = { token_ids: [[1, 2, 3, 4]], padding_mask: [[1, 1, 1, 1]] };
  for (let step = 0; step < 2; step++) {
    held = 0;
    await model.trainOnBatch(x, [1]);
  }
  await model.dispose();
  return [held, model.trainableWeights.length];
}

/** How often the backend runs a graph by the C API, of one run. */
async function runsInC(): Promise<number> {
  let runs = 0;
  const { run } = GraphInC.prototype;
  GraphInC.prototype.run = function (...of) {
    runs++;
    return run.apply(this, of);
  };
  const session = await (await openBackend("native", { threads: 2 })).load(model(), "all types");
  await session.run(feeds(2));
  await session.dispose();
  return runs;
}

console.log(
  JSON.stringify({
    ...results,
    kept: await kept(),
    inHeap: await inHeap(),
    gradientsInHeap: await gradientsInHeap(),
    runsInC: await runsInC(),
  }),
);
process.exit();
