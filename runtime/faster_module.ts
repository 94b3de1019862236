/** Puts faster functions into onnxruntime-web's WebAssembly module, where it is the one that is known. */

import { encodeModule, FunctionBody, op, unsigned, wasmType } from "../codegen/wasm/assembler.ts";
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

/** Parts of work for each thread. */
const PARTS_A_THREAD = 8;

/**
 * The body of a function of a thread pool: what the function `original` says of it, into how many parts work is cut for its threads, but eight for each where
 * there are more threads than one.
 */
export function morePartsThan(original: number): FunctionBody {
  const body = new FunctionBody(1);
  const degree = body.local(wasmType.i32);
  body.get(0).emit(op.call, ...unsigned(original)).set(degree);
  body.get(degree).i32(PARTS_A_THREAD).emit(op.i32Mul).get(degree);
  return body.i32(1).get(degree).emit(op.i32LtU, op.select);
}

/**
 * `ThreadPool::DegreeOfParallelism` of the same file, which says into how many parts work is cut: as many as there are threads, so that all wait for the
 * slowest. Where a processor's cores are known to differ, onnxruntime makes four times as many, which threads take as they come
 * (onnxruntime/core/common/threadpool.cc, `TaskGranularityFactor`). A module can't know what it runs on: laptops have such cores, and others are shared.
 */
const DEGREE_OF_PARALLELISM: KnownFunction = { size: 271, digest: 0x2896d5eb, replacement: morePartsThan };

/** Whether the engine has fused multiply-adds: V8 and JavaScriptCore have them since 2023 (WebAssembly relaxed SIMD). */
export function hasFusedMultiplyAdd(): boolean {
  const body = new FunctionBody(0);
  for (let operand = 0; operand < 3; operand++) body.fourOf(0);
  body.vector("f32x4RelaxedMadd").emit(op.drop);
  return WebAssembly.validate(encodeModule([], [{ name: "fused", body }], false));
}

/**
 * The module with faster products, where the engine can have them, and with work cut into more parts; as it is where it isn't the one that is known.
 */
export function withFasterFunctions(module: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return replaceFunctions(module, [DEGREE_OF_PARALLELISM, ...hasFusedMultiplyAdd() ? KERNELS : []]) ?? module;
}
