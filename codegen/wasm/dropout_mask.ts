/** A WebAssembly module that draws dropout masks: the numbers of `RandomStream`, four at a time. */

import { encodeModule, FunctionBody, op, wasmType } from "./assembler.ts";

/** The multipliers of MurmurHash3's finalizer, and the one that spreads indices: as in `random.ts`. */
const MIX = [0x85ebca6b | 0, 0xc2b2ae35 | 0] as const;
const GOLDEN = 0x9e3779b9 | 0;

/** The parameters of `mask`, i32 each. */
const PARAMETERS = { address: 0, count: 1, index: 2, key0: 3, key1: 4, threshold: 5, scale: 6 } as const;

/** Mixes the vector in a local as `mix` in `random.ts` does, by the multipliers in two others. */
function mix(body: FunctionBody, h: number, [first, second]: readonly number[]): void {
  const shifted = (bits: number): FunctionBody => body.get(h).get(h).i32(bits).vector("i32x4ShrU").vector("v128Xor");
  shifted(16).get(first).vector("i32x4Mul").set(h);
  shifted(13).get(second).vector("i32x4Mul").set(h);
  shifted(16).set(h);
}

/**
 * The module. It imports the memory `kernel.memory` and exports `mask(address, count, index, key0, key1, threshold, scale)`, which writes
 * `count` 4-byte elements, 1 at least, to `address`, in whole vectors of 16 bytes: the bits `scale` where the draw at `index` and the following is at
 * least the unsigned `threshold`, else zeros.
 */
export function dropoutMaskModule(): Uint8Array<ArrayBuffer> {
  const body = new FunctionBody(Object.keys(PARAMETERS).length);
  const { address, count, index, key0, key1, threshold, scale } = PARAMETERS;
  const end = body.local(wasmType.i32);
  const [product, h] = [body.local(wasmType.v128), body.local(wasmType.v128)];
  const [k0, k1, limit, kept, step] = Array.from({ length: 5 }, () => body.local(wasmType.v128));
  for (const [from, to] of [[key0, k0], [key1, k1], [threshold, limit], [scale, kept]]) body.get(from).vector("i32x4Splat").set(to);
  const multipliers = MIX.map((multiplier) => {
    const local = body.local(wasmType.v128);
    body.i32(multiplier).vector("i32x4Splat").set(local);
    return local;
  });
  body.i32(Math.imul(4, GOLDEN)).vector("i32x4Splat").set(step);
  // The product of an index and a constant grows by that constant.
  body.get(index).vector("i32x4Splat").vector("v128Const", ...[0, 1, 2, 3].flatMap((lane) => [lane, 0, 0, 0])).vector("i32x4Add");
  body.i32(GOLDEN).vector("i32x4Splat").vector("i32x4Mul").set(product);
  body.get(address).get(count).i32(2).emit(op.i32Shl, op.i32Add).set(end);
  body.emit(op.loop, 0x40);
  body.get(product).get(k0).vector("v128Xor").set(h);
  mix(body, h, multipliers);
  body.get(h).get(k1).vector("i32x4Add").set(h);
  mix(body, h, multipliers);
  body.get(address).get(h).get(limit).vector("i32x4GeU").get(kept).vector("v128And").vector("v128Store", 2, 0);
  body.get(product).get(step).vector("i32x4Add").set(product);
  body.get(address).i32(16).emit(op.i32Add).set(address);
  body.get(address).get(end).emit(op.i32LtU, op.br_if, 0, op.end);
  return encodeModule([], [{ name: "mask", body }], false);
}
