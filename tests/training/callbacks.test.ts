/** Whether the callbacks do what Keras' do. */

import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import {
  BackupAndRestore,
  Callback,
  CSVLogger,
  EarlyStopping,
  LambdaCallback,
  LearningRateScheduler,
  type Logs,
  ModelCheckpoint,
  ReduceLROnPlateau,
  TerminateOnNaN,
} from "../../training/callbacks/mod.ts";
import type { BatchResult } from "../../training/engine.ts";
import { fit } from "../../training/fit.ts";
import { linearData, LinearEngine } from "./linear_engine.ts";
import { context, failure, type TestContext } from "./run.ts";

const { x, y } = linearData(8);
const directory = mkdtempSync(join(tmpdir(), "onnxhub-"));
after(() => rmSync(directory, { recursive: true }));

/** Sets the logs of each epoch, before the callbacks after it look. */
class Scripted extends Callback {
  readonly #epochs: readonly Logs[];
  constructor(...epochs: readonly Logs[]) {
    super();
    this.#epochs = epochs;
  }
  override onEpochEnd(epoch: number, logs: Logs): void {
    Object.assign(logs, this.#epochs[epoch]);
  }
}

/** Runs an epoch for each script; its context, and the epochs that ran. */
async function epochs(
  scripts: readonly Logs[],
  ...callbacks: readonly Callback[]
): Promise<TestContext & { epochs: number; logs: Record<string, number[]> }> {
  const run = context();
  const history = await fit(run, { x, y, epochs: scripts.length, verbose: 0, callbacks: [new Scripted(...scripts), ...callbacks] });
  return { ...run, epochs: history.epoch.length, logs: history.history };
}

const falling = (...losses: readonly number[]): Logs[] => losses.map((val_loss) => ({ val_loss }));

describe("EarlyStopping", () => {
  it("stops after `patience` epochs without improvement", async () => {
    const stop = new EarlyStopping({ patience: 2, verbose: 1 });
    const { epochs: ran, printed } = await epochs(falling(5, 4, 4, 4.5, 1, 1), stop);
    assert.equal(ran, 4);
    assert.equal(stop.stoppedEpoch, 3);
    assert.deepEqual(printed, ["Epoch 4: early stopping\n"]);
  });

  it("never stops after the first epoch, and waits for startFromEpoch", async () => {
    assert.equal((await epochs(falling(NaN, NaN, NaN), new EarlyStopping())).epochs, 2);
    assert.equal((await epochs(falling(1, 2, 3, 2, 3, 3), new EarlyStopping({ startFromEpoch: 3 }))).epochs, 5);
  });

  it("counts only changes of more than minDelta, and the baseline", async () => {
    assert.equal((await epochs(falling(1, 0.95, 0.8, 0.79, 0.1), new EarlyStopping({ minDelta: 0.1, patience: 1 }))).epochs, 2);
    assert.equal((await epochs(falling(5, 4, 3, 2, 1), new EarlyStopping({ baseline: 2.5, patience: 2 }))).epochs, 5);
    assert.equal((await epochs(falling(5, 4, 4, 4, 1), new EarlyStopping({ baseline: 2.5, patience: 2 }))).epochs, 3);
  });

  it("goes up for accuracies, by the metric's direction or by mode", async () => {
    const rising = [{ val_within_one: 0.1 }, { val_within_one: 0.2 }, { val_within_one: 0.1 }, { val_within_one: 0.1 }];
    assert.equal((await epochs(rising, new EarlyStopping({ monitor: "val_within_one" }))).epochs, 3);
    assert.equal((await epochs(rising, new EarlyStopping({ monitor: "val_within_one", mode: "min" }))).epochs, 2);
    const odd = rising.map(({ val_within_one }) => ({ odd: val_within_one }));
    assert.equal((await epochs(odd, new EarlyStopping({ monitor: "odd", mode: "max" }))).epochs, 3);
    await assert.rejects(epochs(odd, new EarlyStopping({ monitor: "odd" })), failure("training/monitor", /mode: 'max'/));
  });

  it("brings the weights of the best epoch back", async () => {
    const weights: number[][] = [];
    const stop = new EarlyStopping({ patience: 2, restoreBestWeights: true, verbose: 1 });
    const watch: LambdaCallback = new LambdaCallback({
      async onEpochEnd(): Promise<void> {
        weights.push([...(await watch.model.getWeights())[0].data]);
      },
    });
    const { engine, printed } = await epochs(falling(3, 1, 2, 2, 0), watch, stop);
    assert.equal(weights.length, 4);
    assert.notDeepEqual(weights[1], weights[3]);
    assert.deepEqual([...(await engine.getWeights())[0].data], weights[1]);
    assert.deepEqual(printed, ["Epoch 4: early stopping\n", "Restoring model weights from the end of the best epoch: 2.\n"]);
  });

  it("warns when there is nothing to watch", async () => {
    const { warnings, epochs: ran } = await epochs([{ a: 1 }, { b: 1 }], new EarlyStopping());
    assert.equal(ran, 2);
    assert.equal(
      warnings[0],
      "Early stopping conditioned on metric `val_loss` which is not available. Available metrics are: loss,within_one,a",
    );
  });
});

describe("ReduceLROnPlateau", () => {
  it("lowers the rate, waits for the cooldown, and stops at minLr", async () => {
    const reduce = new ReduceLROnPlateau({ factor: 0.5, patience: 1, cooldown: 2, minLr: 0.02, verbose: 1 });
    const { logs, printed, engine } = await epochs(falling(1, 1, 1, 1, 1, 1, 1), reduce);
    const [a, b, c] = [0.05, 0.025, 0.02].map(Math.fround);
    assert.deepEqual(logs.learning_rate, [a, a, b, b, c, c, c]);
    assert.equal(engine.optimizer.learningRate, c);
    assert.deepEqual(printed, [
      "\nEpoch 2: ReduceLROnPlateau reducing learning rate to 0.02500000037252903.\n",
      "\nEpoch 4: ReduceLROnPlateau reducing learning rate to 0.02.\n",
    ]);
  });

  it("takes 1e-4 for no improvement, and refuses a factor of 1", async () => {
    const { logs } = await epochs(falling(1, 0.99995, 0.9), new ReduceLROnPlateau({ patience: 1 }));
    assert.deepEqual(logs.learning_rate.map((rate) => rate.toPrecision(3)), ["0.0500", "0.0500", "0.00500"]);
    assert.throws(() => new ReduceLROnPlateau({ factor: 1 }), failure("training/option", /does not support a factor >= 1\.0/));
  });
});

describe("LearningRateScheduler", () => {
  it("sets the rate before each epoch and logs it", async () => {
    const seen: number[] = [];
    const schedule = (epoch: number, rate: number): number => {
      seen.push(rate);
      return epoch === 0 ? 1 : rate / 4;
    };
    const { logs, printed } = await epochs([{}, {}], new LearningRateScheduler({ schedule, verbose: 1 }));
    assert.deepEqual(seen, [Math.fround(0.05), 1]);
    assert.deepEqual(logs.learning_rate, [1, 0.25]);
    assert.deepEqual(printed, [
      "\nEpoch 1: LearningRateScheduler setting learning rate to 1.0.\n",
      "\nEpoch 2: LearningRateScheduler setting learning rate to 0.25.\n",
    ]);
    await assert.rejects(epochs([{}], new LearningRateScheduler(() => "high" as never)), failure("training/schedule", /should be a float/));
  });
});

describe("ModelCheckpoint", () => {
  const at = (name: string): string => join(directory, "checkpoints", name);
  const files = (): string[] => readdirSync(join(directory, "checkpoints")).sort();

  it("fills in epoch, batch and logs, and makes the directory", async () => {
    const { printed } = await epochs(
      falling(1.234, 0.5),
      new ModelCheckpoint({ filepath: at("{epoch:02d}-{val_loss:.2f}.weights.h5"), verbose: 1 }),
    );
    assert.deepEqual(files(), ["01-1.23.weights.h5", "02-0.50.weights.h5"]);
    assert.deepEqual(
      printed,
      [1, 2].flatMap((epoch) => {
        const path = at(epoch === 1 ? "01-1.23.weights.h5" : "02-0.50.weights.h5");
        return [`\nEpoch ${epoch}: saving model to ${path}\n`, `\nEpoch ${epoch}: finished saving model to ${path}\n`];
      }),
    );
    rmSync(join(directory, "checkpoints"), { recursive: true });
  });

  it("saves what it says: the weights of that epoch", async () => {
    const path = at("last.weights.h5");
    const { engine } = await epochs(falling(1, 0.5), new ModelCheckpoint({ filepath: path }));
    assert.deepEqual(JSON.parse(readFileSync(path, "utf8")), (await engine.getWeights()).map(({ data }) => [...data]));
    rmSync(join(directory, "checkpoints"), { recursive: true });
  });

  it("keeps the best only", async () => {
    const checkpoint = new ModelCheckpoint({
      filepath: at("{epoch}.weights.h5"),
      saveBestOnly: true,
      verbose: 1,
      initialValueThreshold: 2,
    });
    const { printed } = await epochs(falling(3, 1, 1.5), checkpoint);
    assert.deepEqual(files(), ["2.weights.h5"]);
    assert.deepEqual(printed, [
      "\nEpoch 1: val_loss did not improve from 2.00000\n",
      `\nEpoch 2: val_loss improved from 2.00000 to 1.00000, saving model to ${at("2.weights.h5")}\n`,
      `\nEpoch 2: finished saving model to ${at("2.weights.h5")}\n`,
      "\nEpoch 3: val_loss did not improve from 1.00000\n",
    ]);
    const first = await epochs(falling(3), new ModelCheckpoint({ filepath: at("a.weights.h5"), saveBestOnly: true, verbose: 1 }));
    assert.match(first.printed[0], /val_loss improved from None to 3\.00000/);
    rmSync(join(directory, "checkpoints"), { recursive: true });
  });

  it("counts batches across epochs", async () => {
    const filepath = at("{epoch}-{batch}.weights.h5");
    await fit(context(), { x, y, batchSize: 2, epochs: 3, verbose: 0, callbacks: [new ModelCheckpoint({ filepath, saveFreq: 3 })] });
    assert.deepEqual(files(), ["1-3.weights.h5", "2-2.weights.h5", "3-1.weights.h5", "3-4.weights.h5"]);
    rmSync(join(directory, "checkpoints"), { recursive: true });
  });

  it("refuses paths and fields that can't be", async () => {
    assert.throws(
      () => new ModelCheckpoint({ filepath: "a.keras" }),
      failure("training/checkpoint-path", /Use `a\.weights\.h5`, and saveToPreset/),
    );
    assert.throws(() => new ModelCheckpoint({ filepath: "a.bin" }), failure("training/checkpoint-path", /must end in `\.weights\.h5`/));
    assert.throws(
      () => new ModelCheckpoint({ filepath: "a.weights.h5", saveFreq: "batch" as never }),
      failure("training/option", /saveFreq/),
    );
    const fails = (filepath: string, code: string, says: RegExp): Promise<void> =>
      assert.rejects(epochs(falling(1), new ModelCheckpoint({ filepath: join(directory, filepath) })), failure(code, says));
    await fails("{val_los}.weights.h5", "training/file-template", /Failed to format this callback filepath.*Did you mean `\{val_loss\}`/);
    await fails("{val_loss:x}.weights.h5", "training/file-template", /the format `x`/);
    await fails("{epoch.weights.h5", "training/file-template", /single brace/);
    mkdirSync(join(directory, "directory.weights.h5"));
    await fails("directory.weights.h5", "training/checkpoint-path", /non-directory/);
  });

  it("writes a brace for two", async () => {
    await epochs(falling(1), new ModelCheckpoint({ filepath: join(directory, "{{{epoch:03d}}}.weights.h5") }));
    assert.ok(existsSync(join(directory, "{001}.weights.h5")));
  });
});

describe("CSVLogger", () => {
  const filename = join(directory, "log.csv");

  it("writes what Keras writes, and goes on with a file", async () => {
    await epochs([{ val_loss: 0.25, loss: 1e-5, within_one: 1 }], new CSVLogger(filename));
    await epochs([{ val_loss: NaN, loss: 1e16, within_one: 0 }], new CSVLogger({ filename, append: true }));
    assert.equal(readFileSync(filename, "utf8"), "epoch,loss,val_loss,within_one\r\n0,1e-05,0.25,1.0\r\n0,1e+16,nan,0.0\r\n");
    await epochs([{ loss: 2, within_one: 0 }], new CSVLogger({ filename, separator: ";" }));
    assert.equal(readFileSync(filename, "utf8"), "epoch;loss;within_one;val_loss;val_within_one\r\n0;2.0;0.0;NA;NA\r\n");
  });

  it("quotes fields as Python does, and keeps the first epoch's columns", async () => {
    await epochs([{ 'a,"b': 1, loss: 0, within_one: 0 }, { other: 5, loss: 0, within_one: 0 }], new CSVLogger(filename));
    const rows = readFileSync(filename, "utf8").split("\r\n");
    assert.equal(rows[0], 'epoch,"a,""b",loss,within_one,"val_a,""b",val_loss,val_within_one');
    assert.equal(rows[2], "1,NA,0.0,0.0,NA,NA,NA");
  });

  it("says which file it can't write", async () => {
    const nowhere = join(directory, "no", "such", "folder.csv");
    await assert.rejects(epochs([{ loss: 0, within_one: 0 }], new CSVLogger(nowhere)), failure("format/write", /folder\.csv.*ENOENT/));
  });
});

describe("TerminateOnNaN", () => {
  class Diverging extends LinearEngine {
    override async trainBatch(batch: Parameters<LinearEngine["trainBatch"]>[0]): Promise<BatchResult> {
      const result = await super.trainBatch(batch);
      return this.calls.length === 2 ? { ...result, loss: Infinity } : result;
    }
  }
  const options = { x, y, batchSize: 2, epochs: 3, verbose: 0 } as const;

  it("ends training", async () => {
    const run = context({ engine: new Diverging(3) });
    await fit(run, { ...options, callbacks: [new TerminateOnNaN()] });
    assert.deepEqual(run.printed, ["Batch 1: Invalid loss, terminating training\n"]);
    assert.deepEqual(run.engine.calls, ["train 2", "train 2", "finalize"]);
  });

  it("throws where asked to", async () => {
    const run = context({ engine: new Diverging(3) });
    await assert.rejects(
      fit(run, { ...options, callbacks: [new TerminateOnNaN({ raiseError: true })] }),
      failure("training/nan-loss", /batch 1/),
    );
    assert.deepEqual(run.engine.calls, ["train 2", "train 2"]);
  });
});

describe("callbacks in general", () => {
  it("may be asynchronous, and see what those before them added to the logs", async () => {
    const order: string[] = [];
    const slow = new LambdaCallback({
      async onEpochEnd(_epoch, logs): Promise<void> {
        for (let i = 0; i < 20; i++) await Promise.resolve();
        logs.extra = 7;
        order.push("slow");
      },
    });
    const quick = new LambdaCallback({ onEpochEnd: (_epoch, logs) => void order.push(`quick ${logs.extra}`) });
    const { logs } = await epochs([{}], slow, quick);
    assert.deepEqual(order, ["slow", "quick 7"]);
    assert.deepEqual(logs.extra, [7]);
  });

  it("call onBatchBegin and onBatchEnd for training batches", async () => {
    const calls: string[] = [];
    await epochs(
      [{}],
      new LambdaCallback({
        onBatchBegin: (batch) => void calls.push(`begin ${batch}`),
        onBatchEnd: (batch) => void calls.push(`end ${batch}`),
      }),
    );
    assert.deepEqual(calls, ["begin 0", "end 0"]);
  });

  it("refuse options that they don't have", () => {
    assert.throws(
      () => new EarlyStopping({ patiance: 1 } as never),
      failure("training/unknown-option", /EarlyStopping\.patiance.*Did you mean `patience`/),
    );
    assert.throws(
      () => new LambdaCallback({ onEpochStart: () => {} } as never),
      failure("training/unknown-option", /LambdaCallback\.onEpochStart/),
    );
    assert.throws(() => new EarlyStopping({ mode: "least" as never }), failure("training/option", /"auto", "min" or "max"/));
    assert.throws(() => new BackupAndRestore(""), failure("training/option", /Empty `backupDir`/));
    assert.throws(() => new BackupAndRestore({ backupDir: "a", saveFreq: 0 }), failure("training/option", /saveFreq/));
  });

  it("have no model before training", () => {
    assert.throws(() => new EarlyStopping().model, /EarlyStopping has no model/);
  });
});
