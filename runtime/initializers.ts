/** Keras' initializers, drawn from the project's own seeded streams. */

import { type InitialDistribution, initialValuesModule } from "../codegen/wasm/initial_values.ts";
import { RandomStream } from "../random.ts";
import type { Initializer } from "../spec/types.ts";
import { DrawKernel, float32Bits } from "./draws.ts";

let kernel: DrawKernel<InitialDistribution> | null = null;

/** Fan in and fan out as Keras computes them (keras/src/initializers/random_initializers.py, `compute_fans`). */
function fans(shape: readonly number[]): [number, number] {
  if (shape.length === 0) return [1, 1];
  if (shape.length === 1) return [shape[0], shape[0]];
  if (shape.length === 2) return [shape[0], shape[1]];
  const receptive = shape.slice(0, -2).reduce((a, b) => a * b, 1);
  return [shape.at(-2)! * receptive, shape.at(-1)! * receptive];
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
  const uniform = (low: number, high: number) => draw("uniform", low, high - low);
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
