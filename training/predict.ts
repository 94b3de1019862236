/** Keras' `predict`: the outputs for all rows. */

import { OnnxHubError } from "../errors.ts";
import type { Tensor } from "../runtime/tensor.ts";
import { CallbackList } from "./callbacks/callback_list.ts";
import { inBatch, PreparedBatches } from "./batches.ts";
import { Run, type TrainingContext } from "./context.ts";
import { dataSource, Epochs } from "./data.ts";
import { checkPredictOptions, type PredictOptions } from "./options.ts";

/** The model's output, or its outputs by name where it has several. */
export type Predictions = Tensor | Readonly<Record<string, Tensor>>;

/**
 * Runs the model over all rows and joins the outputs along the first axis.
 *
 * Throws "training/option", "training/unknown-option", "data/ragged-output" where batches give outputs of different shapes, and the errors of data
 * ("data/…").
 */
export async function predict(context: TrainingContext, options: PredictOptions): Promise<Predictions> {
  checkPredictOptions(options);
  const run = new Run(context);
  const steps = options.steps ?? null;
  const epochs = new Epochs(dataSource(options, null, steps), steps, { path: "x", firstPass: 0, warn: (text) => run.console.warn(text) });
  const verbose = options.verbose ?? "auto";
  const callbacks = new CallbackList(options.callbacks ?? [], {
    model: run,
    params: { verbose, epochs: 1, steps: epochs.steps },
    addProgbar: verbose !== 0,
  });
  const outputs: Record<string, Tensor[]> = {};
  await callbacks.predict("onPredictBegin");
  try {
    await epochs.begin();
    const { preprocess, inputs } = context;
    const batches = new PreparedBatches(epochs, { preprocess, inputs }, { mode: "predict", epoch: 0 });
    for (let next = await batches.next(); next; next = await batches.next()) {
      await callbacks.predictBatchBegin(next.step);
      const running = inBatch(next.step, run.engine.predictBatch(next.batch.x));
      batches.prefetch();
      const result = await running;
      for (const [name, output] of Object.entries(result)) (outputs[name] ??= []).push(output);
      await callbacks.predictBatchEnd(next.step, { outputs: result });
      if (run.stopPredicting) break;
    }
    await batches.settle();
    await epochs.end();
  } finally {
    await epochs.close();
  }
  await callbacks.predict("onPredictEnd");
  return single(Object.fromEntries(Object.entries(outputs).map(([name, parts]) => [name, concatenated(parts, name)])));
}

/** The output itself where there is one only. */
export function single(outputs: Readonly<Record<string, Tensor>>): Predictions {
  const all = Object.values(outputs);
  return all.length === 1 ? all[0] : outputs;
}

function concatenated(parts: readonly Tensor[], name: string): Tensor {
  const [first] = parts;
  const rest = first.shape.slice(1);
  const odd = parts.find(({ shape }) => shape.length !== first.shape.length || rest.some((size, i) => size !== shape[i + 1]));
  if (odd) {
    throw new OnnxHubError("data/ragged-output", "The batches' outputs have different shapes and can't be joined", {
      path: `predict: ${name}`,
      expected: `[rows, ${rest.join(", ")}], as of the first batch`,
      found: `[${odd.shape.join(", ")}]`,
      remedy: "Pad all rows to one length, or call predictOnBatch on each batch.",
    });
  }
  const size = parts.reduce((sum, { data }) => sum + data.length, 0);
  const data = first.dtype === "float32" ? new Float32Array(size) : first.dtype === "int32" ? new Int32Array(size) : new Uint8Array(size);
  let offset = 0;
  for (const part of parts) {
    data.set(part.data, offset);
    offset += part.data.length;
  }
  return { dtype: first.dtype, shape: [parts.reduce((sum, { shape }) => sum + shape[0], 0), ...rest], data };
}
