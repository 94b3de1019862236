/** A save that is killed leaves the old preset or the new one, whole, wherever it was killed. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { models } from "../../mod.ts";
import { bytesOf } from "./preset_files.ts";
import { refused } from "./refused.ts";

const TINY = fileURLToPath(new URL("../fixtures/kerashub/xlm_roberta_tiny", import.meta.url));
const root = mkdtempSync(join(tmpdir(), "onnxhub-killed-"));
after(() => rmSync(root, { recursive: true }));
const program = fileURLToPath(new URL("killed_save.ts", import.meta.url));
const runtime = process.versions.deno ? ["run", "-A", "--no-check", program] : [program];

/** Saves in another process, which dies there; "nowhere": not at all. */
function save(target: string, where: string): NodeJS.Signals | null {
  const { signal, status, stderr } = spawnSync(process.execPath, [...runtime, TINY, target, where]);
  assert.ok(signal !== null || status === 0, stderr.toString());
  return signal;
}

/** By what the process is writing when it dies. */
const PLACES: Readonly<Record<string, string>> = {
  "metadata.json": "metadata.json",
  "model.weights.h5": "transformer_layer_1/feedforward_output_dense/kernel",
  "task.weights.h5": "mlm_head/intermediate_dense/bias",
  "the vocabulary": "assets",
};

describe("a save that is killed", () => {
  for (const [what, where] of Object.entries(PLACES)) {
    it(`while it writes ${what} leaves the old preset as it was, and the next save is whole`, async () => {
      const home = mkdtempSync(join(root, "over-"));
      const target = join(home, "preset");
      cpSync(TINY, target, { recursive: true });
      const old = bytesOf(target);
      assert.equal(save(target, where), "SIGKILL");
      assert.ok(readdirSync(home).some((name) => name.endsWith(".saving")), "it was killed before or after the save");
      assert.deepEqual(bytesOf(target), old);
      const model = await models.MaskedLM.fromPreset(target);
      await model.saveToPreset(target);
      assert.deepEqual(readdirSync(home), ["preset"]);
      const again = await models.MaskedLM.fromPreset(target);
      assert.deepEqual(await again.getWeights(), await model.getWeights());
      await Promise.all([model.dispose(), again.dispose()]);
    });
  }

  it("the first time leaves no preset, rather than a part of one", async () => {
    const target = join(mkdtempSync(join(root, "first-")), "preset");
    assert.equal(save(target, PLACES["model.weights.h5"]), "SIGKILL");
    assert.equal(existsSync(target), false);
    await refused(() => models.MaskedLM.fromPreset(target), "preset/not-found");
    assert.equal(save(target, "nowhere"), null);
    const [saved, original] = await Promise.all([models.MaskedLM.fromPreset(target), models.MaskedLM.fromPreset(TINY)]);
    for (const { path } of saved.weights) {
      assert.deepEqual(saved.parameters.get(path), original.parameters.get(path).map((value) => value + 1), path);
    }
    await Promise.all([saved.dispose(), original.dispose()]);
  });

  it("between the two renames of the exchange leaves the new preset, which loading finds", async () => {
    const home = mkdtempSync(join(root, "exchange-"));
    const target = join(home, "preset");
    save(target, "nowhere");
    const expected = bytesOf(target);
    // What such a death leaves, by a process whose number no process has.
    renameSync(target, join(home, ".preset.4194999-0123456789ab.saving"));
    cpSync(TINY, join(home, ".preset.4194999-0123456789ab.replaced"), { recursive: true });
    const model = await models.MaskedLM.fromPreset(target);
    assert.deepEqual(bytesOf(target), expected);
    await model.dispose();
  });
});
