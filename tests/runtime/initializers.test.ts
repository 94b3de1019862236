/** Initializers: Keras' distributions, drawn as a pure function of seed and path. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { initialize } from "../../runtime/initializers.ts";
import type { Initializer } from "../../spec/types.ts";

interface Expected {
  readonly stddev: number;
  readonly limit: number;
  readonly mean?: number;
}

const SHAPE = [120, 80]; // fan in 120, fan out 80
const TRUNCATED = 0.87962566; // standard deviation of a normal cut at ±2

const cases: readonly (readonly [Initializer, Expected])[] = [
  [{ type: "random_normal", mean: 0.5, stddev: 0.2 }, { mean: 0.5, stddev: 0.2, limit: Infinity }],
  [{ type: "random_uniform", minval: -0.05, maxval: 0.05 }, { stddev: 0.1 / Math.sqrt(12), limit: 0.05 }],
  [{ type: "truncated_normal", mean: 0, stddev: 0.02 }, { stddev: 0.02 * TRUNCATED, limit: 0.04 }],
  [{ type: "glorot_uniform" }, { stddev: Math.sqrt(2 / 200), limit: Math.sqrt(6 / 200) }],
  [{ type: "glorot_normal" }, { stddev: Math.sqrt(2 / 200), limit: 2 * Math.sqrt(2 / 200) / TRUNCATED }],
  [{ type: "he_uniform" }, { stddev: Math.sqrt(2 / 120), limit: Math.sqrt(6 / 120) }],
  [{ type: "he_normal" }, { stddev: Math.sqrt(2 / 120), limit: 2 * Math.sqrt(2 / 120) / TRUNCATED }],
  [{ type: "lecun_normal" }, { stddev: Math.sqrt(1 / 120), limit: 2 * Math.sqrt(1 / 120) / TRUNCATED }],
];

describe("initializers", () => {
  for (const [initializer, { mean = 0, stddev, limit }] of cases) {
    it(`${initializer.type} has Keras' mean, standard deviation and bounds`, () => {
      const data = initialize(initializer, SHAPE, 1, "dense/kernel");
      const found = data.reduce((a, b) => a + b, 0) / data.length;
      const spread = Math.sqrt(data.reduce((a, b) => a + (b - found) ** 2, 0) / data.length);
      assert.ok(Math.abs(found - mean) < 4 * stddev / Math.sqrt(data.length), `mean ${found}`);
      assert.ok(Math.abs(spread / stddev - 1) < 0.03, `standard deviation ${spread}, not ${stddev}`);
      assert.ok(data.every((x) => Math.abs(x - mean) <= limit * (1 + 1e-6)), "out of bounds");
    });
  }
  it("zeros, ones and constants are just that", () => {
    assert.deepEqual(initialize({ type: "zeros" }, [3], 1, "a"), Float32Array.of(0, 0, 0));
    assert.deepEqual(initialize({ type: "ones" }, [2], 1, "a"), Float32Array.of(1, 1));
    assert.deepEqual(initialize({ type: "constant", value: 0.25 }, [2], 1, "a"), Float32Array.of(0.25, 0.25));
  });
  it("fans of kernels of more than two dimensions count all but the last two as receptive field, as Keras does", () => {
    const limit = Math.sqrt(6 / (16 * 2 + 16 * 8));
    const data = initialize({ type: "glorot_uniform" }, [16, 2, 8], 1, "query/kernel");
    const greatest = Math.max(...data.map(Math.abs));
    assert.ok(greatest <= limit && greatest > 0.97 * limit, `${greatest}, limit ${limit}`);
  });
  it("give the same weights for the same seed and path, others for another", () => {
    const draw = (seed: number, path: string) => initialize({ type: "glorot_uniform" }, [4, 4], seed, path).join();
    assert.equal(draw(1, "a"), draw(1, "a"));
    assert.notEqual(draw(1, "a"), draw(2, "a"));
    assert.notEqual(draw(1, "a"), draw(1, "b"));
  });
});
