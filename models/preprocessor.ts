/** Preprocessors as users hold them: texts in, batches of a task out. KerasHub's classes. */

import { OnnxHubError } from "../errors.ts";
import type { ConfigValue } from "../spec/types.ts";
import type { Spec } from "../spec/index.ts";
import { isSegments, isTexts, type PreprocessCall, type RawBatch } from "../training/data.ts";
import type { Batch } from "../training/engine.ts";
import type { Truncate } from "../text/packing.ts";
import {
  CausalLMPreprocessing,
  MaskedLMPreprocessing,
  TextClassifierPreprocessing,
  type TextInput,
  type TextTensor,
} from "../text/preprocessors.ts";
import { checkOptions, snakeName } from "./options.ts";
import { loadPreprocessor, type PresetClass, savePreprocessor } from "./presets.ts";
import { type Tokenizer, tokenizerOf } from "./tokenizer.ts";

/** What every preprocessor takes. */
export interface PreprocessorOptions {
  tokenizer: Tokenizer;
  /** The length of every row; default 512, of a causal language model 1024. */
  sequenceLength?: number;
  /** Of what is random: which tokens are masked. Default 0. */
  seed?: number;
  /** The name in configurations. */
  name?: string;
}

/** What the preprocessors of encoders take. */
export interface SegmentPreprocessorOptions extends PreprocessorOptions {
  /** How segments that are together too long are cut: `"round_robin"` (the default) or `"waterfall"`. */
  truncate?: Truncate;
}

/** What a masked language model's preprocessor takes. */
export interface MaskedLMPreprocessorOptions extends SegmentPreprocessorOptions {
  /** The share of an example's tokens to guess; default 0.15. */
  maskSelectionRate?: number;
  /** The most tokens to guess in an example; default 96. */
  maskSelectionLength?: number;
  /** The probability that a token to guess is replaced by the mask; default 0.8. */
  maskTokenRate?: number;
  /** The probability that it is replaced by a random token; default 0.1. */
  randomTokenRate?: number;
}

/** What a text classifier's preprocessor takes. */
export type TextClassifierPreprocessorOptions = SegmentPreprocessorOptions;

/** What a causal language model's preprocessor takes. */
export interface CausalLMPreprocessorOptions extends PreprocessorOptions {
  /** Whether rows begin with the start token; default true. */
  addStartToken?: boolean;
  /** Whether rows end with the end token; default true. */
  addEndToken?: boolean;
}

/** What a preprocessor makes of texts. */
export interface PreprocessedBatch {
  readonly x: Readonly<Record<string, TextTensor>>;
  readonly y?: TextTensor;
  readonly sampleWeight?: TextTensor;
}

/** A preprocessor's class, as `fromPreset` is called on it. */
export interface PreprocessorClass<P extends Preprocessor = Preprocessor> {
  // The options of the subclasses differ; they check them when they run.
  // deno-lint-ignore no-explicit-any
  new (options: any): P;
  readonly architecture: string | null;
  readonly task: string | null;
}

/** Inputs of an architecture that a preprocessor may have to make. */
function inputsOf(spec: Spec, task: string): string[] {
  return [...Object.keys(spec.source.inputs), ...Object.keys(spec.source.heads?.[task]?.inputs ?? {})];
}

/** What all preprocessors have in common. Source: keras_hub.models.Preprocessor. */
export abstract class Preprocessor {
  /** The spec's name in the generated classes; null in the base classes. */
  static readonly architecture: string | null = null;
  /** The task that it prepares for; null in the base class. */
  static readonly task: string | null = null;

  /** The tokenizer. */
  readonly tokenizer: Tokenizer;
  /** Of what is random. */
  readonly seed: number;
  /** The name in configurations. */
  readonly name: string | undefined;

  /** Made by the subclasses. */
  protected constructor({ tokenizer, seed = 0, name }: PreprocessorOptions) {
    this.tokenizer = tokenizer;
    this.seed = seed;
    this.name = name;
  }

  /** The length of every row; can be set. */
  abstract sequenceLength: number;

  /** The task that it prepares for. */
  get task(): string {
    return (this.constructor as unknown as PreprocessorClass).task!;
  }

  /** The name in KerasHub's files: given, or Keras' automatic one. */
  get kerasName(): string {
    const classes = this.tokenizer.spec.source.checkpoints?.kerashub?.tasks?.[this.task];
    return this.name ?? snakeName(classes?.preprocessor?.class_name ?? this.constructor.name);
  }

  /** KerasHub's configuration, in snake_case. */
  abstract getConfig(): Record<string, ConfigValue>;

  /** Prepares texts for training: inputs, and the labels and weights where they follow from the texts. */
  abstract call(x: TextInput): PreprocessedBatch;

  /** Prepares one batch of `fit`, `evaluate` or `predict`. */
  abstract prepare(raw: RawBatch, call: PreprocessCall): Batch;

  /** The preprocessor of a preset directory; options override the preset's. */
  static async fromPreset<P extends Preprocessor>(
    this: PresetClass<P> & { readonly architecture: string | null; readonly task: string | null },
    preset: string,
    options: Partial<Omit<MaskedLMPreprocessorOptions, "tokenizer">> = {},
  ): Promise<P> {
    return await loadPreprocessor(this.architecture, this.task, preset, options) as P;
  }

  /** Writes `preprocessor.json`, `tokenizer.json` and the vocabulary into a preset directory. */
  async saveToPreset(directory: string): Promise<void> {
    await savePreprocessor(this, directory);
  }
}

/** The texts of a raw batch. */
function textsOf({ x }: RawBatch): TextInput {
  if (isTexts(x) || isSegments(x)) return x;
  throw new OnnxHubError("data/no-text", "This model has a preprocessor, which takes texts", {
    path: "x",
    expected: "an array of strings, or one array a segment",
    found: "numbers",
    remedy: "Make the model with `preprocessor: null` to feed it numbers.",
  });
}

/** Prepares texts for masked language modeling: packed, a share of the tokens masked anew every epoch. Source: keras_hub.models.MaskedLMPreprocessor. */
export class MaskedLMPreprocessor extends Preprocessor {
  /** The task. */
  static override readonly task: string | null = "masked_lm";
  readonly #text: MaskedLMPreprocessing;

  /** A preprocessor over a tokenizer. */
  constructor(options: MaskedLMPreprocessorOptions) {
    super(options);
    checkOptions("MaskedLMPreprocessor", options, MASKED_LM_OPTIONS);
    const { spec, text } = options.tokenizer;
    this.#text = new MaskedLMPreprocessing({
      ...options,
      tokenizer: text,
      separators: tokenizerOf(spec).separators,
      inputs: inputsOf(spec, "masked_lm"),
    });
  }

  /** The length of every row; can be set. */
  get sequenceLength(): number {
    return this.#text.sequenceLength;
  }

  set sequenceLength(length: number) {
    this.#text.sequenceLength = length;
  }

  /** A batch masked by a draw: `x`, the tokens to guess `y` [batch, maskSelectionLength], `sampleWeight` 1 for these and 0 for padding. */
  call(x: TextInput, draw: { epoch?: number; purpose?: string } = {}): PreprocessedBatch {
    return this.#text.call(x, draw);
  }

  /** See {@linkcode Preprocessor}. */
  prepare(raw: RawBatch, { mode, epoch, step }: PreprocessCall): Batch {
    return this.#text.call(textsOf(raw), { epoch, purpose: `${mode}/${step}` });
  }

  /** KerasHub's configuration. */
  getConfig(): Record<string, ConfigValue> {
    return this.#text.getConfig();
  }
}

const SEGMENT_OPTIONS = ["tokenizer", "sequenceLength", "seed", "name", "truncate"];
const MASKED_LM_OPTIONS = [...SEGMENT_OPTIONS, "maskSelectionRate", "maskSelectionLength", "maskTokenRate", "randomTokenRate"];

/** Prepares texts for classification: packed; labels go through. Source: keras_hub.models.TextClassifierPreprocessor. */
export class TextClassifierPreprocessor extends Preprocessor {
  /** The task. */
  static override readonly task: string | null = "text_classifier";
  readonly #text: TextClassifierPreprocessing;

  /** A preprocessor over a tokenizer. */
  constructor(options: TextClassifierPreprocessorOptions) {
    super(options);
    checkOptions("TextClassifierPreprocessor", options, SEGMENT_OPTIONS);
    const { spec, text } = options.tokenizer;
    this.#text = new TextClassifierPreprocessing({
      ...options,
      tokenizer: text,
      separators: tokenizerOf(spec).separators,
      inputs: inputsOf(spec, "text_classifier"),
    });
  }

  /** The length of every row; can be set. */
  get sequenceLength(): number {
    return this.#text.sequenceLength;
  }

  set sequenceLength(length: number) {
    this.#text.sequenceLength = length;
  }

  /** Inputs [batch, sequenceLength]. */
  call(x: TextInput): PreprocessedBatch {
    return this.#text.call(x) as PreprocessedBatch;
  }

  /** See {@linkcode Preprocessor}. */
  prepare(raw: RawBatch, _call: PreprocessCall): Batch {
    return { x: this.call(textsOf(raw)).x, y: raw.y as Batch["y"], sampleWeight: raw.sampleWeight };
  }

  /** KerasHub's configuration. */
  getConfig(): Record<string, ConfigValue> {
    return this.#text.getConfig();
  }
}

/** Prepares texts for causal language modeling: each token's label is the next one. Source: keras_hub.models.CausalLMPreprocessor. */
export class CausalLMPreprocessor extends Preprocessor {
  /** The task. */
  static override readonly task: string | null = "causal_lm";
  readonly #text: CausalLMPreprocessing;

  /** A preprocessor over a tokenizer. */
  constructor(options: CausalLMPreprocessorOptions) {
    super(options);
    checkOptions("CausalLMPreprocessor", options, ["tokenizer", "sequenceLength", "seed", "name", "addStartToken", "addEndToken"]);
    this.#text = new CausalLMPreprocessing({ ...options, tokenizer: options.tokenizer.text });
  }

  /** The length of every row; can be set. */
  get sequenceLength(): number {
    return this.#text.sequenceLength;
  }

  set sequenceLength(length: number) {
    this.#text.sequenceLength = length;
  }

  /** Inputs, labels and weights, all [batch, sequenceLength]. */
  call(x: TextInput): PreprocessedBatch {
    return this.#text.call(x as readonly string[]);
  }

  /** See {@linkcode Preprocessor}. */
  prepare(raw: RawBatch, _call: PreprocessCall): Batch {
    return this.call(textsOf(raw)) as Batch;
  }

  /** KerasHub's configuration. */
  getConfig(): Record<string, ConfigValue> {
    return this.#text.getConfig();
  }
}
