/** Whether `fit`, `evaluate`, `predict` and the `…OnBatch` functions do what Keras' do. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Tensor } from "../../runtime/tensor.ts";
import { Callback, type CallbackParams, History, LambdaCallback, type Logs } from "../../training/callbacks/mod.ts";
import type { Preprocess, RawBatch } from "../../training/data.ts";
import type { BatchResult } from "../../training/engine.ts";
import { evaluate } from "../../training/evaluate.ts";
import { fit } from "../../training/fit.ts";
import { predictOnBatch, testOnBatch, trainOnBatch } from "../../training/on_batch.ts";
import { predict } from "../../training/predict.ts";
import { linearData, LinearEngine } from "./linear_engine.ts";
import { context, failure } from "./run.ts";

const { x, y } = linearData(10);
const silent = { verbose: 0 } as const;

/** Notes every hook with its index and the names in its logs. */
class Recorder extends Callback {
  readonly hooks: string[] = [];
  readonly #say = (hook: string, ...parts: unknown[]): void => void this.hooks.push([hook, ...parts].join(" "));
  override setModel(...parts: Parameters<Callback["setModel"]>): void {
    super.setModel(...parts);
    this.#say("setModel");
  }
  override setParams(params: CallbackParams): void {
    super.setParams(params);
    this.#say("setParams", JSON.stringify(params));
  }
  override onEpochBegin(epoch: number, logs: Logs): void {
    this.#say("onEpochBegin", epoch, Object.keys(logs));
  }
  override onEpochEnd(epoch: number, logs: Logs): void {
    this.#say("onEpochEnd", epoch, Object.keys(logs));
  }
  override onTrainBatchBegin(batch: number): void {
    this.#say("onTrainBatchBegin", batch);
  }
  override onTrainBatchEnd(batch: number, logs: Logs): void {
    this.#say("onTrainBatchEnd", batch, Object.keys(logs));
  }
  override onTestBatchBegin(batch: number): void {
    this.#say("onTestBatchBegin", batch);
  }
  override onTestBatchEnd(batch: number, logs: Logs): void {
    this.#say("onTestBatchEnd", batch, Object.keys(logs));
  }
  override onPredictBatchBegin(batch: number): void {
    this.#say("onPredictBatchBegin", batch);
  }
  override onPredictBatchEnd(batch: number, { outputs }: { outputs: Readonly<Record<string, Tensor>> }): void {
    this.#say("onPredictBatchEnd", batch, Object.entries(outputs).map(([name, { shape }]) => `${name}:${shape.join("x")}`));
  }
  override onTrainBegin(): void {
    this.#say("onTrainBegin");
  }
  override onTrainEnd(logs: Logs): void {
    this.#say("onTrainEnd", Object.keys(logs));
  }
  override onTestBegin(): void {
    this.#say("onTestBegin");
  }
  override onTestEnd(logs: Logs): void {
    this.#say("onTestEnd", Object.keys(logs));
  }
  override async onPredictBegin(): Promise<void> {
    await Promise.resolve();
    this.#say("onPredictBegin");
  }
  override onPredictEnd(): void {
    this.#say("onPredictEnd");
  }
}

/** Column 0 of every batch that the engine trained on. */
class Watching extends LinearEngine {
  readonly batches: number[][] = [];
  readonly weights0: (number[] | undefined)[] = [];
  override trainBatch(batch: Parameters<LinearEngine["trainBatch"]>[0]): Promise<BatchResult> {
    this.batches.push(Array.from({ length: batch.x.x.shape[0] }, (_, row) => Number(batch.x.x.data[3 * row])));
    this.weights0.push(batch.sampleWeight && [...batch.sampleWeight.data]);
    return super.trainBatch(batch);
  }
}

/** Rows whose column 0 is their number. */
function numbered(rows: number): { x: Tensor<"float32">; y: Tensor<"float32"> } {
  const data = Float32Array.from({ length: 3 * rows }, (_, i) => i % 3 === 0 ? i / 3 : 0);
  return { x: { dtype: "float32", shape: [rows, 3], data }, y: { dtype: "float32", shape: [rows], data: new Float32Array(rows) } };
}

describe("fit", () => {
  it("calls the hooks in Keras' order", async () => {
    const recorder = new Recorder();
    const run = context();
    await fit(run, { x, y, batchSize: 8, epochs: 2, validationData: [x, y], validationBatchSize: 10, callbacks: [recorder], ...silent });
    const epoch = (index: number): string[] => [
      `onEpochBegin ${index} `,
      "onTrainBatchBegin 0",
      "onTrainBatchEnd 0 loss,within_one",
      "onTrainBatchBegin 1",
      "onTrainBatchEnd 1 loss,within_one",
      "onTestBegin",
      "onTestBatchBegin 0",
      "onTestBatchEnd 0 loss,within_one",
      "onTestEnd loss,within_one",
      `onEpochEnd ${index} loss,val_loss,val_within_one,within_one`,
    ];
    assert.deepEqual(recorder.hooks, [
      "setModel",
      'setParams {"verbose":0,"epochs":2,"steps":2}',
      "onTrainBegin",
      ...epoch(0),
      ...epoch(1),
      "onTrainEnd loss,val_loss,val_within_one,within_one",
    ]);
    assert.deepEqual(run.engine.calls, ["train 8", "train 2", "test 10", "train 8", "train 2", "test 10", "finalize"]);
  });

  it("finalizes the weights before onTrainEnd", async () => {
    const run = context();
    let finalized = false;
    await fit(run, {
      x,
      y,
      callbacks: [new LambdaCallback({ onTrainEnd: () => void (finalized = run.engine.calls.includes("finalize")) })],
      ...silent,
    });
    assert.equal(finalized, true);
  });

  it("reports means weighted by the rows of each batch, in float32", async () => {
    const rate0 = context();
    rate0.engine.optimizer.learningRate = 0; // the weights stay, so the mean is the loss over all rows
    const history = await fit(rate0, { x, y, batchSize: 4, shuffle: false, ...silent });
    const part = async (from: number, to: number): Promise<number> => {
      const rows = { dtype: "float32", shape: [to - from, 3], data: x.data.slice(3 * from, 3 * to) } as const;
      return (await testOnBatch(rate0, rows, y.data.slice(from, to))).loss;
    };
    const f32 = Math.fround;
    const total = f32(f32(f32(4 * await part(0, 4)) + f32(4 * await part(4, 8))) + f32(2 * await part(8, 10)));
    assert.deepEqual(history.history.loss, [f32(total / 10)]);
    assert.deepEqual(Object.keys(history.history), ["loss", "within_one"]);
  });

  it("learns, and the same seed gives the same bits", async () => {
    const options = { x, y, batchSize: 4, epochs: 30, ...silent } as const;
    const [first, second] = [context(), context()];
    const history = await fit(first, options);
    await fit(second, options);
    assert.ok(history.history.loss[29] < 0.05 * history.history.loss[0]);
    assert.deepEqual(await first.engine.getWeights(), await second.engine.getWeights());
    const third = context({ seed: 2 });
    await fit(third, options);
    assert.notDeepEqual(await first.engine.getWeights(), await third.engine.getWeights());
  });

  it("takes epochs for the final index", async () => {
    const history = await fit(context(), { x, y, initialEpoch: 3, epochs: 5, ...silent });
    assert.deepEqual(history.epoch, [3, 4]);
    assert.deepEqual((await fit(context(), { x, y, initialEpoch: 5, epochs: 5, ...silent })).epoch, []);
  });

  it("shuffles every epoch anew, by seed and epoch, and not with shuffle: false", async () => {
    const rows = numbered(9);
    const order = async (seed: number, shuffle: boolean, initialEpoch = 0): Promise<number[][]> => {
      const engine = new Watching(3);
      await fit(context({ engine, seed }), { ...rows, batchSize: 4, epochs: 2, initialEpoch, shuffle, ...silent });
      assert.deepEqual(engine.batches.map(({ length }) => length), [4, 4, 1, 4, 4, 1].slice(3 * initialEpoch));
      return initialEpoch ? [engine.batches.flat()] : [engine.batches.slice(0, 3).flat(), engine.batches.slice(3).flat()];
    };
    const all = [0, 1, 2, 3, 4, 5, 6, 7, 8];
    const [first, second] = await order(1, true);
    assert.deepEqual([first, second].map((rows) => [...rows].sort()), [all, all]);
    assert.notDeepEqual(first, second);
    assert.notDeepEqual(first, all);
    assert.deepEqual(await order(1, true), [first, second]);
    assert.deepEqual(await order(1, true, 1), [second]);
    assert.notDeepEqual((await order(2, true))[0], first);
    assert.deepEqual(await order(1, false), [all, all]);
  });

  it("stops at once when a callback says so", async () => {
    const run = context();
    const stop = new LambdaCallback({
      onTrainBatchEnd(batch): void {
        if (batch === 1) stop.model.stopTraining = true;
      },
    });
    const history = await fit(run, {
      x,
      y,
      batchSize: 2,
      epochs: 3,
      callbacks: [stop],
      validationData: [x, y],
      validationBatchSize: 10,
      ...silent,
    });
    assert.deepEqual(run.engine.calls, ["train 2", "train 2", "test 10", "finalize"]);
    assert.deepEqual(history.epoch, [0]);
  });

  it("validates when it is due", async () => {
    const epochs = async (validationFreq: number | number[]): Promise<number> =>
      (await fit(context(), { x, y, epochs: 5, validationData: { x, y }, validationFreq, ...silent })).history.val_loss?.length ?? 0;
    assert.equal(await epochs(2), 2);
    assert.equal(await epochs([1, 2, 5]), 3);
    assert.equal(await epochs(6), 0);
  });

  it("splits the last rows off for validation, before shuffling", async () => {
    const rows = numbered(10);
    const engine = new Watching(3);
    await fit(context({ engine }), { ...rows, validationSplit: 0.25, ...silent });
    assert.deepEqual(engine.batches.flat().sort(), [0, 1, 2, 3, 4, 5, 6]);
    assert.deepEqual(engine.calls, ["train 7", "test 3", "finalize"]);
  });

  it("goes on with one generator across epochs, and takes no more from it than it needs", async () => {
    let made = 0;
    async function* endless(): AsyncGenerator<readonly [Tensor, Tensor]> {
      for (;;) {
        made++;
        yield await Promise.resolve([x, y]);
      }
    }
    const generator = endless();
    const run = context();
    await fit(run, { x: generator, epochs: 3, stepsPerEpoch: 2, ...silent });
    assert.equal(made, 6);
    await fit(run, { x: generator, stepsPerEpoch: 1, ...silent });
    assert.equal(made, 7);
    assert.equal(run.warnings.length, 0);
  });

  it("starts a function or an iterable again each epoch", async () => {
    const epochs: number[] = [];
    const run = context();
    const history = await fit(run, {
      x: (epoch) => {
        epochs.push(epoch);
        return [[x, y], { x, y }];
      },
      epochs: 2,
      ...silent,
    });
    assert.deepEqual(epochs, [0, 1]);
    assert.equal(history.params!.steps, null);
    const set = new Set([[x, y] as const]);
    await fit(run, { x: set, epochs: 2, ...silent });
    assert.equal(run.engine.calls.filter((call) => call === "train 10").length, 6);
  });

  it("shows an unknown number of batches, and knows it from the second epoch on", async () => {
    const run = context();
    await fit(run, { x: () => [[x, y], [x, y]], epochs: 2 });
    const lines = run.printed.join("").split("\n");
    assert.equal(lines[0], "Epoch 1/2");
    assert.ok(lines[1].startsWith("\r      1/Unknown"));
    assert.ok(lines[1].includes("2/2"));
    assert.ok(lines[3].startsWith("\r\x1b[1m1/2\x1b[0m"));
  });

  it("warns when the data run out before stepsPerEpoch, and ends the epoch", async () => {
    const run = context();
    await fit(run, { x, y, batchSize: 4, stepsPerEpoch: 5, epochs: 2, ...silent });
    assert.deepEqual(run.engine.calls, ["train 4", "train 4", "train 2", "train 4", "train 4", "train 2", "finalize"]);
    assert.equal(run.warnings.length, 2);
    assert.match(
      run.warnings[0],
      /^Your input ran out of data; interrupting training\. Make sure that your dataset or generator can generate at least/,
    );
  });

  it("takes the batch size from stepsPerEpoch where none is given", async () => {
    const run = context();
    await fit(run, { x, y, stepsPerEpoch: 3, ...silent });
    assert.deepEqual(run.engine.calls, ["train 4", "train 4", "train 2", "finalize"]);
  });

  it("weighs classes", async () => {
    const engine = new Watching(3);
    const labels = { dtype: "int32", shape: [4], data: Int32Array.of(0, 1, 2, 1) } as const;
    await fit(context({ engine }), { x: numbered(4).x, y: labels, classWeight: { 0: 2, 1: 0.5 }, shuffle: false, ...silent });
    assert.deepEqual(engine.weights0, [[2, 0.5, 1, 0.5]]);
  });

  it("hands raw texts to the preprocessor, with the batch's place, for training and validation", async () => {
    const seen: string[] = [];
    const preprocess: Preprocess = (raw: RawBatch, { mode, epoch, step }) => {
      const texts = raw.x as readonly string[];
      seen.push(`${mode} ${epoch} ${step} ${texts.join("")}`);
      return Promise.resolve({
        x: { x: { dtype: "float32", shape: [texts.length, 3], data: new Float32Array(3 * texts.length) } },
        y: { dtype: "float32", shape: [texts.length], data: new Float32Array(texts.length) },
      });
    };
    await fit(context({ preprocess }), { x: [..."abcdefgh"], batchSize: 3, epochs: 2, validationSplit: 0.3, shuffle: false, ...silent });
    const epoch = (index: number): string[] => [`train ${index} 0 abc`, `train ${index} 1 de`, `validation ${index} 0 fgh`];
    assert.deepEqual(seen, [...epoch(0), ...epoch(1)]);
  });

  it("prepares the next batch while one runs", async () => {
    const events: string[] = [];
    class Slow extends LinearEngine {
      override async trainBatch(batch: Parameters<LinearEngine["trainBatch"]>[0]): Promise<BatchResult> {
        events.push("begin");
        for (let i = 0; i < 50; i++) await Promise.resolve();
        events.push("end");
        return await super.trainBatch(batch);
      }
    }
    const preprocess: Preprocess = ({ x, y }, { step }) => {
      events.push(`prepare ${step}`);
      return { x: { x: x as Tensor }, y: y as Tensor };
    };
    await fit(context({ engine: new Slow(3), preprocess }), { x, y, batchSize: 5, ...silent });
    assert.deepEqual(events, ["prepare 0", "begin", "prepare 1", "end", "begin", "end"]);
  });

  it("gives a failure of a generator as it is, after the batches before it", async () => {
    const run = context();
    function* broken(): Generator<readonly [Tensor, Tensor]> {
      yield [x, y];
      throw new RangeError("broken");
    }
    await assert.rejects(fit(run, { x: broken(), ...silent }), /broken/);
    assert.deepEqual(run.engine.calls, ["train 10"]);
  });

  it("returns a History that was passed in", async () => {
    const history = new History();
    assert.equal(await fit(context(), { x, y, callbacks: [history], ...silent }), history);
    assert.equal(history.history.loss.length, 1);
  });

  it("refuses unknown options, wrong values and labels that are missing", async () => {
    const run = context();
    const cases: [Record<string, unknown>, string, RegExp][] = [
      [{ batchsize: 3 }, "training/unknown-option", /Did you mean `batchSize`\?/],
      [{ batchSize: 0 }, "training/option", /fit\.batchSize/],
      [{ epochs: 1.5 }, "training/option", /fit\.epochs/],
      [{ verbose: 3 }, "training/option", /"auto", 0, 1 or 2/],
      [{ callbacks: [{}] }, "training/option", /an array of callbacks/],
      [{ validationSplit: 1 }, "training/option", /below 1/],
      [{ validationFreq: "often" }, "training/option", /counted from 1/],
      [{ classWeight: { a: 1 } }, "data/class-weight", /classWeight\.a/],
      [{ y: undefined }, "data/labels", /labels are missing/],
    ];
    for (const [options, code, says] of cases) {
      await assert.rejects(fit(run, { x, y, ...silent, ...options } as never), failure(code, says));
    }
    assert.deepEqual(run.engine.calls, []);
  });
});

describe("evaluate", () => {
  it("gives each value over all rows, and calls the hooks", async () => {
    const run = context();
    const recorder = new Recorder();
    const logs = await evaluate(run, { x, y, batchSize: 6, callbacks: [recorder], ...silent });
    assert.deepEqual(Object.keys(logs), ["loss", "within_one"]);
    const whole = await testOnBatch(run, x, y);
    assert.ok(Math.abs(logs.loss - whole.loss) < 1e-5 * whole.loss);
    assert.equal(logs.within_one, whole.within_one);
    assert.deepEqual(recorder.hooks.slice(2), [
      "onTestBegin",
      "onTestBatchBegin 0",
      "onTestBatchEnd 0 loss,within_one",
      "onTestBatchBegin 1",
      "onTestBatchEnd 1 loss,within_one",
      "onTestEnd loss,within_one",
    ]);
  });

  it("stops after steps, and when a callback says so", async () => {
    const run = context();
    await evaluate(run, { x, y, batchSize: 2, steps: 3, ...silent });
    const stop = new LambdaCallback({ onTestBatchEnd: () => void (stop.model.stopEvaluating = true) });
    await evaluate(run, { x, y, batchSize: 2, callbacks: [stop], ...silent });
    assert.equal(run.engine.calls.length, 4);
  });

  it("turns quotients into what the metric is", async () => {
    const plain = await evaluate(context(), { x, y, ...silent });
    const rooted = await evaluate(context({ metricResults: { within_one: "exp" } }), { x, y, ...silent });
    assert.equal(rooted.within_one, Math.fround(Math.exp(plain.within_one)));
  });
});

describe("predict", () => {
  it("joins the batches' outputs, and calls the hooks", async () => {
    const run = context();
    const recorder = new Recorder();
    await run.engine.setWeights([{ dtype: "float32", shape: [3], data: Float32Array.of(1, 2, 3) }, {
      dtype: "float32",
      shape: [1],
      data: Float32Array.of(4),
    }]);
    const output = await predict(run, { x, batchSize: 4, callbacks: [recorder], ...silent }) as Tensor;
    assert.deepEqual(output.shape, [10, 1]);
    assert.deepEqual(output, await predictOnBatch(run, x));
    assert.deepEqual(recorder.hooks.slice(2), [
      "onPredictBegin",
      "onPredictBatchBegin 0",
      "onPredictBatchEnd 0 output:4x1",
      "onPredictBatchBegin 1",
      "onPredictBatchEnd 1 output:4x1",
      "onPredictBatchBegin 2",
      "onPredictBatchEnd 2 output:2x1",
      "onPredictEnd",
    ]);
  });

  it("gives several outputs by name", async () => {
    class Two extends LinearEngine {
      override async predictBatch(x: Parameters<LinearEngine["predictBatch"]>[0]): ReturnType<LinearEngine["predictBatch"]> {
        const { output } = await super.predictBatch(x);
        return { output, ones: { dtype: "int32", shape: output.shape, data: new Int32Array(output.data.length).fill(1) } };
      }
    }
    const outputs = await predict(context({ engine: new Two(3) }), { x: { x }, batchSize: 7, ...silent }) as Record<string, Tensor>;
    assert.deepEqual(Object.keys(outputs), ["output", "ones"]);
    assert.deepEqual(outputs.ones, { dtype: "int32", shape: [10, 1], data: new Int32Array(10).fill(1) });
  });

  it("says when the outputs can't be joined", async () => {
    class Growing extends LinearEngine {
      override predictBatch(): ReturnType<LinearEngine["predictBatch"]> {
        this.calls.push("predict");
        const width = this.calls.length;
        return Promise.resolve({ output: { dtype: "float32", shape: [5, width], data: new Float32Array(5 * width) } });
      }
    }
    await assert.rejects(
      predict(context({ engine: new Growing(3) }), { x, batchSize: 5, ...silent }),
      failure("data/ragged-output", /\[5, 2\]/),
    );
  });
});

describe("trainOnBatch", () => {
  it("reports that batch only, from before the update, and updates", async () => {
    const run = context();
    const before = await testOnBatch(run, x, y);
    assert.deepEqual(await trainOnBatch(run, x, y), before);
    assert.ok((await trainOnBatch(run, x, y)).loss < before.loss);
    assert.equal(run.engine.optimizer.iterations, 2);
  });

  it("takes one of sampleWeight and classWeight", async () => {
    const run = context();
    const weights = new Float32Array(10).fill(1);
    await assert.rejects(trainOnBatch(run, x, y, weights, { 0: 1 }), failure("data/class-weight", /cannot be specified at the same time/));
    const weighted = await trainOnBatch(run, x, y, new Float32Array(10));
    assert.equal(weighted.loss, 0);
  });
});
