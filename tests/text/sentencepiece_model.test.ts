/** The reader of SentencePiece model files. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { OnnxHubError } from "../../errors.ts";
import { readSentencePieceModel, stripTrainerPaths } from "../../text/sentencepiece_model.ts";
import { KERASHUB_TEST_MODEL, type ModelFields, TYPES, writeModel } from "./sentencepiece_models.ts";

const udhr = new Uint8Array(readFileSync(new URL("../fixtures/tokenizer/udhr-8k.spm", import.meta.url)));

const small: ModelFields = { modelType: 1, pieces: [["<unk>", 0, TYPES.unknown], ["a", -1, TYPES.normal]] };

function failure(bytes: Uint8Array): OnnxHubError {
  try {
    readSentencePieceModel(bytes, "some.spm");
  } catch (error) {
    assert.ok(error instanceof OnnxHubError, String(error));
    assert.equal(error.code, "text/sentencepiece-model");
    assert.equal(error.path, "some.spm");
    return error;
  }
  throw new assert.AssertionError({ message: "no error" });
}

describe("readSentencePieceModel", () => {
  it("reads vocabulary, special ids and normalizer of a trained model", () => {
    const model = readSentencePieceModel(udhr);
    assert.equal(model.type, "unigram");
    assert.equal(model.pieces.length, 8000);
    assert.deepEqual([model.unknownId, model.bosId, model.eosId, model.padId], [0, 1, 2, -1]);
    assert.deepEqual(model.pieces.slice(0, 3).map(({ piece, type }) => [piece, type]), [["<unk>", "unknown"], ["<s>", "control"], [
      "</s>",
      "control",
    ]]);
    assert.equal(model.normalizer.name, "nmt_nfkc");
    assert.equal(model.normalizer.precompiledCharsmap.length, 240007);
    assert.ok(model.normalizer.addDummyPrefix && model.normalizer.removeExtraWhitespaces && model.normalizer.escapeWhitespaces);
    assert.equal(model.unknownSurface, " ⁇ ");
    assert.equal(model.denormalizer, undefined);
  });

  it("reads what is written, types and scores", () => {
    const model = readSentencePieceModel(KERASHUB_TEST_MODEL);
    assert.equal(model.type, "word");
    assert.equal(model.unknownId, 1);
    assert.deepEqual(model.pieces[4], { piece: "[MASK]", score: 0, type: "user_defined" });
    assert.deepEqual(model.pieces[6], { piece: "▁brown", score: -1, type: "normal" });
  });

  it("reads pieces however they are written: long, with zeros, fields in another order, of unknown numbers or missing", () => {
    const long = "ü".repeat(100);
    const texts = ["<unk>", "a", "b", long, "c\0d", "\0", "e"];
    const messages = texts.map((text, i) => {
      const message = new BinaryWriter();
      if (i === 2) message.tag(3, WireType.Varint).int32(4).tag(2, WireType.Bit32).float(-i);
      message.tag(1, WireType.LengthDelimited).string(text);
      if (i !== 2 && i !== 6) message.tag(2, WireType.Bit32).float(-i);
      if (i === 0) message.tag(3, WireType.Varint).int32(2);
      if (i === 1) message.tag(9, WireType.Varint).int32(7);
      return message.finish();
    });
    // The texts of the first four can be read at once, those with zeros in them can't.
    for (const count of [4, 7]) {
      const file = new BinaryWriter();
      for (const message of messages.slice(0, count)) file.tag(1, WireType.LengthDelimited).bytes(message);
      const types = ["unknown", "normal", "user_defined", "normal", "normal", "normal", "normal"];
      const expected = texts.map((piece, i) => ({ piece, score: i === 6 ? 0 : -i, type: types[i] })).slice(0, count);
      assert.deepEqual(readSentencePieceModel(file.finish()).pieces, expected);
    }
  });

  it("says at which byte a file stops being a model", () => {
    assert.match(failure(udhr.subarray(0, 100_000)).message, /at byte \d+ of 100000/);
    assert.match(failure(new TextEncoder().encode("version https://git-lfs.github.com/spec/v1\n")).message, /at byte \d+ of 43/);
    failure(Uint8Array.of(0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f));
  });

  it("refuses an empty file", () => {
    assert.match(failure(new Uint8Array(0)).message, /no vocabulary/);
  });

  it("refuses a field of the wrong wire type", () => {
    assert.match(failure(Uint8Array.of(0x08, 0x01)).message, /wire type/);
  });

  it("refuses text that is not UTF-8 in a piece", () => {
    failure(Uint8Array.of(0x0a, 0x03, 0x0a, 0x01, 0xff));
  });

  const wrong: Record<string, [Partial<ModelFields>, RegExp]> = {
    "a model type that there is not": [{ modelType: 9 }, /model type/],
    "a piece twice": [{ pieces: [...small.pieces, ["a", -2, TYPES.normal]] }, /"a" is twice/],
    "an empty piece": [{ pieces: [...small.pieces, ["", -2, TYPES.normal]] }, /Piece 2 .* is empty/],
    "no unknown piece": [{ pieces: small.pieces.slice(1) }, /No unknown piece/],
    "two unknown pieces": [{ pieces: [...small.pieces, ["b", 0, TYPES.unknown]] }, /Two unknown pieces/],
    "a score that is no number": [{ pieces: [...small.pieces, ["b", NaN, TYPES.normal]] }, /finite number/],
    "a piece type that there is not": [{ pieces: [...small.pieces, ["b", 0, 7]] }, /type of piece 2/],
    "a byte piece that names no byte": [{ pieces: [...small.pieces, ["<0x1>", 0, TYPES.byte]] }, /Byte piece 2/],
  };
  for (const [name, [fields, pattern]] of Object.entries(wrong)) {
    it(`refuses ${name}`, () => {
      readSentencePieceModel(writeModel(small));
      assert.match(failure(writeModel({ ...small, ...fields })).message, pattern);
    });
  }

  it("never throws anything but an OnnxHubError for a damaged file", () => {
    let random = 1;
    const next = (below: number): number => Math.floor((random = (random * 48271) % 2147483647) / 2147483647 * below);
    for (let round = 0; round < 300; round++) {
      const bytes = writeModel(small);
      for (let i = 0; i < 3; i++) bytes[next(bytes.length)] = next(256);
      try {
        readSentencePieceModel(bytes);
      } catch (error) {
        assert.ok(error instanceof OnnxHubError, String(error));
      }
    }
  });
});

describe("stripTrainerPaths", () => {
  it("drops the trainer's file names and nothing else", () => {
    const named = writeModel({ ...small, paths: ["/home/someone/corpus.txt", "/home/someone/model"] });
    assert.deepEqual(stripTrainerPaths(named), writeModel(small));
  });

  it("leaves a trained model equal in all that is read", () => {
    const stripped = stripTrainerPaths(udhr);
    assert.ok(stripped.length < udhr.length);
    assert.ok(!new TextDecoder("latin1").decode(stripped).includes("udhr"));
    assert.deepEqual(readSentencePieceModel(stripped), readSentencePieceModel(udhr));
  });

  it("refuses what is no model", () => {
    assert.throws(() => stripTrainerPaths(Uint8Array.of(1, 2, 3)), { code: "text/sentencepiece-model" });
  });
});
