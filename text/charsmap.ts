/** SentencePiece's own normalizer: the model's compiled replacement rules, then spaces, over UTF-8 bytes. */

import { OnnxHubError } from "../errors.ts";
import { ByteTrie } from "./byte_trie.ts";
import type { NormalizerSpec } from "./sentencepiece_model.ts";

/** "▁", U+2581: a space inside a piece. */
const SPACE_SYMBOL = [0xe2, 0x96, 0x81];
const SPACE = [0x20];
/** U+FFFD, for a byte that is no UTF-8. */
const REPLACEMENT = [0xef, 0xbf, 0xbd];

/** The compiled rules: a Darts-clone double array from byte sequences to offsets in `replacements`, whose strings end in a zero byte. */
interface Charsmap {
  readonly units: Uint32Array;
  readonly replacements: Uint8Array;
}

/** Takes a `precompiled_charsmap` apart: the trie's size in bytes, the trie, the replacements. */
function readCharsmap(blob: Uint8Array, path: string): Charsmap | undefined {
  if (blob.length === 0) return undefined;
  const fail = (expected: string, found: string): OnnxHubError =>
    new OnnxHubError("text/charsmap", "Damaged normalization rules in a SentencePiece model", {
      path: `${path}: normalizer_spec.precompiled_charsmap`,
      expected,
      found,
    });
  if (blob.length < 8) throw fail("at least 8 bytes", `${blob.length}`);
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength);
  const size = view.getUint32(0, true);
  if (size < 4 || size % 4 !== 0 || size + 4 >= blob.length) throw fail(`a trie of less than ${blob.length - 4} bytes, 4 each`, `${size}`);
  const units = new Uint32Array(size / 4);
  for (let i = 0; i < units.length; i++) units[i] = view.getUint32(4 + 4 * i, true);
  const replacements = blob.slice(4 + size);
  if (replacements[replacements.length - 1] !== 0) {
    throw fail("replacements that end in a zero byte", `${replacements[replacements.length - 1]}`);
  }
  return { units, replacements };
}

/** What a unit of the double array means. */
const hasLeaf = (unit: number): boolean => (unit & 0x100) !== 0;
const label = (unit: number): number => unit & 0x800000ff;
const offset = (unit: number): number => (unit >>> 10) << ((unit & 0x200) >>> 6);
const leafValue = (unit: number): number => unit & 0x7fffffff;

/** What a normalizer needs to know beyond its spec. */
export interface NormalizerOptions {
  /** Pieces that are kept as they are wherever they stand in a text. */
  readonly userDefined?: readonly string[];
  /** Whether the dummy prefix goes behind. Default false. */
  readonly treatWhitespaceAsSuffix?: boolean;
  /** The model's file, for errors. */
  readonly path?: string;
}

/**
 * Normalizes text as SentencePiece does (Kudo and Richardson, 2018; `normalizer.cc`): at each place the longest rule of the model's
 * `precompiled_charsmap` is applied, spaces are trimmed and collapsed, one is put in front, and each becomes "▁", as the spec says.
 *
 * Throws "text/charsmap" for rules that are damaged. A lone surrogate becomes U+FFFD before anything else.
 *
 * @example
 * ```ts
 * import { readFileSync } from "node:fs";
 * import { Normalizer, readSentencePieceModel } from "onnxhub";
 * const { normalizer } = readSentencePieceModel(readFileSync("tests/fixtures/tokenizer/udhr-8k.spm"));
 * console.log(new Normalizer(normalizer).normalize(" ﬁ  ｘ ")); // ▁fi▁x
 * ```
 */
export class Normalizer {
  readonly #charsmap: Charsmap | undefined;
  readonly #userDefined: ByteTrie;
  readonly #spec: NormalizerSpec;
  readonly #suffix: boolean;
  #input = new Uint8Array(1024);
  #output = new Uint8Array(1024);
  #length = 0;
  // What the last call of #prefix found: a piece of `#from` and how many bytes of input it stands for.
  #from: ArrayLike<number> = SPACE;
  #start = 0;
  #end = 0;
  #consumed = 0;

  /** A normalizer by a model's spec. */
  constructor(spec: NormalizerSpec, options: NormalizerOptions = {}) {
    this.#spec = spec;
    this.#suffix = options.treatWhitespaceAsSuffix ?? false;
    this.#charsmap = readCharsmap(spec.precompiledCharsmap, options.path ?? "vocabulary.spm");
    this.#userDefined = new ByteTrie((options.userDefined ?? []).map((piece) => [encoder.encode(piece), 0] as const));
  }

  /** The normalized text. */
  normalize(text: string): string {
    return decoder.decode(this.normalizeToBytes(text));
  }

  /** The normalized text's UTF-8: a view that the next call overwrites. */
  normalizeToBytes(text: string): Uint8Array {
    if (this.#input.length < 3 * text.length) this.#input = new Uint8Array(4 * text.length);
    const input = this.#input;
    const end = encoder.encodeInto(text, input).written;
    const { addDummyPrefix, removeExtraWhitespaces } = this.#spec;
    const space = this.#spec.escapeWhitespaces ? SPACE_SYMBOL : SPACE;
    this.#length = 0;

    let at = 0;
    while (at < end) {
      this.#prefix(input, at, end);
      if (!removeExtraWhitespaces || this.#end - this.#start !== 1 || this.#from[this.#start] !== 0x20) break;
      at += this.#consumed;
    }
    if (at >= end) return this.#output.subarray(0, 0);

    if (addDummyPrefix && !this.#suffix) this.#append(space, 0, space.length);
    let afterSpace = removeExtraWhitespaces;
    for (; at < end; at += this.#consumed) {
      this.#prefix(input, at, end);
      const from = this.#from;
      let start = this.#start;
      const stop = this.#end;
      while (afterSpace && start < stop && from[start] === 0x20) start++;
      if (start < stop) {
        this.#appendEscaped(from, start, stop, space);
        afterSpace = from[stop - 1] === 0x20;
      }
      if (!removeExtraWhitespaces) afterSpace = false;
    }
    if (removeExtraWhitespaces) { while (this.#endsWith(space)) this.#length -= space.length; }
    if (addDummyPrefix && this.#suffix) this.#append(space, 0, space.length);
    return this.#output.subarray(0, this.#length);
  }

  /** What the text at `at` becomes, and how much of it: a user-defined piece, the longest rule, or a character as it is. */
  #prefix(input: Uint8Array, at: number, end: number): void {
    if (!this.#userDefined.empty) {
      const length = this.#userDefined.longest(input, at, end);
      if (length > 0) return this.#found(input, at, at + length, length);
    }
    if (this.#charsmap !== undefined) {
      const { units, replacements } = this.#charsmap;
      let length = 0;
      let value = 0;
      let node = offset(units[0]);
      for (let i = at; i < end; i++) {
        const byte = input[i];
        node ^= byte;
        // A position beyond a damaged trie's end reads undefined, and no label equals it.
        const unit = units[node];
        if (unit === undefined || label(unit) !== byte) break;
        node ^= offset(unit);
        if (hasLeaf(unit)) {
          length = i + 1 - at;
          value = leafValue(units[node]);
        }
      }
      if (length > 0) {
        let stop = Math.min(value, replacements.length);
        while (stop < replacements.length && replacements[stop] !== 0) stop++;
        return this.#found(replacements, value, stop, length);
      }
    }
    const size = characterSize(input[at]);
    // Only a rule that ends within a character can lead to its middle.
    if (size === 0) this.#found(REPLACEMENT, 0, 3, 1);
    else this.#found(input, at, at + size, size);
  }

  #found(from: ArrayLike<number>, start: number, end: number, consumed: number): void {
    this.#from = from;
    this.#start = start;
    this.#end = end;
    this.#consumed = consumed;
  }

  #append(from: ArrayLike<number>, start: number, stop: number): void {
    this.#reserve(stop - start);
    for (let i = start; i < stop; i++) this.#output[this.#length++] = from[i];
  }

  #appendEscaped(from: ArrayLike<number>, start: number, stop: number, space: readonly number[]): void {
    this.#reserve(3 * (stop - start));
    const output = this.#output;
    let length = this.#length;
    for (let i = start; i < stop; i++) {
      const byte = from[i];
      if (byte === 0x20) { for (const part of space) output[length++] = part; }
      else output[length++] = byte;
    }
    this.#length = length;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#output.length) return;
    const output = new Uint8Array(2 * (this.#length + more));
    output.set(this.#output.subarray(0, this.#length));
    this.#output = output;
  }

  #endsWith(ending: readonly number[]): boolean {
    const from = this.#length - ending.length;
    return from >= 0 && ending.every((byte, i) => this.#output[from + i] === byte);
  }
}

/** How many bytes the character that begins with this byte has; 0 for a byte that begins none. */
export function characterSize(byte: number): number {
  if (byte < 0x80) return 1;
  if (byte < 0xc0) return 0;
  return byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
