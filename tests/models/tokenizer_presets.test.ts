/** Tokenizers in presets: their options saved and loaded, those that would give other ids refused. */

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { models } from "../../mod.ts";
import { refused } from "./refused.ts";

const root = mkdtempSync(join(tmpdir(), "onnxhub-tokenizers-"));
after(() => rmSync(root, { recursive: true }));
const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/tokenizer/${name}`, import.meta.url));

const VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cafe", "café", "Café", "noir"];

interface Saved {
  config: Record<string, unknown>;
}

/** A preset of a classifier with this tokenizer, and what its tokenizer.json says. */
async function saved(name: string, tokenizer: models.BertTokenizer): Promise<{ directory: string; json: Saved; file: string }> {
  const directory = join(root, name);
  const backbone = new models.BertBackbone({
    vocabularySize: tokenizer.vocabularySize,
    numLayers: 1,
    numHeads: 2,
    hiddenDim: 8,
    intermediateDim: 16,
    maxSequenceLength: 8,
  });
  const preprocessor = new models.BertTextClassifierPreprocessor({ tokenizer, sequenceLength: 8 });
  const classifier = new models.BertTextClassifier({ backbone, preprocessor, numClasses: 2 });
  await classifier.saveToPreset(directory);
  await classifier.dispose();
  await backbone.dispose();
  const file = join(directory, "tokenizer.json");
  return { directory, json: JSON.parse(readFileSync(file, "utf8")) as Saved, file };
}

describe("a WordPiece tokenizer in a preset", () => {
  for (
    const { lowercase, stripAccents, ids } of [
      { lowercase: false, stripAccents: false, ids: [7, 8] },
      { lowercase: true, stripAccents: false, ids: [6, 8] },
      { lowercase: true, stripAccents: true, ids: [5, 8] },
    ]
  ) {
    it(`keeps lowercase ${lowercase} and stripAccents ${stripAccents}`, async () => {
      const tokenizer = new models.BertTokenizer({ vocabulary: VOCABULARY, lowercase, stripAccents });
      assert.deepEqual(tokenizer.tokenize("Café noir"), ids);
      const { directory, json } = await saved(`${lowercase}-${stripAccents}`, tokenizer);
      assert.deepEqual([json.config.lowercase, json.config.strip_accents], [lowercase, stripAccents]);
      const again = await models.TextClassifier.fromPreset(directory);
      assert.deepEqual(again.preprocessor!.tokenizer.tokenize("Café noir"), ids);
      assert.deepEqual(again.preprocessor!.tokenizer.getVocabulary(), VOCABULARY);
      await again.dispose();
    });
  }

  it("strips accents where it lowers letters, unless it is told not to; from KerasHub's files only where they say so", async () => {
    assert.deepEqual(new models.BertTokenizer({ vocabulary: VOCABULARY, lowercase: true }).tokenize("Café"), [5]);
    const { directory, json, file } = await saved("older", new models.BertTokenizer({ vocabulary: VOCABULARY, lowercase: true }));
    // As older releases wrote it.
    delete json.config.strip_accents;
    writeFileSync(file, JSON.stringify(json));
    const tokenizer = await models.BertTokenizer.fromPreset(directory);
    assert.deepEqual(tokenizer.tokenize("Café"), [6]);
  });

  it("is refused with options that would give other ids, each by its name", async () => {
    const { directory, json, file } = await saved("odd", new models.BertTokenizer({ vocabulary: VOCABULARY }));
    for (const [key, value] of Object.entries({ split: false, suffix_indicator: "@@", sequence_length: 8 })) {
      writeFileSync(file, JSON.stringify({ ...json, config: { ...json.config, [key]: value } }));
      await refused(
        () => models.TextClassifier.fromPreset(directory),
        "preset/tokenizer",
        new RegExp(`config\\.${key}`),
        new RegExp(`found ${JSON.stringify(value)}`),
      );
    }
    writeFileSync(file, JSON.stringify(json));
    await (await models.TextClassifier.fromPreset(directory)).dispose();
  });
});

describe("a byte-level BPE tokenizer in a preset", () => {
  it("keeps its vocabulary and merges", async () => {
    const tokenizer = new models.RobertaTokenizer({
      vocabulary: fixture("roberta-bpe/vocab.json"),
      merges: fixture("roberta-bpe/merges.txt"),
    });
    const directory = join(root, "bpe");
    await new models.RobertaMaskedLMPreprocessor({ tokenizer, sequenceLength: 12 }).saveToPreset(directory);
    const backbone = new models.RobertaBackbone({
      vocabularySize: tokenizer.vocabularySize,
      numLayers: 1,
      numHeads: 2,
      hiddenDim: 8,
      intermediateDim: 16,
      maxSequenceLength: 12,
    });
    await backbone.saveToPreset(directory);
    const again = await models.RobertaMaskedLMPreprocessor.fromPreset(directory);
    assert.equal(again.sequenceLength, 12);
    const texts = ["All human beings are born free.", " two  spaces", "naïve 😀"];
    assert.deepEqual(again.tokenizer.tokenize(texts), tokenizer.tokenize(texts));
    const file = join(directory, "tokenizer.json");
    const json = JSON.parse(readFileSync(file, "utf8")) as Saved;
    writeFileSync(file, JSON.stringify({ ...json, config: { ...json.config, add_prefix_space: true } }));
    await refused(() => models.RobertaTokenizer.fromPreset(directory), "preset/tokenizer", /add_prefix_space/);
    await backbone.dispose();
  });
});
