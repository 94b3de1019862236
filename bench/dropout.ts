/** How long drawing dropout masks takes: those of one training step of XLM-RoBERTa base, against a plain loop. */

import { compile } from "../codegen/compile.ts";
import { evaluateShape } from "../codegen/ir/dims.ts";
import { trainingRequest } from "../codegen/training_request.ts";
import { RandomStream } from "../random.ts";
import { fillDropoutMask } from "../runtime/dropout_mask.ts";
import { expand, load } from "../spec/index.ts";

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

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1];
console.log(`XLM-RoBERTa base, batch 4 × 128: ${sites.length} dropout sites, ${draws} draws; medians of ${ROUNDS}, in turn`);
console.log(`${"".padEnd(20)}  ms/step  ns/draw`);
for (const [name, all] of Object.entries(times)) {
  const ms = median(all);
  console.log(`${name.padEnd(20)}  ${ms.toFixed(1).padStart(7)}  ${(ms * 1e6 / draws).toFixed(2).padStart(7)}`);
}
