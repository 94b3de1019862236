/** Gives onnxruntime-web kernels of matrix products with fused multiply-adds, where the engine has these. */

import { encodeModule, FunctionBody, op } from "../codegen/wasm/assembler.ts";
import { type KnownFunction, replaceFunctions } from "../codegen/wasm/module_functions.ts";
import { sgemmKernel } from "../codegen/wasm/sgemm.ts";

/**
 * MLAS' two kernels in the `ort-wasm-simd-threaded.wasm` of onnxruntime-web 1.30.0: of its functions with nine parameters, those that multiply vectors most.
 * They are compiled without relaxed SIMD, so that a multiplication and an addition are two instructions
 * (https://github.com/microsoft/onnxruntime/issues/22533; builds with it exist, but none is published). Other versions' kernels have other digests.
 */
const KERNELS: readonly KnownFunction[] = [
  { size: 2040, digest: 0x3eacadd4, replacement: (original) => sgemmKernel(original, false) },
  { size: 1922, digest: 0xca587132, replacement: (original) => sgemmKernel(original, true) },
];

/** Whether the engine has fused multiply-adds: V8 and JavaScriptCore have them since 2023 (WebAssembly relaxed SIMD). */
export function hasFusedMultiplyAdd(): boolean {
  const body = new FunctionBody(0);
  for (let operand = 0; operand < 3; operand++) body.vector("v128Const", ...Array(16).fill(0));
  body.vector("f32x4RelaxedMadd").emit(op.drop);
  return WebAssembly.validate(encodeModule([], [{ name: "fused", body }], false));
}

/** The module with faster products; as it is where the engine can't have them, or where it isn't the one that is known. */
export function withFusedProducts(module: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return hasFusedMultiplyAdd() ? replaceFunctions(module, KERNELS) ?? module : module;
}
