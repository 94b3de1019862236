/** Keras' `evaluate`: loss and metrics over data, without training. */

import { CallbackList } from "./callbacks/callback_list.ts";
import type { Logs } from "./callbacks/callback.ts";
import { inBatch, PreparedBatches } from "./batches.ts";
import { Run, type TrainingContext } from "./context.ts";
import { dataSource, Epochs, type PreprocessCall } from "./data.ts";
import { checkEvaluateOptions, type EvaluateOptions } from "./options.ts";

/**
 * Evaluates a model: `{ loss, …metrics }`, each over all rows.
 *
 * Throws "training/option", "training/unknown-option" and the errors of data ("data/…").
 */
export async function evaluate(context: TrainingContext, options: EvaluateOptions): Promise<Logs> {
  checkEvaluateOptions(options);
  const run = new Run(context);
  const steps = options.steps ?? null;
  const epochs = new Epochs(dataSource(options, null, steps), steps, { path: "x", firstPass: 0, warn: (text) => run.console.warn(text) });
  const verbose = options.verbose ?? "auto";
  const callbacks = new CallbackList(options.callbacks ?? [], {
    model: run,
    params: { verbose, epochs: 1, steps: epochs.steps },
    addProgbar: verbose !== 0,
  });
  try {
    return await evaluateEpoch(run, epochs, callbacks, { mode: "test", epoch: 0 });
  } finally {
    await epochs.close();
  }
}

/** One evaluation with callbacks that are set up already: `evaluate`'s own, or `fit`'s for validation. */
export async function evaluateEpoch(
  run: Run,
  epochs: Epochs,
  callbacks: CallbackList,
  call: Pick<PreprocessCall, "mode" | "epoch">,
): Promise<Logs> {
  run.stopEvaluating = false;
  await callbacks.run("onTestBegin");
  run.metrics.reset();
  await epochs.begin();
  const { preprocess, inputs } = run.context;
  const batches = new PreparedBatches(epochs, { preprocess, inputs }, call);
  for (let next = await batches.next(); next; next = await batches.next()) {
    await callbacks.at("onTestBatchBegin", next.step);
    const running = inBatch(next.step, run.engine.testBatch(next.batch));
    batches.prefetch();
    run.metrics.add(await running);
    await callbacks.at("onTestBatchEnd", next.step, run.metrics.logs());
    if (run.stopEvaluating) break;
  }
  await batches.settle();
  await epochs.end();
  const logs = run.metrics.logs();
  await callbacks.run("onTestEnd", logs);
  return logs;
}
