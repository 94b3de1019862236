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
  /** Matrices this small are not worth sharing out. */
  threads: 1 as number | undefined,
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

/** What is printed goes here. */
type Print = (text: string) => void;

/** Explains, trains and compares the variants, writes the chart; gives the variants from best to worst. */
export async function compare(settings: typeof SETTINGS, print: Print = console.log): Promise<Result[]> {
  const { grid, languages, sequenceLength, batchSize, passes, epochs, chart } = settings;

  // Every sixth paragraph is for validation.
  const paragraphs = (await declaration(languages)).flatMap(({ paragraphs }) => paragraphs);
  const repeat = (texts: string[]) => Array.from({ length: passes }, () => texts).flat();
  const data = { x: repeat(paragraphs.filter((_, i) => i % 6 !== 5)), validationData: repeat(paragraphs.filter((_, i) => i % 6 === 5)) };
  const tokens = epochs * Math.ceil(data.x.length / batchSize) * batchSize * sequenceLength;

  const tokenizer = new models.XLMRobertaTokenizer({ proto: fileURLToPath(new URL("data/udhr-8k.spm", import.meta.url)) });
  const base = spec.derive(await spec.load("xlm_roberta"), {
    config: { vocabulary_size: tokenizer.vocabularySize, max_sequence_length: sequenceLength, dropout: 0 },
  });
  const variants = spec.variants(base, grid);
  const width = Math.max(...variants.map(({ name }) => name.length));

  print(`${variants.length} variants of ${base.source.name}; a step is ${batchSize} × ${sequenceLength} tokens\n`);
  print(`${"variant".padEnd(width)}  parameters  MFLOP/step  training memory`);
  for (const { name, spec: variant } of variants) print(`${name.padEnd(width)}  ${costOf(variant, settings)}`);

  print(`\nTraining each on ${tokens.toLocaleString("en-US")} tokens`);
  const results: Result[] = [];
  for (const { name, spec: variant } of variants) {
    const began = performance.now();
    const result = { name, ...await train(variant, tokenizer, data, settings) };
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    print(`${name.padEnd(width)}  ${result.loss[0].toFixed(2)} → ${result.loss[epochs - 1].toFixed(2)}  ${seconds.padStart(5)} s`);
    results.push(result);
  }

  results.sort((a, b) => a.valLoss[epochs - 1] - b.valLoss[epochs - 1]);
  printRanking(results, width, print);
  const lines = results.map(({ name, valLoss }) => ({ name, points: valLoss.map((y, i) => [(i + 1) * tokens / epochs, y] as const) }));
  await mkdir(dirname(chart), { recursive: true });
  const title = `${base.source.name}: ${variants.length} variants`;
  await writeFile(chart, lineChart(lines, { title, x: "tokens seen", y: "validation loss" }));
  print(`\nChart: ${relative(process.cwd(), chart)}`);
  return results;
}

/** The most tokens of a row that are masked. */
function masksOf({ sequenceLength, maskRate }: typeof SETTINGS): number {
  return Math.ceil(sequenceLength * maskRate);
}

/** What a variant costs, found out without running it. */
function costOf(variant: spec.Spec, settings: typeof SETTINGS): string {
  const sizes = { batch: settings.batchSize, sequence: settings.sequenceLength, masks: masksOf(settings) };
  const { parameters, flops, memory } = codegen.explain(spec.expand(variant, { task: "masked_lm" }), { sizes });
  return [
    parameters.toLocaleString("en-US").padStart(10),
    (flops.training! / 1e6).toFixed(0).padStart(10),
    `${(memory.training! / 2 ** 20).toFixed(1)} MiB`.padStart(15),
  ].join("  ");
}

/** Trains a variant from scratch: the same texts, masks and schedule for each. */
async function train(
  variant: spec.Spec,
  tokenizer: models.Tokenizer,
  data: { x: string[]; validationData: string[] },
  settings: typeof SETTINGS,
): Promise<Omit<Result, "name">> {
  const { sequenceLength, maskRate, batchSize, epochs, learningRate } = settings;
  const model = await models.fromSpec(variant, {
    task: "masked_lm",
    tokenizer,
    preprocessor: { sequenceLength, maskSelectionRate: maskRate, maskSelectionLength: masksOf(settings) },
    seed: 1,
    threads: settings.threads,
  });
  const steps = epochs * Math.ceil(data.x.length / batchSize);
  const schedule = new optimizers.schedules.CosineDecay({
    initialLearningRate: 0,
    warmupTarget: learningRate,
    warmupSteps: Math.round(steps * 0.1),
    decaySteps: Math.round(steps * 0.9),
    alpha: 0.05,
  });
  model.compile({ optimizer: new optimizers.Adam({ learningRate: schedule, beta2: 0.95 }) });
  const { history } = await model.fit({ ...data, batchSize, epochs, verbose: 0 });
  const parameters = model.countParams();
  await model.dispose();
  await model.backbone.dispose();
  const { loss, val_loss: valLoss } = history;
  return { parameters, loss, valLoss };
}

/** The results in their order, with curves on one scale. */
function printRanking(results: readonly Result[], width: number, print: Print): void {
  const all = results.flatMap(({ valLoss }) => valLoss);
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const curve = (values: string) => values.padEnd(Math.max("curve".length, results[0].valLoss.length));
  print(`\n   ${"by validation loss".padEnd(width)}  ${curve("curve")}  validation  training`);
  results.forEach(({ name, loss, valLoss }, i) => {
    const [validation, training] = [valLoss, loss].map((values) => values[values.length - 1].toFixed(3));
    const bars = curve(sparkline(valLoss, low, high));
    print(`${i + 1}. ${name.padEnd(width)}  ${bars}  ${validation.padStart(10)}  ${training.padStart(8)}`);
  });
}

if (import.meta.main) await compare(SETTINGS);
