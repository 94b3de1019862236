/** How long compiling takes: the base size of XLM-RoBERTa for masked language modeling, the first time and warm. */

import { compile } from "../codegen/compile.ts";
import { trainingRequest } from "../codegen/training_request.ts";
import { expand, load } from "../spec/index.ts";
import { median } from "./statistics.ts";

const ROUNDS = 15;

const config = {
  vocabulary_size: 250002,
  num_layers: 12,
  num_heads: 12,
  hidden_dim: 768,
  intermediate_dim: 3072,
  dropout: 0.1,
};

/** Milliseconds that a function takes, and its result. */
async function time<T>(run: () => T | Promise<T>): Promise<[number, T]> {
  const start = performance.now();
  const result = await run();
  return [performance.now() - start, result];
}

const times: Record<string, number[]> = {};
let facts = "";
for (let done = 0; done < ROUNDS; done++) {
  const [loading, spec] = await time(() => load("xlm_roberta"));
  const [expanding, expanded] = await time(() => expand(spec, { config, task: "masked_lm" }));
  const [training, { program, graph }] = await time(() => compile(expanded, trainingRequest(expanded)));
  const [inference] = await time(() => compile(expanded, { mode: "infer" }));
  const round = { "load the spec": loading, "expand it": expanding, "training program": training, "inference program": inference };
  const all = { ...round, "all of it": loading + expanding + training + inference };
  for (const [name, milliseconds] of Object.entries(all)) (times[name] ??= []).push(milliseconds);
  const parameters = program.weights.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  facts = `${parameters} parameters; training: ${graph.nodes.length} nodes, ${program.stages[0].model.length} bytes`;
}

const cell = (milliseconds: number): string => milliseconds.toFixed(1).padStart(8);
console.log(`XLM-RoBERTa base, masked_lm: ${facts}`);
console.log(`${"".padEnd(18)}   first ms  warm ms (median of ${ROUNDS - 1})`);
for (const [name, [first, ...warm]] of Object.entries(times)) console.log(`${name.padEnd(18)}  ${cell(first)} ${cell(median(warm))}`);
