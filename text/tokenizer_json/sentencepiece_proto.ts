/** Writes a SentencePiece model as the protobuf that `.spm` files are. */

import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { MODEL_TYPES, type ModelType, PIECE_TYPES, type PieceType, type SentencePiece } from "../sentencepiece_model.ts";

/** What of a model is written; the rest has SentencePiece's defaults. */
export interface SentencePieceModelParts {
  readonly type: ModelType;
  /** By id. */
  readonly pieces: readonly SentencePiece[];
  /** The compiled normalization rules; empty for none. */
  readonly precompiledCharsmap: Uint8Array;
  readonly addDummyPrefix: boolean;
  readonly removeExtraWhitespaces: boolean;
  readonly byteFallback: boolean;
  /** The pieces that begin, end, pad a text and stand for the unknown. */
  readonly special: { readonly unknown: string; readonly start: string; readonly end: string; readonly pad: string };
}

const numbers = <T extends string>(names: Readonly<Record<number, T>>): ReadonlyMap<T, number> =>
  new Map(Object.entries(names).map(([number, name]) => [name, Number(number)]));
const MODEL_NUMBERS = numbers<ModelType>(MODEL_TYPES);
const PIECE_NUMBERS = numbers<PieceType>(PIECE_TYPES);

/** The bytes of a `.spm` file. Scores become single-precision. */
export function writeSentencePieceModel(model: SentencePieceModelParts): Uint8Array {
  const ids = new Map(model.pieces.map(({ piece }, id) => [piece, id]));
  const writer = new BinaryWriter();
  for (const { piece, score, type } of model.pieces) {
    writer.tag(1, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.LengthDelimited).string(piece);
    writer.tag(2, WireType.Bit32).float(score);
    if (type !== "normal") writer.tag(3, WireType.Varint).int32(PIECE_NUMBERS.get(type)!);
    writer.join();
  }
  const { unknown, start, end, pad } = model.special;
  writer.tag(2, WireType.LengthDelimited).fork();
  writer.tag(3, WireType.Varint).int32(MODEL_NUMBERS.get(model.type)!);
  writer.tag(4, WireType.Varint).int32(model.pieces.length);
  writer.tag(35, WireType.Varint).bool(model.byteFallback);
  [unknown, start, end, pad].forEach((piece, i) => writer.tag(40 + i, WireType.Varint).int32(ids.get(piece) ?? -1));
  [unknown, start, end, pad].forEach((piece, i) => writer.tag(45 + i, WireType.LengthDelimited).string(piece));
  writer.join();
  writer.tag(3, WireType.LengthDelimited).fork();
  writer.tag(2, WireType.LengthDelimited).bytes(model.precompiledCharsmap);
  writer.tag(3, WireType.Varint).bool(model.addDummyPrefix);
  writer.tag(4, WireType.Varint).bool(model.removeExtraWhitespaces);
  writer.tag(5, WireType.Varint).bool(true);
  writer.join();
  return writer.finish();
}
