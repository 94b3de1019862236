/** SentencePiece's own normalizer: the model's compiled replacement rules, then spaces, over UTF-8 bytes. */

import { OnnxHubError } from "../errors.ts";
import type { NormalizerSpec } from "./sentencepiece_model.ts";
import { Trie } from "./trie.ts";

/** "▁", U+2581: a space inside a piece. */
const SPACE_SYMBOL = Uint8Array.of(0xe2, 0x96, 0x81);
const SPACE = Uint8Array.of(0x20);
/** U+FFFD, for a byte that is no UTF-8. */
const REPLACEMENT = Uint8Array.of(0xef, 0xbf, 0xbd);

/** The compiled rules: a Darts-clone double array from byte sequences to offsets in `replacements`, whose strings end in a zero byte. */
interface Charsmap {
  readonly units: Int32Array;
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
  const units = new Int32Array(size / 4);
  for (let i = 0; i < units.length; i++) units[i] = view.getInt32(4 + 4 * i, true);
  const replacements = new Uint8Array(blob.subarray(4 + size));
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
  /** Whether words can be normalized one by one: what lies between spaces, each with the space in front, as `normalizeWord` has them. */
  readonly separable: boolean;
  /** What was normalized last, and, if others follow, something else. */
  output: Uint8Array<ArrayBuffer> = new Uint8Array(1024);
  readonly #charsmap: Charsmap | undefined;
  readonly #userDefined: Trie;
  readonly #spec: NormalizerSpec;
  readonly #suffix: boolean;
  #input = new Uint8Array(1024);
  /** Whether a rule would have gone on with a space, had the text. */
  #wantsSpace = false;
  /** Whether the last of the output was a space in the text, or a rule's. */
  #endsInSpace = false;
  /** By UTF-16 unit: what `#explore` says, or 0 until it is asked. */
  #behind: Int32Array | undefined;

  /** A normalizer by a model's spec. */
  constructor(spec: NormalizerSpec, options: NormalizerOptions = {}) {
    const { userDefined = [], treatWhitespaceAsSuffix = false, path = "vocabulary.spm" } = options;
    this.#spec = spec;
    this.#suffix = treatWhitespaceAsSuffix;
    this.#charsmap = readCharsmap(spec.precompiledCharsmap, path);
    this.#userDefined = new Trie(userDefined.map((piece) => [encoder.encode(piece), 0] as const));
    const { addDummyPrefix, removeExtraWhitespaces, escapeWhitespaces } = spec;
    const ruleOfSpace = this.#charsmap !== undefined && leads(this.#charsmap.units, offset(this.#charsmap.units[0]), 0x20);
    this.separable = addDummyPrefix && removeExtraWhitespaces && escapeWhitespaces && !treatWhitespaceAsSuffix && !ruleOfSpace &&
      !userDefined.some((piece) => piece.includes(" "));
  }

  /** The normalized text. */
  normalize(text: string): string {
    const length = this.normalizeToBytes(text);
    return decoder.decode(this.output.subarray(0, length));
  }

  /** Puts the normalized text's UTF-8 into `output` and says how long it is. */
  normalizeToBytes(text: string): number {
    if (this.#input.length < 3 * text.length) this.#input = new Uint8Array(4 * text.length);
    const { written } = encoder.encodeInto(text, this.#input);
    const { addDummyPrefix, removeExtraWhitespaces, escapeWhitespaces } = this.#spec;
    const space = escapeWhitespaces ? SPACE_SYMBOL : SPACE;
    let length = this.#normalize(this.#input, written);
    if (length < 0) return 0;
    if (removeExtraWhitespaces) { while (endsWith(this.output, length, space)) length -= space.length; }
    if (addDummyPrefix && this.#suffix) {
      this.#reserve(length, space.length);
      for (const byte of space) this.output[length++] = byte;
    }
    return length;
  }

  /**
   * Puts a word of a text, the first `size` bytes of `input`, into `output` with a space in front, and says how long that is: its part of the normalized
   * text, if the text is longer. -1 where the word and its neighbours depend on each other.
   */
  normalizeWord(input: Uint8Array, size: number): number {
    let length = this.#normalize(input, size);
    if (this.#wantsSpace) return -1;
    if (length <= SPACE_SYMBOL.length) return 0;
    if (this.#endsInSpace) length -= SPACE_SYMBOL.length;
    return endsWith(this.output, length, SPACE_SYMBOL) ? -1 : length;
  }

  /** Whether a UTF-16 unit is a character that stays as it is before another, or before the space behind a word. Where it takes more to tell, false. */
  keeps(unit: number, next: number): boolean {
    this.#behind ??= new Int32Array(2 ** 16);
    const behind = this.#behind[unit] || this.#explore(unit);
    if (behind === UNTOUCHED) return true;
    if (behind === UNCLEAR || (next & 0xf800) === 0xd800) return false;
    return !leads(this.#charsmap!.units, behind - 1, next < 0x80 ? next : next < 0x800 ? 0xc0 | next >> 6 : 0xe0 | next >> 12);
  }

  /** The node that the character leads to in the rules, and one more; or that there is none, or that it isn't so simple. */
  #explore(unit: number): number {
    const result = (): number => {
      if (!this.#userDefined.empty || unit === 0x20 || unit === 0x2581 || (unit & 0xf800) === 0xd800) return UNCLEAR;
      if (this.#charsmap === undefined) return UNTOUCHED;
      const { units } = this.#charsmap;
      let node = offset(units[0]);
      for (const byte of encoder.encode(String.fromCharCode(unit))) {
        if (!leads(units, node, byte)) return UNTOUCHED;
        const found = units[node ^ byte];
        if (hasLeaf(found)) return UNCLEAR;
        node ^= byte ^ offset(found);
      }
      return node + 1;
    };
    return this.#behind![unit] = result();
  }

  /** All of it but for what is done at a text's end; -1 where there is nothing but spaces that are removed. */
  #normalize(input: Uint8Array, end: number): number {
    const { addDummyPrefix, removeExtraWhitespaces, escapeWhitespaces } = this.#spec;
    const space = escapeWhitespaces ? SPACE_SYMBOL : SPACE;
    const charsmap = this.#charsmap;
    const units = charsmap?.units ?? NO_UNITS;
    const root = charsmap ? offset(units[0]) : 0;
    const userDefined = this.#userDefined.empty ? undefined : this.#userDefined;
    this.#wantsSpace = false;
    this.#reserve(0, 3 * end + 3);
    let output = this.output;
    let length = 0;
    let begun = false;
    let afterSpace = removeExtraWhitespaces;
    for (let at = 0; at < end;) {
      // What the text at `at` becomes: a user-defined piece, what the longest rule says, or a character as it is.
      let from = input;
      let start = at;
      let stop = at;
      let next = userDefined?.longest(input, at, end) ?? 0;
      if (next > 0) stop = next += at;
      else {
        let value = -1;
        let node = root;
        let i = at;
        for (; i < end; i++) {
          const byte = input[i];
          node ^= byte;
          // A place beyond a damaged trie's end reads undefined, which no byte equals but 0.
          const unit = units[node];
          if ((unit & 0x800000ff) !== byte || unit === undefined) break;
          node ^= offset(unit);
          if (hasLeaf(unit)) {
            next = i + 1;
            value = leafValue(units[node]);
          }
        }
        if (i === end && charsmap !== undefined && leads(units, node, 0x20)) this.#wantsSpace = true;
        if (value >= 0) {
          from = charsmap!.replacements;
          start = stop = Math.min(value, from.length);
          while (stop < from.length && from[stop] !== 0) stop++;
        } else {
          const first = input[at];
          const size = first < 0x80 ? 1 : characterSize(first);
          stop = next = Math.min(at + size, end);
          // Only a rule that ends within a character can lead to its middle.
          if (size === 0) {
            from = REPLACEMENT;
            start = 0;
            stop = 3;
            next = at + 1;
          }
        }
      }
      at = next;

      if (!begun) {
        if (removeExtraWhitespaces && stop - start === 1 && from[start] === 0x20) continue;
        begun = true;
        if (addDummyPrefix && !this.#suffix) { for (const byte of space) output[length++] = byte; }
      }
      while (afterSpace && start < stop && from[start] === 0x20) start++;
      if (start === stop) continue;
      if (length + 3 * (stop - start + end - at) > output.length) {
        this.#reserve(length, 3 * (stop - start + end - at));
        output = this.output;
      }
      for (; start < stop; start++) {
        const byte = from[start];
        if (byte !== 0x20) output[length++] = byte;
        else for (const part of space) output[length++] = part;
      }
      afterSpace = removeExtraWhitespaces && from[stop - 1] === 0x20;
    }
    this.#endsInSpace = afterSpace;
    return begun ? length : -1;
  }

  /** Makes the output long enough for more behind its first `length` bytes. */
  #reserve(length: number, more: number): void {
    if (length + more <= this.output.length) return;
    const longer = new Uint8Array(2 * (length + more));
    longer.set(this.output.subarray(0, length));
    this.output = longer;
  }
}

/** What is known of a character without rules, and of one with a rule or special in another way. */
const UNTOUCHED = -1;
const UNCLEAR = -2;

const NO_UNITS = new Int32Array(0);

/** Whether a byte leads on from a node of the double array. */
function leads(units: Int32Array, node: number, byte: number): boolean {
  const unit = units[node ^ byte];
  return unit !== undefined && label(unit) === byte;
}

function endsWith(bytes: Uint8Array, length: number, ending: Uint8Array): boolean {
  const from = length - ending.length;
  return from >= 0 && ending.every((byte, i) => bytes[from + i] === byte);
}

/** How many bytes the character that begins with this byte has; 0 for a byte that begins none. */
export function characterSize(byte: number): number {
  if (byte < 0x80) return 1;
  if (byte < 0xc0) return 0;
  return byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
