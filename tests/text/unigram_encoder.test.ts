/** Unigram models word by word: what is remembered of one text changes nothing in another. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { RandomStream } from "../../random.ts";
import { Normalizer } from "../../text/charsmap.ts";
import { readSentencePieceModel, type SentencePieceModel } from "../../text/sentencepiece_model.ts";
import { SentencePieceProcessor } from "../../text/sentencepiece_processor.ts";
import { UnigramEncoder } from "../../text/unigram_encoder.ts";
import { TYPES, writeModel } from "./sentencepiece_models.ts";

const fixture = (name: string): Uint8Array => readFileSync(new URL(`../fixtures/tokenizer/${name}`, import.meta.url));

/** SentencePiece's algorithm in its plainest form: one lattice over the whole normalized text, sums in single precision, the first of equals. */
function plainIds(model: SentencePieceModel, normalized: string): number[] {
  const f32 = Math.fround;
  const normal = model.pieces.filter(({ type }) => type === "normal");
  const unknownScore = f32(Math.min(...normal.map(({ score }) => score)) - 10);
  const pieces = new Map(model.pieces.flatMap((one, id) => one.type === "normal" ? [[one.piece, { id, score: one.score }]] : []));
  const longest = Math.max(...normal.map(({ piece }) => Array.from(piece).length));
  const characters = Array.from(normalized);
  const best: ({ id: number; start: number; score: number } | undefined)[] = [{ id: -1, start: 0, score: 0 }];
  characters.forEach((_, start) => {
    let single = false;
    for (let end = start + 1; end <= Math.min(start + longest, characters.length + 1); end++) {
      const piece = pieces.get(characters.slice(start, end).join(""));
      const last = end === start + longest || end > characters.length;
      for (const one of [piece, last && !single ? { id: model.unknownId, score: unknownScore } : undefined]) {
        if (!one) continue;
        const place = one.id === model.unknownId ? start + 1 : end;
        const score = f32(one.score + best[start]!.score);
        if (best[place] === undefined || score > best[place].score) best[place] = { id: one.id, start, score };
        if (one === piece && end === start + 1) single = true;
      }
    }
  });
  const ids: number[] = [];
  for (let end = characters.length; end > 0; end = best[end]!.start) ids.unshift(best[end]!.id);
  return ids.filter((id, i) => id !== model.unknownId || ids[i - 1] !== model.unknownId);
}

/** Texts of a few parts, of all lengths to 60 parts and some of 3,000. */
function* texts(count: number, parts: readonly string[]): Generator<string> {
  const random = new RandomStream(7, "texts", ...parts);
  let next = 0;
  const below = (limit: number): number => Math.floor(random.uniform(next++) * limit);
  for (let i = 0; i < count; i++) {
    yield Array.from({ length: i % 50 === 49 ? 3000 : below(60) }, () => parts[below(parts.length)]).join("");
  }
}

function assertPlain(model: SentencePieceModel, processor: SentencePieceProcessor, text: string): void {
  const expected = plainIds(model, processor.normalize(text));
  assert.deepEqual(processor.encode([text])[0], expected, JSON.stringify(text.slice(0, 200)));
}

const small = (pieces: readonly (readonly [string, number])[]): Uint8Array =>
  writeModel({
    modelType: 1,
    pieces: [["<unk>", 0, TYPES.unknown], ...pieces.map(([piece, score]) => [piece, score, TYPES.normal] as const)],
  });

describe("a Unigram model's ids, with words remembered", () => {
  it("are those of one lattice over the text, of ties too", () => {
    // "aaa" and "abab" have several paths with the same exact score: rounding, and so all of the text before, decides.
    const bytes = small([["▁", -2.3], ["a", -1.1], ["aa", -2.2], ["aaa", -3.3], ["b", -1.7], ["ab", -2.8], ["ba", -2.8], ["▁a", -3.4]]);
    const model = readSentencePieceModel(bytes);
    const processor = new SentencePieceProcessor(bytes);
    for (const text of texts(300, ["a", "b", " ", "aa", "ab ", "aba ", "c"])) assertPlain(model, processor, text);
  });

  it("are those of one lattice with every rule that makes or meets spaces", () => {
    const bytes = fixture("udhr-8k.spm");
    const model = readSentencePieceModel(bytes);
    const processor = new SentencePieceProcessor(bytes);
    const parts = [
      " ",
      " ",
      "human",
      "ri",
      "ght",
      "s ",
      "▁",
      "\u00a0",
      "\u3000",
      "\u0001",
      "¨",
      "ﷺ",
      "e",
      "\u0301",
      "é",
      "ﬁ",
      "人",
      "👩",
      "\ud83d",
      "\u200b",
      "ｶ",
      "ﾞ",
    ];
    for (const text of texts(150, parts)) assertPlain(model, processor, text);
  });

  it("are those of one lattice where pieces go over spaces", () => {
    const bytes = small([["▁", -2], ["a", -2], ["b", -2], ["a▁b", -3], ["▁a", -3], ["b▁", -1]]);
    const model = readSentencePieceModel(bytes);
    const processor = new SentencePieceProcessor(bytes);
    for (const text of texts(100, ["a", "b", " ", "a b", "  "])) assertPlain(model, processor, text);
  });

  it("are one for unknown words on both sides of a space without a piece", () => {
    const processor = new SentencePieceProcessor(small([["a", -1]]));
    assert.deepEqual(processor.encode(["x yy z", "a x a"]), [[0], [0, 1, 0, 1]]);
  });

  it("are the same after more words than are remembered", () => {
    const bytes = fixture("udhr-8k.spm");
    const processor = new SentencePieceProcessor(bytes);
    const list = ["All human beings are born free", "人人生而自由", "Всі люди народжуються вільними"];
    const before = processor.encode(list);
    const digits = Array.from({ length: 40_000 }, (_, i) => `w${i * 7919}`);
    for (let i = 0; i < digits.length; i += 1000) processor.encode([digits.slice(i, i + 1000).join(" ")]);
    assert.deepEqual(processor.encode(list), before);
    assert.deepEqual(processor.encode(digits), new SentencePieceProcessor(bytes).encode(digits));
  });

  it("are those of bytes for what a model lacks that falls back to them, each time", () => {
    const bytes = fixture("unigram-bytes.spm");
    const [first, second] = new SentencePieceProcessor(bytes).encode(["a 𐍈 a", "a 𐍈 a"]);
    assert.deepEqual(first, second);
    assert.ok(first.length >= 6);
  });
});

describe("Normalizer, by words", () => {
  const { normalizer: spec } = readSentencePieceModel(fixture("udhr-8k.spm"));

  it("tells apart models whose words depend on each other", () => {
    const separable = (change: object, options = {}) => new Normalizer({ ...spec, ...change }, options).separable;
    assert.equal(separable({}), true);
    assert.equal(separable({ removeExtraWhitespaces: false }), false);
    assert.equal(separable({ addDummyPrefix: false }), false);
    assert.equal(separable({ escapeWhitespaces: false }), false);
    assert.equal(separable({}, { treatWhitespaceAsSuffix: true }), false);
    assert.equal(separable({}, { userDefined: ["a b"] }), false);
  });

  it("keeps no character that a rule could change", () => {
    const normalizer = new Normalizer(spec);
    assert.equal(normalizer.keeps(0x61, 0x62), true); // ab
    assert.equal(normalizer.keeps(0x65, 0x301), false); // e and an acute accent
    assert.equal(normalizer.keeps(0xfb01, 0x20), false); // ﬁ
    assert.equal(normalizer.keeps(0x2581, 0x20), false); // ▁
    assert.equal(normalizer.keeps(0x4eba, 0x20), true); // 人
    assert.equal(normalizer.keeps(0xd83d, 0xdc69), false); // half of 👩
    // All of the plane, alone and before a letter: where it says so, normalizing changes nothing.
    for (let unit = 0; unit < 0x10000; unit++) {
      if (!normalizer.keeps(unit, 0x20)) continue;
      const character = String.fromCharCode(unit);
      assert.equal(normalizer.normalize(character), `▁${character}`);
    }
  });
});

describe("UnigramEncoder", () => {
  it("encodes one text as if there were no other", () => {
    const model = readSentencePieceModel(fixture("udhr-8k.spm"));
    const encoder = new UnigramEncoder(model, new Normalizer(model.normalizer), undefined);
    const first = encoder.encode("All human beings");
    const copy = [...first];
    encoder.encode("人人生而自由,在尊严和权利上一律平等。");
    assert.deepEqual(first, copy);
    assert.deepEqual(encoder.encode(""), []);
    assert.deepEqual(encoder.encode("   "), []);
  });
});
