/**
 * What dropout costs: how long drawing the masks of one training step of XLM-RoBERTa base takes, against a plain loop; and steps with and without dropout, in
 * turns, of a model as wide that has four layers and a small vocabulary, so that dropout is more of it. The first argument is the backend, "wasm" by default.
 */

import process from "node:process";
import { compile } from "../codegen/compile.ts";
import { evaluateShape } from "../codegen/ir/dims.ts";
import { trainingRequest } from "../codegen/training_request.ts";
import { models } from "../mod.ts";
import { RandomStream } from "../random.ts";
import type { BackendName } from "../runtime/backend.ts";
import { fillDropoutMask } from "../runtime/dropout_mask.ts";
import { expand, load } from "../spec/index.ts";
import { median } from "./statistics.ts";

const ROUNDS = 9;

const config = { vocabulary_size: 250002, num_layers: 12, num_heads: 12, hidden_dim: 768, intermediate_dim: 3072, dropout: 0.1 };

/** 4 sequences of 128 tokens, 19 of them masked. */
const symbols = { batch: 4, sequence: 128, masks: 19 };

const expanded = expand(await load("xlm_roberta"), { config, task: "masked_lm" });
const sites = compile(expanded, trainingRequest(expanded)).program.inputs.flatMap((input) =>
  input.role === "dropout" ? [{ rate: input.rate, size: evaluateShape(input.shape, symbols).reduce((a, b) => a * b, 1) }] : []
);
const draws = sites.reduce((sum, { size }) => sum + size, 0);
const largest = Math.max(...sites.map(({ size }) => size));
const [kept, used] = [new Uint8Array(largest), new Float32Array(largest)];

/** The ways to draw the masks of all sites. */
const ways: Readonly<Record<string, (stream: RandomStream, rate: number, size: number) => void>> = {
  "a plain loop": (stream, rate, size) => stream.fillKeep(kept.subarray(0, size), rate),
  "kernel": (stream, rate, size) => fillDropoutMask(used.subarray(0, size), stream, rate),
  "kernel, new arrays": (stream, rate, size) => fillDropoutMask(new Float32Array(size), stream, rate),
};

const times: Record<string, number[]> = {};
for (let round = -1; round < ROUNDS; round++) {
  for (const [name, draw] of Object.entries(ways)) {
    const start = performance.now();
    sites.forEach(({ rate, size }, site) => draw(new RandomStream(1, "dropout", round, site), rate, size));
    if (round >= 0) (times[name] ??= []).push(performance.now() - start);
  }
}

console.log(`XLM-RoBERTa base, batch 4 × 128: ${sites.length} dropout sites, ${draws} draws; medians of ${ROUNDS}, in turn`);
console.log(`${"".padEnd(20)}  ms/step  ns/draw`);
for (const [name, all] of Object.entries(times)) {
  const ms = median(all);
  console.log(`${name.padEnd(20)}  ${ms.toFixed(1).padStart(7)}  ${(ms * 1e6 / draws).toFixed(2).padStart(7)}`);
}

const backend = (process.argv[2] ?? "wasm") as BackendName;
const rates = [0.1, 0];
const batch = symbols.batch;
const rows = (columns: number, value: (i: number) => number) => ({
  dtype: "int32" as const,
  shape: [batch, columns],
  data: Int32Array.from({ length: batch * columns }, (_, i) => value(i)),
});
const x = {
  token_ids: rows(symbols.sequence, (i) => 5 + i * 7919 % 7990),
  padding_mask: rows(symbols.sequence, () => 1),
  mask_positions: rows(symbols.masks, (i) => 1 + 6 * (i % symbols.masks)),
};
const labels = rows(symbols.masks, (i) => 5 + i * 104729 % 7990);
const trained = rates.map((dropout) => {
  const sizes = { vocabularySize: 8000, numLayers: 4, numHeads: 12, hiddenDim: 768, intermediateDim: 3072, maxSequenceLength: 128 };
  return new models.XLMRobertaMaskedLM({ backbone: new models.XLMRobertaBackbone({ ...sizes, dropout, backend }), preprocessor: null });
});
const steps: number[][] = rates.map(() => []);
for (let round = -2; round < ROUNDS; round++) {
  for (const [i, model] of trained.entries()) {
    const start = performance.now();
    await model.trainOnBatch(x, labels);
    if (round >= 0) steps[i].push(performance.now() - start);
  }
}
const [withDropout, without] = steps;
console.log(`\nA training step on ${backend}, 4 layers of width 768, 8,000 tokens, batch 4 × 128; medians of ${ROUNDS}, in turn`);
rates.forEach((rate, i) => console.log(`dropout ${rate.toFixed(1)}  ${median(steps[i]).toFixed(0).padStart(7)} ms`));
console.log(`the ratio, as the median over the rounds: ${median(withDropout.map((time, round) => time / without[round])).toFixed(3)}`);
process.exit(0);
