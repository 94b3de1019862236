/**
 * Makes the preset that is shipped inside the package: a small XLM-RoBERTa trained from scratch on the Universal Declaration of Human
 * Rights in eleven languages. `deno run -A tools/train_default.ts` writes presets/shipped/xlm_roberta_declaration; the same settings
 * give the same bits.
 */

import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import process from "node:process";
import { declaration } from "../examples/declaration.ts";
import { callbacks, models, optimizers } from "../mod.ts";

/** What it is made of. */
const SETTINGS = {
  languages: ["en", "de", "nl", "sv", "fr", "es", "pt", "it", "ru", "el", "zh"],
  sequenceLength: 40,
  maskSelectionRate: 0.2,
  model: { numLayers: 2, numHeads: 4, hiddenDim: 128, intermediateDim: 256, dropout: 0 },
  batchSize: 16,
  /** Of the whole text; masks are drawn anew in each. */
  passes: Number(process.env.PASSES ?? 140),
  learningRate: 3e-3,
};

/** Sentences of the Declaration, to look at while it learns. */
const SENTENCES = [
  "All human beings are born free and <mask> in dignity and rights.",
  "Everyone has the right to <mask>, liberty and the security of person.",
  "Jeder hat das <mask> auf Arbeit.",
  "Toute personne a <mask> à l'éducation.",
  "Toda persona tiene derecho a la <mask>.",
  "Каждый человек имеет <mask> на жизнь.",
  "人人生而<mask>，在尊严和权利上一律平等。",
];

const directory = process.argv[2] ?? fileURLToPath(new URL("../presets/shipped/xlm_roberta_declaration", import.meta.url));
const { languages, sequenceLength, maskSelectionRate, model, batchSize, passes, learningRate } = SETTINGS;
const tokenizer = new models.XLMRobertaTokenizer({ proto: fileURLToPath(new URL("../examples/data/udhr-8k.spm", import.meta.url)) });
const maskSelectionLength = Math.ceil(maskSelectionRate * sequenceLength);
const backbone = new models.XLMRobertaBackbone({
  ...model,
  vocabularySize: tokenizer.vocabularySize,
  maxSequenceLength: sequenceLength,
  seed: 1,
  threads: 1, // the same bits on any number of cores
});
const maskedLM = new models.XLMRobertaMaskedLM({
  backbone,
  preprocessor: new models.XLMRobertaMaskedLMPreprocessor({ tokenizer, sequenceLength, maskSelectionRate, maskSelectionLength }),
});
const x = (await declaration(languages)).flatMap(({ paragraphs }) => paragraphs);
const steps = passes * Math.ceil(x.length / batchSize);
const schedule = new optimizers.schedules.CosineDecay({
  initialLearningRate: 0,
  warmupTarget: learningRate,
  warmupSteps: Math.round(steps * 0.1),
  decaySteps: Math.round(steps * 0.9),
  alpha: 0.02,
});
maskedLM.compile({ optimizer: new optimizers.Adam({ learningRate: schedule, beta2: 0.95 }) });
console.log(`${x.length} paragraphs, ${steps} steps, ${maskedLM.countParams()} parameters`);
const look = async () => {
  for (const [i, [best]] of (await maskedLM.fillMask(SENTENCES, { topK: 3 })).entries()) {
    console.log(`${SENTENCES[i]}  ${best.map(({ token, score }) => `${token} ${(100 * score).toFixed(0)}%`).join("  ")}`);
  }
};
await maskedLM.fit({
  x,
  batchSize,
  epochs: passes,
  verbose: 2,
  callbacks: [new callbacks.LambdaCallback({ onEpochEnd: (epoch) => (epoch + 1) % Math.ceil(passes / 8) === 0 ? look() : undefined })],
});
rmSync(directory, { recursive: true, force: true });
await maskedLM.saveToHuggingFace(directory, { dtype: "float16" });
console.log(`Saved in ${directory}`);
