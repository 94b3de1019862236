/** Small SentencePiece models made for tests: the file format, written field by field. */

import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/** By their numbers in the file. */
export const TYPES = { normal: 1, unknown: 2, control: 3, user_defined: 4, unused: 5, byte: 6 } as const;

/** What a model is written from. */
export interface ModelFields {
  readonly pieces: readonly (readonly [piece: string, score: number, type: number])[];
  /** 1 Unigram, 2 BPE, 3 word, 4 char. */
  readonly modelType: number;
  readonly charsmap?: Uint8Array;
  /** The trainer's `input` and `model_prefix`. */
  readonly paths?: readonly [input: string, prefix: string];
}

const message = (write: (writer: BinaryWriter) => void): Uint8Array => {
  const writer = new BinaryWriter();
  write(writer);
  return writer.finish();
};

/** The bytes of a model file. */
export function writeModel({ pieces, modelType, charsmap, paths }: ModelFields): Uint8Array {
  return message((model) => {
    for (const [piece, score, type] of pieces) {
      model.tag(1, WireType.LengthDelimited).bytes(message((entry) => {
        entry.tag(1, WireType.LengthDelimited).string(piece);
        entry.tag(2, WireType.Bit32).float(score);
        entry.tag(3, WireType.Varint).int32(type);
      }));
    }
    model.tag(2, WireType.LengthDelimited).bytes(message((trainer) => {
      if (paths) {
        trainer.tag(1, WireType.LengthDelimited).string(paths[0]);
        trainer.tag(2, WireType.LengthDelimited).string(paths[1]);
      }
      trainer.tag(3, WireType.Varint).int32(modelType);
    }));
    model.tag(3, WireType.LengthDelimited).bytes(message((normalizer) => {
      if (charsmap) normalizer.tag(2, WireType.LengthDelimited).bytes(charsmap);
    }));
  });
}

/** The vocabulary that KerasHub's own XLM-RoBERTa tests use: a word model whose unknown piece is 1. */
export const KERASHUB_TEST_MODEL: Uint8Array = writeModel({
  modelType: 3,
  pieces: [
    ["<pad>", 0, TYPES.control],
    ["<unk>", 0, TYPES.unknown],
    ["[CLS]", 0, TYPES.control],
    ["[SEP]", 0, TYPES.control],
    ["[MASK]", 0, TYPES.user_defined],
    ...["▁the", "▁brown", "▁earth", "▁fox", "▁is", "▁quick", "▁round"].map((piece, i) => [piece, -i, TYPES.normal] as const),
  ],
});
