/** Tokens that are found in a text before anything else cuts it: the `added_tokens` of a `tokenizer.json`. */

import { overTexts } from "../arguments.ts";
import { Trie } from "../trie.ts";
import type { TextTokenizer, TokenIds } from "../tokenizer.ts";
import type { Field } from "./fields.ts";

/** A token that is kept whole, by the names that `tokenizer.json` has. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Only where no letter, digit or underscore touches it. */
  readonly single_word: boolean;
  /** It takes the white space before it. */
  readonly lstrip: boolean;
  /** It takes the white space behind it. */
  readonly rstrip: boolean;
  /** It is looked for in the normalized text. */
  readonly normalized: boolean;
  /** It is no text: decoders leave it out. */
  readonly special: boolean;
}

/** How an {@linkcode AddedTokensTokenizer} is made. */
export interface AddedTokensOptions {
  /** What cuts the text between the tokens; its vocabulary has them too. */
  readonly inner: TextTokenizer;
  readonly tokens: readonly AddedToken[];
  /** What the inner tokenizer does to a text first, which must change nothing the second time. Default nothing. */
  readonly normalize?: (text: string) => string;
  /** Whether a space is put before each part of a text that begins with none. Default false. */
  readonly addPrefixSpace?: boolean;
  /** The id behind a part of a text whose normalized form ends in a space. Default none. */
  readonly idOfSpaceAtEnd?: number;
}

/** Finds added tokens in a text: a trie over the two bytes of each UTF-16 unit, so that a lone surrogate is a character like another. */
class TokenFinder {
  readonly #trie: Trie;
  readonly #tokens: readonly AddedToken[];

  constructor(tokens: readonly AddedToken[]) {
    this.#tokens = tokens;
    this.#trie = new Trie(tokens.map(({ content }, index) => [units(content), index] as const));
  }

  /** Whether there is nothing to find. */
  get empty(): boolean {
    return this.#trie.empty;
  }

  /** The longest token that the text has at a place. */
  at(text: string, place: number): AddedToken | undefined {
    let longest = -1;
    for (let i = place, node = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      node = this.#trie.next(node, unit >> 8);
      if (node >= 0) node = this.#trie.next(node, unit & 0xff);
      if (node < 0) break;
      if (this.#trie.value(node) >= 0) longest = this.#trie.value(node);
    }
    return longest < 0 ? undefined : this.#tokens[longest];
  }
}

function units(text: string): Uint8Array {
  return Uint8Array.from({ length: 2 * text.length }, (_, i) => {
    const unit = text.charCodeAt(i >> 1);
    return i % 2 === 0 ? unit >> 8 : unit & 0xff;
  });
}

/** A tokenizer that keeps added tokens whole and leaves what is between them to another, as Hugging Face's tokenizers do. */
export class AddedTokensTokenizer implements TextTokenizer {
  /** What cuts the text between the tokens. */
  readonly inner: TextTokenizer;
  /** The tokens that are kept whole. */
  readonly tokens: readonly AddedToken[];
  /** Whether a space is put before each part of a text that begins with none. */
  readonly addPrefixSpace: boolean;
  /** The id behind a part of a text whose normalized form ends in a space. */
  readonly idOfSpaceAtEnd: number | undefined;
  readonly #raw: TokenFinder;
  readonly #normalized: TokenFinder;
  readonly #normalize: (text: string) => string;

  constructor({ inner, tokens, normalize = (text) => text, addPrefixSpace = false, idOfSpaceAtEnd }: AddedTokensOptions) {
    this.inner = inner;
    this.tokens = tokens;
    this.addPrefixSpace = addPrefixSpace;
    this.idOfSpaceAtEnd = idOfSpaceAtEnd;
    this.#normalize = normalize;
    this.#raw = new TokenFinder(tokens.filter(({ normalized }) => !normalized));
    this.#normalized = new TokenFinder(
      tokens.filter(({ normalized }) => normalized).map((token) => ({ ...token, content: normalize(token.content) })),
    );
  }

  get vocabularySize(): number {
    return this.inner.vocabularySize;
  }
  get startTokenId(): number {
    return this.inner.startTokenId;
  }
  get endTokenId(): number {
    return this.inner.endTokenId;
  }
  get padTokenId(): number {
    return this.inner.padTokenId;
  }
  get unknownTokenId(): number {
    return this.inner.unknownTokenId;
  }
  get maskTokenId(): number | undefined {
    return this.inner.maskTokenId;
  }
  get specialTokenIds(): readonly number[] {
    return this.inner.specialTokenIds;
  }

  tokenize(text: string): number[];
  tokenize(texts: readonly string[]): number[][];
  tokenize(texts: string | readonly string[]): number[] | number[][] {
    return overTexts<number[]>(texts, (list) => {
      const parts = list.map((text) => this.#parts(text));
      const between = this.inner.tokenize(parts.flat().filter((part) => typeof part === "string"));
      let next = 0;
      return parts.map((each) => each.flatMap((part) => typeof part === "string" ? between[next++] : part));
    });
  }

  /** The ids of added tokens and the text between them. */
  #parts(text: string): (string | number)[] {
    let parts = split(text, this.#raw);
    if (!this.#normalized.empty) {
      parts = parts.flatMap((part) => typeof part === "string" ? split(this.#normalize(part), this.#normalized) : part);
    }
    const behind = this.idOfSpaceAtEnd;
    if (behind !== undefined) {
      parts = parts.flatMap((part) => typeof part === "string" && this.#normalize(part).endsWith(" ") ? [part, behind] : part);
    }
    if (!this.addPrefixSpace) return parts;
    return parts.map((part) => typeof part === "string" && !part.startsWith(" ") ? ` ${part}` : part);
  }

  detokenize(ids: TokenIds): string;
  detokenize(ids: readonly TokenIds[]): string[];
  detokenize(ids: TokenIds | readonly TokenIds[]): string | string[] {
    return this.inner.detokenize(ids as TokenIds);
  }

  idToToken(id: number): string {
    return this.inner.idToToken(id);
  }

  tokenToId(token: string): number {
    return this.inner.tokenToId(token);
  }

  getVocabulary(): string[] {
    return this.inner.getVocabulary();
  }

  assets(): Record<string, Uint8Array> {
    return this.inner.assets();
  }
}

const WORD_BEFORE = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;
const WORD_BEHIND = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;
const SPACE = /\p{White_Space}/u;

/** From left to right the longest token, as the Aho-Corasick automaton of Hugging Face's tokenizers finds them. */
function split(text: string, finder: TokenFinder): (string | number)[] {
  if (finder.empty) return text === "" ? [] : [text];
  const parts: (string | number)[] = [];
  let done = 0;
  for (let at = 0; at < text.length;) {
    const token = finder.at(text, at);
    if (token === undefined) {
      at++;
      continue;
    }
    let start = at;
    let end = at + token.content.length;
    at = end;
    // Two units are enough to see a whole character.
    if (token.single_word && (WORD_BEFORE.test(text.slice(Math.max(0, start - 2), start)) || WORD_BEHIND.test(text.slice(end, end + 2)))) {
      continue;
    }
    if (token.lstrip) { while (start > done && SPACE.test(text[start - 1])) start--; }
    if (token.rstrip) { while (end < text.length && SPACE.test(text[end])) end++; }
    if (start > done) parts.push(text.slice(done, start));
    parts.push(token.id);
    done = at = end;
  }
  if (done < text.length) parts.push(text.slice(done));
  return parts;
}

/** Reads `added_tokens`, by id. */
export function readAddedTokens(field: Field): AddedToken[] {
  if (field.absent) return [];
  const seen = new Set<number>();
  const contents = new Set<string>();
  const tokens = field.items().map((item): AddedToken => {
    const id = item.get("id").index(2 ** 31);
    const content = item.get("content").string();
    if (seen.has(id)) throw item.get("id").error("each id once", String(id));
    if (contents.has(content)) throw item.get("content").error("each token once");
    seen.add(id);
    contents.add(content);
    const flag = (name: string): boolean => item.get(name).boolean(false);
    return {
      id,
      content,
      single_word: flag("single_word"),
      lstrip: flag("lstrip"),
      rstrip: flag("rstrip"),
      normalized: flag("normalized"),
      special: flag("special"),
    };
  });
  return tokens.sort((a, b) => a.id - b.id);
}

/** The model's tokens by id, and behind them the added ones that it lacks. */
export function withAddedTokens(tokens: readonly string[], added: readonly AddedToken[], field: Field): string[] {
  const all = [...tokens];
  const known = new Set(tokens);
  for (const { id, content } of added) {
    if (id < all.length ? all[id] !== content : id !== all.length || known.has(content)) {
      const found = `${id} for ${JSON.stringify(content.slice(0, 40))}`;
      const place = id < all.length ? `where the vocabulary has ${JSON.stringify(all[id].slice(0, 40))}` : "";
      const expected = known.has(content) ? "the id that the vocabulary has" : `${all.length}, the next id`;
      throw field.error(expected, `${found} ${place}`.trimEnd());
    }
    if (id === all.length) all.push(content);
  }
  return all;
}
