/** The command `fill-mask`: the likeliest words for the masks in texts. */

import { OnnxHubError } from "../errors.ts";
import type { FilledMask } from "../models/masked_lm.ts";
import type { WeightFormat } from "../runtime/held_weights.ts";
import { type OutputChange, totalChange } from "../runtime/output_change.ts";
import { command, type Console, PRESET } from "./command.ts";
import { table } from "./table.ts";
import { wholeNumber } from "./values.ts";

/** Tokens for each mask unless told otherwise. */
const TOP_K = 5;

/** How many texts of standard input are filled at a time. */
const BATCH = 8;

/** The command. */
export const fillMask = command({
  name: "fill-mask",
  about: "Fills the masks in texts with a masked language model's likeliest tokens",
  details: [
    "A mask is written <mask>, or as the vocabulary has it. Without a TEXT the lines of standard input are taken, one text each.",
    "A text with several masks has a table for each; the other masks are filled with their likeliest tokens meanwhile.",
  ],
  permissions: "--allow-read=DIR,node_modules",
  example: 'DIR "All human beings are born <mask> and equal."',
  positionals: { ...PRESET, usage: "PRESET [TEXT …]", most: Infinity, what: "a preset, then texts" },
  options: {
    "top-k": { type: "string", value: "NUMBER", about: "How many tokens for each mask; default 5" },
    quantize: { type: "string", value: "MODE", about: "Run with weights in int8 or float16, and say how far that is from float32" },
    json: { type: "boolean", about: "Print one line of JSON for each text" },
  },
  async run([preset, ...texts], values, console) {
    const topK = values["top-k"] === undefined ? TOP_K : wholeNumber("top-k", values["top-k"], 1);
    if (texts.length === 0 && console.input === null) {
      throw new OnnxHubError("cli/argument", "fill-mask has no text", {
        expected: "a text with <mask>, or lines of standard input",
        remedy: `Say what to fill: fill-mask ${preset} "A text with a <mask>."`,
      });
    }
    const { MaskedLM } = await import("../models/index.ts");
    const model = await MaskedLM.fromPreset(preset, { compile: false });
    try {
      if (values.quantize !== undefined) await model.quantize(values.quantize as WeightFormat);
      const changes: OutputChange[] = [];
      let first = true;
      for await (const batch of texts.length > 0 ? [texts] : batches(console.input!)) {
        const filled = await model.fillMask(batch, { topK });
        batch.forEach((text, i) => {
          if (!values.json && !first) console.out("");
          first = false;
          print(text, filled[i], values.json, console);
        });
        if (model.quantization !== "float32") changes.push(await model.compareQuantizedMasks(batch));
      }
      if (changes.length > 0) printChange(model.quantization, totalChange(changes), values.json, console);
    } finally {
      await model.dispose();
    }
    return 0;
  },
});

/** Lines that aren't empty, some at a time. */
async function* batches(lines: AsyncIterable<string>): AsyncGenerator<string[]> {
  let batch: string[] = [];
  for await (const line of lines) {
    if (line.trim() === "") continue;
    batch.push(line);
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** What the quantization changes in all texts together. */
function printChange(mode: WeightFormat, change: OutputChange, json: boolean, console: Console): void {
  if (json) return console.out(JSON.stringify({ quantization: mode, ...change }));
  const { greatest, mean, sameBest, rows } = change;
  console.out("");
  console.out(
    `${mode}: logits differ by at most ${greatest.toPrecision(2)} (mean ${mean.toPrecision(2)}) from float32; ` +
      `the same best token in ${sameBest} of ${rows} masks`,
  );
}

/** The tokens for the masks of one text. */
function print(text: string, masks: readonly (readonly FilledMask[])[], json: boolean, console: Console): void {
  if (json) return console.out(JSON.stringify({ text, masks }));
  console.out(text);
  masks.forEach((filled, i) => {
    const heading = masks.length === 1 ? "Token" : `Token ${i + 1}`;
    const columns = [{ heading: "Score", align: "right" }, { heading, align: "left" }, { heading: "Text", align: "left" }] as const;
    for (const line of table(columns, filled.map(({ score, token, text }) => [score.toFixed(4), token, text]))) console.out(`  ${line}`);
  });
}
