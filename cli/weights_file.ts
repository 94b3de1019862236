/** The file `weights.bin`: the initial values of a model's weights, one after the other, little-endian float32. */

import { closeSync, openSync, writeSync } from "node:fs";
import type { ExternalData } from "../codegen/onnx/encode.ts";
import type { WeightInfo } from "../codegen/program.ts";
import { initialize } from "../runtime/initializers.ts";

/** Where each weight lies in a file of all of them, in order. */
export function placeWeights(location: string, weights: readonly WeightInfo[]): Map<string, ExternalData> {
  let offset = 0;
  return new Map(weights.map(({ path, shape }) => {
    const length = 4 * shape.reduce((a, b) => a * b, 1);
    const place = { location, offset, length };
    offset += length;
    return [path, place];
  }));
}

/** Writes the initial values, a weight at a time: the same seed gives the same bytes. */
export function writeWeights(file: string, weights: readonly WeightInfo[], seed: number): void {
  const handle = openSync(file, "w");
  try {
    for (const { path, shape, initializer } of weights) {
      const { buffer } = initialize(initializer, shape, seed, path);
      for (let done = 0; done < buffer.byteLength;) {
        // A write takes 2 GiB at most.
        done += writeSync(handle, new Uint8Array(buffer, done, Math.min(2 ** 30, buffer.byteLength - done)));
      }
    }
  } finally {
    closeSync(handle);
  }
}
