/** SentencePiece as a whole: text to the model's own ids and back. */

import { OnnxHubError } from "../errors.ts";
import { characterSize, Normalizer } from "./charsmap.ts";
import { type KitokenEncoder, sentencePieceEncoder } from "./kitoken.ts";
import { type Segmenter, SEGMENTERS } from "./segmenters.ts";
import { UnigramEncoder } from "./unigram_encoder.ts";
import { readSentencePieceModel, type SentencePieceModel } from "./sentencepiece_model.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * What SentencePiece's own processor computes, to the id: Unigram, word and character models here, BPE by kitoken.
 *
 * @example
 * ```ts
 * import { readFileSync } from "node:fs";
 * import { SentencePieceProcessor } from "onnxhub";
 * const processor = new SentencePieceProcessor(readFileSync("tests/fixtures/tokenizer/udhr-8k.spm"));
 * const [ids] = processor.encode(["All human beings"]);
 * console.log(ids, processor.decode(ids)); // […] All human beings
 * ```
 */
export class SentencePieceProcessor {
  /** The model as read. */
  readonly model: SentencePieceModel;
  readonly #normalizer: Normalizer;
  readonly #denormalizer: Normalizer | undefined;
  readonly #ids: ReadonlyMap<string, number>;
  readonly #path: string;
  readonly #bytes: Uint8Array;
  /** Made when first needed: a trie of 250,000 pieces takes its time. */
  #unigram: UnigramEncoder | undefined;
  #segmenter: Segmenter | undefined;
  #kitoken: KitokenEncoder | undefined;
  /** Id of each byte's piece, or the unknown id, where the model falls back to bytes. */
  readonly #byteIds: Int32Array | undefined;

  /** A processor by the bytes of a `.spm` file; `path` is for errors. */
  constructor(bytes: Uint8Array, path = "vocabulary.spm") {
    const model = readSentencePieceModel(bytes, path);
    this.model = model;
    this.#bytes = bytes;
    this.#path = path;
    this.#ids = new Map(model.pieces.map(({ piece }, id) => [piece, id]));
    const userDefined = model.pieces.filter(({ type }) => type === "user_defined").map(({ piece }) => piece);
    this.#normalizer = new Normalizer(model.normalizer, { userDefined, treatWhitespaceAsSuffix: model.treatWhitespaceAsSuffix, path });
    this.#denormalizer = model.denormalizer && new Normalizer(model.denormalizer, { path });
    if (model.byteFallback) {
      this.#byteIds = Int32Array.from(
        { length: 256 },
        (_, byte) => this.pieceToId(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`),
      );
    }
  }

  /** How many pieces there are. */
  get size(): number {
    return this.model.pieces.length;
  }

  /** The piece of an id. Throws "text/id-out-of-range". */
  idToPiece(id: number): string {
    this.#check(id);
    return this.model.pieces[id].piece;
  }

  /** The id of a piece, or the unknown id. */
  pieceToId(piece: string): number {
    return this.#ids.get(piece) ?? this.model.unknownId;
  }

  /** The normalized text that is cut into pieces. */
  normalize(text: string): string {
    return this.#normalizer.normalize(text);
  }

  /** The ids of each text. */
  encode(texts: readonly string[]): number[][] {
    const { type } = this.model;
    if (type === "bpe") {
      this.#kitoken ??= sentencePieceEncoder(this.#bytes, this.#path);
      const { unknownId } = this.model;
      const encoded = this.#kitoken.encode(texts.map((text) => this.#normalizer.normalize(text)));
      // kitoken leaves a run of unknown pieces as it is.
      return encoded.map((ids) => ids.filter((id, i) => id !== unknownId || ids[i - 1] !== unknownId));
    }
    if (type === "unigram") {
      this.#unigram ??= new UnigramEncoder(this.model, this.#normalizer, this.#byteIds);
      return texts.map((text) => this.#unigram!.encode(text));
    }
    this.#segmenter ??= SEGMENTERS[type](this.model);
    return texts.map((text) => this.#encodeOne(this.#segmenter!, text));
  }

  #encodeOne(segmenter: Segmenter, text: string): number[] {
    const size = this.#normalizer.normalizeToBytes(text);
    const normalized = this.#normalizer.output.subarray(0, size);
    const { unknownId } = this.model;
    const byteIds = this.#byteIds;
    const ids: number[] = [];
    let afterUnknown = false;
    segmenter.segment(normalized, (id, start, end) => {
      if (id !== unknownId) ids.push(id);
      else if (byteIds !== undefined) { for (let i = start; i < end; i++) ids.push(byteIds[normalized[i]]); }
      // A run of unknown pieces is one.
      else if (!afterUnknown) ids.push(id);
      afterUnknown = id === unknownId;
    });
    return ids;
  }

  /** The text of a list of ids. Throws "text/id-out-of-range". */
  decode(ids: readonly number[]): string {
    const { pieces, normalizer, unknownSurface } = this.model;
    const trims = normalizer.addDummyPrefix || normalizer.removeExtraWhitespaces;
    let text = "";
    let atStart = true;
    let spaceSeen = false;
    let bytes: number[] = [];
    const flush = (): void => {
      if (bytes.length > 0) text += decodeBytes(bytes);
      bytes = [];
    };
    for (const id of ids) {
      this.#check(id);
      const { piece, type } = pieces[id];
      if (type === "byte") {
        bytes.push(parseInt(piece.slice(3, 5), 16));
        continue;
      }
      flush();
      // The space in front of the first word is the dummy prefix; with extra spaces removed, so are all before it.
      if (spaceSeen || text !== "") atStart = false;
      spaceSeen = false;
      if (type === "unknown") {
        text += unknownSurface;
      } else if (type !== "control") {
        const trimmed = atStart && trims && piece.startsWith("▁");
        spaceSeen = trimmed && !normalizer.removeExtraWhitespaces;
        text += (trimmed ? piece.slice(1) : piece).replaceAll("▁", " ");
      }
    }
    flush();
    return this.#denormalizer?.normalize(text) ?? text;
  }

  #check(id: number): void {
    if (Number.isInteger(id) && id >= 0 && id < this.size) return;
    throw new OnnxHubError("text/id-out-of-range", "No piece has this id", {
      path: this.#path,
      expected: `a whole number in [0, ${this.size - 1}]`,
      found: String(id),
    });
  }
}

/** UTF-8 with U+FFFD for every byte that is not part of a character. */
function decodeBytes(bytes: readonly number[]): string {
  let text = "";
  for (let at = 0; at < bytes.length;) {
    const size = Math.max(1, characterSize(bytes[at]));
    const one = Uint8Array.from(bytes.slice(at, at + size));
    const character = decoder.decode(one);
    // Only what is UTF-8 comes back as it was.
    const valid = encoder.encode(character).every((byte, i) => byte === one[i]) && one.length === size;
    text += valid ? character : "\ufffd";
    at += valid ? size : 1;
  }
  return text;
}
