/** Whether a `fit` whose process was killed goes on where it was and ends with the bits of one that was not. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { BackupAndRestore, LambdaCallback } from "../../training/callbacks/mod.ts";
import { fit } from "../../training/fit.ts";
import { linearData, LinearEngine } from "./linear_engine.ts";
import { context, failure } from "./run.ts";

const root = mkdtempSync(join(tmpdir(), "onnxhub-"));
after(() => rmSync(root, { recursive: true }));
const program = fileURLToPath(new URL("killed_fit.ts", import.meta.url));
const runtime = process.versions.deno ? ["run", "-A", "--no-check", program] : [program];

/** Runs the program in a directory of its own, killed after so many batches of each life; the last life runs to the end. */
function lives(name: string, saveFreq: string, mode: string, deaths: readonly number[]): { result: unknown; logs: string; steps: number } {
  const directory = join(root, name);
  mkdirSync(directory);
  for (const death of deaths) {
    const { signal, stderr } = spawnSync(process.execPath, [...runtime, directory, saveFreq, mode], {
      env: { ...process.env, DIE_AFTER: String(death) },
    });
    assert.equal(signal, "SIGKILL", stderr.toString());
    assert.ok(existsSync(join(directory, "backup")));
  }
  const { DIE_AFTER: _, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(process.execPath, [...runtime, directory, saveFreq, mode], { env });
  assert.equal(status, 0, stderr.toString());
  assert.ok(!existsSync(join(directory, "backup")), "the backup is deleted in the end");
  // An epoch whose end was logged just before a kill, but not saved any more, is logged again: the last word counts.
  const logs = new Map(readFileSync(join(directory, "logs"), "utf8").trim().split("\n").map((line) => [line.split(" ")[0], line]));
  return {
    result: JSON.parse(stdout.toString()),
    logs: [...logs.values()].join("\n"),
    steps: readFileSync(join(directory, "steps"), "utf8").length,
  };
}

describe("a killed fit", () => {
  for (const mode of ["arrays", "steps", "iterable", "endless"]) {
    it(`goes on in the middle of an epoch, to the same bits: ${mode}`, () => {
      const whole = lives(`${mode}-whole`, "3", mode, []);
      const killed = lives(`${mode}-killed`, "3", mode, [10, 4]);
      assert.deepEqual(killed.result, whole.result);
      assert.equal(killed.logs, whole.logs);
      assert.ok(killed.steps > whole.steps && killed.steps < whole.steps + 6, "only what wasn't saved is done again");
    });
  }

  it("goes on from the last epoch's end, to the same bits", () => {
    const whole = lives("epoch-whole", "epoch", "arrays", []);
    const killed = lives("epoch-killed", "epoch", "arrays", [8]);
    assert.deepEqual(killed.result, whole.result);
    assert.equal(killed.logs, whole.logs);
    assert.equal(killed.steps, whole.steps + 2);
  });
});

describe("BackupAndRestore", () => {
  const { x, y } = linearData(8);
  const options = { x, y, batchSize: 2, epochs: 3, verbose: 0 } as const;

  /** Runs into an error after so many batches. */
  async function interrupted(
    backupDir: string,
    batches: number,
    more: { doubleCheckpoint?: boolean; saveFreq?: number } = {},
  ): Promise<void> {
    let seen = 0;
    const fail = new LambdaCallback({
      onTrainBatchBegin(): void {
        if (seen++ === batches) throw new RangeError("interrupted");
      },
    });
    await assert.rejects(fit(context(), { ...options, callbacks: [new BackupAndRestore({ backupDir, ...more }), fail] }), /interrupted/);
  }

  it("keeps one state, and names the position as Keras does", async () => {
    const backupDir = join(root, "one");
    await interrupted(backupDir, 6);
    assert.deepEqual(readdirSync(backupDir).sort(), ["state-1-0.safetensors", "training_metadata.json"]);
    const { epoch, batch } = JSON.parse(readFileSync(join(backupDir, "training_metadata.json"), "utf8"));
    assert.deepEqual({ epoch, batch }, { epoch: 1, batch: 0 });
  });

  it("keeps the backup with deleteCheckpoint: false, and deletes only its own files otherwise", async () => {
    const backupDir = join(root, "kept");
    await fit(context(), { ...options, callbacks: [new BackupAndRestore({ backupDir, deleteCheckpoint: false })] });
    assert.deepEqual(readdirSync(backupDir).sort(), ["state-3-0.safetensors", "training_metadata.json"]);
    const again = context();
    assert.deepEqual(
      (await fit(again, { ...options, epochs: 4, callbacks: [new BackupAndRestore({ backupDir, deleteCheckpoint: false })] })).epoch,
      [3],
    );
    writeFileSync(join(backupDir, "mine"), "");
    await fit(context(), { ...options, callbacks: [new BackupAndRestore(backupDir)] });
    assert.deepEqual(readdirSync(backupDir), ["mine"]);
  });

  it("goes back to the state before the last where that can't be read", async () => {
    const backupDir = join(root, "double");
    await interrupted(backupDir, 7, { doubleCheckpoint: true, saveFreq: 2 });
    assert.deepEqual(readdirSync(backupDir).sort(), [
      "state-0-4.safetensors",
      "state-1-2.safetensors",
      "training_metadata.json",
      "training_metadata.json.bkp",
    ]);
    writeFileSync(join(backupDir, "state-1-2.safetensors"), "{");
    const [resumed, whole] = [context(), context()];
    await fit(resumed, { ...options, callbacks: [new BackupAndRestore({ backupDir })] });
    await fit(whole, options);
    assert.deepEqual(await resumed.engine.getWeights(), await whole.engine.getWeights());
  });

  it("says what is wrong with a backup that can't be read", async () => {
    const backupDir = join(root, "broken");
    mkdirSync(backupDir);
    const run = (text: string): Promise<unknown> => {
      writeFileSync(join(backupDir, "training_metadata.json"), text);
      return fit(context(), { ...options, callbacks: [new BackupAndRestore(backupDir)] });
    };
    await assert.rejects(run("{"), failure("training/backup", /Delete the directory to start anew/));
    await assert.rejects(run('{"epoch":1,"batch":0,"sums":{},"state":"../../etc/passwd"}'), failure("training/backup", /no position/));
    await assert.rejects(run('{"epoch":1,"batch":0,"sums":{},"state":"state-1-0.safetensors"}'), failure("training/backup"));
  });

  it("saves what callbacks after it in the list did to the learning rate", async () => {
    const backupDir = join(root, "last");
    const engine = new LinearEngine(3);
    const halve = new LambdaCallback({ onEpochEnd: () => void (engine.optimizer.learningRate /= 2) });
    await fit(context({ engine }), {
      ...options,
      epochs: 1,
      callbacks: [new BackupAndRestore({ backupDir, deleteCheckpoint: false }), halve],
    });
    const resumed = context();
    await fit(resumed, { ...options, epochs: 1, callbacks: [new BackupAndRestore(backupDir)] });
    assert.equal(resumed.engine.optimizer.learningRate, Math.fround(0.05) / 2);
  });
});
