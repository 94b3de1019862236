/** The loop of kernels that draw: the numbers of `RandomStream`, four at a time. */

import { type FunctionBody, op, wasmType } from "./assembler.ts";

/** The multipliers of MurmurHash3's finalizer, and the one that spreads indices: as in `random.ts`. */
const MIX = [0x85ebca6b | 0, 0xc2b2ae35 | 0] as const;
const GOLDEN = 0x9e3779b9 | 0;

/** The first parameters of a function that draws, i32 each: where to, how many elements, the index of the first, and the stream's keys. */
export const DRAW_PARAMETERS = { address: 0, count: 1, index: 2, key0: 3, key1: 4 } as const;

/** Mixes the vector in a local as `mix` in `random.ts` does, by the multipliers in two others. */
function mix(body: FunctionBody, h: number, [first, second]: readonly number[]): void {
  const shifted = (bits: number): FunctionBody => body.get(h).get(h).i32(bits).vector("i32x4ShrU").vector("v128Xor");
  shifted(16).get(first).vector("i32x4Mul").set(h);
  shifted(13).get(second).vector("i32x4Mul").set(h);
  shifted(16).set(h);
}

/**
 * Draws `count` 32-bit integers, 1 at least, and writes what `valueOf`, given the local that four of them are in, pushes of them to `address` and on, in
 * whole vectors of 16 bytes.
 */
export function drawEach(body: FunctionBody, valueOf: (draws: number) => void): void {
  const { address, count, index, key0, key1 } = DRAW_PARAMETERS;
  const end = body.local(wasmType.i32);
  const [product, h, k0, k1, step] = Array.from({ length: 5 }, () => body.local(wasmType.v128));
  for (const [from, to] of [[key0, k0], [key1, k1]]) body.get(from).vector("i32x4Splat").set(to);
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
  body.repeat(() => {
    body.get(product).get(k0).vector("v128Xor").set(h);
    mix(body, h, multipliers);
    body.get(h).get(k1).vector("i32x4Add").set(h);
    mix(body, h, multipliers);
    body.get(address);
    valueOf(h);
    body.vector("v128Store", 2, 0);
    body.get(product).get(step).vector("i32x4Add").set(product);
    body.get(address).i32(16).emit(op.i32Add).tee(address).get(end).emit(op.i32LtU);
  });
}
