/** A `fit` that can be killed: run as a program by resume.test.ts. Arguments: a directory, saveFreq, the mode. Prints the result as JSON at its end. */

import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import type { Tensor } from "../../runtime/tensor.ts";
import { BackupAndRestore, LambdaCallback, LearningRateScheduler } from "../../training/callbacks/mod.ts";
import type { Preprocess } from "../../training/data.ts";
import { fit } from "../../training/fit.ts";
import type { FitOptions } from "../../training/options.ts";
import { RandomStream } from "../../random.ts";
import { linearData, LinearEngine } from "./linear_engine.ts";

const [directory, saveFreq, mode] = process.argv.slice(2);
const { x, y } = linearData(23);

/** Random preprocessing, by the batch's place. */
const preprocess: Preprocess = (raw, { mode, epoch, step }) => {
  const { shape, data } = raw.x as Tensor;
  const stream = new RandomStream(3, mode, epoch, step);
  return {
    x: { x: { dtype: "float32", shape, data: Float32Array.from(data, (value, i) => value + 0.1 * stream.normal(i)) } },
    y: raw.y as Tensor,
  };
};

/** Seven batches a pass; with stepsPerEpoch 4, passes and epochs don't meet. */
function* batches(): Generator<readonly [Tensor, Tensor]> {
  for (let i = 0; i < 7; i++) {
    const { x, y } = linearData(5, 100 + i);
    yield [x, y];
  }
}
function* endless(): Generator<readonly [Tensor, Tensor]> {
  for (;;) yield* batches();
}

const data: Record<string, FitOptions> = {
  arrays: { x, y, batchSize: 4 },
  steps: { x, y, batchSize: 4, stepsPerEpoch: 4 },
  iterable: { x: batches },
  endless: { x: endless, stepsPerEpoch: 4 },
};

const logFile = join(directory, "logs");
const stepFile = join(directory, "steps");
const done = existsSync(stepFile) ? readFileSync(stepFile, "utf8").length : 0;
const engine = new LinearEngine(3, { seed: 9, noise: 0.2 });
await fit(
  { engine, seed: 4, preprocess },
  {
    ...data[mode],
    epochs: 5,
    verbose: 0,
    validationData: { x, y },
    callbacks: [
      new BackupAndRestore({ backupDir: join(directory, "backup"), saveFreq: saveFreq === "epoch" ? saveFreq : Number(saveFreq) }),
      // A rate that depends on the rate before: set twice for one epoch, it would be another.
      new LearningRateScheduler((_epoch, rate) => rate * 0.9),
      new LambdaCallback({
        onTrainBatchEnd(): void {
          writeFileSync(stepFile, "x", { flag: "a" });
        },
        onEpochEnd(epoch, logs): void {
          appendFileSync(logFile, `${epoch} ${JSON.stringify(logs)}\n`);
        },
      }),
      // It dies here, in the middle of things, as if the power had failed: after the batches that the environment says.
      new LambdaCallback({
        onTrainBatchEnd(): void {
          const steps = readFileSync(stepFile, "utf8").length;
          if (process.env.DIE_AFTER && steps - done >= Number(process.env.DIE_AFTER)) process.kill(process.pid, "SIGKILL");
        },
      }),
    ],
  },
);
console.log(JSON.stringify({ weights: (await engine.getWeights()).map(({ data }) => [...data]), iterations: engine.optimizer.iterations }));
