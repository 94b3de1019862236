/** Strings to what a model takes: tokenized, packed, masked. KerasHub's preprocessors, without the layers. */

import { OnnxHubError } from "../errors.ts";
import { type MaskDraw, MaskedLMMaskGenerator } from "./masking.ts";
import { MultiSegmentPacker, type PackedSegments, StartEndPacker, type Truncate } from "./packing.ts";
import { bool, float32, int32, type TextTensor } from "./text_tensor.ts";
import type { TextTokenizer } from "./tokenizer.ts";

export type { TextTensor } from "./text_tensor.ts";

/**
 * Texts: one string, a batch of strings, or a batch whose examples have several segments, as columns: `[firsts, seconds]`. One string gives outputs
 * without a batch axis.
 */
export type TextInput = string | readonly string[] | readonly (readonly string[])[];

/** Inputs that a preprocessor can make. */
export type TextInputName = "token_ids" | "padding_mask" | "segment_ids" | "mask_positions";

/** What the preprocessors of encoders share. */
export interface TextPreprocessingOptions {
  readonly tokenizer: TextTokenizer;
  /** Names of the model's inputs; what it doesn't take isn't made. Default all that the preprocessor can make. */
  readonly inputs?: readonly string[];
  /** How many end tokens stand between segments. Default 1; RoBERTa's models have 2. */
  readonly separators?: number;
  /** The length of every row. Default 512. */
  readonly sequenceLength?: number;
  /** How segments that are together too long are cut. Default "round_robin". */
  readonly truncate?: Truncate;
}

/** What a masked language model's preprocessor is made with. */
export interface MaskedLMPreprocessingOptions extends TextPreprocessingOptions {
  /** The share of tokens to guess. Default 0.15. */
  readonly maskSelectionRate?: number;
  /** The most tokens to guess in an example. Default 96. */
  readonly maskSelectionLength?: number;
  /** Default 0.8. */
  readonly maskTokenRate?: number;
  /** Default 0.1. */
  readonly randomTokenRate?: number;
  /** Of the masks. Default 0. */
  readonly seed?: number;
}

/** A batch of a masked language model: `mask_positions`, `y` and `sampleWeight` are `[batch, maskSelectionLength]`, the rest `[batch, sequenceLength]`. */
export interface MaskedLMBatch {
  readonly x: Readonly<Record<string, TextTensor>>;
  /** The original ids at `mask_positions`. */
  readonly y: TextTensor<"int32">;
  /** 1 for a token to guess, 0 for padding. */
  readonly sampleWeight: TextTensor<"float32">;
}

/** Tokenizes and packs; the part that both encoders' preprocessors do. */
class SegmentPreprocessing {
  readonly tokenizer: TextTokenizer;
  readonly #packer: MultiSegmentPacker;
  readonly #inputs: ReadonlySet<string> | undefined;
  readonly truncate: Truncate;

  constructor({ tokenizer, inputs, separators = 1, sequenceLength = 512, truncate = "round_robin" }: TextPreprocessingOptions) {
    this.tokenizer = tokenizer;
    this.truncate = truncate;
    this.#inputs = inputs && new Set(inputs);
    this.#packer = new MultiSegmentPacker({
      sequenceLength,
      startValue: tokenizer.startTokenId,
      sepValue: new Array<number>(separators).fill(tokenizer.endTokenId),
      endValue: tokenizer.endTokenId,
      padValue: tokenizer.padTokenId,
      truncate,
    });
  }

  /** The length of every row. */
  get sequenceLength(): number {
    return this.#packer.sequenceLength;
  }

  set sequenceLength(length: number) {
    this.#packer.sequenceLength = length;
  }

  pack(x: TextInput): PackedSegments {
    return this.#packer.pack(columns(x).map((column) => this.tokenizer.tokenize(column)));
  }

  /** The tensors that the model takes, without the batch axis for a single text. */
  tensors(x: TextInput, all: Readonly<Record<string, TextTensor>>): Record<string, TextTensor> {
    return Object.fromEntries(
      Object.entries(all).filter(([name]) => this.#inputs?.has(name) ?? true).map(([name, tensor]) => [name, unbatch(x, tensor)]),
    );
  }

  paddingMask(tokenIds: readonly (readonly number[])[]): TextTensor<"bool"> {
    const { padTokenId } = this.tokenizer;
    return bool(tokenIds.map((row) => row.map((id) => id === padTokenId ? 0 : 1)), this.sequenceLength);
  }
}

/**
 * Makes a masked language model's batches of texts, after KerasHub's `MaskedLMPreprocessor`.
 *
 * Throws "text/mask-token" for a tokenizer without a mask token, and what the packer and the mask generator throw.
 *
 * @example
 * ```ts
 * import { MaskedLMPreprocessing, SentencePieceTokenizer } from "onnxhub";
 * const tokenizer = new SentencePieceTokenizer({ proto: "tests/fixtures/tokenizer/udhr-8k.spm", remap: "fairseq" });
 * const preprocessing = new MaskedLMPreprocessing({ tokenizer, separators: 2, sequenceLength: 16, maskSelectionLength: 4 });
 * const { x, y, sampleWeight } = preprocessing.call(["All human beings are born free."], { epoch: 0 });
 * console.log(x.token_ids.shape, y.shape, sampleWeight.shape); // [1, 16] [1, 4] [1, 4]
 * ```
 */
export class MaskedLMPreprocessing {
  readonly #segments: SegmentPreprocessing;
  readonly #masker: MaskedLMMaskGenerator;
  readonly #options: Required<Omit<MaskedLMPreprocessingOptions, keyof TextPreprocessingOptions | "seed">>;

  /** A preprocessor. */
  constructor(options: MaskedLMPreprocessingOptions) {
    const { tokenizer, maskSelectionRate = 0.15, maskSelectionLength = 96, maskTokenRate = 0.8, randomTokenRate = 0.1, seed } = options;
    if (tokenizer.maskTokenId === undefined) {
      throw new OnnxHubError("text/mask-token", "The tokenizer has no mask token", {
        path: "tokenizer",
        remedy: "Take one made for masked language models.",
      });
    }
    if (!(maskSelectionLength > 0)) {
      throw new OnnxHubError("text/mask-length", "Not a number of selections", {
        path: "maskSelectionLength",
        expected: "a whole number of 1 or more",
        found: String(maskSelectionLength),
      });
    }
    this.#options = { maskSelectionRate, maskSelectionLength, maskTokenRate, randomTokenRate };
    this.#segments = new SegmentPreprocessing(options);
    this.#masker = new MaskedLMMaskGenerator({
      ...this.#options,
      seed,
      vocabularySize: tokenizer.vocabularySize,
      maskTokenId: tokenizer.maskTokenId,
      unselectableTokenIds: tokenizer.specialTokenIds,
    });
  }

  /** The tokenizer. */
  get tokenizer(): TextTokenizer {
    return this.#segments.tokenizer;
  }

  /** The length of every row; can be set. */
  get sequenceLength(): number {
    return this.#segments.sequenceLength;
  }

  set sequenceLength(length: number) {
    this.#segments.sequenceLength = length;
  }

  /** A batch, masked by a draw: the same draw masks the same tokens, another epoch others. */
  call(x: TextInput, draw: MaskDraw = {}): MaskedLMBatch {
    const { tokenIds, segmentIds } = this.#segments.pack(x);
    const masked = this.#masker.mask(tokenIds, draw);
    const length = this.sequenceLength;
    const selections = this.#options.maskSelectionLength;
    return {
      x: this.#segments.tensors(x, {
        token_ids: int32(masked.tokenIds, length),
        padding_mask: this.#segments.paddingMask(tokenIds),
        segment_ids: int32(segmentIds, length),
        mask_positions: int32(masked.maskPositions, selections),
      }),
      y: unbatch(x, int32(masked.maskIds, selections)),
      sampleWeight: unbatch(x, float32(masked.maskWeights, selections)),
    };
  }

  /** The options by KerasHub's names. */
  getConfig(): Record<string, number | string> {
    return {
      sequence_length: this.sequenceLength,
      truncate: this.#segments.truncate,
      mask_selection_rate: this.#options.maskSelectionRate,
      mask_selection_length: this.#options.maskSelectionLength,
      mask_token_rate: this.#options.maskTokenRate,
      random_token_rate: this.#options.randomTokenRate,
    };
  }
}

/**
 * Makes a text classifier's batches, after KerasHub's `TextClassifierPreprocessor`. Labels and weights go through as they are.
 *
 * @example
 * ```ts
 * import { SentencePieceTokenizer, TextClassifierPreprocessing } from "onnxhub";
 * const tokenizer = new SentencePieceTokenizer({ proto: "tests/fixtures/tokenizer/udhr-8k.spm", remap: "fairseq" });
 * const preprocessing = new TextClassifierPreprocessing({ tokenizer, separators: 2, sequenceLength: 8, inputs: ["token_ids", "padding_mask"] });
 * console.log(preprocessing.call([["One."], ["Two."]], [1]));
 * ```
 */
export class TextClassifierPreprocessing {
  readonly #segments: SegmentPreprocessing;

  /** A preprocessor. */
  constructor(options: TextPreprocessingOptions) {
    this.#segments = new SegmentPreprocessing(options);
  }

  /** The tokenizer. */
  get tokenizer(): TextTokenizer {
    return this.#segments.tokenizer;
  }

  /** The length of every row; can be set. */
  get sequenceLength(): number {
    return this.#segments.sequenceLength;
  }

  set sequenceLength(length: number) {
    this.#segments.sequenceLength = length;
  }

  /** A batch: inputs `[batch, sequenceLength]`, and `y` and `sampleWeight` as given. */
  call<Y = undefined, W = undefined>(x: TextInput, y?: Y, sampleWeight?: W): { x: Record<string, TextTensor>; y?: Y; sampleWeight?: W } {
    const { tokenIds, segmentIds } = this.#segments.pack(x);
    const length = this.sequenceLength;
    const inputs = this.#segments.tensors(x, {
      token_ids: int32(tokenIds, length),
      padding_mask: this.#segments.paddingMask(tokenIds),
      segment_ids: int32(segmentIds, length),
    });
    return { x: inputs, ...y === undefined ? {} : { y }, ...sampleWeight === undefined ? {} : { sampleWeight } };
  }

  /** The options by KerasHub's names. */
  getConfig(): Record<string, number | string> {
    return { sequence_length: this.sequenceLength, truncate: this.#segments.truncate };
  }
}

/** What a causal language model's preprocessor is made with. */
export interface CausalLMPreprocessingOptions {
  readonly tokenizer: TextTokenizer;
  /** The length of every row. Default 1024. */
  readonly sequenceLength?: number;
  /** Default true. */
  readonly addStartToken?: boolean;
  /** Default true. */
  readonly addEndToken?: boolean;
}

/**
 * Makes a causal language model's batches, after KerasHub's `CausalLMPreprocessor`: each row packed to one token more than `sequenceLength`, its first
 * tokens the inputs, its last ones the labels, padding weighing nothing.
 *
 * @example
 * ```ts
 * import { CausalLMPreprocessing, SentencePieceTokenizer } from "onnxhub";
 * const tokenizer = new SentencePieceTokenizer({ proto: "tests/fixtures/tokenizer/udhr-8k.spm", remap: "fairseq" });
 * const { x, y } = new CausalLMPreprocessing({ tokenizer, sequenceLength: 8 }).call(["All human beings"]);
 * console.log(x.token_ids.data, y.data);
 * ```
 */
export class CausalLMPreprocessing {
  /** The tokenizer. */
  readonly tokenizer: TextTokenizer;
  /** The length of every row; can be set. */
  sequenceLength: number;
  readonly #add: { readonly addStartValue: boolean; readonly addEndValue: boolean };

  /** A preprocessor. */
  constructor({ tokenizer, sequenceLength = 1024, addStartToken = true, addEndToken = true }: CausalLMPreprocessingOptions) {
    this.tokenizer = tokenizer;
    this.sequenceLength = sequenceLength;
    this.#add = { addStartValue: addStartToken, addEndValue: addEndToken };
  }

  /** A batch: all `[batch, sequenceLength]`. */
  call(x: string | readonly string[]): MaskedLMBatch {
    const { startTokenId, endTokenId, padTokenId } = this.tokenizer;
    const length = this.sequenceLength;
    const packer = new StartEndPacker({ sequenceLength: length + 1, startValue: startTokenId, endValue: endTokenId, padValue: padTokenId });
    const { tokenIds, paddingMask } = packer.pack(this.tokenizer.tokenize(typeof x === "string" ? [x] : x), this.#add);
    const ones = paddingMask.map((row) => row.map(Number));
    return {
      x: {
        token_ids: unbatch(x, int32(tokenIds.map((row) => row.slice(0, -1)), length)),
        padding_mask: unbatch(x, bool(ones.map((row) => row.slice(0, -1)), length)),
      },
      y: unbatch(x, int32(tokenIds.map((row) => row.slice(1)), length)),
      sampleWeight: unbatch(x, float32(ones.map((row) => row.slice(1)), length)),
    };
  }

  /** The options by KerasHub's names. */
  getConfig(): Record<string, number | boolean> {
    return { sequence_length: this.sequenceLength, add_start_token: this.#add.addStartValue, add_end_token: this.#add.addEndValue };
  }
}

/** Texts as columns of segments. */
function columns(x: TextInput): readonly (readonly string[])[] {
  if (typeof x === "string") return [[x]];
  if (!Array.isArray(x)) {
    throw new OnnxHubError("text/not-a-string", "A preprocessor takes strings", {
      path: "x",
      expected: "a string, an array of strings, or an array of such arrays, one a segment",
      found: x === null ? "null" : typeof x,
    });
  }
  return Array.isArray(x[0]) ? x as readonly (readonly string[])[] : [x as readonly string[]];
}

/** Takes the batch axis off where one string came in. */
function unbatch<D extends "int32" | "float32" | "bool">(x: TextInput, tensor: TextTensor<D>): TextTensor<D> {
  return typeof x === "string" ? { ...tensor, shape: tensor.shape.slice(1) } : tensor;
}
