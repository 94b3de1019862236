/** Damaged presets and specs: each of thousands loads or is refused with the project's own error that says where. */

import assert from "node:assert/strict";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { OnnxHubError } from "../../errors.ts";
import { lowerModel } from "../../codegen/lowering/model.ts";
import { models, spec } from "../../mod.ts";
import type { ExpandedSpec } from "../../spec/index.ts";
import {
  type AnyJson,
  boundedMemory,
  damagedBytes,
  damagedExpression,
  damagedJson,
  Draws,
  jsonText,
  loadOrRefuse,
  type Outcome,
  replaceFile,
} from "../formats/mutations.ts";

const fixtures = fileURLToPath(new URL("../fixtures/", import.meta.url));

/** Of each preset, over its files, and of each spec. */
const MUTATIONS = 2000;

/** Small sizes for every architecture. */
const CONFIG: Readonly<Record<string, number>> = {
  vocabulary_size: 20,
  num_layers: 2,
  num_heads: 2,
  hidden_dim: 8,
  intermediate_dim: 8,
  num_query_heads: 2,
  num_key_value_heads: 1,
  max_sequence_length: 8,
};

let home: string;
let memory: number;
const { warn } = console;
before(() => {
  // A preset that lost its head's weights says so, hundreds of times.
  console.warn = () => {};
  home = fs.mkdtempSync(join(tmpdir(), "onnxhub-fuzz-"));
  memory = process.memoryUsage().rss;
});
after(() => {
  console.warn = warn;
  fs.rmSync(home, { recursive: true, force: true });
  boundedMemory(memory);
});

/** A copy of a preset, without what nobody reads. */
function copyOf(preset: string): string {
  const directory = fs.mkdtempSync(join(home, "preset-"));
  fs.cpSync(join(fixtures, preset), directory, { recursive: true });
  fs.rmSync(join(directory, "golden.json"), { force: true });
  const vocabulary = join(directory, "assets/tokenizer/vocabulary.spm");
  if (fs.existsSync(vocabulary)) fs.copyFileSync(join(fixtures, "tokenizer/char.spm"), vocabulary); // small, for speed
  return directory;
}

function summarize(outcome: Outcome, times: number, name: string): void {
  const refused = [...outcome.codes.values()].reduce((a, b) => a + b, 0);
  assert.equal(outcome.loaded + refused, times);
  assert.ok(outcome.loaded > times / 100 && refused > times / 20, `${name}: ${outcome.loaded} loaded, ${refused} refused`);
}

/** Damages one file of a preset after the other, and loads the preset each time. */
async function fuzzPreset(
  preset: string,
  names: readonly string[],
  load: (directory: string) => Promise<unknown>,
): Promise<void> {
  const directory = copyOf(preset);
  const outcome: Outcome = { loaded: 0, codes: new Map() };
  const times = Math.ceil(MUTATIONS / names.length);
  for (const name of names) {
    const path = join(directory, name);
    const original = new Uint8Array(fs.readFileSync(path));
    const json: AnyJson | undefined = name.endsWith(".json") ? JSON.parse(new TextDecoder().decode(original)) : undefined;
    for (let i = 0; i < times; i++) {
      const draws = new Draws(preset, name, i);
      const swapped = json !== undefined && draws.below(3) > 0;
      replaceFile(path, swapped ? jsonText(damagedJson(json, draws)) : damagedBytes(original, draws));
      await loadOrRefuse(outcome, `${preset}/${name}, mutation ${i}`, directory, () => load(directory));
    }
    fs.writeFileSync(path, original);
  }
  summarize(outcome, names.length * times, preset);
}

async function loadMaskedLM(directory: string): Promise<void> {
  const model = await models.MaskedLM.fromPreset(directory);
  await model.dispose();
}

describe("a damaged preset loads or is refused", () => {
  const presets: readonly (readonly [preset: string, ...names: string[]])[] = [
    ["kerashub-formats/preset_legacy", "config.json", "model.weights.h5", "task.weights.h5"],
    ["kerashub-formats/preset_sharded", "config.json", "task.json", "model.weights.json", "model_00001.weights.h5"],
    ["kerashub/xlm_roberta_tiny", "config.json", "task.json", "tokenizer.json", "preprocessor.json"],
    ["kerashub/bert_tiny_masked_lm", "config.json", "task.json"],
    ["huggingface/xlm_roberta_masked_lm", "config.json", "model.safetensors"],
    ["huggingface/bert_masked_lm", "config.json"],
  ];
  for (const [preset, ...names] of presets) {
    it(preset, async () => await fuzzPreset(preset, names, loadMaskedLM));
  }
});

describe("a damaged spec expands or is refused", () => {
  const architectures = fileURLToPath(new URL("../../spec/architectures/", import.meta.url));
  for (const name of spec.architectureNames) {
    it(name, async () => {
      const original = new Uint8Array(fs.readFileSync(join(architectures, `${name}.json`)));
      const json: AnyJson = JSON.parse(new TextDecoder().decode(original));
      const path = join(home, `${name}.json`);
      const outcome: Outcome = { loaded: 0, codes: new Map() };
      const lowered: Outcome = { loaded: 0, codes: new Map() };
      for (let i = 0; i < MUTATIONS; i++) {
        const draws = new Draws(name, i);
        const damage = draws.below(6);
        const damaged = damage === 0
          ? damagedBytes(original, draws)
          : jsonText(damage < 4 ? damagedJson(json, draws) : damagedExpression(json, draws));
        replaceFile(path, damaged);
        const expanded: ExpandedSpec[] = [];
        await loadOrRefuse(outcome, `${name}, mutation ${i}`, name, async () => {
          const parsed = await spec.load(path);
          const sizes = Object.entries(CONFIG).filter(([key]) => Object.hasOwn(parsed.source.config, key));
          const task = draws.of([undefined, ...Object.keys(parsed.source.heads ?? {})]);
          const taskConfig: Record<string, number> = task === "text_classifier" ? { num_classes: 2 } : {};
          expanded.push(spec.expand(parsed, { config: Object.fromEntries(sizes), task, taskConfig }));
        });
        // What can't be computed is refused by the path of its layer.
        for (const each of expanded) {
          await loadOrRefuse(lowered, `${name}, mutation ${i}`, "", () => lowerModel(each, { training: false }));
        }
      }
      summarize(outcome, MUTATIONS, name);
      assert.ok(lowered.loaded > MUTATIONS / 100, `${lowered.loaded} lowered`);
    });
  }
});

/** What an absurd value of a preset's configuration must lead to. */
const ABSURD: readonly (readonly [preset: string, key: string, value: number, ...expected: RegExp[]])[] = [
  ["kerashub-formats/preset_legacy", "vocabulary_size", 2e9, /preset\/weights-shape.*expected \[2000000000, 4\], found \[14, 4\]/],
  ["kerashub-formats/preset_legacy", "vocabulary_size", 2 ** 31, /at most 2147483647, found 2147483648/],
  ["kerashub-formats/preset_legacy", "vocabulary_size", 1e308, /config\.vocabulary_size.*expected an integer.*found 1e\+308/],
  ["kerashub-formats/preset_legacy", "vocabulary_size", -5, /found -5/],
  ["kerashub-formats/preset_legacy", "hidden_dim", 2e9, /weights-shape/],
  ["kerashub-formats/preset_legacy", "num_layers", 2 ** 31, /from 0 to 10000.*found 2147483648/],
  ["kerashub-formats/preset_legacy", "num_layers", 10_000, /too-large|weights-missing/],
  ["kerashub-formats/preset_legacy", "max_sequence_length", 2e9, /weights-shape/],
  ["huggingface/xlm_roberta_masked_lm", "vocab_size", 2e9, /weights-shape.*2000000000/],
  ["huggingface/xlm_roberta_masked_lm", "vocab_size", 1e308, /1e\+308/],
  ["huggingface/xlm_roberta_masked_lm", "hidden_size", 2 ** 31 - 4, /shape|expression/],
  ["huggingface/xlm_roberta_masked_lm", "num_hidden_layers", 2e9, /2000000000/],
  ["huggingface/xlm_roberta_masked_lm", "max_position_embeddings", 2e9, /weights-shape/],
];

describe("an absurd size in a preset's configuration is refused before anything of that size is made", () => {
  for (const [preset, key, value, ...expected] of ABSURD) {
    it(`${preset}: ${key} ${value}`, async () => {
      const directory = copyOf(preset);
      const path = join(directory, "config.json");
      const config = JSON.parse(fs.readFileSync(path, "utf8"));
      (config.config ?? config)[key] = value;
      fs.writeFileSync(path, JSON.stringify(config));
      const before = process.memoryUsage().rss;
      await assert.rejects(loadMaskedLM(directory), (error) => {
        assert.ok(error instanceof OnnxHubError, String(error));
        for (const pattern of expected) assert.match(`${error.code}: ${error.message}`, pattern);
        return true;
      });
      boundedMemory(before, 512 * 2 ** 20);
    });
  }

  it("of a fresh model too", async () => {
    const { num_layers, num_heads, hidden_dim, intermediate_dim } = CONFIG;
    const sizes = { vocabulary_size: 2e9, num_layers, num_heads, hidden_dim, intermediate_dim };
    const model = await models.fromSpec("xlm_roberta", { config: sizes });
    await assert.rejects(
      async () => await model.getWeights(),
      (error) => error instanceof OnnxHubError && error.code === "model/weight-size" && /\[2000000000, 8\]/.test(error.message),
    );
    await model.dispose();
  });
});
