/** The demo, small: its loss falls, and the preset that it saves gives the same answers. */

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { pretrain, SETTINGS } from "../../examples/pretrain.ts";

describe("examples/pretrain.ts", () => {
  const directory = mkdtempSync(join(tmpdir(), "onnxhub-pretrain-"));
  after(() => rmSync(directory, { recursive: true }));

  it("learns, saves a preset, and gets the same answers from it", async () => {
    const preset = join(directory, "preset");
    const printed: string[] = [];
    const { loss, valLoss, right, same } = await pretrain({
      ...SETTINGS,
      languages: ["en", "es"],
      passes: 1,
      epochs: 3,
      model: { ...SETTINGS.model, numLayers: 1, hiddenDim: 16 },
      threads: undefined, // The same as in all other tests: it can be set once a process.
      verbose: 0,
      directory: preset,
    }, (text) => printed.push(text));
    assert.equal(loss.length, 3);
    assert.equal(valLoss.length, 3);
    assert.ok(loss[2] < loss[1] && loss[1] < loss[0], loss.join(" "));
    assert.ok(valLoss[2] < valLoss[0], valLoss.join(" "));
    assert.ok(Number.isInteger(right) && right <= SETTINGS.sentences.length);
    assert.equal(same, true);
    assert.match(
      printed.join("\n"),
      /110 paragraphs to learn from and 10 to validate on, in 2 languages[^]*Total params[^]*the same answers, to the bit\.$/,
    );
    assert.ok(existsSync(join(preset, "task.weights.h5")));
  });
});
