/** A WebAssembly kernel of single-precision matrix products, with fused multiply-adds: faster than the one inside onnxruntime-web, which it can stand for. */

import { FunctionBody, op, unsigned, wasmType } from "./assembler.ts";

/**
 * The parameters of MLAS' kernels (`MlasSgemmKernelZero`, `MlasSgemmKernelAdd`), i32 but for `alpha`, an f32. Addresses are in bytes, leading
 * dimensions in elements. `b` has been packed: panels of 16 columns, each `[countK, 16]`, the last one padded with zeros. The result says how many
 * rows were computed.
 */
const PARAMETERS = { a: 0, b: 1, c: 2, countK: 3, countM: 4, countN: 5, lda: 6, ldc: 7, alpha: 8 } as const;
const { a, b, c, countK, countM, countN, lda, ldc, alpha } = PARAMETERS;

/** Value types of the parameters, and of the result. */
export const SGEMM_TYPE = {
  parameters: [...Array(8).fill(wasmType.i32), wasmType.f32] as readonly number[],
  results: [wasmType.i32] as readonly number[],
} as const;

/** Columns of a packed panel. */
const PANEL = 16;
/**
 * Rows and vectors of a tile: with its sums, two vectors of a row of `b`, one of each row of `a` and one for an element of it, 15 registers, which is what
 * V8 has. Loading four elements of `a` at once and spreading them one by one takes half the loads of spreading each from memory, which six rows would
 * leave registers for: 9 to 16 % faster in V8 and 20 % in JavaScriptCore.
 */
const ROWS = 4;
const VECTORS = 2;
/**
 * Rows a call at most, which pass a tile's columns of `b` before the next columns come: both stay in the first two caches, where four rows a call fetched all
 * columns for every tile. Steps of XLM-RoBERTa base take 8 % less; 16 and 64 rows differ from 32 by less than runs do.
 */
const BLOCK = 32;
/** Elements of a vector, of each row of `a`, that are multiplied with one load. */
const LANES = 4;
/** Elements of a row of `a` that are multiplied before the loop's counter is looked at: so many, then what is left, then one by one. */
const STEPS = [2 * LANES, LANES, 1] as const;

/** Alignment (a power of two) and offset of a memory access. */
const at = (offset: number): number[] => [2, ...unsigned(offset)];

/**
 * The body of a kernel: `c[m, n] = alpha · Σₖ a[m, k] · b[k, n]`, or that added to `c` where `accumulate` is set. It computes 32 rows a call
 * at most, in tiles of four; what is left at the end, fewer rows or columns that don't fill a panel, it leaves to the function `original`, which
 * has the same type.
 */
export function sgemmKernel(original: number, accumulate: boolean): FunctionBody {
  const body = new FunctionBody(SGEMM_TYPE.parameters.length);
  const [whole, column, panel, start, target, left, stride, targetStride] = Array.from({ length: 8 }, () => body.local(wasmType.i32));
  const [block, below, next] = Array.from({ length: 3 }, () => body.local(wasmType.i32));
  const rows = Array.from({ length: ROWS }, () => body.local(wasmType.i32));
  const elements = Array.from({ length: ROWS }, () => body.local(wasmType.v128));
  const sums = Array.from({ length: ROWS * VECTORS }, () => body.local(wasmType.v128));
  const vectors = Array.from({ length: VECTORS }, () => body.local(wasmType.v128));
  const [element, scale] = [body.local(wasmType.v128), body.local(wasmType.v128)];

  const call = (...rowsAndColumns: readonly (() => void)[]): void => {
    const [pushA, pushB, pushC, pushM, pushN] = rowsAndColumns;
    for (const push of [pushA, pushB, pushC, () => body.get(countK), pushM, pushN, () => body.get(lda).get(ldc).get(alpha)]) push();
    body.emit(op.call, ...unsigned(original));
  };
  const pushes = (...locals: readonly number[]) => locals.map((local) => (): void => void body.get(local));

  /** Multiplies an element of each row, which `push` pushes four times, by the vectors of row `k` of the panel from `start` on. */
  const multiplyOne = (k: number, push: (row: number) => void): void => {
    vectors.forEach((vector, v) => body.get(start).vector("v128Load", ...at(4 * (PANEL * k + LANES * v))).set(vector));
    for (let r = 0; r < ROWS; r++) {
      push(r);
      body.set(element);
      vectors.forEach((vector, v) => {
        const sum = sums[r * VECTORS + v];
        body.get(element).get(vector).get(sum).vector("f32x4RelaxedMadd").set(sum);
      });
    }
  };
  /** Multiplies the `steps` elements of each row that come next, and goes on behind them. */
  const multiply = (steps: number): void => {
    if (steps === 1) multiplyOne(0, (r) => body.get(rows[r]).vector("v128Load32Splat", ...at(0)));
    for (let first = 0; first + LANES <= steps; first += LANES) {
      rows.forEach((row, r) => body.get(row).vector("v128Load", ...at(4 * first)).set(elements[r]));
      for (let lane = 0; lane < LANES; lane++) {
        const spread = Array.from({ length: 16 }, (_, byte) => 4 * lane + byte % 4);
        multiplyOne(first + lane, (r) => body.get(elements[r]).get(elements[r]).vector("i8x16Shuffle", ...spread));
      }
    }
    for (const row of rows) body.get(row).i32(4 * steps).emit(op.i32Add).set(row);
    body.get(start).i32(4 * PANEL * steps).emit(op.i32Add).set(start);
  };
  /** Multiplies all elements that come next, so many at a time, as long as there are as many. */
  const multiplyAll = (steps: number): void => {
    body.get(left).i32(steps).emit(op.i32GeU).when(() => {
      body.repeat(() => {
        multiply(steps);
        body.get(left).i32(steps).emit(op.i32Sub).tee(left).i32(steps).emit(op.i32GeU);
      });
    });
  };
  /** Writes the sums of the columns from `target` on. */
  const store = (): void =>
    rows.forEach((_, r) => {
      for (let v = 0; v < VECTORS; v++) {
        body.get(target).get(sums[r * VECTORS + v]).get(scale);
        if (accumulate) body.get(target).vector("v128Load", ...at(16 * v)).vector("f32x4RelaxedMadd");
        else body.vector("f32x4Mul");
        body.vector("v128Store", ...at(16 * v));
      }
      body.get(target).get(targetStride).emit(op.i32Add).set(target);
    });

  body.get(countN).i32(-PANEL).emit(op.i32And).set(whole);
  body.get(lda).i32(2).emit(op.i32Shl).set(stride);
  body.get(ldc).i32(2).emit(op.i32Shl).set(targetStride);
  body.get(alpha).vector("f32x4Splat").set(scale);
  body.get(countM).i32(ROWS).emit(op.i32LtU).when(() => {
    call(...pushes(a, b, c, countM, countN));
    body.emit(op.return);
  });
  body.get(countM).i32(-ROWS).emit(op.i32And).tee(block).i32(BLOCK).get(block).i32(BLOCK).emit(op.i32LtU, op.select).set(block);
  body.get(column).get(whole).emit(op.i32LtU).when(() => {
    body.repeat(() => {
      // The panel that the column is in, and the column's place in its first row.
      body.get(column).i32(-PANEL).emit(op.i32And).get(countK).emit(op.i32Mul);
      body.get(column).i32(PANEL - 1).emit(op.i32And, op.i32Add).i32(2).emit(op.i32Shl).get(b).emit(op.i32Add).set(panel);
      body.get(c).get(column).i32(2).emit(op.i32Shl, op.i32Add).set(target);
      body.get(a).set(next);
      body.get(block).set(below);
      body.repeat(() => {
        for (const row of rows) body.get(next).tee(row).get(stride).emit(op.i32Add).set(next);
        for (const sum of sums) body.fourOf(0).set(sum);
        body.get(panel).set(start);
        body.get(countK).set(left);
        for (const steps of STEPS) multiplyAll(steps);
        store();
        body.get(below).i32(ROWS).emit(op.i32Sub).tee(below);
      });
      body.get(column).i32(4 * VECTORS).emit(op.i32Add).tee(column).get(whole).emit(op.i32LtU);
    });
  });

  // The columns of the panel that isn't full, by the original, whose rows are fewer a call.
  body.get(countN).get(whole).emit(op.i32Sub).tee(countN).when(() => {
    body.get(whole).get(countK).emit(op.i32Mul).i32(2).emit(op.i32Shl).get(b).emit(op.i32Add).set(b);
    body.get(c).get(whole).i32(2).emit(op.i32Shl, op.i32Add).set(c);
    body.get(block).set(left);
    body.repeat(() => {
      call(...pushes(a, b, c, left, countN));
      body.tee(start).get(stride).emit(op.i32Mul).get(a).emit(op.i32Add).set(a);
      body.get(start).get(targetStride).emit(op.i32Mul).get(c).emit(op.i32Add).set(c);
      body.get(left).get(start).emit(op.i32Sub).tee(left);
    });
  });
  return body.get(block);
}
