/** The packers, on the examples of KerasHub's own tests. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MultiSegmentPacker, type PaddingSide, StartEndPacker } from "../../text/packing.ts";

const SIDES: readonly PaddingSide[] = ["right", "left"];
const cls = { startValue: "[CLS]", endValue: "[SEP]" };
const abc = [["a", "b", "c"], ["a", "b", "c"]];
const xyz = [["x", "y", "z"], ["x", "y", "z"]];

describe("MultiSegmentPacker", () => {
  for (const paddingSide of SIDES) {
    it(`trims one segment of ids, padding on the ${paddingSide}`, () => {
      const packer = new MultiSegmentPacker({ sequenceLength: 8, startValue: 1, endValue: 2, paddingSide });
      const { tokenIds, segmentIds } = packer.pack([[[3, 4, 5, 6, 7, 8, 9]]]);
      assert.deepEqual(tokenIds, [[1, 3, 4, 5, 6, 7, 8, 2]]);
      assert.deepEqual(segmentIds, [[0, 0, 0, 0, 0, 0, 0, 0]]);
    });

    it(`trims one segment of strings, padding on the ${paddingSide}`, () => {
      const packer = new MultiSegmentPacker<string>({ ...cls, sequenceLength: 5, paddingSide });
      assert.deepEqual(packer.pack([[["a", "b", "c", "d"]]]).tokenIds, [["[CLS]", "a", "b", "c", "[SEP]"]]);
    });

    it(`trims two segments in turn, padding on the ${paddingSide}`, () => {
      const packer = new MultiSegmentPacker<string>({ ...cls, sequenceLength: 7, truncate: "round_robin", paddingSide });
      const { tokenIds, segmentIds } = packer.pack([abc, xyz]);
      const row = ["[CLS]", "a", "b", "[SEP]", "x", "y", "[SEP]"];
      assert.deepEqual(tokenIds, [row, row]);
      assert.deepEqual(segmentIds, [[0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 1, 1, 1]]);
    });

    it(`trims two segments one after the other, padding on the ${paddingSide}`, () => {
      const packer = new MultiSegmentPacker<string>({ ...cls, sequenceLength: 7, truncate: "waterfall", paddingSide });
      const { tokenIds, segmentIds } = packer.pack([[abc[0], ["a", "b"]], xyz]);
      assert.deepEqual(tokenIds, [["[CLS]", "a", "b", "c", "[SEP]", "x", "[SEP]"], ["[CLS]", "a", "b", "[SEP]", "x", "y", "[SEP]"]]);
      assert.deepEqual(segmentIds, [[0, 0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 1, 1, 1]]);
    });
  }

  it("pads on the right", () => {
    const packer = new MultiSegmentPacker<string>({ ...cls, sequenceLength: 7, padValue: "[PAD]" });
    const { tokenIds, segmentIds } = packer.pack([[["a"], ["a"]], [["x"], ["x", "y"]]]);
    assert.deepEqual(tokenIds, [["[CLS]", "a", "[SEP]", "x", "[SEP]", "[PAD]", "[PAD]"], [
      "[CLS]",
      "a",
      "[SEP]",
      "x",
      "y",
      "[SEP]",
      "[PAD]",
    ]]);
    assert.deepEqual(segmentIds, [[0, 0, 0, 1, 1, 0, 0], [0, 0, 0, 1, 1, 1, 0]]);
  });

  it("pads on the left", () => {
    const packer = new MultiSegmentPacker<string>({ ...cls, sequenceLength: 7, padValue: "[PAD]", paddingSide: "left" });
    const { tokenIds, segmentIds } = packer.pack([[["a"], ["a"]], [["x"], ["x", "y"]]]);
    assert.deepEqual(tokenIds, [["[PAD]", "[PAD]", "[CLS]", "a", "[SEP]", "x", "[SEP]"], [
      "[PAD]",
      "[CLS]",
      "a",
      "[SEP]",
      "x",
      "y",
      "[SEP]",
    ]]);
    assert.deepEqual(segmentIds, [[0, 0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 1, 1, 1]]);
  });

  it("takes lists of special tokens", () => {
    const values = { startValue: "<s>", endValue: "</s>", sepValue: ["</s>", "</s>"], padValue: "<pad>" };
    const segments = [[["a", "b"], ["a", "b"]], [["x", "y"], ["x"]]];
    const right = new MultiSegmentPacker<string>({ ...values, sequenceLength: 8 }).pack(segments);
    assert.deepEqual(right.tokenIds, [["<s>", "a", "b", "</s>", "</s>", "x", "y", "</s>"], [
      "<s>",
      "a",
      "b",
      "</s>",
      "</s>",
      "x",
      "</s>",
      "<pad>",
    ]]);
    assert.deepEqual(right.segmentIds, [[0, 0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 0, 1, 1, 0]]);
    const left = new MultiSegmentPacker<string>({ ...values, sequenceLength: 8, paddingSide: "left" }).pack(segments);
    assert.deepEqual(left.tokenIds[1], ["<pad>", "<s>", "a", "b", "</s>", "</s>", "x", "</s>"]);
    assert.deepEqual(left.segmentIds[1], [0, 0, 0, 0, 0, 0, 1, 1]);
  });

  it("takes another length for a call", () => {
    const packer = new MultiSegmentPacker({ sequenceLength: 8, startValue: 101, endValue: 102, padValue: 0, sepValue: [] });
    const { tokenIds } = packer.pack([[[1, 2, 3, 4, 5]], [[6, 7, 8, 9, 10]]], { sequenceLength: 12 });
    assert.deepEqual(tokenIds, [[101, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 102]]);
  });

  it("keeps no room for a start or an end that is left out", () => {
    const packer = new MultiSegmentPacker({ sequenceLength: 7, startValue: 101, endValue: 102, padValue: 0, sepValue: [] });
    const segments = [[[1, 2, 3, 4]], [[5, 6, 7, 8]]];
    const noStart = packer.pack(segments, { addStartValue: false });
    assert.deepEqual(noStart.tokenIds, [[1, 2, 3, 5, 6, 7, 102]]);
    assert.deepEqual(noStart.segmentIds, [[0, 0, 0, 1, 1, 1, 1]]);
    const noEnd = packer.pack(segments, { addEndValue: false });
    assert.deepEqual(noEnd.tokenIds, [[101, 1, 2, 3, 5, 6, 7]]);
    assert.deepEqual(noEnd.segmentIds, [[0, 0, 0, 0, 1, 1, 1]]);
  });

  it("keeps the tokens of lowest rank in round robin, whatever the lengths", () => {
    const lengthsOf = (seed: number): number[] => [seed % 5, (seed * 7) % 11, (seed * 3) % 4];
    for (let seed = 0; seed < 60; seed++) {
      const lengths = lengthsOf(seed);
      const segments = lengths.map((length, s) => [Array.from({ length }, (_, k) => 100 * (s + 1) + k)]);
      for (let room = 0; room < 20; room++) {
        const packer = new MultiSegmentPacker({ sequenceLength: room + 1, startValue: [], sepValue: [], endValue: 9, padValue: 0 });
        // Token k of segment s has rank k · segments + s: the lowest `room` stay.
        const ranked = lengths.flatMap((length, s) => Array.from({ length }, (_, k) => [3 * k + s, 100 * (s + 1) + k]));
        const kept = ranked.sort((a, b) => a[0] - b[0]).slice(0, room).map(([, token]) => token).sort((a, b) => a - b);
        assert.deepEqual(packer.pack(segments).tokenIds[0].slice(0, kept.length), kept);
      }
    }
  });

  it("packs a batch of none", () => {
    assert.deepEqual(new MultiSegmentPacker({ sequenceLength: 4, startValue: 1, endValue: 2 }).pack([[]]), {
      tokenIds: [],
      segmentIds: [],
    });
  });

  it("refuses another way to truncate in KerasHub's words", () => {
    assert.throws(() => new MultiSegmentPacker({ sequenceLength: 4, startValue: 1, endValue: 2, truncate: "middle" as "waterfall" }), {
      code: "text/truncate",
      message: /^Only 'round_robin' and 'waterfall' algorithms are supported\. Received middle/,
    });
  });

  it("refuses no segment, columns of unequal length, a length without room, and bad options", () => {
    const packer = new MultiSegmentPacker({ sequenceLength: 3, startValue: 1, endValue: 2 });
    assert.throws(() => packer.pack([]), { code: "text/segments", message: /At least one input is required for packing/ });
    assert.throws(() => packer.pack([[[1]], [[1], [2]]]), {
      code: "text/segments",
      path: "inputs[1]",
      expected: "1, as the first",
      found: "2",
    });
    assert.throws(() => packer.pack([[[1]], [[1]], [[1]]]), { code: "text/sequence-length", expected: "at least 4", found: "3" });
    assert.throws(() => new MultiSegmentPacker({ sequenceLength: 0, startValue: 1, endValue: 2 }), { code: "text/sequence-length" });
    assert.throws(() => new MultiSegmentPacker({ sequenceLength: 4, startValue: 1, endValue: 2, paddingSide: "top" as "left" }), {
      code: "text/padding-side",
    });
    assert.throws(() => new MultiSegmentPacker({ sequenceLength: 4, startValue: {} as number, endValue: 2 }), {
      code: "text/special-value",
      message: /start_value should be of type int\/str\/list\/tuple/,
    });
  });
});

describe("StartEndPacker", () => {
  const rows = [[5, 6, 7], [8, 9, 10, 11]];

  it("pads without start and end", () => {
    assert.deepEqual(new StartEndPacker({ sequenceLength: 5 }).pack(rows).tokenIds, [[5, 6, 7, 0, 0], [8, 9, 10, 11, 0]]);
    assert.deepEqual(new StartEndPacker({ sequenceLength: 5, paddingSide: "left" }).pack(rows).tokenIds, [[0, 0, 5, 6, 7], [
      0,
      8,
      9,
      10,
      11,
    ]]);
  });

  it("adds start and end and pads", () => {
    const options = { sequenceLength: 7, startValue: 1, endValue: 2, padValue: 3 };
    assert.deepEqual(new StartEndPacker(options).pack(rows).tokenIds, [[1, 5, 6, 7, 2, 3, 3], [1, 8, 9, 10, 11, 2, 3]]);
    assert.deepEqual(new StartEndPacker({ ...options, paddingSide: "left" }).pack(rows).tokenIds, [[3, 3, 1, 5, 6, 7, 2], [
      3,
      1,
      8,
      9,
      10,
      11,
      2,
    ]]);
  });

  it("takes several start and end tokens", () => {
    const options = { sequenceLength: 8, startValue: [1, 2], endValue: [3, 4], padValue: 0 };
    const long = [[5, 6, 7], [8, 9, 10, 11, 12, 13]];
    assert.deepEqual(new StartEndPacker(options).pack(long).tokenIds, [[1, 2, 5, 6, 7, 3, 4, 0], [1, 2, 8, 9, 10, 11, 3, 4]]);
    assert.deepEqual(new StartEndPacker({ ...options, paddingSide: "left" }).pack(long).tokenIds, [[0, 1, 2, 5, 6, 7, 3, 4], [
      1,
      2,
      8,
      9,
      10,
      11,
      3,
      4,
    ]]);
  });

  it("truncates with room for the end", () => {
    const ten = [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]];
    assert.deepEqual(new StartEndPacker({ sequenceLength: 7, startValue: 98, endValue: 99 }).pack(ten).tokenIds, [[98, 0, 1, 2, 3, 4, 99]]);
    assert.deepEqual(new StartEndPacker({ sequenceLength: 7, startValue: 98 }).pack(ten).tokenIds, [[98, 0, 1, 2, 3, 4, 5]]);
  });

  it("packs strings", () => {
    const packer = new StartEndPacker<string>({
      sequenceLength: 6,
      startValue: ["[END]", "[START]"],
      endValue: "[END]",
      padValue: "[PAD]",
    });
    assert.deepEqual(packer.pack([["KerasHub", "is", "awesome"], ["amazing"]]).tokenIds, [
      ["[END]", "[START]", "KerasHub", "is", "awesome", "[END]"],
      ["[END]", "[START]", "amazing", "[END]", "[PAD]", "[PAD]"],
    ]);
    assert.deepEqual(new StartEndPacker<string>({ sequenceLength: 2 }).pack([["a"]]).tokenIds, [["a", ""]]);
  });

  it("says what is padding", () => {
    const packer = new StartEndPacker({ sequenceLength: 6, startValue: 1, endValue: 2, padValue: 3 });
    assert.deepEqual(packer.pack(rows).paddingMask, [[true, true, true, true, true, false], [true, true, true, true, true, true]]);
  });

  it("takes another length, no start and no end for a call", () => {
    const packer = new StartEndPacker({ sequenceLength: 5, startValue: 1, endValue: 2 });
    assert.deepEqual(packer.pack([[5, 6, 7, 8, 9]], { sequenceLength: 7 }).tokenIds, [[1, 5, 6, 7, 8, 9, 2]]);
    assert.deepEqual(packer.pack([[5, 6, 7, 8, 9]], { addStartValue: false, addEndValue: false }).tokenIds, [[5, 6, 7, 8, 9]]);
  });

  it("refuses a length without room for start and end", () => {
    assert.throws(() => new StartEndPacker({ sequenceLength: 1, startValue: 1, endValue: 2 }).pack(rows), {
      code: "text/sequence-length",
      expected: "at least 2",
    });
  });
});
