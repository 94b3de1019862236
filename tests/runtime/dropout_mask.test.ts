/** Dropout masks: to the bit what a random stream draws, in arrays that are used again. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RandomStream } from "../../random.ts";
import { fillDropoutMask, MaskArrays } from "../../runtime/dropout_mask.ts";

describe("a dropout mask", () => {
  for (const rate of [0, 1e-9, 0.1, 0.5, 0.75, 1 - 1e-6, 1 - 1e-12]) {
    it(`at rate ${rate} is the stream's draws, scaled where they keep, for any length`, () => {
      for (const length of [1, 2, 3, 4, 5, 4095, 4096, 4097, 100_003]) {
        const stream = new RandomStream(11, "dropout", length, 2);
        const keep = new Uint8Array(length);
        stream.fillKeep(keep, rate);
        const mask = new Float32Array(length).fill(NaN);
        fillDropoutMask(mask, stream, rate);
        assert.deepEqual(mask, Float32Array.from(keep, (kept) => kept ? 1 / (1 - rate) : 0));
      }
    });
  }

  it("writes to its own part of a buffer only", () => {
    const buffer = new Float32Array(20).fill(7);
    fillDropoutMask(buffer.subarray(5, 11), new RandomStream(1), 0.5);
    assert.deepEqual([...buffer.subarray(0, 5), ...buffer.subarray(11)], new Array(14).fill(7));
    assert.ok(buffer.subarray(5, 11).every((value) => value === 0 || value === 2));
  });
});

describe("arrays of masks", () => {
  it("are used again, one by one taker at a time, the shortest that is long enough", () => {
    const arrays = new MaskArrays();
    const [long, short] = [arrays.take(100), arrays.take(50)];
    assert.notEqual(long.buffer, short.buffer);
    arrays.give(long);
    arrays.give(short);
    const again = arrays.take(30);
    assert.equal(again.length, 30);
    assert.equal(again.buffer, short.buffer);
    assert.equal(arrays.take(60).buffer, long.buffer);
    assert.notEqual(arrays.take(30).buffer, long.buffer);
  });

  it("make room for longer ones", () => {
    const arrays = new MaskArrays();
    const first = arrays.take(10);
    arrays.give(first);
    const longer = arrays.take(20);
    arrays.give(longer);
    assert.equal(arrays.take(5).buffer, longer.buffer);
    assert.notEqual(arrays.take(5).buffer, first.buffer);
  });
});
