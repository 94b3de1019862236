/** Initializers: Keras' distributions, drawn as a pure function of seed and path. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RandomStream } from "../../random.ts";
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

/** 1 - erf(t) for t ≥ 0, to 1e-15 of itself: by its power series, or its continued fraction (Abramowitz and Stegun, 7.1.6 and 7.1.14). */
function erfc(t: number): number {
  if (t < 2.5) {
    let [term, sum] = [t, t];
    for (let n = 1; n < 80; n++) sum += term *= 2 * t * t / (2 * n + 1);
    return 1 - 2 / Math.sqrt(Math.PI) * Math.exp(-t * t) * sum;
  }
  let fraction = t;
  for (let n = 120; n > 0; n--) fraction = t + n / 2 / fraction;
  return Math.exp(-t * t) / (Math.sqrt(Math.PI) * fraction);
}

/** What a standard normal variable exceeds in magnitude with probability `tail`, by Newton's method from close by. */
function quantile(tail: number, close: number): number {
  let z = Math.abs(close);
  for (let step = 0; step < 3; step++) z += (erfc(z / Math.SQRT2) - tail) / (Math.sqrt(2 / Math.PI) * Math.exp(-z * z / 2));
  return Math.sign(close) * z;
}

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
  it("draw normal values as quantiles of the stream's numbers, within 1e-6 of themselves or of one", () => {
    const size = 200_000;
    const stream = new RandomStream(3, "initializer", "kernel");
    for (const [type, within] of [["random_normal", 1], ["truncated_normal", 1 - erfc(Math.SQRT2)]] as const) {
      const data = initialize({ type, mean: 0, stddev: 1 }, [size], 3, "kernel");
      for (let i = 0; i < size; i++) {
        const x = Math.fround(Math.fround(Math.fround(stream.uint32(i) | 0) * 2 ** -31) * Math.fround(within));
        const expected = x === 0 ? 0 : quantile(1 - Math.abs(x), data[i] || Number.MIN_VALUE);
        assert.ok(Math.abs(data[i] - expected) <= 1e-6 * Math.max(1, Math.abs(expected)), `${type} at ${i}: ${data[i]}, not ${expected}`);
      }
    }
  });
  it("draw no uniform value above the bound, however it is rounded, and finite ones between bounds as far apart as can be", () => {
    for (const [minval, maxval] of [[0.18, 0.19], [2.9, 3.1], [1.7, 1.9], [-0.19, -0.18], [1000, 1000.1]]) {
      const data = initialize({ type: "random_uniform", minval, maxval }, [2 ** 22], 0, "k");
      const [least, greatest] = data.reduce(([low, high], x) => [Math.min(low, x), Math.max(high, x)], [Infinity, -Infinity]);
      assert.ok(least >= Math.fround(minval) && greatest <= Math.fround(maxval), `${least} to ${greatest}`);
      assert.ok(greatest - least > 0.999 * (maxval - minval), `${least} to ${greatest}`);
    }
    const data = initialize({ type: "random_uniform", minval: -3e38, maxval: 3e38 }, [1000], 0, "k");
    assert.ok(data.every((x) => Math.abs(x) <= 3.0001e38) && data.some((x) => x > 2e38) && data.some((x) => x < -2e38));
  });
  it("draw the same numbers on every engine", () => {
    const first = (initializer: Initializer) => [...initialize(initializer, [10_001], 7, "kernel").subarray(0, 3)];
    assert.deepEqual(first({ type: "random_uniform", minval: -1, maxval: 1 }), [
      -0.89887535572052,
      0.6680415868759155,
      -0.7691771984100342,
    ]);
    assert.deepEqual(first({ type: "random_normal", mean: 0, stddev: 1 }), [0.1270822435617447, -0.4288373589515686, 0.2934514284133911]);
    assert.deepEqual(first({ type: "truncated_normal", mean: 0, stddev: 0.02 }), [
      0.0024254173040390015,
      -0.008163481950759888,
      0.00559473130851984,
    ]);
    const words = new Uint32Array(initialize({ type: "random_normal", mean: 0, stddev: 1 }, [10_001], 7, "kernel").buffer);
    assert.equal(words.reduce((hash, word) => Math.imul(hash ^ word, 0x01000193), 0x811c9dc5) >>> 0, 3201475160);
  });
});
