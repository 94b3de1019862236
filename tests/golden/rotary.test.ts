/** The rotary embedding against KerasHub's and against its formula, with Llama 3.1's frequency adjustment. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { models } from "../../mod.ts";
import type { Tensor } from "../../runtime/tensor.ts";
import { assertTensor, fixture, type Golden, type GoldenArray, readFixture, worstDifference } from "./goldens.ts";

const PRESET = "kerashub/llama_tiny_causal_lm";
const golden = readFixture<Golden>(`${PRESET}/golden.json`);
const adjusted = readFixture<{ config: Record<string, number>; logits: GoldenArray }>("kerashub_llama_rope.json");
const [{ x }] = golden.batches;

/** What the rotary layer of a spec takes. */
interface Rotary {
  readonly max_wavelength: number;
  readonly scaling_factor: number;
  readonly frequency_adjustment: {
    readonly factor: number;
    readonly low_freq_factor: number;
    readonly high_freq_factor: number;
    readonly pretraining_sequence_length: number;
  } | null;
}

/** Llama 3.1's formula, as Meta wrote it, on one head: x [sequence, dim] from position 0. */
function rotated(rows: readonly (readonly number[])[], { max_wavelength, scaling_factor, frequency_adjustment }: Rotary): number[][] {
  const half = rows[0].length / 2;
  const frequencies = Array.from({ length: half }, (_, i) => {
    const frequency = max_wavelength ** (-i / half);
    if (!frequency_adjustment) return frequency;
    const { factor, low_freq_factor: low, high_freq_factor: high, pretraining_sequence_length: length } = frequency_adjustment;
    const turns = length * frequency / (2 * Math.PI);
    const smooth = Math.min(1, Math.max(0, (turns - low) / (high - low)));
    return (1 - smooth) * frequency / factor + smooth * frequency;
  });
  return rows.map((row, position) =>
    row.map((value, i) => {
      const angle = position / scaling_factor * frequencies[i % half];
      const other = i < half ? -row[i + half] : row[i - half];
      return value * Math.cos(angle) + other * Math.sin(angle);
    })
  );
}

/** A model that is one rotary embedding over a table of vectors, one head of 8. */
function rotaryOf(rotary: Rotary): Promise<models.Backbone> {
  return models.fromSpec({
    name: "rotary_alone",
    description: "A rotary embedding alone.",
    config: {},
    inputs: {
      token_ids: { dtype: "int32", shape: ["batch", "sequence"], min: 0, max: 15 },
      positions: { dtype: "int32", shape: ["sequence"], fill: "positions", min: 0 },
    },
    backbone: {
      layers: [
        {
          layer: "embedding",
          name: "table",
          in: "token_ids",
          vocabulary_size: 16,
          dim: 8,
          initializer: { type: "random_normal", stddev: 1 },
        },
        { layer: "reshape", name: "heads", shape: ["batch", "sequence", 1, 8] },
        { layer: "rotary", name: "rotary", in: { x: "heads", positions: "positions" }, ...rotary },
      ],
      outputs: { rotated: "previous" },
    },
  });
}

describe("the rotary embedding", () => {
  const adjustment = { factor: 8, low_freq_factor: 1, high_freq_factor: 4, pretraining_sequence_length: 128 };
  for (
    const [name, rotary] of Object.entries<Rotary>({
      "as RoFormer has it": { max_wavelength: 10000, scaling_factor: 1, frequency_adjustment: null },
      "with positions scaled": { max_wavelength: 10000, scaling_factor: 4, frequency_adjustment: null },
      "with long, middling and short wavelengths adjusted": { max_wavelength: 10000, scaling_factor: 1, frequency_adjustment: adjustment },
      "with both": { max_wavelength: 500, scaling_factor: 2, frequency_adjustment: adjustment },
    })
  ) {
    it(`turns its input by the formula, ${name}`, async () => {
      const model = await rotaryOf(rotary);
      const table = model.parameters.get("table/embeddings");
      const ids = Array.from({ length: 16 }, (_, i) => (7 * i + 3) % 16);
      const { rotated: found } = await model.predict({ token_ids: [ids] });
      const expected = rotated(ids.map((id) => [...table.subarray(8 * id, 8 * id + 8)]), rotary);
      assertTensor(found, { shape: [1, 16, 1, 8], data: expected.flat() }, 1e-5, name);
      await model.dispose();
    });
  }
});

describe("Llama's frequency adjustment", () => {
  it("is in every rotary layer once the four numbers are in the configuration", async () => {
    const { config } = adjusted;
    const model = await models.LlamaBackbone.fromPreset(fixture(PRESET), {
      ropeFrequencyAdjustmentFactor: config.rope_frequency_adjustment_factor,
      ropeLowFreqFactor: config.rope_low_freq_factor,
      ropeHighFreqFactor: config.rope_high_freq_factor,
      ropePretrainingSequenceLength: config.rope_pretraining_sequence_length,
    });
    const rotary = Object.values(model.expanded.blocks).flatMap(({ layers }) =>
      layers.flatMap((node) => "layer" in node && node.layer === "rotary" ? [node.frequency_adjustment] : [])
    );
    assert.equal(rotary.length, 2);
    for (const layer of rotary) {
      assert.deepEqual(layer, { factor: 8, low_freq_factor: 1, high_freq_factor: 4, pretraining_sequence_length: 128 });
    }
    await model.dispose();
  });

  it("gives the logits that KerasHub gives, within 1e-5", async () => {
    const { config, logits } = adjusted;
    const model = await models.LlamaCausalLM.fromPreset(fixture(PRESET), {
      ropeFrequencyAdjustmentFactor: config.rope_frequency_adjustment_factor,
      ropeLowFreqFactor: config.rope_low_freq_factor,
      ropeHighFreqFactor: config.rope_high_freq_factor,
      ropePretrainingSequenceLength: config.rope_pretraining_sequence_length,
    });
    const found = await model.predictOnBatch(x) as Tensor;
    assertTensor(found, logits, 1e-5, "logits");
    assert.ok(worstDifference(found.data, golden.logits.data) > 1, "the adjustment makes no difference");
    await model.dispose();
  });
});
