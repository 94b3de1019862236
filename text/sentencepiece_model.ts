/** Reads a SentencePiece model file (`.spm`, a protobuf ModelProto) and checks it. */

import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { OnnxHubError } from "../errors.ts";

/** What a piece is, by its number in the file. */
export const PIECE_TYPES = { 1: "normal", 2: "unknown", 3: "control", 4: "user_defined", 5: "unused", 6: "byte" } as const;

/** What a piece is. */
export type PieceType = (typeof PIECE_TYPES)[keyof typeof PIECE_TYPES];

/** How the model cuts text, by its number in the file. */
export const MODEL_TYPES = { 1: "unigram", 2: "bpe", 3: "word", 4: "char" } as const;

/** How the model cuts text. */
export type ModelType = (typeof MODEL_TYPES)[keyof typeof MODEL_TYPES];

/** One entry of the vocabulary. */
export interface SentencePiece {
  /** The text, with "▁" for a space. */
  readonly piece: string;
  /** Log-probability (Unigram) or minus the rank of the merge (BPE), a float32. */
  readonly score: number;
  readonly type: PieceType;
}

/** How text is normalized, before or (`denormalizer`) after. */
export interface NormalizerSpec {
  readonly name: string;
  /** The compiled replacement rules; empty when there are none. See charsmap.ts. */
  readonly precompiledCharsmap: Uint8Array;
  readonly addDummyPrefix: boolean;
  readonly removeExtraWhitespaces: boolean;
  readonly escapeWhitespaces: boolean;
}

/** A SentencePiece model: vocabulary, normalizer and what else decides about ids. */
export interface SentencePieceModel {
  readonly type: ModelType;
  /** By id. */
  readonly pieces: readonly SentencePiece[];
  /** The id of the one piece of type "unknown". */
  readonly unknownId: number;
  /** The id of the control piece that begins a sentence, or -1. */
  readonly bosId: number;
  /** The id of the control piece that ends a sentence, or -1. */
  readonly eosId: number;
  /** The id of the control piece that pads, or -1. */
  readonly padId: number;
  /** What an unknown id decodes to. */
  readonly unknownSurface: string;
  readonly byteFallback: boolean;
  readonly treatWhitespaceAsSuffix: boolean;
  readonly normalizer: NormalizerSpec;
  /** Rules applied to decoded text; undefined for nearly every model. */
  readonly denormalizer: NormalizerSpec | undefined;
}

/** One read of one field; what a message's table maps a field number to. */
type Fields<T> = Readonly<Record<number, { readonly wire: WireType; readonly read: (reader: BinaryReader, into: T) => void }>>;

interface RawPiece {
  piece: string;
  score: number;
  type: number;
}

interface RawNormalizer {
  name: string;
  precompiledCharsmap: Uint8Array;
  addDummyPrefix: boolean;
  removeExtraWhitespaces: boolean;
  escapeWhitespaces: boolean;
}

interface RawTrainer {
  modelType: number;
  treatWhitespaceAsSuffix: boolean;
  byteFallback: boolean;
  unknownSurface: string;
  bosPiece: string;
  eosPiece: string;
  padPiece: string;
}

interface RawModel {
  pieces: RawPiece[];
  trainer: RawTrainer;
  normalizer: RawNormalizer;
  denormalizer: RawNormalizer | undefined;
}

// Field numbers of sentencepiece_model.proto; the values of a fresh message below are that file's defaults.
const PIECE: Fields<RawPiece> = {
  1: { wire: WireType.LengthDelimited, read: (r, m) => m.piece = utf8(r) },
  2: { wire: WireType.Bit32, read: (r, m) => m.score = r.float() },
  3: { wire: WireType.Varint, read: (r, m) => m.type = r.int32() },
};

const NORMALIZER: Fields<RawNormalizer> = {
  1: { wire: WireType.LengthDelimited, read: (r, m) => m.name = utf8(r) },
  2: { wire: WireType.LengthDelimited, read: (r, m) => m.precompiledCharsmap = r.bytes() },
  3: { wire: WireType.Varint, read: (r, m) => m.addDummyPrefix = r.bool() },
  4: { wire: WireType.Varint, read: (r, m) => m.removeExtraWhitespaces = r.bool() },
  5: { wire: WireType.Varint, read: (r, m) => m.escapeWhitespaces = r.bool() },
};

const TRAINER: Fields<RawTrainer> = {
  3: { wire: WireType.Varint, read: (r, m) => m.modelType = r.int32() },
  24: { wire: WireType.Varint, read: (r, m) => m.treatWhitespaceAsSuffix = r.bool() },
  35: { wire: WireType.Varint, read: (r, m) => m.byteFallback = r.bool() },
  44: { wire: WireType.LengthDelimited, read: (r, m) => m.unknownSurface = utf8(r) },
  46: { wire: WireType.LengthDelimited, read: (r, m) => m.bosPiece = utf8(r) },
  47: { wire: WireType.LengthDelimited, read: (r, m) => m.eosPiece = utf8(r) },
  48: { wire: WireType.LengthDelimited, read: (r, m) => m.padPiece = utf8(r) },
};

const MODEL: Fields<RawModel> = {
  1: { wire: WireType.LengthDelimited, read: (r, m) => m.pieces.push(readPiece(r)) },
  2: { wire: WireType.LengthDelimited, read: (r, m) => m.trainer = message(r, TRAINER, m.trainer, "trainer_spec") },
  3: { wire: WireType.LengthDelimited, read: (r, m) => m.normalizer = message(r, NORMALIZER, m.normalizer, "normalizer_spec") },
  5: { wire: WireType.LengthDelimited, read: (r, m) => m.denormalizer = message(r, NORMALIZER, normalizerDefaults(), "denormalizer_spec") },
};

const trainerDefaults = (): RawTrainer => ({
  modelType: 1,
  treatWhitespaceAsSuffix: false,
  byteFallback: false,
  unknownSurface: " \u2047 ",
  bosPiece: "<s>",
  eosPiece: "</s>",
  padPiece: "<pad>",
});

const normalizerDefaults = (): RawNormalizer => ({
  name: "",
  precompiledCharsmap: new Uint8Array(0),
  addDummyPrefix: true,
  removeExtraWhitespaces: true,
  escapeWhitespaces: true,
});

/**
 * Reads a SentencePiece model out of the bytes of a `.spm` (or `.model`) file.
 *
 * Throws "text/sentencepiece-model", with the offset, for bytes that are no such model; for a vocabulary that is empty, has a piece
 * twice or an empty one, or not exactly one unknown piece; and for a score that is no number.
 *
 * @example
 * ```ts
 * import { readFileSync } from "node:fs";
 * import { readSentencePieceModel } from "onnxhub";
 * const model = readSentencePieceModel(readFileSync("tests/fixtures/tokenizer/udhr-8k.spm"));
 * console.log(model.type, model.pieces.length); // unigram 8000
 * ```
 */
export function readSentencePieceModel(bytes: Uint8Array, path = "vocabulary.spm"): SentencePieceModel {
  const raw = parse(bytes, path);
  const fail = (what: string, expected: string, found: string): OnnxHubError =>
    new OnnxHubError("text/sentencepiece-model", what, { path, expected, found });
  const type = MODEL_TYPES[raw.trainer.modelType as keyof typeof MODEL_TYPES];
  if (type === undefined) throw fail("Unknown model type in a SentencePiece model", "1 to 4", String(raw.trainer.modelType));
  if (raw.pieces.length === 0) throw fail("Not a SentencePiece model: no vocabulary", "at least one piece", "none");

  const ids = new Map<string, number>();
  let unknownId = -1;
  const pieces = raw.pieces.map(({ piece, score, type }, id): SentencePiece => {
    const name = PIECE_TYPES[type as keyof typeof PIECE_TYPES];
    if (name === undefined) throw fail(`Unknown type of piece ${id} in a SentencePiece model`, "1 to 6", String(type));
    if (piece === "") throw fail(`Piece ${id} of a SentencePiece model is empty`, "some text", '""');
    if (ids.has(piece)) {
      throw fail(`Piece ${JSON.stringify(piece)} is twice in a SentencePiece model`, "every piece once", `ids ${ids.get(piece)} and ${id}`);
    }
    if (!Number.isFinite(score)) throw fail(`Score of piece ${id} of a SentencePiece model`, "a finite number", String(score));
    if (name === "byte" && !/^<0x[0-9A-F]{2}>$/.test(piece)) {
      throw fail(`Byte piece ${id} of a SentencePiece model`, "<0x00> to <0xFF>", piece);
    }
    if (name === "unknown") {
      if (unknownId >= 0) throw fail("Two unknown pieces in a SentencePiece model", "one", `ids ${unknownId} and ${id}`);
      unknownId = id;
    }
    ids.set(piece, id);
    return { piece, score, type: name };
  });
  if (unknownId < 0) throw fail("No unknown piece in a SentencePiece model", "one", "none");

  const { trainer } = raw;
  const control = (piece: string): number => {
    const id = ids.get(piece) ?? -1;
    return id >= 0 && pieces[id].type === "control" ? id : -1;
  };
  return {
    type,
    pieces,
    unknownId,
    bosId: control(trainer.bosPiece),
    eosId: control(trainer.eosPiece),
    padId: control(trainer.padPiece),
    unknownSurface: trainer.unknownSurface,
    byteFallback: trainer.byteFallback,
    treatWhitespaceAsSuffix: trainer.treatWhitespaceAsSuffix,
    normalizer: raw.normalizer,
    denormalizer: raw.denormalizer?.precompiledCharsmap.length ? raw.denormalizer : undefined,
  };
}

const TRAINER_SPEC = 2;

/** Fields of the trainer spec that name files of the machine where the model was trained. */
const PATH_FIELDS: ReadonlySet<number> = new Set([1, /* input */ 2, /* model_prefix */ 54 /* seed_sentencepieces_file */]);

/**
 * A SentencePiece model without the file names that its trainer left in it; nothing else changes.
 *
 * Throws "text/sentencepiece-model" for bytes that are no such model.
 */
export function stripTrainerPaths(bytes: Uint8Array, path = "vocabulary.spm"): Uint8Array {
  parse(bytes, path);
  return rewrite(
    bytes,
    (field, raw, payload) =>
      field === TRAINER_SPEC ? new BinaryWriter().tag(field, WireType.LengthDelimited).bytes(withoutPaths(payload)).finish() : raw,
  );
}

const withoutPaths = (trainer: Uint8Array): Uint8Array => rewrite(trainer, (field, raw) => PATH_FIELDS.has(field) ? undefined : raw);

/** A message with each field as `change` gives it back: the raw bytes with their tag, others, or undefined for none. */
function rewrite(message: Uint8Array, change: (field: number, raw: Uint8Array, payload: Uint8Array) => Uint8Array | undefined): Uint8Array {
  const writer = new BinaryWriter();
  const reader = new BinaryReader(message);
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const [field, wire] = reader.tag();
    const value = reader.skip(wire, field);
    const payload = wire === WireType.LengthDelimited ? new BinaryReader(value).bytes() : value;
    const changed = change(field, message.subarray(start, reader.pos), payload);
    if (changed !== undefined) writer.raw(changed);
  }
  return writer.finish();
}

function parse(bytes: Uint8Array, path: string): RawModel {
  const reader = new BinaryReader(bytes);
  const fresh = (): RawModel => ({ pieces: [], trainer: trainerDefaults(), normalizer: normalizerDefaults(), denormalizer: undefined });
  try {
    const plain = new PlainPieces(bytes);
    const table: Fields<RawModel> = { ...MODEL, 1: { ...MODEL[1], read: (r, m) => m.pieces.push(plain.read(r) ?? readPiece(r)) } };
    const model = fields(reader, reader.len, table, fresh(), "model");
    if (plain.finish()) return model;
    reader.pos = 0;
    return fields(reader, reader.len, MODEL, fresh(), "model");
  } catch (cause) {
    throw new OnnxHubError("text/sentencepiece-model", `Not a SentencePiece model, or a damaged one`, {
      path,
      expected: "a protobuf ModelProto",
      found: `at byte ${Math.min(reader.pos, bytes.length)} of ${bytes.length}: ${cause instanceof Error ? cause.message : String(cause)}`,
      remedy: "Download the file again.",
      cause,
    });
  }
}

function readPiece(reader: BinaryReader): RawPiece {
  return message(reader, PIECE, { piece: "", score: 0, type: 1 }, "pieces");
}

/**
 * Reads pieces that are written as every trainer writes them: text, score, and the type if it isn't "normal". That takes a third of the time that reading field
 * by field takes, above all because the decoder is called once, not for every piece.
 */
class PlainPieces {
  readonly #view: DataView;
  readonly #pieces: RawPiece[] = [];
  /** The texts' bytes, a zero after each. */
  readonly #texts: Uint8Array;
  #size = 0;

  constructor(private readonly bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    // A piece has more bytes around its text than the one zero.
    this.#texts = new Uint8Array(bytes.length);
  }

  /** The piece that the reader has before it, its text still lacking; undefined where it is written otherwise, and the reader stays then. */
  read(reader: BinaryReader): RawPiece | undefined {
    const { bytes } = this;
    const start = reader.pos;
    const length = bytes[start + 2];
    const score = start + 3 + length;
    const end = start + 1 + bytes[start];
    // Lengths below 128 are one byte. Tags: field 1 is text, field 2 four bytes, field 3 a number.
    const hasType = end === score + 7;
    const isPlain = bytes[start] < 128 && length < 128 && bytes[start + 1] === 0x0a && bytes[score] === 0x15 && end <= bytes.length &&
      (end === score + 5 || (hasType && bytes[score + 5] === 0x18 && bytes[score + 6] < 128));
    if (!isPlain) return undefined;
    for (let i = start + 3; i < score; i++) this.#texts[this.#size++] = bytes[i];
    this.#size++;
    const piece: RawPiece = { piece: "", score: this.#view.getFloat32(score + 1, true), type: hasType ? bytes[score + 6] : 1 };
    this.#pieces.push(piece);
    reader.pos = end;
    return piece;
  }

  /** Gives the pieces their texts; false where one has a zero in it or is not UTF-8. */
  finish(): boolean {
    let texts: string[];
    try {
      texts = strict.decode(this.#texts.subarray(0, this.#size)).split("\0");
    } catch {
      return false;
    }
    if (texts.length !== this.#pieces.length + 1) return false;
    this.#pieces.forEach((piece, i) => piece.piece = texts[i]);
    return true;
  }
}

function message<T>(reader: BinaryReader, table: Fields<T>, into: T, name: string): T {
  const length = reader.uint32();
  return fields(reader, reader.pos + length, table, into, name);
}

function fields<T>(reader: BinaryReader, end: number, table: Fields<T>, into: T, name: string): T {
  if (end > reader.len) throw new RangeError(`${name} ends at byte ${end}, beyond the end of the file`);
  while (reader.pos < end) {
    const [field, wire] = reader.tag();
    const rule = table[field];
    if (rule === undefined) {
      reader.skip(wire, field);
    } else {
      if (wire !== rule.wire) throw new TypeError(`field ${field} of ${name} has wire type ${wire}, not ${rule.wire}`);
      rule.read(reader, into);
    }
  }
  if (reader.pos !== end) throw new RangeError(`a field of ${name} runs beyond it`);
  return into;
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function utf8(reader: BinaryReader): string {
  return strict.decode(reader.bytes());
}
