/** Keras' initializers, drawn from the project's own seeded streams. */

import { float32Bits } from "../codegen/wasm/assembler.ts";
import { type InitialDistribution, initialValuesModule } from "../codegen/wasm/initial_values.ts";
import { RandomStream } from "../random.ts";
import type { Initializer } from "../spec/types.ts";
import { DrawKernel } from "./draws.ts";

let kernel: DrawKernel<InitialDistribution> | null = null;

/** Fan in and fan out as Keras computes them (keras/src/initializers/random_initializers.py, `compute_fans`). */
function fans(shape: readonly number[]): [number, number] {
  if (shape.length === 0) return [1, 1];
  if (shape.length === 1) return [shape[0], shape[0]];
  if (shape.length === 2) return [shape[0], shape[1]];
  const receptive = shape.slice(0, -2).reduce((a, b) => a * b, 1);
  return [shape.at(-2)! * receptive, shape.at(-1)! * receptive];
}

/** The greatest uniform value that is drawn. */
const GREATEST = 1 - 2 ** -24;

/** The float32 number by which values from 0 to 1 are scaled, so that `low` plus the greatest isn't rounded to more than `high`. */
function spanOf(low: number, high: number): number {
  const span = Float32Array.of(high - low);
  const bits = new Int32Array(span.buffer);
  // A positive float32 number's bits less one, as an integer, are those of the number before it.
  while (span[0] > 0 && Number.isFinite(span[0]) && Math.fround(Math.fround(low) + Math.fround(span[0] * GREATEST)) > Math.fround(high)) {
    bits[0]--;
  }
  return span[0];
}

/**
 * The initial values of a weight [row-major, float32]. A pure function of initializer, shape, seed and path, the same to the bit on every engine.
 * Normal values are quantiles of uniform draws by an approximation of erf⁻¹ in float32, as JAX draws them; element i is of the stream's number at i.
 *
 * Truncated normals are not rescaled to keep their variance, except in the variance-scaling family (he, lecun, glorot), as in Keras.
 */
export function initialize(initializer: Initializer, shape: readonly number[], seed: number, path: string): Float32Array<ArrayBuffer> {
  const size = shape.reduce((a, b) => a * b, 1);
  const data = new Float32Array(size);
  const stream = new RandomStream(seed, "initializer", path);
  const draw = (distribution: InitialDistribution, location: number, scale: number) => {
    kernel ??= new DrawKernel(initialValuesModule());
    kernel.fill(data, distribution, stream, float32Bits(location), float32Bits(scale));
    return data;
  };
  const uniform = (low: number, high: number) => {
    const span = spanOf(low, high);
    // The difference of two float32 numbers may be none.
    return Number.isFinite(span) ? draw("uniform", low, span) : data.map((_, i) => low + (high - low) * stream.uniform(i));
  };
  const cut = (mean: number, stddev: number) => draw("truncatedNormal", mean, stddev);
  const [fanIn, fanOut] = fans(shape);
  switch (initializer.type) {
    case "zeros":
      return data;
    case "ones":
      return data.fill(1);
    case "constant":
      return data.fill(initializer.value);
    case "random_normal":
      return draw("normal", initializer.mean, initializer.stddev);
    case "random_uniform":
      return uniform(initializer.minval, initializer.maxval);
    case "truncated_normal":
      return cut(initializer.mean, initializer.stddev);
    case "glorot_uniform":
      return uniform(-Math.sqrt(6 / (fanIn + fanOut)), Math.sqrt(6 / (fanIn + fanOut)));
    case "he_uniform":
      return uniform(-Math.sqrt(6 / fanIn), Math.sqrt(6 / fanIn));
    case "glorot_normal":
      return cut(0, Math.sqrt(2 / (fanIn + fanOut)) / TRUNCATED_STDDEV);
    case "he_normal":
      return cut(0, Math.sqrt(2 / fanIn) / TRUNCATED_STDDEV);
    case "lecun_normal":
      return cut(0, Math.sqrt(1 / fanIn) / TRUNCATED_STDDEV);
  }
}

/** The standard deviation of a standard normal cut at ±2. */
const TRUNCATED_STDDEV = 0.87962566103423978;
