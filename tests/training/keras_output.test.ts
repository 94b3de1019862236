/** Whether whole runs print what Keras printed in recorded runs, to the byte, progress bars, messages and CSV. */

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Callback, CSVLogger, EarlyStopping, ReduceLROnPlateau } from "../../training/callbacks/mod.ts";
import type { Console } from "../../training/console.ts";
import type { TrainingContext } from "../../training/context.ts";
import type { Batch, BatchResult } from "../../training/engine.ts";
import { evaluate } from "../../training/evaluate.ts";
import { fit } from "../../training/fit.ts";
import { predict } from "../../training/predict.ts";
import { linearData, LinearEngine } from "./linear_engine.ts";

const recorded = readFileSync(new URL("../fixtures/progress-bar-bytes.txt", import.meta.url), "utf8");

/** What one batch gives, and how long it takes. */
interface Step {
  readonly loss: number;
  readonly accuracy: number;
  readonly seconds: number;
}

/** An engine that gives the recorded numbers and lets the recorded time pass. */
class Replay extends LinearEngine {
  readonly #steps: Step[];
  readonly #pass: (seconds: number) => void;

  constructor(steps: readonly Step[], pass: (seconds: number) => void) {
    super(3);
    this.#steps = [...steps];
    this.#pass = pass;
    this.optimizer.learningRate = 0.01;
  }

  #next(size: number): Promise<BatchResult> {
    const { loss, accuracy, seconds } = this.#steps.shift()!;
    this.#pass(seconds);
    return Promise.resolve({ loss, size, metrics: { sparse_categorical_accuracy: { total: accuracy * size, count: size } } });
  }

  override trainBatch(batch: Batch): Promise<BatchResult> {
    return this.#next(batch.x.x.shape[0]);
  }

  override testBatch(batch: Batch): Promise<BatchResult> {
    return this.#next(batch.x.x.shape[0]);
  }

  override predictBatch(x: Batch["x"]): ReturnType<LinearEngine["predictBatch"]> {
    this.#pass(this.#steps.shift()!.seconds);
    return super.predictBatch(x);
  }
}

interface Replayed extends TrainingContext {
  printed(): string;
}

function replay(steps: readonly Step[]): Replayed {
  let now = 1_700_000_000;
  let printed = "";
  const console: Console = { write: (text) => void (printed += text), warn: assert.fail, clock: () => now, dynamic: true };
  const engine = new Replay(steps, (seconds) => void (now += seconds));
  return { engine, seed: 1, inputs: [{ name: "x", required: true }], console, printed: () => printed };
}

/** Steps of one epoch whose running means are these. Batches are of equal size. */
function meaning(means: readonly (readonly [loss: number, accuracy: number, seconds: number])[]): Step[] {
  return means.map(([loss, accuracy, seconds], i) => {
    const before = i === 0 ? [0, 0] : means[i - 1];
    return { loss: loss * (i + 1) - before[0] * i, accuracy: accuracy * (i + 1) - before[1] * i, seconds };
  });
}

const lines = recorded.split("\n");
const { x, y } = linearData(12);

describe("a recorded run of Keras", () => {
  it("fit with a bar, validation and two epochs", async () => {
    const context = replay([
      ...meaning([[2.0675, 0, 5], [1.9, 0.1, 0.01], [1.7214, 0.25, 3.39]]),
      ...meaning([[1.3, 0.6667, 1.9], [1.2261, 0.6667, 1.9]]),
      ...meaning([[1.2356, 0.7, 0.005], [1.2, 0.6, 0.01], [1.1966, 0.5833, 0.01]]),
      ...meaning([[1.1, 0.5, 0.01], [1.0655, 0.5, 0.01]]),
    ]);
    const data = { x, y, batchSize: 4, epochs: 2, validationData: [linearData(4).x, linearData(4).y] as const, validationBatchSize: 2 };
    const history = await fit(context, data);
    assert.equal(context.printed(), lines.slice(0, 4).join("\n") + "\n");
    assert.deepEqual(Object.keys(history.history), ["loss", "sparse_categorical_accuracy", "val_loss", "val_sparse_categorical_accuracy"]);
    assert.deepEqual(history.epoch, [0, 1]);
    assert.deepEqual({ ...history.params, verbose: 1 }, { verbose: 1, epochs: 2, steps: 3 });
  });

  it("fit with a line an epoch", async () => {
    const steps = (loss: number, accuracy: number, time: number): Step[] => Array(3).fill({ loss, accuracy, seconds: time / 3 });
    const context = replay([
      ...steps(1.0151, 0.5417, 0.03),
      ...steps(0.8767, 0.6667, 0.012),
      ...steps(0.8360, 0.6667, 0.02),
      ...steps(0.7128, 0.6667, 0.013),
    ]);
    await fit(context, { x, y, batchSize: 4, epochs: 2, verbose: 2, validationData: { x, y } });
    assert.equal(context.printed(), lines.slice(5, 9).join("\n") + "\n");
  });

  it("fit of one epoch on a split", async () => {
    const context = replay([
      { loss: 0.6908, accuracy: 0.7222, seconds: 3 },
      { loss: 0.6908, accuracy: 0.7222, seconds: 3 },
      { loss: 0.6293, accuracy: 0.8333, seconds: 0.9 },
    ]);
    await fit(context, { x, y, batchSize: 5, verbose: 2, validationSplit: 0.25 });
    assert.equal(context.printed(), lines[9] + "\n");
  });

  it("evaluate and predict with a line", async () => {
    const tested = replay(Array(3).fill({ loss: 0.6293, accuracy: 0.8333, seconds: 0.018 }));
    await evaluate(tested, { x, y, batchSize: 4, verbose: 2 });
    assert.equal(tested.printed(), lines[11] + "\n");
    const predicted = replay(Array(3).fill({ loss: 0, accuracy: 0, seconds: 0.609 }));
    await predict(predicted, { x, batchSize: 4, verbose: 2 });
    assert.equal(predicted.printed(), lines[13] + "\n");
  });

  it("callbacks: a lower learning rate, an early end, the best weights back, the CSV file", async () => {
    const losses = [[0.5234339237213135, 6], [0.49517133831977844, 4], [0.4683547914028168, 0.152]];
    const context = replay(losses.map(([loss, seconds]) => ({ loss, accuracy: 5 / 6, seconds })));
    const directory = mkdtempSync(join(tmpdir(), "onnxhub-"));
    try {
      const filename = join(directory, "log.csv");
      const options = { monitor: "loss", minDelta: 10, verbose: 1 } as const;
      const params: unknown[] = [];
      class Params extends Callback {
        override onTrainBegin(): void {
          params.push(this.params);
        }
      }
      await fit(context, {
        x: linearData(6).x,
        y: linearData(6).y,
        epochs: 4,
        verbose: 2,
        callbacks: [
          new ReduceLROnPlateau({ ...options, patience: 1 }),
          new CSVLogger(filename),
          new EarlyStopping({ ...options, patience: 2, restoreBestWeights: true }),
          new Params(),
        ],
      });
      assert.deepEqual(params, [{ verbose: 2, epochs: 4, steps: 1 }]);
      const begin = lines.indexOf("Epoch 1/4");
      const csv = lines.findIndex((line) => line.startsWith("epoch,"));
      assert.equal(context.printed(), lines.slice(begin, csv).join("\n") + "\n");
      assert.equal(readFileSync(filename, "utf8"), lines.slice(csv, csv + 4).join("\r\n") + "\r\n");
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
