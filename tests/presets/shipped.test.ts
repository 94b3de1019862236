/** The preset that the package brings along: it loads without a network and completes sentences of the Declaration. */

import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { models, presets } from "../../mod.ts";
import { refused } from "../models/refused.ts";
import { SENTENCES } from "./declaration_sentences.ts";

const NAME = "xlm_roberta_declaration";

describe("the shipped preset", () => {
  it("is a built-in preset of its class, with its number of parameters", async () => {
    const preset = models.XLMRobertaMaskedLM.presets[NAME];
    assert.equal(preset.handle, `package://${NAME}`);
    assert.ok(presets.list({ search: "declaration" }).some(({ name }) => name === NAME));
    const backbone = await models.Backbone.fromPreset(NAME);
    assert.equal(backbone.countParams(), preset.parameters);
    await backbone.dispose();
  });

  it("takes at most 8 MB", async () => {
    const home = fileURLToPath(new URL(`../../presets/shipped/${NAME}/`, import.meta.url));
    const bytes = (await readdir(home)).map((file) => statSync(`${home}${file}`).size).reduce((a, b) => a + b, 0);
    assert.ok(bytes > 1e6 && bytes <= 8e6, `${bytes} bytes`);
  });

  it("fills the masks of sentences of the Declaration", async () => {
    const maskedLM = await models.MaskedLM.fromPreset(NAME);
    assert.ok(maskedLM instanceof models.XLMRobertaMaskedLM);
    const found = await maskedLM.fillMask(SENTENCES.map(([sentence]) => sentence), { topK: 1 });
    assert.deepEqual(found.map(([[best]]) => best.token), SENTENCES.map(([, token]) => token));
    await maskedLM.dispose();
  });

  it("is the only one of its kind: another name is refused", () =>
    refused(() => presets.openPreset("package://none"), "preset/not-found", /package:\/\/none/));
});
