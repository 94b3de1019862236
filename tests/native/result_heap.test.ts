/** The heap for results: where arrays lie in it, and that its memory is used again. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ResultHeap } from "../../runtime/native/result_heap.ts";
import { release } from "../../runtime/release.ts";

const make = (): ResultHeap => ResultHeap.create(65536, () => {})!;

describe("the heap for results", () => {
  it("has arrays on cache lines of their own, of one memory that kernels reach", () => {
    const heap = make();
    const arrays = [3, 16, 17].map((elements) => heap.allocate(elements)!);
    assert.deepEqual(arrays.map(({ byteOffset }) => byteOffset), [0, 64, 128]);
    assert.deepEqual(arrays.map(({ length }) => length), [3, 16, 17]);
    assert.equal(heap.allocate(1)!.byteOffset, 256);
    for (const array of arrays) {
      assert.equal(array.buffer, heap.memory.buffer);
      assert.ok(heap.holds(array));
    }
    // A last vector has too much: it fits at an array's end, not before.
    assert.ok(heap.holds(arrays[2].subarray(4)));
    assert.ok(!heap.holds(arrays[2].subarray(0, 5)));
    assert.ok(!heap.holds(new Float32Array(4)));
    assert.equal(heap.heldBytes, 4 * (3 + 16 + 17 + 1));
  });
  it("gives what was released to the next array of that size, and begins anew once nothing is held", () => {
    const heap = make();
    const [first, second, third] = [32, 32, 64].map((elements) => heap.allocate(elements)!);
    release(first);
    assert.equal(heap.allocate(64)!.byteOffset, 512);
    const again = heap.allocate(31)!;
    assert.equal(again.byteOffset, first.byteOffset);
    for (const array of [second, third, again]) release(array);
    assert.equal(heap.allocate(0)!.byteOffset, 768);
    assert.equal(heap.heldBytes, 256);

    const other = make();
    for (let step = 0; step < 3; step++) {
      const arrays = [8000, 0, 8000].map((elements) => other.allocate(elements)!);
      assert.deepEqual(arrays.map(({ byteOffset }) => byteOffset), [0, 32000, 32000]);
      assert.equal(other.allocate(1000), null);
      arrays.forEach(release);
      assert.equal(other.heldBytes, 0);
    }
  });
  it("is as large as it was asked to be, in pages of WebAssembly's, and at most 2 GiB", () => {
    const bytes = (asked: number): number => ResultHeap.create(asked, () => {})!.buffer.byteLength;
    assert.deepEqual([0, 65536, 65537, 2 ** 33].map(bytes), [65536, 65536, 2 * 65536, 2 ** 31]);
  });
  it("is advised of, whole", () => {
    const advised: number[] = [];
    ResultHeap.create(3 * 65536, ({ byteLength }) => advised.push(byteLength));
    assert.deepEqual(advised, [3 * 65536]);
  });
});
