/** A real model's `fit` that can be killed: run as a program by training.test.ts with a directory. Prints digests of what it ends with. */

import { createHash } from "node:crypto";
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { callbacks, models, optimizers } from "../../mod.ts";

const [directory] = process.argv.slice(2);
const proto = fileURLToPath(new URL("../fixtures/kerashub/xlm_roberta_tiny/assets/tokenizer/vocabulary.spm", import.meta.url));

const tokenizer = new models.XLMRobertaTokenizer({ proto });
const preprocessor = new models.XLMRobertaMaskedLMPreprocessor({ tokenizer, sequenceLength: 12, maskSelectionLength: 3, seed: 5 });
const backbone = new models.XLMRobertaBackbone({
  vocabularySize: tokenizer.vocabularySize,
  numLayers: 1,
  numHeads: 2,
  hiddenDim: 8,
  intermediateDim: 16,
  dropout: 0.1,
  maxSequenceLength: 12,
  seed: 5,
});
const maskedLM = new models.XLMRobertaMaskedLM({ backbone, preprocessor });
maskedLM.compile({ optimizer: new optimizers.Adam({ learningRate: 0.01, useEma: true, gradientAccumulationSteps: 2 }) });

const texts = Array.from({ length: 14 }, (_, i) => `Everyone has the right to life number ${i}, liberty and security of person.`);
const stepFile = join(directory, "steps");
const done = existsSync(stepFile) ? readFileSync(stepFile, "utf8").length : 0;
let steps = done;
await maskedLM.fit({
  x: texts,
  validationData: { x: texts.slice(0, 4) },
  batchSize: 4,
  epochs: 4,
  verbose: 0,
  callbacks: [
    new callbacks.BackupAndRestore({ backupDir: join(directory, "backup"), saveFreq: 3 }),
    new callbacks.LambdaCallback({
      onTrainBatchEnd(): void {
        appendFileSync(stepFile, "x");
        steps++;
        // It dies here, as if the power had failed: after the batches that the environment says.
        if (process.env.DIE_AFTER && steps - done >= Number(process.env.DIE_AFTER)) process.kill(process.pid, "SIGKILL");
      },
      onEpochEnd(epoch, logs): void {
        appendFileSync(join(directory, "logs"), `${epoch} ${JSON.stringify(logs)}\n`);
      },
    }),
  ],
});
const digest = (arrays: readonly ArrayBufferView[]): string => {
  const hash = createHash("sha256");
  for (const { buffer, byteOffset, byteLength } of arrays) hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  return hash.digest("hex");
};
const weights = (await maskedLM.getWeights()).map(({ data }) => data);
const optimizer = maskedLM.optimizerState!.variables.map(({ data }) => data);
console.log(JSON.stringify({ weights: digest(weights), optimizer: digest(optimizer), iterations: maskedLM.optimizerState!.iterations }));
