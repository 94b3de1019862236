/** Masked language modeling, and filling masks. */

import { OnnxHubError } from "../errors.ts";
import { type OutputChange, outputChange, totalChange } from "../runtime/output_change.ts";
import type { Tensor } from "../runtime/tensor.ts";
import { checkOptions } from "./options.ts";
import { Task, type TaskOptions } from "./task.ts";

/** Options of {@linkcode MaskedLM}. */
export type MaskedLMOptions = TaskOptions;

/** Options of {@linkcode MaskedLM.fillMask}. */
export interface FillMaskOptions {
  /** How many tokens are given for each mask; default 5. */
  topK?: number;
  /** How many texts run at once; default 8. */
  batchSize?: number;
}

/** One way to fill a mask. */
export interface FilledMask {
  /** The probability of the token, 0 to 1. */
  readonly score: number;
  /** The token's id. */
  readonly id: number;
  /** The token as the vocabulary has it: `▁free`. */
  readonly token: string;
  /** The text, as far as the model reads it (its sequence length), with this token in place of this mask, other masks with their most likely tokens. */
  readonly text: string;
}

/** How many texts run at once, unless told. */
const BATCH = 8;

/** The mask that a caller writes, whatever the vocabulary calls it. */
const MASK = "<mask>";

/** Guesses masked tokens. Source: keras_hub.models.MaskedLM; `fillMask` is ours. */
export class MaskedLM extends Task {
  /** The spec's name of the task. */
  static override readonly task: string | null = "masked_lm";

  /** A masked language model over a backbone. */
  constructor(options: MaskedLMOptions) {
    super(options);
  }

  /**
   * The most likely tokens for the masks in a text. A mask is written `<mask>`, or as the vocabulary calls it (`[MASK]`).
   *
   * One text with one mask gives a list, best first; with several masks a list of lists; several texts give a list of these.
   * Throws "model/no-preprocessor", "model/no-mask" for a text without a mask, "model/mask-cut" where the text is too long.
   *
   * @example
   * ```ts
   * import { models } from "onnxhub";
   * const tokenizer = new models.XLMRobertaTokenizer({ proto: "examples/data/udhr-8k.spm" });
   * const preprocessor = new models.XLMRobertaMaskedLMPreprocessor({ tokenizer, sequenceLength: 16, maskSelectionLength: 4 });
   * const backbone = new models.XLMRobertaBackbone({
   *   vocabularySize: tokenizer.vocabularySize, numLayers: 1, numHeads: 2, hiddenDim: 16, intermediateDim: 32, maxSequenceLength: 16,
   * });
   * const maskedLM = new models.XLMRobertaMaskedLM({ backbone, preprocessor });
   * for (const { token, score, text } of await maskedLM.fillMask("All human beings are born <mask> and equal.")) {
   *   console.log(token, score, text);
   * }
   * await maskedLM.dispose();
   * ```
   */
  fillMask(text: string, options?: FillMaskOptions): Promise<FilledMask[]>;
  /** The same for several texts: for each the lists of each of its masks. */
  fillMask(texts: readonly string[], options?: FillMaskOptions): Promise<FilledMask[][][]>;
  async fillMask(texts: string | readonly string[], options: FillMaskOptions = {}): Promise<FilledMask[] | FilledMask[][][]> {
    checkOptions("fillMask", options, ["topK", "batchSize"]);
    const { topK = 5, batchSize = BATCH } = options;
    requireCount("fillMask.topK", topK);
    requireCount("fillMask.batchSize", batchSize);
    const one = !Array.isArray(texts);
    const rows = (one ? [texts as string] : texts as readonly string[]).map((text, i) => this.#encode(text, one ? "text" : `texts[${i}]`));
    const results: FilledMask[][][] = [];
    for (let start = 0; start < rows.length; start += batchSize) {
      results.push(...await this.#fill(rows.slice(start, start + batchSize), topK));
    }
    if (!one) return results;
    if (results[0].length === 1) return results[0][0];
    throw new OnnxHubError("model/masks", "This text has several masks", {
      path: "text",
      expected: "one mask",
      found: String(results[0].length),
      remedy: "Pass it in an array: `fillMask([text])` gives a list for each mask.",
    });
  }

  /**
   * How far the quantized model's logits at the masks of texts are from those in float32, and how often the likeliest token is the same.
   *
   * Throws what {@linkcode fillMask} throws, and "model/not-quantized".
   *
   * @example
   * ```ts
   * import { models } from "onnxhub";
   * const maskedLM = await models.MaskedLM.fromPreset("xlm_roberta_declaration");
   * await maskedLM.quantize("int8");
   * const { greatest, mean, sameBest, rows } = await maskedLM.compareQuantizedMasks(["Everyone has the <mask> to work."]);
   * console.log(`at most ${greatest}, ${mean} in the mean; the same best token in ${sameBest} of ${rows} masks`);
   * await maskedLM.dispose();
   * ```
   */
  async compareQuantizedMasks(texts: readonly string[], options: Pick<FillMaskOptions, "batchSize"> = {}): Promise<OutputChange> {
    checkOptions("compareQuantizedMasks", options, ["batchSize"]);
    const { batchSize = BATCH } = options;
    requireCount("compareQuantizedMasks.batchSize", batchSize);
    const rows = texts.map((text, i) => this.#encode(text, `texts[${i}]`));
    const changes: OutputChange[] = [];
    for (let start = 0; start < rows.length; start += batchSize) {
      const { inputs, positions, masks } = this.#batch(rows.slice(start, start + batchSize));
      const [exact, found] = (await this.exactAndQuantized(inputs)).map((outputs) => Object.values(outputs)[0] as Tensor<"float32">);
      // Rows with fewer masks than others have places that mean nothing.
      const places = positions.flatMap((list, row) => list.map((_, mask) => row * masks + mask));
      changes.push(outputChange(exact, found, places));
    }
    return totalChange(changes);
  }

  /** The ids of a text whose masks are mask tokens, between start and end. */
  #encode(text: string, path: string): number[] {
    const tokenizer = this.preprocessor?.tokenizer;
    if (!tokenizer || !this.preprocessor) {
      throw new OnnxHubError("model/no-preprocessor", "Filling masks needs a preprocessor, which knows the tokenizer", {
        path: this.name,
        remedy: "Make the model with a `preprocessor`.",
      });
    }
    const { maskTokenId } = tokenizer;
    if (maskTokenId === undefined) throw new OnnxHubError("model/no-mask", "The tokenizer has no mask token", { path: "tokenizer" });
    if (typeof text !== "string") {
      throw new OnnxHubError("text/not-a-string", "A text is a string", { path, expected: "a string", found: typeof text });
    }
    const own = tokenizer.idToToken(maskTokenId);
    const parts = text.replaceAll(own, MASK).split(MASK);
    if (parts.length === 1) {
      throw new OnnxHubError("model/no-mask", "There is no mask to fill", {
        path,
        expected: `a text with ${own}`,
        found: JSON.stringify(text),
      });
    }
    const pieces = parts.map((part) => part.trim() === "" ? [] : tokenizer.tokenize(part.trimEnd()));
    const ids = pieces.flatMap((piece, i) => i === 0 ? piece : [maskTokenId, ...piece]);
    const room = this.preprocessor.sequenceLength - 2;
    const last = ids.lastIndexOf(maskTokenId);
    if (last >= room) {
      throw new OnnxHubError("model/mask-cut", "The mask lies beyond what the model can take", {
        path,
        expected: `at most ${room} tokens before it`,
        found: String(last),
        remedy: "Shorten the text, or set `preprocessor.sequenceLength`.",
      });
    }
    return [tokenizer.startTokenId, ...ids.slice(0, room), tokenizer.endTokenId];
  }

  /** Encoded texts as the model's inputs, padded to the longest; for each the places of its masks, and how many places there are for them. */
  #batch(rows: readonly (readonly number[])[]): { inputs: Record<string, number[][]>; positions: number[][]; masks: number } {
    const tokenizer = this.preprocessor!.tokenizer;
    const width = Math.max(...rows.map((row) => row.length));
    const positions = rows.map((row) => row.flatMap((id, i) => id === tokenizer.maskTokenId ? [i] : []));
    const masks = Math.max(...positions.map((list) => list.length));
    const pad = (row: readonly number[], length: number, value: number) => [...row, ...new Array<number>(length - row.length).fill(value)];
    const inputs = {
      token_ids: rows.map((row) => pad(row, width, tokenizer.padTokenId)),
      padding_mask: rows.map((row) => pad(row.map(() => 1), width, 0)),
      mask_positions: positions.map((list) => pad(list, masks, 0)),
    };
    return { inputs, positions, masks };
  }

  /** Runs a batch of encoded texts. */
  async #fill(rows: readonly (readonly number[])[], topK: number): Promise<FilledMask[][][]> {
    const tokenizer = this.preprocessor!.tokenizer;
    const { inputs, positions, masks } = this.#batch(rows);
    const logits = await this.call(inputs) as Tensor<"float32">; // [batch, masks, vocabulary]
    const vocabulary = logits.shape[2];
    return rows.map((row, r) => {
      const best = positions[r].map((_, m) => {
        const from = (r * masks + m) * vocabulary;
        return topOf(logits.data.subarray(from, from + vocabulary), Math.min(topK, vocabulary));
      });
      return best.map((list, m) =>
        list.map(({ id, score }) => {
          const filled = [...row];
          positions[r].forEach((position, other) => filled[position] = other === m ? id : best[other][0].id);
          return { score, id, token: tokenizer.idToToken(id), text: tokenizer.detokenize(filled.slice(1, -1)) };
        })
      );
    });
  }
}

function requireCount(path: string, value: number): void {
  if (Number.isInteger(value) && value > 0) return;
  throw new OnnxHubError("model/option", "Wrong value", { path, expected: "a whole number above 0", found: String(value) });
}

/** The k likeliest ids with their softmax probabilities; the lower id first where two are equal. */
function topOf(logits: Float32Array, k: number): { id: number; score: number }[] {
  let greatest = -Infinity;
  for (const logit of logits) greatest = Math.max(greatest, logit);
  let total = 0;
  for (const logit of logits) total += Math.exp(logit - greatest);
  const best: number[] = [];
  for (let id = 0; id < logits.length; id++) {
    if (best.length === k && logits[id] <= logits[best[k - 1]]) continue;
    let at = best.length;
    while (at > 0 && logits[best[at - 1]] < logits[id]) at--;
    best.splice(at, 0, id);
    if (best.length > k) best.pop();
  }
  return best.map((id) => ({ id, score: Math.exp(logits[id] - greatest) / total }));
}
