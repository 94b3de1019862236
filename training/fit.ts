/** Keras' `fit`: epochs of batches, with validation, callbacks and history. */

import { inBatch, PreparedBatches } from "./batches.ts";
import type { Logs } from "./callbacks/callback.ts";
import { CallbackList } from "./callbacks/callback_list.ts";
import type { History } from "./callbacks/history.ts";
import { Run, type TrainingContext } from "./context.ts";
import { type BatchSource, dataSource, Epochs, splitSources, validationSource } from "./data.ts";
import { evaluateEpoch } from "./evaluate.ts";
import { checkFitOptions, type FitOptions } from "./options.ts";

/**
 * Trains a model.
 *
 * The hooks come in Keras' order: `onTrainBegin`; for each epoch `onEpochBegin`, for each batch `onTrainBatchBegin` and `onTrainBatchEnd` (with the
 * means so far), validation with the `onTest…` hooks, `onEpochEnd`; in the end the optimizer finalizes the weights, then `onTrainEnd`.
 *
 * Throws "training/option", "training/unknown-option" and the errors of data ("data/…").
 */
export async function fit(context: TrainingContext, options: FitOptions): Promise<History> {
  checkFitOptions(options);
  const run = new Run(context);
  const { epochs = 1, initialEpoch = 0, verbose = "auto", validationFreq = 1 } = options;
  const sources = fitSources(options, context.seed);
  const warn = (text: string): void => run.console.warn(text);
  const training = new Epochs(sources.train, options.stepsPerEpoch ?? null, { path: "x", firstPass: initialEpoch, warn });
  const validation = sources.validation &&
    new Epochs(sources.validation, options.validationSteps ?? null, { path: "validationData", firstPass: 0, warn });
  const callbacks = new CallbackList(options.callbacks ?? [], {
    model: run,
    params: { verbose, epochs, steps: training.steps },
    addHistory: true,
    addProgbar: verbose !== 0,
  });
  try {
    await callbacks.run("onTrainBegin");
    const first = run.resume?.epoch ?? initialEpoch;
    if (run.resume) await training.skipEpochs(initialEpoch, first);
    let logs: Logs = {};
    for (let epoch = first; epoch < epochs; epoch++) {
      logs = await trainEpoch(run, training, callbacks, epoch, options);
      if (validation && isDue(epoch, validationFreq)) {
        const results = await evaluateEpoch(run, validation, callbacks, { mode: "validation", epoch });
        await validation.close(); // the next validation starts from the beginning
        for (const [name, value] of Object.entries(results)) logs[`val_${name}`] = value;
      }
      await callbacks.at("onEpochEnd", epoch, logs);
      if (run.stopTraining) break;
    }
    if (epochs > 0) await run.optimizer.finalizeWeights();
    await callbacks.run("onTrainEnd", logs);
  } finally {
    await training.close();
    await validation?.close();
  }
  return callbacks.history!;
}

/** One epoch's training; its logs. In the first epoch after a restored state, the batches that were done are skipped. */
async function trainEpoch(run: Run, epochs: Epochs, callbacks: CallbackList, epoch: number, options: FitOptions): Promise<Logs> {
  const resumed = run.resume?.epoch === epoch ? run.resume : null;
  run.epoch = epoch;
  run.batch = run.startBatch = resumed?.batch ?? 0;
  run.metrics.reset(resumed?.sums);
  await callbacks.at("onEpochBegin", epoch);
  await epochs.begin();
  for (let skipped = 0; skipped < run.startBatch; skipped++) await epochs.next();
  const { preprocess, inputs } = run.context;
  const batches = new PreparedBatches(
    epochs,
    { preprocess, inputs, classWeight: options.classWeight },
    { mode: "train", epoch },
    run.startBatch,
  );
  for (let next = await batches.next(); next; next = await batches.next()) {
    await callbacks.at("onTrainBatchBegin", next.step);
    const running = inBatch(next.step, run.engine.trainBatch(next.batch));
    batches.prefetch();
    run.metrics.add(await running);
    run.batch = next.step + 1;
    await callbacks.at("onTrainBatchEnd", next.step, run.metrics.logs());
    if (run.stopTraining) break;
  }
  await batches.settle();
  await epochs.end();
  await run.engine.endEpoch?.();
  return run.metrics.logs();
}

function fitSources(options: FitOptions, seed: number): { train: BatchSource; validation: BatchSource | null } {
  const order = options.shuffle ?? true ? seed : null;
  const steps = options.stepsPerEpoch ?? null;
  const validationSteps = options.validationSteps ?? null;
  const validationBatchSize = options.validationBatchSize ?? options.batchSize;
  if (options.validationData !== undefined) {
    return {
      train: dataSource(options, order, steps),
      validation: validationSource(options.validationData, validationBatchSize, validationSteps),
    };
  }
  if (!options.validationSplit) return { train: dataSource(options, order, steps), validation: null };
  return splitSources(options, options.validationSplit, order, { train: steps, validation: validationSteps, validationBatchSize });
}

function isDue(epoch: number, frequency: number | readonly number[]): boolean {
  return typeof frequency === "number" ? (epoch + 1) % frequency === 0 : frequency.includes(epoch + 1);
}
