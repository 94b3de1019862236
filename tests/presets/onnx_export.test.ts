/** Exported folders: transformers.js runs them, and onnxruntime-web, with the numbers of the model; what is refused. */

import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { models } from "../../mod.ts";
import type { Tensor } from "../../runtime/tensor.ts";
import { fixture, worstDifference } from "../golden/goldens.ts";
import { filesOf } from "../models/preset_files.ts";
import { refused } from "../models/refused.ts";
import { type Batch, CLASSIFIERS, MASKED_LMS, runExported } from "./exported_models.ts";
import { env, pipeline } from "./transformers_js.ts";

let directory = "";

before(() => {
  directory = mkdtempSync(join(tmpdir(), "onnxhub-onnx-"));
  env.localModelPath = directory;
});
after(() => rmSync(directory, { recursive: true, force: true }));

const folder = (name: string): string => join(directory, name);
const readConfig = (name: string) => JSON.parse(readFileSync(join(folder(name), "config.json"), "utf8"));

/** Two rows of different length, the second's end padded, with segments. */
function someRows({ backbone, preprocessor }: models.Task): { theirs: Batch; ours: Record<string, number[][]> } {
  const size = Number(backbone.config.vocabulary_size);
  const { padTokenId } = preprocessor!.tokenizer;
  const row = (length: number, seed: number) => Array.from({ length: 9 }, (_, i) => i < length ? (seed + 37 * i) % size : padTokenId);
  const input_ids = [row(9, 5), row(6, 11)];
  const attention_mask = [9, 6].map((length) => Array.from({ length: 9 }, (_, i) => i < length ? 1 : 0));
  const token_type_ids = [3, 5].map((first) => Array.from({ length: 9 }, (_, i) => i < first ? 0 : 1));
  const ours: Record<string, number[][]> = { token_ids: input_ids, padding_mask: attention_mask };
  if ("segment_ids" in backbone.spec.source.inputs) ours.segment_ids = token_type_ids;
  return { theirs: { input_ids, attention_mask, token_type_ids }, ours };
}

function softmax(logits: ArrayLike<number>): number[] {
  const exponentials = Array.from(logits, (x) => Math.exp(x));
  const total = exponentials.reduce((a, b) => a + b, 0);
  return exponentials.map((x) => x / total);
}

for (const [kind, make] of Object.entries(MASKED_LMS)) {
  describe(`an exported masked language model with a ${kind} tokenizer`, () => {
    const name = `masked-${kind.replaceAll(" ", "-")}`;
    let maskedLM: models.MaskedLM;
    before(async () => {
      maskedLM = await make();
      await maskedLM.exportOnnx(folder(name), { dtype: ["float32", "float16"] });
    });
    after(() => maskedLM.dispose());

    it("gives onnxruntime-web the model's logits at every position", async () => {
      const { theirs, ours } = someRows(maskedLM);
      const everywhere = ours.token_ids.map((row) => row.map((_, i) => i));
      const expected = await maskedLM.call({ ...ours, mask_positions: everywhere }) as Tensor<"float32">;
      const { inputs, shape, logits } = await runExported(folder(name), theirs);
      assert.deepEqual([...inputs].sort(), ["attention_mask", "input_ids", ..."segment_ids" in ours ? ["token_type_ids"] : []]);
      assert.deepEqual(shape, expected.shape);
      assert.ok(worstDifference(logits, expected.data) < 1e-5);
      const half = await runExported(folder(name), theirs, "model_fp16.onnx");
      const scale = expected.data.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      const worst = worstDifference(half.logits, expected.data);
      assert.ok(worst > 0 && worst < 0.01 * scale, `${worst} of ${scale}`);
    });

    for (const [dtype, tolerance] of [["fp32", 1e-4], ["fp16", 1e-2]] as const) {
      it(`fills a mask in transformers.js as fillMask does, in ${dtype}`, async () => {
        const fill = await pipeline("fill-mask", name, { device: "cpu", dtype });
        const mask = fill.tokenizer.mask_token;
        const texts = [`born ${mask} and equal`, `the right to ${mask}`, `${mask} human`];
        const theirs = await fill(texts, { top_k: 4 }) as { score: number; token: number }[][];
        const ours = await maskedLM.fillMask(texts, { topK: 4 });
        assert.deepEqual(theirs.map((list) => list[0].token), ours.map(([list]) => list[0].id));
        ours.forEach(([list], i) => {
          if (dtype === "fp32") assert.deepEqual(theirs[i].map(({ token }) => token), list.map(({ id }) => id));
          const scores = theirs[i].map(({ score }) => score);
          assert.ok(worstDifference(scores, list.map(({ score }) => score)) < tolerance * list[0].score, `${texts[i]}: ${scores}`);
        });
        await fill.dispose();
      });
    }
  });
}

for (const [kind, make] of Object.entries(CLASSIFIERS)) {
  describe(`an exported classifier with a ${kind} tokenizer`, () => {
    const name = `classifier-${kind}`;
    let classifier: models.TextClassifier;
    let labels: string[];
    before(async () => {
      classifier = await make();
      labels = Array.from({ length: Number(classifier.config.num_classes) }, (_, i) => `class ${i}`);
      await classifier.exportOnnx(folder(name), { labels });
    });
    after(() => classifier.dispose());

    it("gives onnxruntime-web the model's logits", async () => {
      const { theirs, ours } = someRows(classifier);
      const expected = await classifier.call(ours) as Tensor<"float32">;
      const { shape, logits } = await runExported(folder(name), theirs);
      assert.deepEqual(shape, [2, labels.length]);
      assert.ok(worstDifference(logits, expected.data) < 1e-5);
    });

    it("gives texts the same labels and scores in transformers.js", async () => {
      const classify = await pipeline("text-classification", name, { device: "cpu", dtype: "fp32" });
      const texts = ["born free and equal", "the right to life", "no one"];
      const theirs = await classify(texts, { top_k: labels.length }) as unknown as { label: string; score: number }[][];
      const { data } = await classifier.predict({ x: texts, verbose: 0 }) as Tensor<"float32">;
      texts.forEach((_, i) => {
        const ours = softmax(data.subarray(i * labels.length, (i + 1) * labels.length));
        const scores = labels.map((label) => theirs[i].find((one) => one.label === label)!.score);
        assert.ok(worstDifference(scores, ours) < 1e-5);
      });
      await classify.dispose();
    });
  });
}

describe("exportOnnx", () => {
  let maskedLM: models.MaskedLM;
  before(async () => {
    maskedLM = await MASKED_LMS.SentencePiece();
  });
  after(() => maskedLM.dispose());

  it("writes weights beside the model when asked to, to the same effect", async () => {
    await maskedLM.exportOnnx(folder("inside"));
    await maskedLM.exportOnnx(folder("beside"), { externalData: true });
    assert.deepEqual(readConfig("beside")["transformers.js_config"], { use_external_data_format: { "model.onnx": 1 } });
    assert.ok(existsSync(join(folder("beside"), "onnx", "model.onnx_data")));
    const { theirs } = someRows(maskedLM);
    const [one, other] = [await runExported(folder("inside"), theirs), await runExported(folder("beside"), theirs)];
    assert.deepEqual(one.logits, other.logits);
  });

  it("writes the same bytes again, and takes away what an earlier export wrote, but nothing else", async () => {
    const again = folder("again");
    await maskedLM.exportOnnx(again, { dtype: ["float32", "float16"], externalData: true });
    const bytes = readFileSync(join(again, "onnx", "model_fp16.onnx_data"));
    for (const name of ["notes.md", "model.safetensors"]) writeFileSync(join(again, name), "kept");
    await maskedLM.exportOnnx(again, { dtype: "float16", externalData: true });
    assert.deepEqual(readFileSync(join(again, "onnx", "model_fp16.onnx_data")), bytes);
    assert.deepEqual(filesOf(again).filter((path) => path.startsWith("onnx/")), ["onnx/model_fp16.onnx", "onnx/model_fp16.onnx_data"]);
    for (const name of ["notes.md", "model.safetensors"]) assert.equal(readFileSync(join(again, name), "utf8"), "kept");
    assert.equal(readConfig("again")["transformers.js_config"].dtype, "fp16");
  });

  it("writes no tokenizer where there is no preprocessor", async () => {
    const bare = await models.MaskedLM.fromPreset(fixture("kerashub/bert_tiny_masked_lm"), { preprocessor: null });
    await bare.exportOnnx(folder("bare"));
    assert.deepEqual(filesOf(folder("bare")), ["config.json", "onnx/model.onnx"]);
    const { model_type, architectures, vocab_size } = readConfig("bare");
    assert.deepEqual([model_type, architectures, vocab_size], ["bert", ["BertForMaskedLM"], 50]);
    await bare.dispose();
  });

  it("refuses a directory that holds something else, and leaves it as it was", async () => {
    mkdirSync(folder("letters"));
    writeFileSync(join(folder("letters"), "letter.txt"), "dear");
    await refused(() => maskedLM.exportOnnx(folder("letters")), "format/directory-foreign");
    await maskedLM.saveToPreset(folder("preset"));
    const before = filesOf(folder("preset"));
    await refused(() => maskedLM.exportOnnx(folder("preset")), "format/directory-foreign");
    assert.deepEqual(filesOf(folder("preset")), before);
  });

  it("refuses unknown options, dtypes and labels, naming them", async () => {
    await refused(() => maskedLM.exportOnnx(folder("x"), { dtypes: "float32" } as never), "model/option", /dtypes/);
    await refused(() => maskedLM.exportOnnx(folder("x"), { dtype: "int8" as never }), "model/option", /exportOnnx\.dtype/, /int8/);
    await refused(() => maskedLM.exportOnnx(folder("x"), { dtype: [] }), "model/option", /exportOnnx\.dtype/);
    await refused(() => maskedLM.exportOnnx(folder("x"), { labels: ["a"] }), "model/option", /no classes/);
    const classifier = await CLASSIFIERS.WordPiece();
    await refused(() => classifier.exportOnnx(folder("x"), { labels: ["a", "b"] }), "model/option", /3 different names/);
    await refused(() => classifier.exportOnnx(folder("x"), { labels: ["a", "b", "a"] }), "model/option", /"a" twice/);
    await classifier.dispose();
    assert.ok(!existsSync(folder("x")));
  });

  it("refuses a head whose outputs are no logits, since the pipeline would apply softmax again", async () => {
    const backbone = new models.BertBackbone({ vocabularySize: 9, numLayers: 1, numHeads: 1, hiddenDim: 4, intermediateDim: 4 });
    const classifier = new models.BertTextClassifier({ backbone, numClasses: 2, activation: "softmax" });
    await refused(() => classifier.exportOnnx(folder("x")), "preset/inexpressible", /activation/, /"linear"/, /"softmax"/);
    await classifier.dispose();
    await backbone.dispose();
  });

  it("refuses a task that no pipeline is for, and a spec without Hugging Face's names", async () => {
    const causal = await models.CausalLM.fromPreset(fixture("kerashub/llama_tiny_causal_lm"), { preprocessor: null });
    await refused(() => causal.exportOnnx(folder("x")), "preset/inexpressible", /causal_lm/);
    await causal.dispose();
    const unnamed = await models.MaskedLM.fromPreset(fixture("kerashub/albert_tiny_masked_lm"), {
      preprocessor: null,
      spec: fixture("architectures/albert.json"),
    });
    await refused(() => unnamed.exportOnnx(folder("x")), "preset/no-format", /checkpoints\.huggingface/);
    await unnamed.dispose();
  });

  it("refuses float16 for a weight beyond it, naming the weight, and leaves no part of a folder", async () => {
    const weights = await maskedLM.getWeights();
    const at = maskedLM.weights.findIndex(({ path }) => path.endsWith("query/bias"));
    await maskedLM.setWeights(weights.map((weight, i) => i === at ? { ...weight, data: weight.data.map(() => 1e5) } : weight));
    await refused(() => maskedLM.exportOnnx(folder("x"), { dtype: "float16" }), "preset/float16", /query\/bias/, /100000/);
    assert.ok(!existsSync(folder("x")));
    await maskedLM.setWeights(weights);
  });
});
