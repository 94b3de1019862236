/** A tokenizer's vocabulary: tokens by id, ids by token, and the ids that mean something. */

import { OnnxHubError } from "../errors.ts";
import type { ExpandedTokenizer } from "../spec/types.ts";

/** Which tokens begin, end, pad, mask, and stand for the unknown. */
export type SpecialTokens = ExpandedTokenizer["special_tokens"];

/** The ids of the special tokens. */
export interface SpecialTokenIds {
  readonly start: number;
  readonly end: number;
  readonly pad: number;
  readonly unknown: number;
  readonly mask: number | undefined;
}

/** Tokens and ids. */
export class Vocabulary {
  /** By id. */
  readonly tokens: readonly string[];
  readonly #ids: Map<string, number>;
  readonly #path: string;

  /** A vocabulary by its tokens; of a token that is there twice the first counts. `path` is for errors. */
  constructor(tokens: readonly string[], path: string) {
    this.tokens = tokens;
    this.#path = path;
    this.#ids = new Map();
    tokens.forEach((token, id) => {
      if (!this.#ids.has(token)) this.#ids.set(token, id);
    });
  }

  /** How many ids there are. */
  get size(): number {
    return this.tokens.length;
  }

  /** The id of a token, if it is in the vocabulary. */
  id(token: string): number | undefined {
    return this.#ids.get(token);
  }

  /** The token of an id. Throws "text/id-out-of-range". */
  token(id: number): string {
    this.check(id);
    return this.tokens[id];
  }

  /** Throws "text/id-out-of-range", in KerasHub's words, for what is no id. */
  check(id: number): void {
    if (Number.isInteger(id) && id >= 0 && id < this.tokens.length) return;
    throw new OnnxHubError("text/id-out-of-range", `\`id\` must be in range [0, ${this.tokens.length - 1}]. Received: ${id}`, {
      path: this.#path,
    });
  }

  /** The ids of special tokens. Throws "text/special-token" for one that is not in the vocabulary. */
  special(tokens: SpecialTokens): SpecialTokenIds {
    const id = (token: string): number => {
      const found = this.#ids.get(token);
      if (found !== undefined) return found;
      throw new OnnxHubError("text/special-token", `Cannot find special token \`'${token}'\` in the provided vocabulary`, {
        path: this.#path,
        remedy: `Please ensure \`'${token}'\` is in the provided vocabulary when creating the Tokenizer.`,
      });
    };
    return {
      start: id(tokens.start),
      end: id(tokens.end),
      pad: id(tokens.pad),
      unknown: id(tokens.unknown),
      mask: tokens.mask === undefined ? undefined : id(tokens.mask),
    };
  }
}
