/** KerasHub's SentencePiece tokenizers: a model's own ids, or XLM-RoBERTa's, which fairseq shifted. */

import { readFileSync } from "node:fs";
import { OnnxHubError } from "../errors.ts";
import type { ExpandedTokenizer } from "../spec/types.ts";
import { overIds, overTexts } from "./arguments.ts";
import { SentencePieceProcessor } from "./sentencepiece_processor.ts";
import type { TextTokenizer, TokenIds } from "./tokenizer.ts";

/** How a {@linkcode SentencePieceTokenizer} is made. */
export interface SentencePieceTokenizerOptions {
  /** The model: the bytes of a `.spm` file, its path, or the bytes in base64. */
  readonly proto: Uint8Array | string;
  /** "none" keeps the model's ids, "fairseq" shifts them as XLM-RoBERTa does. Default "none". */
  readonly remap?: ExpandedTokenizer["remap"];
  /** Which tokens begin, end, pad, mask, and stand for the unknown. Default XLM-RoBERTa's. */
  readonly specialTokens?: ExpandedTokenizer["special_tokens"];
  /** The file name that `assets()` gives the model. Default "vocabulary.spm". */
  readonly asset?: string;
}

const XLM_ROBERTA_TOKENS = { start: "<s>", end: "</s>", pad: "<pad>", mask: "<mask>", unknown: "<unk>" } as const;

/** How ids of the model and of the vocabulary go into each other, and what the vocabulary is then. */
interface Remap {
  readonly vocabulary: readonly string[];
  readonly specialTokenIds: readonly number[];
  tokenToId(token: string): number;
  fromModel(id: number): number;
  /** Undefined for an id that is left out of the text. */
  toModel(id: number): number | undefined;
}

type SpecialTokens = ExpandedTokenizer["special_tokens"];

/** By `remap`. */
const REMAPS: Readonly<Record<ExpandedTokenizer["remap"], (processor: SentencePieceProcessor, special: SpecialTokens) => Remap>> = {
  none: (processor, special) => ({
    vocabulary: processor.model.pieces.map(({ piece }) => piece),
    specialTokenIds: [
      ...new Set(
        [special.start, special.end, special.pad, special.mask].flatMap((token) => token === undefined ? [] : [processor.pieceToId(token)]),
      ),
    ],
    tokenToId: (token) => processor.pieceToId(token),
    fromModel: (id) => id,
    toModel: (id) => id,
  }),
  // The prefix takes the places of the model's first three pieces and one more; the mask comes last. KerasHub's arithmetic, which takes the model's unknown
  // token to be 0, its start 1, its end 2, whatever they are.
  fairseq: (processor, special) => {
    const prefix = [special.start, special.pad, special.end, special.unknown];
    const mask = processor.size + 1;
    const unknown = processor.pieceToId(special.unknown);
    const toModel: readonly number[] = [1, 0, 2, 0];
    return {
      vocabulary: [
        ...prefix,
        ...processor.model.pieces.slice(3).map(({ piece }) => piece),
        ...special.mask === undefined ? [] : [special.mask],
      ],
      specialTokenIds: prefix.map((_, id) => id),
      tokenToId: (token) => {
        if (token === special.mask) return mask;
        if (prefix.includes(token)) return prefix.indexOf(token);
        const id = processor.pieceToId(token);
        return id === unknown ? prefix.indexOf(special.unknown) : id + 1;
      },
      fromModel: (id) => id === 0 ? prefix.indexOf(special.unknown) : id + 1,
      toModel: (id) => id === mask ? undefined : toModel[id] ?? id - 1,
    };
  },
};

/**
 * A SentencePiece model as a tokenizer, after KerasHub's `SentencePieceTokenizer` and `XLMRobertaTokenizer`.
 *
 * With `remap: "fairseq"` there are two ids more than pieces: `<s>` 0, `<pad>` 1, `</s>` 2, `<unk>` 3, then the model's pieces from its third on, one up,
 * and `<mask>` last.
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
  readonly #proto: Uint8Array;
  readonly #asset: string;

  /** Makes the tokenizer. */
  constructor(
    { proto, remap = "none", specialTokens: special = XLM_ROBERTA_TOKENS, asset = "vocabulary.spm" }: SentencePieceTokenizerOptions,
  ) {
    this.#proto = protoBytes(proto);
    this.#asset = asset;
    this.#processor = new SentencePieceProcessor(this.#proto, typeof proto === "string" && proto.length <= 2048 ? proto : asset);
    this.#remap = REMAPS[remap](this.#processor, special);
    this.vocabularySize = this.#remap.vocabulary.length;
    this.specialTokenIds = this.#remap.specialTokenIds;
    const known = new Set(this.#remap.vocabulary);
    const id = (token: string): number => {
      if (known.has(token)) return this.tokenToId(token);
      throw new OnnxHubError("text/special-token", `Cannot find special token \`'${token}'\` in the provided vocabulary`, {
        path: asset,
        remedy: `Please ensure \`'${token}'\` is in the provided vocabulary when creating the Tokenizer.`,
      });
    };
    this.startTokenId = id(special.start);
    this.endTokenId = id(special.end);
    this.padTokenId = id(special.pad);
    this.unknownTokenId = id(special.unknown);
    this.maskTokenId = special.mask === undefined ? undefined : id(special.mask);
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
        this.#check(id);
        return this.#remap.toModel(id) ?? [];
      })));
  }

  idToToken(id: number): string {
    this.#check(id);
    return this.#remap.vocabulary[id];
  }

  tokenToId(token: string): number {
    return this.#remap.tokenToId(token);
  }

  getVocabulary(): string[] {
    return [...this.#remap.vocabulary];
  }

  assets(): Record<string, Uint8Array> {
    return { [this.#asset]: this.#proto };
  }

  #check(id: number): void {
    if (Number.isInteger(id) && id >= 0 && id < this.vocabularySize) return;
    throw new OnnxHubError("text/id-out-of-range", `\`id\` must be in range [0, ${this.vocabularySize - 1}]. Received: ${id}`);
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
  if (proto.length > 2048 && proto.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(proto)) {
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
