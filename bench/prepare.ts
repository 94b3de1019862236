/** What preparing a batch costs: texts tokenized, packed and masked for a masked language model, beside the steps that they are prepared for. */

import { existsSync, readFileSync } from "node:fs";
import { declaration } from "../examples/declaration.ts";
import { MaskedLMMaskGenerator } from "../text/masking.ts";
import { MultiSegmentPacker } from "../text/packing.ts";
import { MaskedLMPreprocessing } from "../text/preprocessors.ts";
import { SentencePieceTokenizer } from "../text/sentencepiece.ts";
import type { TextTokenizer } from "../text/tokenizer.ts";
import type { ScenarioResult } from "./results.ts";
import { median } from "./statistics.ts";

const ROUNDS = 300;
/** Long enough for every compiler tier. */
const WARM_UP = 500;
const SEQUENCE = 128;
const SELECTIONS = 19;
/** The training steps that a batch is for, in the results of other scenarios: by rows, the scenario, the point in it and who took part. */
const STEPS: Readonly<Record<number, readonly (readonly [scenario: string, label: string, contestant: string])[]>> = {
  4: [["base-train", "", "OnnxHub, native"], ["base-train", "", "OnnxHub, wasm"]],
  32: [["grow-batch", "batch 32", "OnnxHub, native"], ["grow-batch", "batch 32", "OnnxHub, wasm"]],
};

/** Milliseconds of a step that was measured before; undefined where it wasn't. */
function stepOf(scenario: string, label: string, contestant: string): number | undefined {
  const file = new URL(`./results/${scenario}.json`, import.meta.url);
  if (!existsSync(file)) return undefined;
  const { points } = JSON.parse(readFileSync(file, "utf8")) as ScenarioResult;
  const found = points.find((point) => point.label === label)?.measurements.find((one) => one.contestant === contestant);
  return found?.seconds && 1000 * found.seconds.median;
}

const proto = readFileSync(new URL("../tests/fixtures/tokenizer/udhr-8k.spm", import.meta.url));
const tokenizer = new SentencePieceTokenizer({ proto, remap: "fairseq" });
/** Has tokenized already: what it gives is set before. */
let ready: number[][] = [];
const { vocabularySize, startTokenId, endTokenId, padTokenId, unknownTokenId, maskTokenId, specialTokenIds } = tokenizer;
const tokenized = {
  ...{ vocabularySize, startTokenId, endTokenId, padTokenId, unknownTokenId, maskTokenId, specialTokenIds },
  tokenize: () => ready,
} as unknown as TextTokenizer;
const preprocessing = new MaskedLMPreprocessing({
  tokenizer: tokenized,
  separators: 2,
  sequenceLength: SEQUENCE,
  maskSelectionLength: SELECTIONS,
});
const packer = new MultiSegmentPacker({
  sequenceLength: SEQUENCE,
  startValue: tokenizer.startTokenId,
  endValue: tokenizer.endTokenId,
  sepValue: [tokenizer.endTokenId, tokenizer.endTokenId],
  padValue: tokenizer.padTokenId,
});
const masker = new MaskedLMMaskGenerator({
  vocabularySize: tokenizer.vocabularySize,
  maskSelectionRate: 0.15,
  maskTokenId: tokenizer.maskTokenId!,
  maskSelectionLength: SELECTIONS,
  unselectableTokenIds: tokenizer.specialTokenIds,
});

/** Texts of more than a row each: an article or so, in twenty languages. */
const editions = await declaration();
const texts = editions.flatMap(({ paragraphs }) =>
  Array.from({ length: paragraphs.length >> 4 }, (_, i) => paragraphs.slice(16 * i, 16 * i + 16).join(" "))
);

console.log(
  `Milliseconds to prepare a batch of texts for a masked language model, medians of ${ROUNDS}; ` +
    "the rest is what the preprocessor's call takes when the texts are tokenized already, so with tensors made",
);
console.log("batch   tokenize     pack     mask     rest  the rest, of a step");
for (const [batch, steps] of Object.entries(STEPS)) {
  const size = Number(batch);
  const times: Record<"tokenize" | "pack" | "mask" | "rest", number[]> = { tokenize: [], pack: [], mask: [], rest: [] };
  for (let round = -WARM_UP; round < ROUNDS; round++) {
    const rows = Array.from({ length: size }, (_, i) => texts[(size * (round + WARM_UP) + i) % texts.length]);
    const draw = { epoch: round, firstExample: size * round };
    const time = <T>(name: keyof typeof times, run: () => T): T => {
      const start = performance.now();
      const result = run();
      if (round >= 0) times[name].push(performance.now() - start);
      return result;
    };
    ready = time("tokenize", () => tokenizer.tokenize(rows));
    const { tokenIds } = time("pack", () => packer.pack([ready]));
    time("mask", () => masker.mask(tokenIds, draw));
    time("rest", () => preprocessing.call(rows, draw));
  }
  const medians = Object.values(times).map(median);
  const cells = medians.map((milliseconds) => milliseconds.toFixed(3).padStart(9));
  const shares = steps.flatMap(([scenario, label, contestant]) => {
    const step = stepOf(scenario, label, contestant);
    return step === undefined ? [] : [`${(100 * medians[3] / step).toFixed(3)} % (${contestant}, ${scenario})`];
  });
  console.log(`${batch.padStart(2)}×${SEQUENCE} ${cells.join("")}  ${shares.join(", ")}`);
}
