/**
 * Eight architectures from one spec and a grid of patches: what each costs, how each learns from the same tokens, which one learns best.
 * Takes about two minutes: `deno task variants`, or `bun examples/variants.ts`.
 */

import { mkdir, writeFile } from "node:fs/promises";
import { dirname, relative } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { codegen, models, optimizers, spec } from "onnxhub";
import { declaration } from "./declaration.ts";
import { lineChart } from "./line_chart.ts";
import { sparkline } from "./text_plot.ts";

/** Two sizes by four ways to build a layer. */
export const GRID: spec.Grid = {
  size: {
    deep: { config: { num_layers: 4, hidden_dim: 48, num_heads: 4, intermediate_dim: 96 } },
    wide: { config: { num_layers: 2, hidden_dim: 64, num_heads: 2, intermediate_dim: 128 } },
  },
  layer: {
    plain: {},
    "pre-norm": { config: { normalize_first: true } },
    tied: { config: { share_layers: true } },
    "rms+silu": {
      layers: [
        { at: "blocks/encoder/*norm", set: { kind: "rms" } },
        { at: "blocks/encoder/feedforward_activation", set: { function: "silu" } },
      ],
    },
  },
};

/** What a run is made of. */
export const SETTINGS = {
  grid: GRID,
  languages: ["en", "fr", "es"],
  /** Tokens of a paragraph that are read: the beginning. */
  sequenceLength: 24,
  /** The share of them to guess. */
  maskRate: 0.25,
  batchSize: 8,
  /** Of one epoch over the text: masks are drawn anew in each. */
  passes: 3,
  epochs: 10,
  learningRate: 4e-3,
  chart: fileURLToPath(new URL("out/variants.svg", import.meta.url)),
};

/** How a variant did. */
export interface Result {
  name: string;
  parameters: number;
  /** By epoch. */
  loss: number[];
  valLoss: number[];
}

/** Explains, trains and compares the variants; prints all of it, writes the chart, gives the variants from best to worst. */
export async function compare(settings: typeof SETTINGS): Promise<Result[]> {
  const { grid, languages, sequenceLength, maskRate, batchSize, passes, epochs, learningRate, chart } = settings;
  const paragraphs = (await declaration(languages)).flatMap(({ paragraphs }) => paragraphs);
  const held = paragraphs.filter((_, i) => i % 6 === 5);
  const text = paragraphs.filter((_, i) => i % 6 !== 5);
  const repeat = (texts: string[]) => Array.from({ length: passes }, () => texts).flat();
  const x = repeat(text);
  const steps = epochs * Math.ceil(x.length / batchSize);
  const tokens = steps * batchSize * sequenceLength;

  const tokenizer = new models.XLMRobertaTokenizer({ proto: fileURLToPath(new URL("data/udhr-8k.spm", import.meta.url)) });
  const base = spec.derive(await spec.load("xlm_roberta"), {
    config: { vocabulary_size: tokenizer.vocabularySize, max_sequence_length: sequenceLength, dropout: 0 },
  });
  const masks = Math.ceil(sequenceLength * maskRate);
  const sizes = { batch: batchSize, sequence: sequenceLength, masks };
  const list = spec.variants(base, grid).map(({ name, spec: variant }) => ({
    name,
    variant,
    cost: codegen.explain(spec.expand(variant, { task: "masked_lm" }), { sizes }),
  }));
  const width = Math.max(...list.map(({ name }) => name.length));

  console.log(`${list.length} variants of ${base.source.name}; a step is ${batchSize} × ${sequenceLength} tokens\n`);
  console.log(`${"variant".padEnd(width)}  parameters  MFLOP/step  training memory`);
  for (const { name, cost } of list) {
    const flops = ((cost.flops.training ?? 0) / 1e6).toFixed(0).padStart(10);
    const memory = `${((cost.memory.training ?? 0) / 2 ** 20).toFixed(1)} MiB`.padStart(15);
    console.log(`${name.padEnd(width)}  ${cost.parameters.toLocaleString("en-US").padStart(10)}  ${flops}  ${memory}`);
  }

  console.log(`\nTraining each on ${tokens.toLocaleString("en-US")} tokens`);
  const results: Result[] = [];
  for (const { name, variant, cost } of list) {
    const model = await models.fromSpec(variant, {
      task: "masked_lm",
      tokenizer,
      preprocessor: { sequenceLength, maskSelectionRate: maskRate, maskSelectionLength: masks },
      seed: 1,
      threads: 1, // Matrices this small are not worth sharing out.
    });
    const schedule = new optimizers.schedules.CosineDecay({
      initialLearningRate: 0,
      warmupTarget: learningRate,
      warmupSteps: Math.round(steps * 0.1),
      decaySteps: Math.round(steps * 0.9),
      alpha: 0.05,
    });
    model.compile({ optimizer: new optimizers.Adam({ learningRate: schedule, beta2: 0.95 }) });
    const began = performance.now();
    const { history } = await model.fit({ x, validationData: repeat(held), batchSize, epochs, verbose: 0 });
    await model.dispose();
    await model.backbone.dispose();
    const [loss, valLoss] = [history.loss, history.val_loss] as number[][];
    results.push({ name, parameters: cost.parameters, loss, valLoss });
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    console.log(`${name.padEnd(width)}  ${loss[0].toFixed(2)} → ${loss[epochs - 1].toFixed(2)}  ${seconds.padStart(5)} s`);
  }

  results.sort((a, b) => a.valLoss[epochs - 1] - b.valLoss[epochs - 1]);
  const all = results.flatMap(({ valLoss }) => valLoss);
  console.log(`\n   ${"by validation loss".padEnd(width)}  ${"curve".padEnd(epochs)}  validation  training`);
  results.forEach(({ name, loss, valLoss }, i) => {
    const curve = sparkline(valLoss, Math.min(...all), Math.max(...all));
    const last = [valLoss, loss].map((values) => values[epochs - 1].toFixed(3));
    console.log(`${i + 1}. ${name.padEnd(width)}  ${curve.padEnd(5)}  ${last[0].padStart(10)}  ${last[1].padStart(8)}`);
  });

  const lines = results.map(({ name, valLoss }) => ({
    name,
    points: valLoss.map((y, epoch) => [(epoch + 1) * tokens / epochs, y] as const),
  }));
  await mkdir(dirname(chart), { recursive: true });
  await writeFile(
    chart,
    lineChart(lines, { title: `${base.source.name}: ${list.length} variants`, x: "tokens seen", y: "validation loss" }),
  );
  console.log(`\nChart: ${relative(process.cwd(), chart)}`);
  return results;
}

if (import.meta.main) await compare(SETTINGS);
