/** What runs in a project with onnxruntime-node: golden runs on a backend, printed as JSON. */

import process from "node:process";
import { compile } from "../../codegen/compile.ts";
import { trainingRequest } from "../../codegen/training_request.ts";
import { models } from "../../mod.ts";
import { openBackend } from "../../runtime/backends.ts";
import { ProgramRunner } from "../../runtime/runner.ts";
import type { Tensor } from "../../runtime/tensor.ts";
import { SENTENCES } from "../presets/declaration_sentences.ts";
import { fixture, type Golden, optimizerOf, readFixture } from "../golden/goldens.ts";

const [choice] = process.argv.slice(2) as ["native" | "auto"];
const golden = readFixture<Golden>("kerashub/xlm_roberta_tiny/golden.json");
const [first] = golden.batches;
const load = (): Promise<models.XLMRobertaMaskedLM> =>
  models.XLMRobertaMaskedLM.fromPreset(fixture("kerashub/xlm_roberta_tiny"), {
    preprocessor: null,
    backend: choice,
    threads: 2,
  });

const model = await load();
const backend = await openBackend(choice, { threads: 2 });
const logits = [];
// Fed with the weights at first, held by the session afterwards.
for (let run = 0; run < 3; run++) {
  logits.push([...(await model.predictOnBatch(first.x) as Tensor).data]);
}

const gradients: Record<string, number[]> = {};
const losses: number[] = [];
const sizes = {
  batch: first.y.shape[0],
  masks: first.y.shape[1],
  sequence: first.x.token_ids.shape[1],
};
for (const stagesFor of [undefined, sizes]) {
  const { program } = compile(model.expanded, {
    ...trainingRequest(model.expanded),
    mode: "train",
    rowsOutside: true,
    stagesFor,
  });
  const runner = new ProgramRunner(
    program,
    () => Promise.resolve(backend),
    model.parameters,
  );
  const result = await runner.run({
    x: first.x,
    labels: first.y,
    sampleWeight: first.sample_weight,
    lossScale: 1,
  });
  losses.push(result.loss);
  for (const [path, gradient] of result.gradients) {
    gradients[`${stagesFor ? "staged" : "whole"}:${path}`] = [...gradient];
  }
  await runner.dispose();
}
await model.dispose();

// The shipped preset in each format of weights: its sentences' words, and how far the logits are from float32's.
const maskedLM = await models.MaskedLM.fromPreset("xlm_roberta_declaration", { backend: choice, threads: 2 });
const texts = SENTENCES.map(([sentence]) => sentence);
const quantized: Record<string, { tokens: string[]; greatest: number }> = {};
for (const mode of ["float16", "int8"] as const) {
  await maskedLM.quantize(mode);
  const tokens = (await maskedLM.fillMask(texts, { topK: 1 })).map(([[{ token }]]) => token);
  quantized[mode] = { tokens, greatest: (await maskedLM.compareQuantizedMasks(texts)).greatest };
}
await maskedLM.dispose();

const steps: Record<string, Record<string, number>[]> = {};
for (
  const name of ["adam", "adafactor"].filter((name) => name in golden.runs)
) {
  const trained = await load();
  trained.compile({ optimizer: optimizerOf(golden.runs[name].optimizer!) });
  steps[name] = [];
  for (const { x, y, sample_weight } of golden.batches) {
    steps[name].push(
      await trained.trainOnBatch(x, y, sample_weight),
    );
  }
  await trained.dispose();
}
console.log(
  JSON.stringify({ backend: backend.name, logits, losses, gradients, quantized, steps }),
);
