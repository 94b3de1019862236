/** How far int8 weights may reach on a processor: some kernels add two products of 8-bit numbers in 16 bits, which can overflow. */

import { GraphBuilder } from "../codegen/ir/builder.ts";
import { encode } from "../codegen/onnx/encode.ts";
import type { Backend, BackendName } from "./backend.ts";

/** Every int8 but -128, so that negation is exact. */
const FULL = 127;

/** 2 · 255 · 64 is less than 2^15. */
const REDUCED = 64;

const INNER = 64;

const found = new Map<BackendName, Promise<number>>();

/**
 * The greatest magnitude of int8 weights whose products with uint8 are exact on a backend: 127, or 64 on processors whose instructions saturate (x86 with
 * AVX2 and without VNNI). Found by multiplying the greatest numbers, once.
 */
export function int8Range(backend: Backend): Promise<number> {
  let range = found.get(backend.name);
  if (!range) found.set(backend.name, range = measure(backend));
  return range;
}

/** See {@linkcode int8Range}; every call measures. */
export async function measure(backend: Backend): Promise<number> {
  const g = new GraphBuilder("int8 range");
  const columns = 16;
  const x = g.input("x", "float32", ["rows", INNER]);
  const matrix = g.constant(new Array<number>(INNER * columns).fill(FULL), [INNER, columns], "int8");
  const [q, , zero] = g.op("DynamicQuantizeLinear", [x], {}); // 255 becomes 255, its scale 1
  g.output("y", g.cast(g.op("MatMulInteger", [q, matrix, zero], {})[0], "float32"));
  const session = await backend.load(encode(g.finish()), "int8 range");
  try {
    // One row and many go through different kernels.
    for (const rows of [1, 16]) {
      const data = new Float32Array(rows * INNER).fill(255);
      const { y } = await session.run({ x: { dtype: "float32", shape: [rows, INNER], data } });
      if (y.data.some((sum) => sum !== 255 * FULL * INNER)) return REDUCED;
    }
    return FULL;
  } finally {
    await session.dispose();
  }
}
