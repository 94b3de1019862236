/** The library in a page of a real Chromium: the same numbers as here, files in memory, and the example. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { models, optimizers } from "../../mod.ts";
import { buildBundle, Page } from "./bundle.ts";

const PRESET = "xlm_roberta_declaration";
const SENTENCE = "Everyone has the <mask> to education.";
const TEXTS = ["All human beings are born free.", "Toda persona tiene derecho a la educación.", "Everyone has the right to life."];

const bundle = buildBundle();
const folder = mkdtempSync(join(tmpdir(), "onnxhub-page-"));
after(() => {
  bundle.remove();
  rmSync(folder, { recursive: true });
});

function near(found: readonly number[], expected: readonly number[], tolerance: number): void {
  assert.equal(found.length, expected.length);
  found.forEach((value, i) =>
    assert.ok(Math.abs(value - expected[i]) <= tolerance * Math.max(1, Math.abs(expected[i])), `${found} ≠ ${expected}`)
  );
}

/** Waits until something is true of a page. */
function until(page: Page, condition: string): Promise<void> {
  return page.browser.evaluate(`new Promise((resolve) => { const look = () => ${condition} ? resolve() : setTimeout(look, 50); look(); })`);
}

/** The table of guesses that the example page shows. */
function rows(page: Page): Promise<string[][]> {
  return page.browser.evaluate(
    `[...document.querySelectorAll("#answers tbody tr")].map((row) => [...row.cells].map((cell) => cell.textContent))`,
  );
}

describe("a page", () => {
  let page: Page;
  before(async () => void (page = await Page.open(bundle.folder)));
  after(() => page.close());

  it("may share memory with threads", async () => assert.equal(await page.run("return crossOriginIsolated"), true));

  it("fills a mask as here", async () => {
    const there = await page.run<models.FilledMask[]>(`
      globalThis.maskedLM = await models.MaskedLM.fromPreset("${PRESET}");
      return await maskedLM.fillMask(${JSON.stringify(SENTENCE)});`);
    const maskedLM = await models.MaskedLM.fromPreset(PRESET);
    const here = await maskedLM.fillMask(SENTENCE);
    await maskedLM.dispose();
    assert.equal(here[0].token, "▁right");
    assert.deepEqual(there.map(({ id, token, text }) => ({ id, token, text })), here.map(({ id, token, text }) => ({ id, token, text })));
    near(there.map(({ score }) => score), here.map(({ score }) => score), 1e-6);
  });

  it("trains, evaluates and predicts as here", async () => {
    const fit = { x: TEXTS, batchSize: 2, epochs: 3, verbose: 0 as const };
    const there = await page.run<{ loss: number[]; loss_after: number; logits: number[] }>(`
      const preprocessor = await models.MaskedLMPreprocessor.fromPreset("${PRESET}", { maskSelectionLength: 6 });
      const model = await models.MaskedLM.fromPreset("${PRESET}", { preprocessor, seed: 3 });
      model.compile({ optimizer: new optimizers.AdamW(1e-3) });
      const { history } = await model.fit(${JSON.stringify(fit)});
      const { loss } = await model.evaluate({ x: ${JSON.stringify(TEXTS)}, verbose: 0 });
      const { data } = await model.predictOnBatch(${JSON.stringify(TEXTS)});
      await model.dispose();
      return { loss: history.loss, loss_after: loss, logits: [...data.slice(0, 50)] };`);
    const preprocessor = await models.MaskedLMPreprocessor.fromPreset(PRESET, { maskSelectionLength: 6 });
    const model = await models.MaskedLM.fromPreset(PRESET, { preprocessor, seed: 3 });
    model.compile({ optimizer: new optimizers.AdamW(1e-3) });
    const { history } = await model.fit(fit);
    near(there.loss, history.loss, 1e-4);
    near([there.loss_after], [(await model.evaluate({ x: TEXTS, verbose: 0 })).loss], 1e-4);
    const logits = await model.predictOnBatch(TEXTS) as { data: Float32Array };
    near(there.logits, [...logits.data.slice(0, 50)], 1e-3);
    await model.dispose();
  });

  it("makes and trains a model of a spec and of a tokenizer's bytes", async () => {
    const losses = await page.run<number[]>(`
      const model = await models.fromSpec("xlm_roberta", {
        task: "masked_lm",
        config: { vocabulary_size: 8002, num_layers: 1, num_heads: 2, hidden_dim: 32, intermediate_dim: 32, max_sequence_length: 16, dropout: 0 },
        tokenizer: { proto: new Uint8Array(await (await fetch("/onnxhub/shipped/${PRESET}/sentencepiece.bpe.model")).arrayBuffer()) },
        preprocessor: { sequenceLength: 16, maskSelectionLength: 4 },
      });
      model.compile({ optimizer: new optimizers.Adam(3e-2) });
      const { history } = await model.fit({ x: ${JSON.stringify([...TEXTS, ...TEXTS])}, epochs: 12, verbose: 0 });
      await model.dispose();
      return history.loss;`);
    assert.ok(losses.at(-1)! < 0.6 * losses[0], String(losses));
  });

  it("splits text by bytes, with the WebAssembly that this needs", async () => {
    const ids = await page.run<number[]>(`
      const tokenizer = new text.BytePairTokenizer({
        vocabulary: { "<s>": 0, "</s>": 1, "<pad>": 2, "<unk>": 3, "<mask>": 4, a: 5, b: 6, "Ġ": 7, ab: 8, "Ġab": 9 },
        merges: ["a b", "Ġ ab"],
        specialTokens: { start: "<s>", end: "</s>", pad: "<pad>", mask: "<mask>", unknown: "<unk>" },
      });
      return tokenizer.tokenize("ab ab b");`);
    assert.deepEqual(ids, [8, 9, 7, 6]);
  });

  it("saves into memory what loads there and here", async () => {
    const saved = await page.run<{ scores: number[][]; files: Record<string, string> }>(`
      const scoresOf = async (model) => (await model.fillMask(${JSON.stringify(SENTENCE)})).map(({ score }) => score);
      const scores = [await scoresOf(maskedLM)];
      await maskedLM.saveToPreset("saved/keras");
      await maskedLM.saveToHuggingFace("saved/transformers");
      for (const directory of ["saved/keras", "saved/transformers"]) {
        const again = await models.MaskedLM.fromPreset(directory);
        scores.push(await scoresOf(again));
        await again.dispose();
      }
      await maskedLM.saveWeights("saved/all.weights.h5");
      const names = files.list("saved").filter((path) => /\\.h5$|safetensors$/.test(path));
      return { scores, files: Object.fromEntries(names.map((path) => [path, files.read(path).toBase64()])) };`);
    const [original, ...loaded] = saved.scores;
    for (const scores of loaded) near(scores, original, 1e-6);
    assert.deepEqual(Object.keys(saved.files), [
      "saved/all.weights.h5",
      "saved/keras/model.weights.h5",
      "saved/keras/task.weights.h5",
      "saved/transformers/model.safetensors",
    ]);
    const maskedLM = await models.MaskedLM.fromPreset(PRESET);
    await maskedLM.saveToHuggingFace(join(folder, "transformers"));
    const bytes = readFileSync(join(folder, "transformers", "model.safetensors"));
    assert.ok(bytes.equals(Buffer.from(saved.files["saved/transformers/model.safetensors"], "base64")));
    const fresh = await models.MaskedLM.fromPreset(PRESET, { loadWeights: false });
    const path = join(folder, "all.weights.h5");
    writeFileSync(path, Buffer.from(saved.files["saved/all.weights.h5"], "base64"));
    await fresh.loadWeights(path);
    assert.deepEqual(await fresh.getWeights(), await maskedLM.getWeights());
    await fresh.dispose();
    await maskedLM.dispose();
  });

  it("loads a preset by its URL, and one that was written into memory", async () => {
    const tokens = await page.run<string[]>(`
      const home = new URL("/onnxhub/shipped/${PRESET}/", location.href).href;
      for (const name of ["config.json", "model.safetensors", "sentencepiece.bpe.model"]) await files.write("chosen/" + name, await (await fetch(home + name)).blob());
      const tokens = [];
      for (const preset of [home, "chosen"]) {
        const model = await models.MaskedLM.fromPreset(preset);
        tokens.push((await model.fillMask(${JSON.stringify(SENTENCE)}))[0].token);
        await model.dispose();
      }
      return tokens;`);
    assert.deepEqual(tokens, ["▁right", "▁right"]);
  });

  const refused: readonly [what: string, body: string, code: string, says: RegExp][] = [
    ["a hub's handle", `models.MaskedLM.fromPreset("hf://org/name")`, "preset/handle", /URL of the folder/],
    ["a URL with nothing there", `models.MaskedLM.fromPreset(location.origin + "/nothing")`, "preset/no-config", /nothing/],
    ["a folder that isn't in memory", `models.MaskedLM.fromPreset("nowhere")`, "preset/not-found", /nothing there/],
    [
      "the native backend",
      `models.MaskedLM.fromPreset("${PRESET}", { backend: "native" }).then((m) => m.fillMask("a <mask>"))`,
      "backend/unavailable",
      /wasm/,
    ],
    [
      "a GPU that isn't there",
      `models.MaskedLM.fromPreset("${PRESET}", { backend: "webgpu" }).then((m) => m.fillMask("a <mask>"))`,
      "backend/unavailable",
      /wasm/,
    ],
  ];
  for (const [what, body, code, says] of refused) {
    it(`refuses ${what} in words`, async () => {
      const error = await page.run<{ code: string; message: string }>(`
        try { await ${body}; } catch (error) { return { code: error instanceof OnnxHubError && error.code, message: error.message }; }`);
      assert.equal(error?.code, code, JSON.stringify(error));
      assert.match(error.message, says);
    });
  }

  it("printed nothing of its own accord", () => assert.deepEqual(page.browser.printed, []));
});

describe("a page without threads", () => {
  it("fills a mask all the same", async () => {
    const page = await Page.open(bundle.folder, { isolated: false });
    const [isolated, token] = await page.run<[boolean, string]>(`
      const maskedLM = await models.MaskedLM.fromPreset("${PRESET}");
      return [crossOriginIsolated, (await maskedLM.fillMask(${JSON.stringify(SENTENCE)}))[0].token];`);
    assert.deepEqual([isolated, token], [false, "▁right"]);
    assert.deepEqual(page.browser.printed, []);
    await page.close();
  });
});

describe("a page with a GPU", () => {
  let page: Page;
  before(async () => void (page = await Page.open(bundle.folder, { graphics: "software", path: "/" })));
  after(() => page.close());

  it("fills masks and trains on it as on the processor", async () => {
    const [webgpu, wasm] = await page.run<{ score: number; loss: number[] }[]>(`
      const results = [];
      for (const backend of ["webgpu", "wasm"]) {
        const preprocessor = await models.MaskedLMPreprocessor.fromPreset("${PRESET}", { sequenceLength: 16, maskSelectionLength: 4 });
        const model = await models.MaskedLM.fromPreset("${PRESET}", { backend, preprocessor });
        const { history } = await model.fit({ x: ${JSON.stringify(TEXTS.slice(0, 2))}, epochs: 2, verbose: 0 });
        const [{ score }] = await model.fillMask(${JSON.stringify(SENTENCE)});
        await model.dispose();
        results.push({ score, loss: history.loss });
      }
      return results;`);
    assert.ok(wasm.loss.length === 2 && wasm.score > 0.9);
    near(webgpu.loss, wasm.loss, 1e-3);
    near([webgpu.score], [wasm.score], 1e-3);
  });

  it("trains on a new one when its GPU is lost, to the same end", async () => {
    const [lost, kept] = await page.run<{ loss: number[]; score: number }[]>(`
      const results = [];
      for (const loses of [true, false]) {
        const preprocessor = await models.MaskedLMPreprocessor.fromPreset("${PRESET}", { sequenceLength: 16, maskSelectionLength: 4 });
        const model = await models.MaskedLM.fromPreset("${PRESET}", { backend: { name: "webgpu", syncEvery: 3 }, preprocessor });
        const loss = [];
        for (let epoch = 0; epoch < 2; epoch++) {
          const { history } = await model.fit({ x: ${JSON.stringify(TEXTS.slice(0, 2))}, batchSize: 1, verbose: 0 });
          loss.push(...history.loss);
          if (loses) (await model.backend()).device.gpu.destroy();
        }
        const [{ score }] = await model.fillMask(${JSON.stringify(SENTENCE)});
        await model.dispose();
        results.push({ loss, score });
      }
      return results;`);
    near([...lost.loss, lost.score], [...kept.loss, kept.score], 1e-4);
    const said = page.browser.printed.splice(0);
    assert.equal(said.length, 2, said.join("\n"));
    for (const text of said) assert.match(text, /The GPU was lost after training step [24]: .*Training goes on with a new one/);
  });

  it("has the example offer it, and run on it", async () => {
    await until(page, "document.documentElement.dataset.ready");
    await page.browser.evaluate(`document.querySelector("input[value=webgpu]").click()`);
    await until(page, `document.querySelector("#status").textContent.startsWith("Loaded the preset: ")`);
    await page.browser.evaluate(
      `document.querySelector("#answers tbody").replaceChildren(); document.querySelector("#fill button").click()`,
    );
    await until(page, `document.querySelector("#answers tbody").rows.length > 0`);
    assert.equal((await rows(page))[0][0], "right");
    assert.deepEqual(page.browser.printed, []);
  });
});

describe("the example page", () => {
  let page: Page;
  before(async () => void (page = await Page.open(bundle.folder, { path: "/" })));
  after(() => page.close());

  it("fills the mask in its sentence", async () => {
    await until(page, "document.documentElement.dataset.ready");
    assert.deepEqual((await rows(page)).map(([token]) => token)[0], "right");
    assert.equal(await page.browser.evaluate(`document.querySelector("input[value=webgpu]").disabled`), true);
  });

  it("learns the visitor's sentences: the loss falls, and the guess is another", async () => {
    await page.browser.evaluate(`document.querySelector("#epochs").value = 15; document.querySelector("#train button").click()`);
    await until(page, `!document.querySelector("#reset").disabled && !document.querySelector("th.taught").hidden`);
    const heights = await page.browser.evaluate<number[]>(
      `[...document.querySelectorAll("#chart circle")].map((dot) => Number(dot.getAttribute("cy")))`,
    );
    assert.equal(heights.length, 15);
    // Downwards is greater.
    assert.ok(heights.at(-1)! > heights[0] + 50, String(heights));
    const percent = (cell: string) => cell.startsWith("<") ? 0 : parseFloat(cell);
    const freedom = (await rows(page)).find(([token]) => token === "freedom");
    assert.ok(freedom && percent(freedom[2]) > percent(freedom[1]) + 10, JSON.stringify(await rows(page)));
  });

  it("forgets them again", async () => {
    await page.browser.evaluate(`document.querySelector("#reset").click()`);
    await until(page, `document.querySelector("th.taught").hidden`);
    assert.equal((await rows(page))[0][0], "right");
    assert.deepEqual(page.browser.printed, []);
  });
});
