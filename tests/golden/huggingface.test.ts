/** Checkpoints of transformers against its own outputs: every architecture, every head that there is a class for. */

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { models } from "../../mod.ts";
import type { Tensor } from "../../runtime/tensor.ts";
import { fixture, type GoldenArray, readFixture } from "./goldens.ts";

/** What transformers computed. */
interface Recorded {
  readonly input_ids: GoldenArray;
  readonly attention_mask: GoldenArray;
  readonly logits: GoldenArray;
}

const TOLERANCE = 5e-6;

const rowsOf = ({ shape: [, width], data }: GoldenArray): number[][] =>
  Array.from({ length: data.length / width }, (_, i) => data.slice(i * width, (i + 1) * width));

/** Inputs of a model, with every position to be guessed where it takes some. */
function inputsOf({ input_ids, attention_mask }: Recorded, positions: boolean): Record<string, number[][]> {
  const token_ids = rowsOf(input_ids);
  return {
    token_ids,
    padding_mask: rowsOf(attention_mask),
    ...(positions ? { mask_positions: token_ids.map((row) => row.map((_, i) => i)) } : {}),
  };
}

/** Requires the recorded values wherever there is no padding; values are [batch, …] or [batch, sequence, …]. */
function assertUnpadded(
  found: { readonly shape: readonly number[]; readonly data: ArrayLike<number> },
  { attention_mask, logits }: Recorded,
  each: "row" | "position",
): void {
  assert.deepEqual([...found.shape], logits.shape);
  const mask = attention_mask.data;
  const width = each === "row" ? logits.shape[1] : logits.shape[2];
  const count = logits.data.length / width;
  let compared = 0;
  for (let i = 0; i < count; i++) {
    // Padded classifications are compared too: the pads are masked.
    if (each === "position" && mask[i] === 0) continue;
    for (let j = i * width; j < (i + 1) * width; j++) {
      assert.ok(Math.abs(found.data[j] - logits.data[j]) <= TOLERANCE, `at ${j}: ${found.data[j]} instead of ${logits.data[j]}`);
      compared++;
    }
  }
  assert.ok(compared >= count / 2 * width);
}

type TaskClass = typeof models.MaskedLM | typeof models.TextClassifier | typeof models.CausalLM;

/** Folder, the base class that loads it, the class that it gives. */
const TASKS: readonly [folder: string, base: TaskClass, type: abstract new (options: never) => models.Task][] = [
  ["xlm_roberta_masked_lm", models.MaskedLM, models.XLMRobertaMaskedLM],
  ["roberta_masked_lm", models.MaskedLM, models.RobertaMaskedLM],
  ["camembert_masked_lm", models.MaskedLM, models.MaskedLM],
  ["bert_masked_lm", models.MaskedLM, models.BertMaskedLM],
  ["xlm_roberta_classifier", models.TextClassifier, models.XLMRobertaTextClassifier],
  ["bert_classifier", models.TextClassifier, models.BertTextClassifier],
  ["llama_causal_lm", models.CausalLM, models.LlamaCausalLM],
];

for (const [folder, base, type] of TASKS) {
  describe(`${folder} of transformers`, () => {
    const recorded = readFixture<Recorded>(`huggingface/${folder}/golden.json`);
    let task: models.Task;
    before(async () => {
      task = await base.fromPreset(fixture(`huggingface/${folder}`), { preprocessor: null });
    });
    after(async () => {
      await task.dispose();
      await task.backbone.dispose();
    });

    it("gets its class", () => assert.ok(task instanceof type));
    it("gives transformers' logits", async () => {
      const isClassifier = task instanceof models.TextClassifier;
      const inputs = inputsOf(recorded, task instanceof models.MaskedLM);
      assertUnpadded(await task.call(inputs) as Tensor, recorded, isClassifier ? "row" : "position");
    });
  });
}

describe("xlm_roberta_model of transformers", () => {
  it("gives transformers' hidden states as a backbone", async () => {
    const recorded = readFixture<Recorded>("huggingface/xlm_roberta_model/golden.json");
    const backbone = await models.XLMRobertaBackbone.fromPreset(fixture("huggingface/xlm_roberta_model"));
    const { sequence_output } = await backbone.predict(inputsOf(recorded, false));
    assertUnpadded(sequence_output, recorded, "position");
    await backbone.dispose();
  });
});

describe("bert_token_classifier of transformers", () => {
  it("gives a backbone whose output its own classifier turns into transformers' logits", async () => {
    const folder = "huggingface/bert_token_classifier";
    const recorded = readFixture<Recorded>(`${folder}/golden.json`);
    // Its classifier is that of a text classifier; there is no class for one over tokens.
    const classifier = await models.BertTextClassifier.fromPreset(fixture(folder), { preprocessor: null });
    const { sequence_output: { data, shape: [batch, sequence, width] } } = await classifier.backbone.predict(inputsOf(recorded, false));
    const kernel = classifier.parameters.get("logits/kernel"); // [width, classes]
    const bias = classifier.parameters.get("logits/bias");
    const logits = Array.from({ length: batch * sequence * bias.length }, (_, i) => {
      const [position, label] = [Math.floor(i / bias.length), i % bias.length];
      let sum = bias[label];
      for (let j = 0; j < width; j++) sum += Number(data[position * width + j]) * kernel[j * bias.length + label];
      return sum;
    });
    assertUnpadded({ shape: [batch, sequence, bias.length], data: logits }, recorded, "position");
    await classifier.dispose();
    await classifier.backbone.dispose();
  });
});
