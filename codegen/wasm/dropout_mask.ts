/** A WebAssembly module that draws dropout masks. */

import { encodeModule, FunctionBody, wasmType } from "./assembler.ts";
import { DRAW_PARAMETERS, drawEach } from "./draws.ts";

/** The parameters of `mask`, i32 each. */
const PARAMETERS = { ...DRAW_PARAMETERS, threshold: 5, scale: 6 } as const;

/**
 * The module. It imports the memory `kernel.memory` and exports `mask(address, count, index, key0, key1, threshold, scale)`, which writes
 * `count` 4-byte elements, 1 at least, to `address`, in whole vectors of 16 bytes: the bits `scale` where the draw at `index` and the following is at
 * least the unsigned `threshold`, else zeros.
 */
export function dropoutMaskModule(): Uint8Array<ArrayBuffer> {
  const body = new FunctionBody(Object.keys(PARAMETERS).length);
  const [limit, kept] = [body.local(wasmType.v128), body.local(wasmType.v128)];
  for (const [from, to] of [[PARAMETERS.threshold, limit], [PARAMETERS.scale, kept]]) body.get(from).vector("i32x4Splat").set(to);
  drawEach(body, (draws) => body.get(draws).get(limit).vector("i32x4GeU").get(kept).vector("v128And"));
  return encodeModule([], [{ name: "mask", body }], false);
}
