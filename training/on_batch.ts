/** Keras' `train_on_batch`, `test_on_batch` and `predict_on_batch`. */

import { OnnxHubError } from "../errors.ts";
import type { Logs } from "./callbacks/callback.ts";
import type { TrainingContext } from "./context.ts";
import { checkClassWeight, type ClassWeight, prepare, type PreprocessCall, readRows, type Rows } from "./data.ts";
import type { Batch } from "./engine.ts";
import { type Predictions, single } from "./predict.ts";
import { RunningMetrics } from "./running_metrics.ts";

/** One update on one batch. Gives `{ loss, …metrics }` of this batch, from before the update. */
export async function trainOnBatch(
  context: TrainingContext,
  x: Rows,
  y?: Rows,
  sampleWeight?: Rows,
  classWeight?: ClassWeight,
): Promise<Logs> {
  if (classWeight !== undefined && sampleWeight !== undefined) {
    throw new OnnxHubError("data/class-weight", "Arguments `sampleWeight` and `classWeight` cannot be specified at the same time", {
      path: "trainOnBatch",
      remedy: "Drop one of the two.",
    });
  }
  const weights = classWeight === undefined ? null : checkClassWeight(classWeight);
  // The number of updates stands for the batch's number, so that each call draws other masks.
  const call: PreprocessCall = { mode: "train", epoch: 0, step: context.engine.optimizer.iterations };
  const batch = await oneBatch(context, { x, y, sampleWeight }, call, weights);
  return logsOf(context, await context.engine.trainBatch(batch));
}

/** `{ loss, …metrics }` of one batch. */
export async function testOnBatch(context: TrainingContext, x: Rows, y?: Rows, sampleWeight?: Rows): Promise<Logs> {
  const batch = await oneBatch(context, { x, y, sampleWeight }, { mode: "test", epoch: 0, step: 0 }, null);
  return logsOf(context, await context.engine.testBatch(batch));
}

/** The outputs of one batch. */
export async function predictOnBatch(context: TrainingContext, x: Rows): Promise<Predictions> {
  const batch = await oneBatch(context, { x }, { mode: "predict", epoch: 0, step: 0 }, null);
  return single(await context.engine.predictBatch(batch.x));
}

function oneBatch(
  { preprocess, inputs }: TrainingContext,
  rows: { x: Rows; y?: Rows; sampleWeight?: Rows },
  call: PreprocessCall,
  classWeight: ClassWeight | null,
): Promise<Batch> {
  return prepare(readRows(rows, ""), call, { preprocess, inputs, classWeight }, "batch");
}

function logsOf(context: TrainingContext, result: Parameters<RunningMetrics["add"]>[0]): Logs {
  const metrics = new RunningMetrics(context.metricResults);
  metrics.add(result);
  return metrics.logs();
}
