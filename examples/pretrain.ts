/**
 * Trains a small XLM-RoBERTa from scratch on the Universal Declaration of Human Rights, fills masks in five languages, saves a preset
 * and loads it again. Everything is local and takes about a minute: `deno task demo`, or `bun examples/pretrain.ts`.
 */

import { relative } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { models, optimizers } from "onnxhub";
import { declaration } from "./declaration.ts";
import { textPlot } from "./text_plot.ts";

/** What a run is made of. */
export const SETTINGS = {
  languages: ["en", "de", "nl", "sv", "fr", "es", "pt", "it"],
  /** Sentences that are not in the Declaration, and the word that belongs into each. */
  sentences: [
    ["Everyone has the <mask> to read and write.", "right"],
    ["Jeder hat das <mask> auf Musik.", "Recht"],
    ["Toute personne a <mask> à la musique.", "droit"],
    ["Toda persona tiene <mask> a la música.", "derecho"],
    ["Ogni individuo ha <mask> alla musica.", "diritto"],
  ],
  /** Tokens of a paragraph that are read: the beginning. */
  sequenceLength: 32,
  /** Of one epoch over the text: masks are drawn anew in each. */
  passes: 6,
  epochs: 10,
  batchSize: 12,
  learningRate: 4e-3,
  /** Matrices this small are not worth sharing out. */
  threads: 1 as number | undefined,
  /** Keras' progress bar. */
  verbose: 1 as 0 | 1 | 2,
  model: { numLayers: 2, numHeads: 4, hiddenDim: 64, intermediateDim: 128, dropout: 0 },
  directory: fileURLToPath(new URL("out/xlm_roberta_declaration", import.meta.url)),
};

/** What came out. */
export interface Pretrained {
  /** By epoch. */
  loss: number[];
  valLoss: number[];
  /** How many sentences got the right word. */
  right: number;
  /** Whether the preset gives the same words with the same probabilities, to the bit. */
  same: boolean;
}

/** Trains, fills masks, saves, loads, fills masks again; shows all of it. */
export async function pretrain(settings: typeof SETTINGS, print: (text: string) => void = console.log): Promise<Pretrained> {
  const { languages, sequenceLength, passes, epochs, batchSize, learningRate, directory } = settings;

  // Every twelfth paragraph is for validation.
  const paragraphs = (await declaration(languages)).flatMap(({ paragraphs }) => paragraphs);
  const held = paragraphs.filter((_, i) => i % 12 === 5);
  const text = paragraphs.filter((_, i) => i % 12 !== 5);
  const repeat = (texts: string[]) => Array.from({ length: passes }, () => texts).flat();
  const x = repeat(text);
  print(`${text.length} paragraphs to learn from and ${held.length} to validate on, in ${languages.length} languages\n`);

  const tokenizer = new models.XLMRobertaTokenizer({ proto: fileURLToPath(new URL("data/udhr-8k.spm", import.meta.url)) });
  const maskedLM = new models.XLMRobertaMaskedLM({
    preprocessor: new models.XLMRobertaMaskedLMPreprocessor({ tokenizer, sequenceLength, maskSelectionRate: 0.2, maskSelectionLength: 7 }),
    backbone: new models.XLMRobertaBackbone({
      ...settings.model,
      vocabularySize: tokenizer.vocabularySize,
      maxSequenceLength: sequenceLength,
      seed: 1,
      threads: settings.threads,
    }),
  });
  print(maskedLM.summary({ print: false }));

  const steps = epochs * Math.ceil(x.length / batchSize);
  const schedule = new optimizers.schedules.CosineDecay({
    initialLearningRate: 0,
    warmupTarget: learningRate,
    warmupSteps: Math.round(steps * 0.1),
    decaySteps: Math.round(steps * 0.9),
    alpha: 0.05,
  });
  maskedLM.compile({ optimizer: new optimizers.Adam({ learningRate: schedule, beta2: 0.95 }) });
  const { history } = await maskedLM.fit({ x, validationData: repeat(held), batchSize, epochs, verbose: settings.verbose });
  const { loss, val_loss: valLoss } = history;
  print(`\n${textPlot([{ name: "loss", values: loss }, { name: "validation loss", values: valLoss }])}\n`);

  const sentences = settings.sentences.map(([sentence]) => sentence);
  const answers = await maskedLM.fillMask(sentences, { topK: 3 });
  let right = 0;
  answers.forEach(([best], i) => {
    const word = settings.sentences[i][1];
    const found = best[0].token === `▁${word}`;
    if (found) right++;
    print(`${found ? "✓" : "✗"} ${sentences[i]}`);
    print(`    ${best.map(({ token, score }) => `${token} ${(100 * score).toFixed(1)}%`).join("   ")}`);
  });
  print(`${right} of ${sentences.length} right`);

  await maskedLM.saveToPreset(directory);
  await maskedLM.dispose();
  const loaded = await models.MaskedLM.fromPreset(directory);
  const same = JSON.stringify(await loaded.fillMask(sentences, { topK: 3 })) === JSON.stringify(answers);
  await loaded.dispose();
  print(
    `\nSaved in ${relative(process.cwd(), directory)}\nLoaded again, it gives ${same ? "the same answers, to the bit" : "OTHER answers"}.`,
  );
  return { loss, valLoss, right, same };
}

if (import.meta.main) {
  const { same } = await pretrain(SETTINGS);
  if (!same) process.exitCode = 1;
}
