/** Which tokens a masked language model has to guess, and what stands in their place. */

import { OnnxHubError } from "../errors.ts";
import { RandomStream } from "../random.ts";

/** How a {@linkcode MaskedLMMaskGenerator} masks. */
export interface MaskedLMMaskGeneratorOptions {
  /** How many ids there are: a random token is one of 0 to this less one. */
  readonly vocabularySize: number;
  /** The share of an example's selectable tokens that is selected, in [0, 1]. */
  readonly maskSelectionRate: number;
  /** The id of the mask token. */
  readonly maskTokenId: number;
  /** The most tokens that are selected, and the length that the outputs are padded to. Without it there is no limit and no padding. */
  readonly maskSelectionLength?: number | null;
  /** Ids that are never selected. Default [0]. */
  readonly unselectableTokenIds?: readonly number[];
  /** The probability that a selected token is replaced by the mask token. Default 0.8. */
  readonly maskTokenRate?: number;
  /** The probability that it is replaced by a random token; it stays as it is otherwise. Default 0.1. */
  readonly randomTokenRate?: number;
  /** Default 0. */
  readonly seed?: number;
}

/** Which draw of the masks: the same numbers give the same masks. */
export interface MaskDraw {
  /** Default 0. */
  readonly epoch?: number;
  /** The number of the first example, so that a batch's masks don't depend on how examples are batched. Default 0. */
  readonly firstExample?: number;
  /** Tells draws for different uses apart, such as "fit" and "validation". Default "". */
  readonly purpose?: string;
}

/** Masked rows: lists over the batch. */
export interface MaskedTokens {
  /** The rows with the replacements in. */
  readonly tokenIds: number[][];
  /** Where the selected tokens are, ascending; padded with 0. */
  readonly maskPositions: number[][];
  /** The original ids at these places; padded with 0. */
  readonly maskIds: number[][];
  /** 1 for a selected token, 0 for padding. */
  readonly maskWeights: number[][];
}

/**
 * Selects tokens to guess and replaces them, as KerasHub's `MaskedLMMaskGenerator` does inside `fit` (through TensorFlow Text; Devlin et al., 2018): of n
 * selectable tokens exactly `min(ceil(n · maskSelectionRate), maskSelectionLength)` are selected, each as likely as any other.
 *
 * Throws "text/mask-token-id" and "text/mask-rate" for options out of range, "text/mask-length" for a bad length.
 *
 * @example
 * ```ts
 * import { MaskedLMMaskGenerator } from "onnxhub";
 * const masker = new MaskedLMMaskGenerator({ vocabularySize: 10, maskSelectionRate: 0.5, maskTokenId: 9, maskSelectionLength: 3, seed: 1 });
 * console.log(masker.mask([[5, 6, 7, 8, 0, 0]], { epoch: 0 }));
 * ```
 */
export class MaskedLMMaskGenerator {
  readonly #options: Required<Omit<MaskedLMMaskGeneratorOptions, "maskSelectionLength" | "unselectableTokenIds">>;
  readonly #length: number | undefined;
  readonly #unselectable: ReadonlySet<number>;

  /** A generator. */
  constructor(options: MaskedLMMaskGeneratorOptions) {
    const { vocabularySize, maskTokenId, maskSelectionRate, maskTokenRate = 0.8, randomTokenRate = 0.1, seed = 0 } = options;
    if (!(maskTokenId >= 0 && maskTokenId < vocabularySize)) {
      throw new OnnxHubError(
        "text/mask-token-id",
        `Mask token id should be in range [0, vocabulary_size - 1], but received mask_token_id=${maskTokenId}`,
        {
          path: "maskTokenId",
        },
      );
    }
    checkRate("maskSelectionRate", maskSelectionRate);
    checkRate("maskTokenRate", maskTokenRate);
    checkRate("randomTokenRate", randomTokenRate);
    if (maskTokenRate + randomTokenRate > 1) {
      throw new OnnxHubError("text/mask-rate", "More than every selected token would be replaced", {
        path: "maskTokenRate, randomTokenRate",
        expected: "a sum of at most 1",
        found: `${maskTokenRate + randomTokenRate}`,
      });
    }
    this.#length = options.maskSelectionLength ?? undefined;
    if (this.#length !== undefined && !(Number.isInteger(this.#length) && this.#length >= 0)) {
      throw new OnnxHubError("text/mask-length", "Not a number of selections", {
        path: "maskSelectionLength",
        expected: "a whole number of 0 or more, or null",
        found: String(this.#length),
      });
    }
    this.#unselectable = new Set(options.unselectableTokenIds ?? [0]);
    this.#options = { vocabularySize, maskTokenId, maskSelectionRate, maskTokenRate, randomTokenRate, seed };
  }

  /** Masks rows. The same draw of the same seed gives the same masks; another epoch gives others. */
  mask(rows: readonly (readonly number[])[], draw: MaskDraw = {}): MaskedTokens {
    const masked: MaskedTokens = { tokenIds: [], maskPositions: [], maskIds: [], maskWeights: [] };
    rows.forEach((row, i) =>
      this.#maskRow(
        row,
        new RandomStream(this.#options.seed, "mask", draw.purpose ?? "", draw.epoch ?? 0, (draw.firstExample ?? 0) + i),
        masked,
      )
    );
    return masked;
  }

  #maskRow(row: readonly number[], random: RandomStream, masked: MaskedTokens): void {
    const { vocabularySize, maskTokenId, maskSelectionRate, maskTokenRate, randomTokenRate } = this.#options;
    const selectable: number[] = [];
    for (let position = 0; position < row.length; position++) if (!this.#unselectable.has(row[position])) selectable.push(position);
    const count = Math.min(selectionCount(selectable.length, maskSelectionRate), this.#length ?? Infinity);
    // The first `count` steps of a shuffle (Fisher and Yates), then in order.
    for (let i = 0; i < count; i++) {
      const j = i + Math.floor(random.uniform(i) * (selectable.length - i));
      const position = selectable[j];
      selectable[j] = selectable[i];
      selectable[i] = position;
    }
    const draws = selectable.length; // the numbers from here on are not the shuffle's
    const positions = selectable.slice(0, count).sort((a, b) => a - b);
    const tokens = row.slice();
    const ids: number[] = [];
    for (let i = 0; i < count; i++) {
      const position = positions[i];
      ids.push(row[position]);
      const chance = random.uniform(draws + 2 * i);
      if (chance < maskTokenRate) tokens[position] = maskTokenId;
      else if (chance < maskTokenRate + randomTokenRate) tokens[position] = Math.floor(random.uniform(draws + 2 * i + 1) * vocabularySize);
    }
    const weights = new Array<number>(count).fill(1);
    const length = this.#length ?? count;
    while (positions.length < length) {
      positions.push(0);
      ids.push(0);
      weights.push(0);
    }
    masked.tokenIds.push(tokens);
    masked.maskPositions.push(positions);
    masked.maskIds.push(ids);
    masked.maskWeights.push(weights);
  }
}

/** `ceil(n · rate)` in single precision, as TensorFlow Text computes it: 15 % of 100 tokens are 16. */
function selectionCount(selectable: number, rate: number): number {
  return Math.min(selectable, Math.ceil(Math.fround(selectable * Math.fround(rate))));
}

function checkRate(name: string, rate: number): void {
  if (rate >= 0 && rate <= 1) return;
  throw new OnnxHubError("text/mask-rate", "Not a rate", { path: name, expected: "a number in [0, 1]", found: String(rate) });
}
