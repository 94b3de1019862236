/**
 * Training on a GPU: a masked language model in the base shape of XLM-RoBERTa, how long a step takes and where the time goes, and whether a thousand steps of
 * a small one hold memory flat. `deno task bench:webgpu [--tiny] [--only NAME] [--json FILE]`; `bench/webgpu_pytorch.py` does the same steps in PyTorch.
 */

import { models, optimizers } from "../mod.ts";
import { openBackend } from "../runtime/backends.ts";
import type { DeviceLoadOptions, DeviceSession } from "../runtime/device.ts";
import type { WebgpuDevice } from "../runtime/webgpu/device.ts";
import { median } from "./statistics.ts";

interface Shape {
  readonly vocabularySize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly hiddenDim: number;
  readonly intermediateDim: number;
}

/** Rows, tokens a row, masked tokens a row. */
type BatchShape = readonly [rows: number, length: number, masks: number];

const BASE: Shape = { vocabularySize: 250_002, numLayers: 12, numHeads: 12, hiddenDim: 768, intermediateDim: 3072 };
const SMALL: Shape = { vocabularySize: 1000, numLayers: 2, numHeads: 2, hiddenDim: 64, intermediateDim: 128 };

const option = (name: string): string | undefined => {
  const at = Deno.args.indexOf(`--${name}`);
  return at < 0 ? undefined : Deno.args[at + 1];
};
/** For a software adapter: shows that it works, not how fast. */
const isTiny = Deno.args.includes("--tiny");

const backend = await openBackend("webgpu");
const device = backend.device as WebgpuDevice;

/** Milliseconds spent in each kind of call since the last {@linkcode takeTimes}. */
const spent = { "training graph": 0, "update graphs": 0, waiting: 0 };
const { load, download } = device;
device.load = async (model: Uint8Array<ArrayBuffer>, options: DeviceLoadOptions): Promise<DeviceSession> => {
  const session = await load.call(device, model, options);
  const kind = options.label.includes("/") ? "update graphs" : "training graph";
  return { ...session, run: (feeds) => timed(kind, () => session.run(feeds)) };
};
device.download = (tensors) => timed("waiting", () => download.call(device, tensors));

async function timed<T>(kind: keyof typeof spent, body: () => Promise<T>): Promise<T> {
  const start = performance.now();
  try {
    return await body();
  } finally {
    spent[kind] += performance.now() - start;
  }
}

function takeTimes(): Record<keyof typeof spent, number> {
  const times = { ...spent };
  for (const kind of Object.keys(spent) as (keyof typeof spent)[]) spent[kind] = 0;
  return times;
}

/** The buffers alive on the GPU. */
const live = new Set<GPUBuffer>();
const { createBuffer } = device.gpu;
device.gpu.createBuffer = (descriptor) => {
  const buffer = createBuffer.call(device.gpu, descriptor);
  const { destroy } = buffer;
  live.add(buffer);
  buffer.destroy = () => {
    live.delete(buffer);
    return destroy.call(buffer);
  };
  return buffer;
};
const liveBytes = (): number => [...live].reduce((sum, { size }) => sum + size, 0);

/** A model with weights that look random: their values don't change how long a step takes. */
function makeModel(shape: Shape, maxSequenceLength: number): models.XLMRobertaMaskedLM {
  const backbone = new models.XLMRobertaBackbone({ ...shape, maxSequenceLength, dropout: 0.1, backend: "webgpu" });
  const model = new models.XLMRobertaMaskedLM({ backbone });
  model.compile({ optimizer: new optimizers.Adam(5e-5) });
  let state = 1;
  const block = Float32Array.from({ length: 65_521 }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return 0.04 * (state / 2 ** 32 - 0.5);
  });
  for (const { path } of model.weights) {
    const data = model.parameters.room(path);
    if (path.endsWith("gamma")) data.fill(1);
    else if (path.endsWith("bias") || path.endsWith("beta")) data.fill(0);
    else for (let at = 0; at < data.length; at += block.length) data.set(block.subarray(0, Math.min(block.length, data.length - at)), at);
  }
  return model;
}

/** The same numbers as `bench/webgpu_pytorch.py` takes. */
function makeBatch([rows, length, masks]: BatchShape, vocabularySize: number): { x: Record<string, Tensor>; y: Tensor } {
  const ordinary = (i: number, factor: number) => 5 + (factor * (i + 1)) % (vocabularySize - 10);
  const tensor = (columns: number, value: (i: number) => number) => ({
    dtype: "int32" as const,
    shape: [rows, columns],
    data: Int32Array.from({ length: rows * columns }, (_, i) => value(i)),
  });
  const stride = Math.floor((length - 2) / masks);
  return {
    x: {
      token_ids: tensor(length, (i) => ordinary(i, 7919)),
      padding_mask: tensor(length, () => 1),
      mask_positions: tensor(masks, (i) => 1 + (i % masks) * stride),
    },
    y: tensor(masks, (i) => ordinary(i, 104_729)),
  };
}
type Tensor = { dtype: "int32"; shape: number[]; data: Int32Array<ArrayBuffer> };

const round = (value: number): number => Number(value.toPrecision(4));

/** Steps of the base shape: the first, then the median of the rest. */
async function baseSteps(
  model: models.XLMRobertaMaskedLM,
  shape: Shape,
  batch: BatchShape,
  count: number,
): Promise<Record<string, unknown>> {
  const { x, y } = makeBatch(batch, shape.vocabularySize);
  const start = performance.now();
  const losses = [(await model.trainOnBatch(x as never, y as never)).loss];
  const first = performance.now() - start;
  const steps: number[] = [];
  const parts: Record<keyof typeof spent, number>[] = [];
  for (let i = 0; i < count + 3; i++) {
    takeTimes();
    const start = performance.now();
    losses.push((await model.trainOnBatch(x as never, y as never)).loss);
    if (i < 3) continue;
    steps.push(performance.now() - start);
    parts.push(takeTimes());
  }
  const predictions: number[] = [];
  for (let i = 0; i < 8; i++) {
    const start = performance.now();
    await model.predictOnBatch(x as never);
    predictions.push(performance.now() - start);
  }
  const step = median(steps);
  return {
    batch: `${batch[0]} × ${batch[1]}`,
    "first step (ms)": round(first),
    "step (ms)": round(step),
    "tokens/s": round(batch[0] * batch[1] / step * 1000),
    "fastest (ms)": round(Math.min(...steps)),
    "encoding the training graph (ms)": round(median(parts.map((part) => part["training graph"]))),
    "encoding the update graphs (ms)": round(median(parts.map((part) => part["update graphs"]))),
    "waiting for the GPU (ms)": round(median(parts.map(({ waiting }) => waiting))),
    "predict, logits read (ms)": round(median(predictions.slice(2))),
    "GPU memory (MB)": round(liveBytes() / 1e6),
    losses: [losses[0], losses.at(-1)],
  };
}

const results: Record<string, unknown> = { gpu: device.description, deno: Deno.version.deno };
const wants = (name: string): boolean => option("only") === undefined || option("only") === name;

if (wants("base")) {
  const shape = isTiny ? { ...BASE, vocabularySize: 2000, numLayers: 2, hiddenDim: 96, intermediateDim: 192 } : BASE;
  const model = makeModel(shape, 128);
  const rows: Record<string, unknown>[] = [];
  for (const batch of (isTiny ? [[2, 16, 3]] : [[4, 128, 19], [32, 128, 19]]) as BatchShape[]) {
    rows.push(await baseSteps(model, shape, batch, isTiny ? 5 : 20));
    console.log(rows.at(-1));
  }
  const start = performance.now();
  await model.sync();
  results["copying weights and slots to the host (ms)"] = round(performance.now() - start);
  results.base = rows;
  await model.dispose();
  await model.backbone.dispose();
}

if (wants("memory")) {
  const model = makeModel(SMALL, 64);
  const { x, y } = makeBatch([4, 32, 4], SMALL.vocabularySize);
  const total = isTiny ? 100 : 1000;
  const samples: Record<string, number>[] = [];
  const start = performance.now();
  for (let step = 1; step <= total; step++) {
    await model.trainOnBatch(x as never, y as never);
    if (step % (total / 10) !== 0) continue;
    samples.push({ step, buffers: live.size, "GPU bytes": liveBytes(), "resident (MB)": Math.round(Deno.memoryUsage().rss / 1e6) });
  }
  results.memory = { "step (ms)": round((performance.now() - start) / total), samples };
  console.log(`\n${total.toLocaleString("en-US")} steps of a small model:`);
  console.table(samples);
  await model.dispose();
  await model.backbone.dispose();
}

console.log(JSON.stringify(results, null, 2));
const file = option("json");
if (file) Deno.writeTextFileSync(file, JSON.stringify(results, null, 2) + "\n");
Deno.exit(0);
