/** SentencePiece tokenizers: a model's own ids, or XLM-RoBERTa's and CamemBERT's, which fairseq shifted. */

import { readFileSync } from "node:fs";
import { OnnxHubError } from "../errors.ts";
import type { ExpandedTokenizer } from "../spec/types.ts";
import { overIds, overTexts } from "./arguments.ts";
import type { SentencePieceModel } from "./sentencepiece_model.ts";
import { SentencePieceProcessor } from "./sentencepiece_processor.ts";
import type { TextTokenizer, TokenIds } from "./tokenizer.ts";
import { type SpecialTokenIds, type SpecialTokens, Vocabulary } from "./vocabulary.ts";

/** How a {@linkcode SentencePieceTokenizer} is made. */
export interface SentencePieceTokenizerOptions {
  /** The model: the bytes of a `.spm` file, its path, or the bytes in base64. */
  readonly proto: Uint8Array | string;
  /** "none" keeps the model's ids, "fairseq" shifts them as XLM-RoBERTa does, "fairseq_unused" as CamemBERT does. Default "none". */
  readonly remap?: ExpandedTokenizer["remap"];
  /** Which tokens begin, end, pad, mask, and stand for the unknown. Default XLM-RoBERTa's. */
  readonly specialTokens?: SpecialTokens;
  /** The file name that `assets()` gives the model. Default "vocabulary.spm". */
  readonly asset?: string;
  /** The model's file in errors. Default `proto` where it is a path, else `asset`. */
  readonly path?: string;
}

/** A string longer than this may be base64. */
const PATH_LIMIT = 2048;

const DEFAULT_TOKENS = { start: "<s>", end: "</s>", pad: "<pad>", mask: "<mask>", unknown: "<unk>" } as const;

/** How ids of the model and of the vocabulary go into each other, and what the vocabulary is then. */
interface Remap {
  readonly vocabulary: readonly string[];
  readonly unknownId: number;
  fromModel(id: number): number;
  /** Undefined for an id that is left out of the text. */
  toModel(id: number): number | undefined;
  /** Ids that a mask generator leaves alone. */
  unselectable(ids: SpecialTokenIds): number[];
}

/** By `remap`. */
const REMAPS: Readonly<Record<ExpandedTokenizer["remap"], (processor: SentencePieceProcessor, special: SpecialTokens) => Remap>> = {
  none: ({ model }) => ({
    vocabulary: model.pieces.map(({ piece }) => piece),
    unknownId: model.unknownId,
    fromModel: (id) => id,
    toModel: (id) => id,
    unselectable: ({ start, end, pad, mask }) => [...new Set([start, end, pad, ...mask === undefined ? [] : [mask]])],
  }),
  // The prefix takes the places of the model's first three pieces and one more, and the mask comes last. This is KerasHub's arithmetic, which takes
  // the model's unknown token to be 0, its start 1 and its end 2, whatever they are.
  fairseq: ({ model }, special) => {
    const prefix = [special.start, special.pad, special.end, special.unknown];
    const prefixToModel: readonly number[] = [1, 0, 2, 0];
    const mask = model.pieces.length + 1;
    return {
      vocabulary: [...prefix, ...model.pieces.slice(3).map(({ piece }) => piece), special.mask ?? "<mask>"],
      unknownId: 3,
      fromModel: (id) => id === 0 ? 3 : id + 1,
      toModel: (id) => id === mask ? undefined : prefixToModel[id] ?? id - 1,
      unselectable: () => [0, 1, 2, 3],
    };
  },
  // fairseq put five tokens before all of the model's but its unknown one, which is 0; two of them are another's double and one is never used.
  fairseq_unused: ({ model }, special) => {
    const unused = [special.start, special.end, special.unknown].map((token) => `${token}NOTUSED`);
    const prefix = [unused[0], special.pad, unused[1], special.unknown, unused[2]];
    const mask = model.pieces.length + 4;
    return {
      vocabulary: [...prefix, ...model.pieces.slice(1).map(({ piece }) => piece), special.mask ?? "<mask>"],
      unknownId: 3,
      fromModel: (id) => id === 0 ? 3 : id + 4,
      toModel: (id) => id < 3 || id === mask ? undefined : Math.max(0, id - 4),
      unselectable: ({ start, end }) => [...new Set([0, 1, 2, 3, 4, start, end, mask])],
    };
  },
};

/**
 * A SentencePiece model as a tokenizer, after KerasHub's `SentencePieceTokenizer` and `XLMRobertaTokenizer`.
 *
 * With `remap: "fairseq"` there are two ids more than pieces: `<s>` 0, `<pad>` 1, `</s>` 2, `<unk>` 3, then the model's pieces from its third on, one up,
 * and `<mask>` last. With `remap: "fairseq_unused"` there are five more: `<s>NOTUSED` 0, `<pad>` 1, `</s>NOTUSED` 2, `<unk>` 3, `<unk>NOTUSED` 4, then the
 * model's pieces from its first on, four up, and `<mask>` last.
 *
 * Throws "text/proto" for a proto of another type or a path that can't be read, "text/sentencepiece-model" for bytes that are no model, and
 * "text/special-token" when the vocabulary lacks a special token.
 *
 * @example
 * ```ts
 * import { SentencePieceTokenizer } from "onnxhub";
 * const tokenizer = new SentencePieceTokenizer({ proto: "tests/fixtures/tokenizer/udhr-8k.spm", remap: "fairseq" });
 * const ids = tokenizer.tokenize("All human beings are born free.");
 * console.log(ids, tokenizer.detokenize(ids));
 * ```
 */
export class SentencePieceTokenizer implements TextTokenizer {
  readonly vocabularySize: number;
  readonly startTokenId: number;
  readonly endTokenId: number;
  readonly padTokenId: number;
  readonly unknownTokenId: number;
  readonly maskTokenId: number | undefined;
  readonly specialTokenIds: readonly number[];
  readonly #processor: SentencePieceProcessor;
  readonly #remap: Remap;
  readonly #vocabulary: Vocabulary;
  readonly #proto: Uint8Array;
  readonly #asset: string;

  /** Makes the tokenizer. */
  constructor(options: SentencePieceTokenizerOptions) {
    const { proto, remap = "none", specialTokens = DEFAULT_TOKENS, asset = "vocabulary.spm" } = options;
    this.#proto = protoBytes(proto);
    this.#asset = asset;
    const path = options.path ?? (typeof proto === "string" && proto.length <= PATH_LIMIT ? proto : asset);
    this.#processor = new SentencePieceProcessor(this.#proto, path);
    this.#remap = REMAPS[remap](this.#processor, specialTokens);
    this.#vocabulary = new Vocabulary(this.#remap.vocabulary, path);
    // A SentencePiece model knows its unknown piece by type, not by name.
    const ids = this.#vocabulary.special({ ...specialTokens, unknown: this.#remap.vocabulary[this.#remap.unknownId] });
    this.vocabularySize = this.#vocabulary.size;
    this.startTokenId = ids.start;
    this.endTokenId = ids.end;
    this.padTokenId = ids.pad;
    this.unknownTokenId = ids.unknown;
    this.maskTokenId = ids.mask;
    this.specialTokenIds = this.#remap.unselectable(ids);
  }

  tokenize(text: string): number[];
  tokenize(texts: readonly string[]): number[][];
  tokenize(texts: string | readonly string[]): number[] | number[][] {
    return overTexts<number[]>(texts, (list) => {
      const encoded = this.#processor.encode(list);
      for (const ids of encoded) for (let i = 0; i < ids.length; i++) ids[i] = this.#remap.fromModel(ids[i]);
      return encoded;
    });
  }

  detokenize(ids: TokenIds): string;
  detokenize(ids: readonly TokenIds[]): string[];
  detokenize(ids: TokenIds | readonly TokenIds[]): string | string[] {
    return overIds(ids, (list) =>
      this.#processor.decode(list.flatMap((id) => {
        this.#vocabulary.check(id);
        return this.#remap.toModel(id) ?? [];
      })));
  }

  idToToken(id: number): string {
    return this.#vocabulary.token(id);
  }

  tokenToId(token: string): number {
    return this.#vocabulary.id(token) ?? this.unknownTokenId;
  }

  getVocabulary(): string[] {
    return [...this.#vocabulary.tokens];
  }

  /** The model as read. */
  get model(): SentencePieceModel {
    return this.#processor.model;
  }

  assets(): Record<string, Uint8Array> {
    return { [this.#asset]: this.#proto };
  }
}

/** The bytes that a `proto` stands for, told apart as KerasHub does: a string is base64 if it is longer than 2048 and could be. */
function protoBytes(proto: Uint8Array | string): Uint8Array {
  if (proto instanceof Uint8Array) return proto;
  if (typeof proto !== "string") {
    throw new OnnxHubError("text/proto", "SentencePiece `proto` argument should be either a `string` filepath or a `bytes` sequence", {
      path: "proto",
      expected: "bytes or a string",
      found: proto === null ? "null" : typeof proto,
      remedy: "Pass the bytes of a `.spm` file or its path.",
    });
  }
  if (proto.length > PATH_LIMIT && proto.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(proto)) {
    return Uint8Array.from(atob(proto), (character) => character.charCodeAt(0));
  }
  try {
    return readFileSync(proto);
  } catch (cause) {
    const path = proto.length > 200 ? `${proto.slice(0, 200)}…` : proto;
    throw new OnnxHubError("text/proto", "The SentencePiece model can't be read", {
      path,
      found: cause instanceof Error ? cause.message : String(cause),
      cause,
    });
  }
}
