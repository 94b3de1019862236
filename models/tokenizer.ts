/** Tokenizers as users hold them: KerasHub's classes over the text layer's tokenizers. */

import { readFileSync } from "node:fs";
import { OnnxHubError } from "../errors.ts";
import { type BuiltInPreset, presetsOf } from "../presets/registry.ts";
import type { ConfigValue, ExpandedTokenizer } from "../spec/types.ts";
import type { Spec } from "../spec/index.ts";
import { BytePairTokenizer } from "../text/bpe.ts";
import { SentencePieceTokenizer } from "../text/sentencepiece.ts";
import { createTokenizer, type TextTokenizer, type TokenIds } from "../text/tokenizer.ts";
import { WordPieceTokenizer } from "../text/wordpiece.ts";
import { showAs } from "./inspect.ts";
import { checkOptions, snakeName } from "./options.ts";
import { loadTokenizer, type PresetClass, saveTokenizer } from "./presets.ts";

/** What a tokenizer is made from: the kind that its architecture has, decides which of these it takes. */
export interface TokenizerOptions {
  /** SentencePiece: the model's bytes, its path, or its bytes in base64. */
  proto?: Uint8Array | string;
  /** WordPiece: the tokens by id, or a `vocabulary.txt`'s path. BPE: ids by token, or a `vocabulary.json`'s path. */
  vocabulary?: readonly string[] | Readonly<Record<string, number>> | string;
  /** BPE: the merges in order, or a `merges.txt`'s path. */
  merges?: readonly string[] | string;
  /** WordPiece: whether text is lowercased; default what the architecture says. */
  lowercase?: boolean;
  /** WordPiece: whether accents are stripped; default as `lowercase`, as BERT was trained (KerasHub's default is false). */
  stripAccents?: boolean;
  /** A tokenizer of the text layer that exists already, in place of all these. */
  text?: TextTokenizer;
  /** The name in configurations. */
  name?: string;
}

/** A tokenizer's class, as `fromPreset` is called on it. */
export interface TokenizerClass<T extends Tokenizer = Tokenizer> {
  new (options: TokenizerOptions): T;
  readonly architecture: string | null;
}

type Kind = ExpandedTokenizer["type"];

/** How each kind is made from what users give, and which options it takes. */
const MAKERS: Readonly<
  Record<Kind, { readonly takes: readonly string[]; make(tokenizer: ExpandedTokenizer, options: TokenizerOptions): TextTokenizer }>
> = {
  sentencepiece: {
    takes: ["proto"],
    make: ({ remap, special_tokens, asset }, options) =>
      new SentencePieceTokenizer({ proto: required(options, "proto"), remap, specialTokens: special_tokens, asset }),
  },
  wordpiece: {
    takes: ["vocabulary", "lowercase", "stripAccents"],
    make: ({ special_tokens, asset, ...own }, options) => {
      const given = required(options, "vocabulary");
      const vocabulary = typeof given === "string" ? readBytes(given, "vocabulary") : Object.values(given) as string[];
      const { lowercase = own.lowercase, stripAccents = options.lowercase === undefined ? own.strip_accents : undefined } = options;
      return new WordPieceTokenizer({ vocabulary, lowercase, stripAccents, specialTokens: special_tokens, asset });
    },
  },
  bpe: {
    takes: ["vocabulary", "merges"],
    make: ({ special_tokens }, options) => {
      const vocabulary = required(options, "vocabulary");
      const merges = required(options, "merges");
      return new BytePairTokenizer({
        vocabulary: typeof vocabulary === "string" ? readBytes(vocabulary, "vocabulary") : vocabulary as Readonly<Record<string, number>>,
        merges: typeof merges === "string" ? readBytes(merges, "merges") : merges,
        specialTokens: special_tokens,
      });
    },
  },
};

function readBytes(path: string, option: keyof TokenizerOptions): Uint8Array {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new OnnxHubError("text/unreadable", "The tokenizer's file can't be read", {
      path: `tokenizer.${option}`,
      expected: "the path of a file",
      found: cause instanceof Error ? cause.message : String(cause),
      cause,
    });
  }
}

function required<K extends keyof TokenizerOptions>(options: TokenizerOptions, name: K): NonNullable<TokenizerOptions[K]> {
  const value = options[name];
  if (value !== undefined && value !== null) return value as NonNullable<TokenizerOptions[K]>;
  throw new OnnxHubError("model/tokenizer", "This tokenizer needs its vocabulary", {
    path: `tokenizer.${name}`,
    expected: `\`${name}\``,
    found: "nothing",
  });
}

/**
 * Strings to ids and back. Source: keras_hub.models.Tokenizer.
 *
 * @example
 * ```ts
 * import { models } from "onnxhub";
 * const tokenizer = new models.XLMRobertaTokenizer({ proto: "examples/data/udhr-8k.spm" });
 * const ids = tokenizer.tokenize("All human beings are born free.");
 * console.log(tokenizer.detokenize(ids), tokenizer.idToToken(tokenizer.maskTokenId!)); // … <mask>
 * ```
 */
export class Tokenizer {
  /** The spec's name in the generated classes; null in those that take any spec. */
  static readonly architecture: string | null = null;

  /** The spec that says which tokenizer it is. */
  readonly spec: Spec;
  /** The tokenizer proper. */
  readonly text: TextTokenizer;
  /** The name in configurations. */
  readonly name: string | undefined;

  /** Makes the tokenizer that a spec describes, from its vocabulary or from a tokenizer that exists. */
  constructor(spec: Spec, options: TokenizerOptions) {
    this.spec = spec;
    const tokenizer = tokenizerOf(spec);
    const { takes, make } = MAKERS[tokenizer.type];
    checkOptions(`the tokenizer of ${spec.source.name}`, options, [...takes, "text", "name"]);
    this.text = options.text ?? make(tokenizer, options);
    this.name = options.name;
  }

  /** The name in KerasHub's files: given, or Keras' automatic one. */
  get kerasName(): string {
    return this.name ?? snakeName(this.spec.source.checkpoints?.kerashub?.tokenizer?.class_name ?? "Tokenizer");
  }

  /** How many ids there are. */
  get vocabularySize(): number {
    return this.text.vocabularySize;
  }

  /** The id that begins every row. */
  get startTokenId(): number {
    return this.text.startTokenId;
  }

  /** The id that ends every row. */
  get endTokenId(): number {
    return this.text.endTokenId;
  }

  /** The id of padding. */
  get padTokenId(): number {
    return this.text.padTokenId;
  }

  /** The id of what the vocabulary does not have. */
  get unknownTokenId(): number {
    return this.text.unknownTokenId;
  }

  /** The id of the mask, or undefined. */
  get maskTokenId(): number | undefined {
    return this.text.maskTokenId;
  }

  /** The ids of a text, without special tokens. */
  tokenize(text: string): number[];
  /** The ids of each text, without special tokens. */
  tokenize(texts: readonly string[]): number[][];
  tokenize(texts: string | readonly string[]): number[] | number[][] {
    return this.text.tokenize(texts as string);
  }

  /** The text of a list of ids. */
  detokenize(ids: TokenIds): string;
  /** The text of each list of ids. */
  detokenize(ids: readonly TokenIds[]): string[];
  detokenize(ids: TokenIds | readonly TokenIds[]): string | string[] {
    return this.text.detokenize(ids as TokenIds);
  }

  /** The token of an id. Throws "text/id-out-of-range". */
  idToToken(id: number): string {
    return this.text.idToToken(id);
  }

  /** The id of a token; the unknown token's for one that isn't in the vocabulary. */
  tokenToId(token: string): number {
    return this.text.tokenToId(token);
  }

  /** Every token, by id. */
  getVocabulary(): string[] {
    return this.text.getVocabulary();
  }

  /** The built-in presets for this class, by name: of its architecture, or of all. */
  static get presets(): Readonly<Record<string, BuiltInPreset>> {
    return presetsOf(this.architecture);
  }

  /** The tokenizer of a preset directory. */
  static async fromPreset<T extends Tokenizer>(
    this: PresetClass<T> & { readonly architecture: string | null },
    preset: string,
  ): Promise<T> {
    return await loadTokenizer(this.architecture, preset) as T;
  }

  /** Writes `tokenizer.json` and the vocabulary into a preset directory. */
  async saveToPreset(directory: string): Promise<void> {
    await saveTokenizer(this, directory);
  }

  /** KerasHub's configuration, as far as it differs from tokenizer to tokenizer. */
  getConfig(): Record<string, ConfigValue> {
    return { name: this.name ?? null };
  }
}

showAs(Tokenizer, (tokenizer) => `${tokenizer.constructor.name} (${tokenizer.vocabularySize.toLocaleString("en-US")} tokens)`);

/** The text layer's tokenizer of a spec from its files' bytes by file name; `own` goes before what the spec says. */
export function tokenizerFromAssets(
  spec: Spec,
  assets: Readonly<Record<string, Uint8Array>>,
  own: Pick<ExpandedTokenizer, "lowercase" | "strip_accents"> = {},
): TextTokenizer {
  return createTokenizer({ ...tokenizerOf(spec), ...own }, assets);
}

/** The tokenizer that a spec describes. */
export function tokenizerOf(spec: Spec): ExpandedTokenizer {
  const { tokenizer, name } = spec.source;
  if (tokenizer) return { remap: "none", separators: 1, ...tokenizer };
  throw new OnnxHubError("model/tokenizer", `The architecture ${name} has no tokenizer`, { path: `${spec.file}: tokenizer` });
}
