/** The commands on presets: what they print, what they write, what they refuse. */

import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { models } from "../../mod.ts";
import { list } from "../../presets/registry.ts";
import { type CliResult, runCli, runCliOn, temporaryDirectory } from "./run_cli.ts";

const TINY = fileURLToPath(new URL("../fixtures/kerashub/xlm_roberta_tiny/", import.meta.url));
const CHECKPOINT = fileURLToPath(new URL("../fixtures/huggingface/xlm_roberta_masked_lm/", import.meta.url));

function succeeded({ code, out, error }: CliResult): string {
  assert.equal(code, 0, error);
  return out;
}

async function refused(expected: RegExp, code: number, ...args: string[]): Promise<void> {
  const result = await runCli(...args);
  assert.equal(result.code, code, result.error);
  assert.equal(result.out, "");
  assert.equal(result.error.split("\n").length, 1, result.error);
  assert.match(result.error, expected);
}

describe("fill-mask", () => {
  it("prints the likeliest tokens, as the model itself gives them", async () => {
    const out = succeeded(await runCli("fill-mask", TINY, "born <mask>", "--top-k", "3"));
    const model = await models.MaskedLM.fromPreset(TINY);
    const expected = await model.fillMask("born <mask>", { topK: 3 });
    await model.dispose();
    const [text, head, , ...rows] = out.split("\n");
    assert.equal(text, "born <mask>");
    assert.match(head, /^ +Score +Token +Text$/);
    assert.deepEqual(
      rows.map((row) => row.trim().split(/ {2,}/)),
      expected.map(({ score, token, text }) => [score.toFixed(4), token, text]),
    );
  });

  it("takes several texts, and has a table for each mask", async () => {
    const out = succeeded(await runCli("fill-mask", TINY, "born <mask>", "<mask> and <mask>", "--top-k", "1"));
    const parts = out.split("\n\n");
    assert.deepEqual(parts.map((part) => part.split("\n")[0]), ["born <mask>", "<mask> and <mask>"]);
    assert.match(parts[1], /Token 1[^]*Token 2/);
  });

  it("prints five tokens a mask, and one line of JSON a text", async () => {
    const lines = succeeded(await runCli("fill-mask", TINY, "born <mask>", "a <mask>", "--json")).split("\n").map((line) =>
      JSON.parse(line)
    );
    assert.deepEqual(lines.map(({ text }) => text), ["born <mask>", "a <mask>"]);
    for (const { masks } of lines) {
      assert.equal(masks.length, 1);
      assert.equal(masks[0].length, 5);
      assert.deepEqual(Object.keys(masks[0][0]), ["score", "id", "token", "text"]);
    }
  });

  it("takes the lines of standard input, empty ones left out, more than a batch of them", async () => {
    const texts = Array.from({ length: 11 }, (_, i) => `${i} <mask>`);
    const lines = succeeded(await runCliOn(["", ...texts, "  "], "fill-mask", TINY, "--json", "--top-k", "1")).split("\n");
    assert.deepEqual(lines.map((line) => JSON.parse(line).text), texts);
  });

  it("refuses no text, no mask, no number of tokens, what is no preset, a checkpoint without a tokenizer", async () => {
    await refused(/fill-mask has no text: .*lines of standard input/, 2, "fill-mask", TINY);
    await refused(/no mask to fill.*found "born"/, 1, "fill-mask", TINY, "born");
    await refused(/--top-k takes a whole number: expected 1 or more, found 0/, 2, "fill-mask", TINY, "a <mask>", "--top-k", "0");
    await refused(/fill-mask takes a preset, then texts: .*found none/, 2, "fill-mask");
    await refused(/Unknown preset identifier/, 1, "fill-mask", "./no-such-directory", "a <mask>");
    await refused(/tokenizer/, 1, "fill-mask", CHECKPOINT, "a <mask>");
  });
});

describe("summary", () => {
  it("is Keras' summary of the task that the preset was saved for", async () => {
    const out = succeeded(await runCli("summary", TINY));
    const model = await models.MaskedLM.fromPreset(TINY);
    assert.equal(out, model.summary({ print: false }).trimEnd());
    await model.dispose();
    assert.equal(out, succeeded(await runCli("summary", TINY, "--task", "masked_lm")));
  });

  it("is of the backbone alone where that is asked for, or of a checkpoint's model", async () => {
    const out = succeeded(await runCli("summary", TINY, "--task", "backbone"));
    assert.match(out, /^Model: "xlm_roberta_backbone"/);
    assert.match(out, /Total params: 44,704 /);
    assert.match(succeeded(await runCli("summary", CHECKPOINT)), /Model: "xlm_roberta_masked_lm"/);
  });

  it("needs no weights", async () => {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, "config.json"), await readFile(join(TINY, "config.json")));
    assert.match(succeeded(await runCli("summary", directory)), /Total params: 44,704 /);
  });

  it("refuses a task that there isn't, or that the architecture hasn't", async () => {
    await refused(
      /There is no task masked-lm: expected one of .*Did you mean --task masked_lm\?/,
      2,
      "summary",
      TINY,
      "--task",
      "masked-lm",
    );
    await refused(/no class for this task.*found causal_lm/, 1, "summary", TINY, "--task", "causal_lm");
  });
});

describe("presets", () => {
  it("lists all built-in presets, with their parameters and descriptions", async () => {
    const lines = succeeded(await runCli("presets")).split("\n");
    assert.match(lines[0], /^Preset +Parameters +Description$/);
    assert.deepEqual(lines.slice(2).map((line) => line.split(" ")[0]), list().map(({ name }) => name));
    assert.match(succeeded(await runCli("presets")), /^bert_tiny_en_uncased +4\.39 M +2 layers/m);
  });

  it("lists those of an architecture, of a task, with some words; as JSON whole", async () => {
    const of = async (...args: string[]): Promise<string[]> =>
      JSON.parse(succeeded(await runCli("presets", ...args, "--json"))).map(({ name }: { name: string }) => name);
    assert.deepEqual(await of("--architecture", "xlm_roberta"), list({ architecture: "xlm_roberta" }).map(({ name }) => name));
    assert.deepEqual(await of("--task", "causal_lm"), list({ task: "causal_lm" }).map(({ name }) => name));
    const found = await of("--search", "E5 WIDTH 384");
    assert.ok(found.includes("multilingual_e5_small") && !found.includes("multilingual_e5_base"), found.join());
    assert.deepEqual(JSON.parse(succeeded(await runCli("presets", "--json"))), list());
  });

  it("says so where there is none, and refuses an unknown architecture and arguments", async () => {
    await refused(/^No built-in preset is like that\.$/, 1, "presets", "--search", "xyzzy");
    await refused(/no such architecture.*Did you mean `bert`\?/, 1, "presets", "--architecture", "bret");
    await refused(/presets takes options only: expected --search/, 2, "presets", "multilingual");
  });
});

describe("download", () => {
  it("prints a local directory alone on standard output, and what is in it beside that", async () => {
    const { code, out, error } = await runCli("download", TINY);
    assert.equal(code, 0, error);
    assert.equal(out, TINY.replace(/\/$/, ""));
    assert.match(error, /^8 files, 582 KiB: config\.json, .*model\.weights\.h5$/);
  });

  it("finds the shards of weights, and says which is missing", async () => {
    const source = fileURLToPath(new URL("../fixtures/kerashub-formats/preset_sharded/", import.meta.url));
    const { error } = await runCli("download", source);
    assert.match(error, /model\.weights\.json, model_00000\.weights\.h5, model_00001\.weights\.h5$/);
    const directory = await temporaryDirectory();
    for (const name of ["config.json", "model.weights.json", "model_00000.weights.h5"]) {
      await writeFile(join(directory, name), await readFile(join(source, name)));
    }
    await refused(/A shard is missing .*expected model_00001\.weights\.h5/, 1, "download", directory);
  });

  it("refuses a directory that is no preset", async () => {
    await refused(/no config\.json.*found nothing/, 1, "download", await temporaryDirectory());
  });
});

describe("export", () => {
  /** Logits of one text. */
  async function logits(preset: string): Promise<Float32Array> {
    const model = await models.MaskedLM.fromPreset(preset, { preprocessor: null });
    const x = { token_ids: [[0, 5, 6, 2]], padding_mask: [[1, 1, 1, 1]], mask_positions: [[1]] };
    const { data } = await model.predictOnBatch(x) as { data: Float32Array };
    await model.dispose();
    return data;
  }

  for (const format of ["kerashub", "huggingface"]) {
    it(`writes --format ${format} with its head and tokenizer, which loads again equal`, async () => {
      const out = join(await temporaryDirectory(), format);
      const printed = succeeded(await runCli("export", TINY, "--format", format, "--out", out));
      for (const name of readdirSync(out)) assert.ok(printed.includes(name), `${name} in ${printed}`);
      assert.deepEqual(await logits(out), await logits(TINY));
      assert.equal(succeeded(await runCli("fill-mask", out, "born <mask>")), succeeded(await runCli("fill-mask", TINY, "born <mask>")));
    });
  }

  it("writes float16, near the float32", async () => {
    const out = join(await temporaryDirectory(), "half");
    succeeded(await runCli("export", TINY, "--format", "huggingface", "--dtype", "float16", "--out", out));
    const [half, whole] = [await logits(out), await logits(TINY)];
    assert.notDeepEqual(half, whole);
    half.forEach((value, i) => assert.ok(Math.abs(value - whole[i]) < 0.02, `${value} for ${whole[i]}`));
  });

  it("writes ONNX files in the layout of transformers.js", async () => {
    const out = join(await temporaryDirectory(), "onnx");
    succeeded(await runCli("export", TINY, "--format", "onnx", "--dtype", "float16", "--out", out));
    assert.deepEqual(readdirSync(join(out, "onnx")), ["model_fp16.onnx"]);
    assert.ok(existsSync(join(out, "tokenizer.json")));
  });

  it("refuses formats and dtypes that there aren't, no directory, ONNX of a backbone", async () => {
    const out = join(await temporaryDirectory(), "out");
    await refused(/There is no --format onx: expected kerashub or huggingface or onnx\. Did you mean --format onnx\?/, 2, ...[
      ...["export", TINY, "--format", "onx", "--out", out],
    ]);
    await refused(/There is no --dtype float16 of --format kerashub: expected float32/, 2, ...[
      ...["export", TINY, "--format", "kerashub", "--dtype", "float16", "--out", out],
    ]);
    await refused(/--out is missing/, 2, "export", TINY, "--format", "onnx");
    await refused(/--format is missing: expected --format NAME/, 2, "export", TINY, "--out", out);
    await refused(/needs a task/, 2, "export", TINY, "--format", "onnx", "--task", "backbone", "--out", out);
    assert.ok(!existsSync(out));
  });
});
