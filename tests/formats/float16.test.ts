/** float16 and bfloat16: every bit pattern survives, rounding is to nearest even. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bfloat16ToFloat32, float16ToFloat32, float32ToBfloat16, float32ToFloat16 } from "../../formats/float16.ts";

const all = Uint16Array.from({ length: 65536 }, (_, i) => i);

describe("16-bit floats", () => {
  it("reads known float16 values", () => {
    const into = new Float32Array(9);
    float16ToFloat32(new Uint16Array([0x3c00, 0xc000, 0x7bff, 0x0001, 0x0400, 0x3555, 0x8000, 0x7c00, 0xfc00]), into);
    assert.deepEqual([...into], [1, -2, 65504, 2 ** -24, 2 ** -14, 0.333251953125, -0, Infinity, -Infinity]);
  });

  it("reads known bfloat16 values, into float32 and float64 alike", () => {
    for (const into of [new Float32Array(5), new Float64Array(5)]) {
      bfloat16ToFloat32(new Uint16Array([0x3f80, 0xc000, 0x3e20, 0x8000, 0x7f80]), into);
      assert.deepEqual([...into], [1, -2, 0.15625, -0, Infinity]);
    }
  });

  it("gives every finite and infinite pattern back", () => {
    for (const [read, write] of [[float16ToFloat32, float32ToFloat16], [bfloat16ToFloat32, float32ToBfloat16]] as const) {
      const values = new Float32Array(65536);
      read(all, values);
      const back = write(values);
      for (let i = 0; i < 65536; i++) {
        if (Number.isNaN(values[i])) assert.ok(Number.isNaN(roundTrip(read, back[i])), `${i}`);
        else assert.equal(back[i], i);
      }
    }
  });

  it("rounds to nearest, ties to even", () => {
    const halves = float32ToFloat16(
      new Float32Array([1 + 2 ** -11, 1 + 3 * 2 ** -11, 65519, 65520, 2 ** -25, 3 * 2 ** -25, 2 ** -14 - 2 ** -26]),
    );
    assert.deepEqual([...halves], [0x3c00, 0x3c02, 0x7bff, 0x7c00, 0, 2, 0x0400]);
    const brains = float32ToBfloat16(new Float32Array([1 + 2 ** -8, 1 + 3 * 2 ** -8, 3.4028234663852886e38]));
    assert.deepEqual([...brains], [0x3f80, 0x3f82, 0x7f80]);
  });
});

function roundTrip(read: typeof float16ToFloat32, bits: number): number {
  const into = new Float32Array(1);
  read(new Uint16Array([bits]), into);
  return into[0];
}
