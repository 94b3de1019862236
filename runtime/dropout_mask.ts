/** Draws dropout masks on the processor: what `RandomStream` draws, by a WebAssembly kernel. */

import { float32Bits } from "../codegen/wasm/assembler.ts";
import { dropoutMaskModule } from "../codegen/wasm/dropout_mask.ts";
import type { RandomStream } from "../random.ts";
import { DrawKernel } from "./draws.ts";

/** Arrays that masks are drawn into again and again: the system takes longer to give fresh memory than the kernel to fill it. */
export class MaskArrays {
  readonly #free: Float32Array<ArrayBuffer>[] = [];

  /** An array of so many elements, of any content, that nobody else has. */
  take(size: number): Float32Array<ArrayBuffer> {
    const fitting = this.#free.findIndex(({ length }) => length >= size);
    if (fitting >= 0) return this.#free.splice(fitting, 1)[0].subarray(0, size);
    // One that is too short has to make room, so that there are never more than were needed at once.
    this.#free.shift();
    return new Float32Array(size);
  }

  /** Takes an array back. */
  give({ buffer }: Float32Array<ArrayBuffer>): void {
    this.#free.push(new Float32Array(buffer));
    this.#free.sort((a, b) => a.length - b.length);
  }

  /** Forgets the arrays. */
  clear(): void {
    this.#free.length = 0;
  }
}

let kernel: DrawKernel<"mask"> | null = null;

/**
 * Fills a dropout mask: 1 / (1 - rate) in float32 where the draw keeps (probability 1 - rate), 0 where it drops. The draw of element i is the
 * stream's number at i, as in {@linkcode RandomStream.fillKeep}.
 */
export function fillDropoutMask(mask: Float32Array, stream: RandomStream, rate: number): void {
  const threshold = Math.round(rate * 4294967296);
  // The kernel compares 32-bit integers, none of which reaches this one.
  if (threshold >= 4294967296) return void mask.fill(0);
  kernel ??= new DrawKernel(dropoutMaskModule());
  kernel.fill(mask, "mask", stream, threshold, float32Bits(1 / (1 - rate)));
}
