/**
 * What quantized weights give and cost: filling one mask in 128 tokens with weights in float32, float16 and int8, all held by the session, on `wasm` with one
 * and two threads and on `native` where onnxruntime-node is; times, memory, and how far the logits are from float32's. Weights are random.
 * `deno task bench:quantize [--shape base] [--rounds 3]`.
 */

import { models } from "../mod.ts";
import type { Tensor } from "../runtime/tensor.ts";
import type { WeightFormat } from "../runtime/held_weights.ts";
import { installNative, PROJECT } from "../tests/native/install.ts";
import { median } from "./statistics.ts";

const SHAPES = {
  e5: { vocabularySize: 250_037, numLayers: 12, numHeads: 12, hiddenDim: 384, intermediateDim: 1536 },
  base: { vocabularySize: 250_002, numLayers: 12, numHeads: 12, hiddenDim: 768, intermediateDim: 3072 },
} as const;
type ShapeName = keyof typeof SHAPES;

const FORMATS: readonly WeightFormat[] = ["float32", "float16", "int8"];
const PLACES = [["wasm", 1], ["wasm", 2], ["native", 2]] as const;
const LENGTH = 128;
const RUNS = 7;

/** What a process prints. */
interface Measured {
  readonly milliseconds: number;
  readonly resident: number;
  readonly change: { readonly greatest: number; readonly mean: number; readonly sameBest: number; readonly rows: number } | null;
}

const [what, ...rest] = Deno.args;
if (what === "child") console.log(JSON.stringify(await measure(rest[0] as ShapeName, rest[1] as WeightFormat, rest[2], Number(rest[3]))));
else await compare();

/** One format in this process. */
async function measure(shape: ShapeName, format: WeightFormat, backend: string, threads: number): Promise<Measured> {
  const sizes = SHAPES[shape];
  const backbone = new models.XLMRobertaBackbone({ ...sizes, maxSequenceLength: 512, backend: backend as "wasm", threads });
  const model = new models.XLMRobertaMaskedLM({ backbone, compile: false });
  fill(model);
  const row = (values: Int32Array<ArrayBuffer>): Tensor => ({ dtype: "int32", shape: [1, values.length], data: values });
  const x = {
    token_ids: row(Int32Array.from({ length: LENGTH }, (_, i) => 5 + i * 7919 % 250_000)),
    padding_mask: row(new Int32Array(LENGTH).fill(1)),
    mask_positions: row(Int32Array.of(60)),
  };
  await model.quantize(format);
  // Float32 weights are held after a run for every 64 MiB of them, and one more.
  const first = format === "float32" ? Math.ceil(4 * model.countParams() / 2 ** 26) + 2 : 2;
  const times: number[] = [];
  for (let run = 0; run < first + RUNS; run++) {
    const start = performance.now();
    await model.call(x);
    if (run >= first) times.push(performance.now() - start);
  }
  const resident = Deno.memoryUsage().rss;
  const change = format === "float32" ? null : Object.values(await model.compareQuantized(x))[0];
  await model.dispose();
  await backbone.dispose();
  return { milliseconds: median(times), resident, change };
}

/** Matrices of random numbers of standard deviation 0.02; norms and biases stay as they are initialized. */
function fill(model: models.Model): void {
  let state = 1;
  for (const { path, shape } of model.weights) {
    if (shape.length < 2 || path.endsWith("bias")) continue;
    const data = model.parameters.room(path);
    for (let i = 0; i < data.length; i++) {
      state = Math.imul(state, 1664525) + 1013904223 | 0;
      data[i] = state / 2 ** 31 * 0.02 * Math.sqrt(3);
    }
  }
}

async function compare(): Promise<void> {
  const option = (name: string): string | undefined =>
    Deno.args.includes(`--${name}`) ? Deno.args[Deno.args.indexOf(`--${name}`) + 1] : undefined;
  const shapes = Object.keys(SHAPES).filter((name) => (option("shape") ?? name) === name) as ShapeName[];
  const rounds = Number(option("rounds") ?? 3);
  await installNative();
  for (const shape of shapes) {
    console.log(`${shape}: one mask in ${LENGTH} tokens, medians of ${rounds} processes of ${RUNS} runs`);
    for (const [backend, threads] of PLACES) {
      const found = new Map<WeightFormat, Measured[]>(FORMATS.map((format) => [format, []]));
      for (let round = 0; round < rounds; round++) {
        for (const format of FORMATS) found.get(format)!.push(await child(shape, format, backend, threads));
      }
      const time = (format: WeightFormat): number => median(found.get(format)!.map(({ milliseconds }) => milliseconds));
      for (const format of FORMATS) {
        const runs = found.get(format)!;
        const { change } = runs[0];
        const cells = [
          `${backend} ${threads}`.padEnd(8),
          format.padEnd(7),
          `${time(format).toFixed(1).padStart(8)} ms`,
          `${(time("float32") / time(format)).toFixed(2)}x`,
          `${(median(runs.map(({ resident }) => resident)) / 1e9).toFixed(2)} GB`,
          change ? `logits differ by at most ${change.greatest.toPrecision(2)} (mean ${change.mean.toPrecision(2)})` : "",
        ];
        console.log(`  ${cells.join("  ").trimEnd()}`);
      }
    }
  }
}

/** A process of its own: threads are fixed in each, and memory is never given back. */
async function child(shape: ShapeName, format: WeightFormat, backend: string, threads: number): Promise<Measured> {
  const file = new URL(import.meta.url).pathname;
  const config = new URL("../deno.json", import.meta.url).pathname;
  const args = ["run", "--allow-all", "--no-check", "--config", config, file, "child", shape, format, backend, String(threads)];
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args, cwd: PROJECT }).output();
  if (code !== 0) throw new Error(new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout).trim().split("\n").at(-1)!) as Measured;
}
