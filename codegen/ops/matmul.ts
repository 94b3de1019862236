/** Matrix multiplication with batch broadcasting; the last two dimensions of an operand are transposed on demand. */

import { formatShape, sizeOf } from "../ir/dims.ts";
import type { GraphBuilder } from "../ir/builder.ts";
import type { Dim, Shape, TensorType, Value } from "../ir/types.ts";
import { floats, requireBroadcast, requireDType, requireInputs, requireSameDType, shapeError } from "./checks.ts";
import { at, tensorOf } from "./reference.ts";
import { int, ints, type OnnxEmitter, type OpRule, type OpTable } from "./rule.ts";

/** Rows and columns of an operand as it is multiplied. */
function matrix({ shape }: TensorType, transposed: boolean | undefined): [Dim, Dim] {
  const [rows, columns] = shape.slice(-2);
  return transposed ? [columns, rows] : [rows, columns];
}

/** The last two axes exchanged. */
function swapped(rank: number): number[] {
  const perm = Array.from({ length: rank }, (_, i) => i);
  perm.push(...perm.splice(rank - 2, 1));
  return perm;
}

/** All leading dimensions in one. */
const flatShape = (shape: Shape): Shape => [sizeOf(shape.slice(0, -1)), shape[shape.length - 1]];
const flatten = (g: GraphBuilder, x: Value): Value => g.reshape(x, flatShape(x.shape));

/** A [..., K] as a matrix times B or Bᵀ: one Gemm, between two reshapes that copy nothing. */
function emitFlatGemm(emitter: OnnxEmitter, a: Value, b: Value, y: Value, outputs: readonly string[]): void {
  const inner = a.shape[a.shape.length - 1];
  const shape = typeof inner === "number" ? emitter.constant("int64", [2], [-1, inner]) : emitter.shape(flatShape(a.shape));
  const [rows] = emitter.node("Reshape", [emitter.name(a), shape]);
  const [product] = emitter.node("Gemm", [rows, emitter.name(b)], { transB: int(1) });
  const symbols = y.shape.filter((dim) => typeof dim === "string").length;
  const back = symbols <= 1
    ? emitter.constant("int64", [y.shape.length], y.shape.map((dim) => typeof dim === "number" ? dim : -1))
    : emitter.shape(y.shape);
  emitter.node("Reshape", [product, back], {}, outputs);
}

/** From how many elements on an operand is not worth a transposed copy: an embedding is not, another weight is. */
const LARGE = 2 ** 24;

/** Along inner dimensions from this one on a product is summed in parts, so that there are enough of them to keep a GPU busy. */
const LONG = 2 ** 14;
const PARTS = 16;

/**
 * For WebGPU, whose MatMul is a quarter faster with a transposed copy than its Gemm without, and which computes each tile of a product in one go, however
 * long its inner dimension. Measured by `deno task bench:webgpu`.
 */
function emitForWebgpu(
  emitter: OnnxEmitter,
  operands: readonly [Value, Value],
  transposed: readonly [boolean, boolean],
  y: Value,
  outputs: readonly string[],
): void {
  const [a, b] = operands;
  const isLarge = ({ shape }: Value) => shape.every((dim) => typeof dim === "number") && (sizeOf(shape) as number) >= LARGE;
  if (operands.some((operand, i) => transposed[i] && isLarge(operand)) && b.shape.length === 2) {
    if (a.shape.length === 2) {
      const attributes = { ...(transposed[0] && { transA: int(1) }), ...(transposed[1] && { transB: int(1) }) };
      return void emitter.node("Gemm", [emitter.name(a), emitter.name(b)], attributes, outputs);
    }
    if (transposed[1] && !transposed[0]) return emitFlatGemm(emitter, a, b, y, outputs);
  }
  const names = operands.map((operand, i) => {
    const name = emitter.name(operand);
    return transposed[i] ? emitter.node("Transpose", [name], { perm: ints(swapped(operand.shape.length)) })[0] : name;
  });
  const [, inner] = matrix(a, transposed[0]);
  if (b.shape.length === 2 && typeof inner === "number" && inner >= LONG) {
    emitInParts(emitter, names, inner, matrix(b, transposed[1])[1], y, outputs);
  } else emitter.node("MatMul", names, {}, outputs);
}

/** The most elements of B that are copied at a time where pieces of it are needed: larger buffers take a driver long to make. */
const COPIED = 2 ** 25;

/**
 * A [..., K] times B [K, N]: the sum of products of pieces of K, whose length is a multiple of four, as shaders read, and of what is left over. Unless
 * K is cut without a rest, B's rows are copied block by block.
 */
function emitInParts(
  emitter: OnnxEmitter,
  [a, b]: readonly string[],
  inner: number,
  columns: Dim,
  y: Value,
  outputs: readonly string[],
): void {
  const unit = 4 * PARTS;
  const whole = inner - inner % unit;
  const longest = typeof columns === "number" ? Math.max(unit, Math.floor(COPIED / columns / unit) * unit) : whole;
  const list = (...numbers: number[]) => emitter.constant("int64", [numbers.length], numbers);
  const piece = (name: string, axis: number, from: number, to: number) =>
    from === 0 && to === inner ? name : emitter.node("Slice", [name, list(from), list(to), list(axis)])[0];
  const width = typeof columns === "number" ? list(columns) : emitter.shape([columns]);
  const [rows] = emitter.node("Reshape", [a, list(-1, inner)]); // [M, K]
  const terms: string[] = [];
  for (let from = 0; from < whole;) {
    const to = whole === inner ? whole : Math.min(from + longest, whole);
    const length = (to - from) / PARTS;
    const [pieces] = emitter.node("Reshape", [piece(rows, 1, from, to), list(-1, PARTS, length)]);
    const [left] = emitter.node("Transpose", [pieces], { perm: ints([1, 0, 2]) }); // [PARTS, M, length]
    const [shape] = emitter.node("Concat", [list(PARTS, length), width], { axis: int(0) });
    const [right] = emitter.node("Reshape", [piece(b, 0, from, to), shape]); // [PARTS, length, N]
    const [products] = emitter.node("MatMul", [left, right]);
    terms.push(emitter.node("ReduceSum", [products, list(0)], { keepdims: int(0) })[0]); // [M, N]
    from = to;
  }
  if (whole < inner) terms.push(emitter.node("MatMul", [piece(rows, 1, whole, inner), piece(b, 0, whole, inner)])[0]);
  const sum = terms.reduce((x, y) => emitter.node("Add", [x, y])[0]);
  emitter.node("Reshape", [sum, emitter.shape(y.shape)], {}, outputs);
}

const matmul: OpRule<"MatMul"> = {
  infer(inputs, { transA, transB }) {
    requireInputs("MatMul", inputs, 2);
    const dtype = requireSameDType("MatMul", inputs);
    requireDType("MatMul", dtype, floats);
    const [a, b] = inputs;
    const found = () => `${formatShape(a.shape)}${transA ? "ᵀ" : ""} and ${formatShape(b.shape)}${transB ? "ᵀ" : ""}`;
    if (a.shape.length < 2 || b.shape.length < 2) shapeError("MatMul", "two operands of rank 2 or more", found());
    const [rows, inner] = matrix(a, transA);
    const [innerB, columns] = matrix(b, transB);
    if (inner !== innerB) shapeError("MatMul", "[..., M, K] and [..., K, N]", found());
    return [{ dtype, shape: [...requireBroadcast("MatMul", [a.shape.slice(0, -2), b.shape.slice(0, -2)]), rows, columns] }];
  },
  emit(emitter, { inputs: [a, b], outputs: [y], attributes: { transA, transB } }, outputs) {
    if (emitter.provider === "webgpu") return emitForWebgpu(emitter, [a, b], [transA ?? false, transB ?? false], y, outputs);
    const names = [emitter.name(a), emitter.name(b)];
    if (a.shape.length === 2 && b.shape.length === 2) {
      // Gemm transposes A anew for every 128 columns of B: a transposed copy makes a weight's gradient a tenth faster.
      if (transA) [names[0]] = emitter.node("Transpose", [names[0]], { perm: ints([1, 0]) });
      emitter.node("Gemm", names, transB ? { transB: int(1) } : {}, outputs);
    } else if (b.shape.length === 2 && transB && !transA) {
      emitFlatGemm(emitter, a, b, y, outputs);
    } else {
      if (transA) [names[0]] = emitter.node("Transpose", [names[0]], { perm: ints(swapped(a.shape.length)) });
      if (transB) [names[1]] = emitter.node("Transpose", [names[1]], { perm: ints(swapped(b.shape.length)) });
      emitter.node("MatMul", names, {}, outputs);
    }
  },
  // Y = A B: dA = dY Bᵀ, dB = Aᵀ dY; an operand that came transposed gets the transpose of that.
  gradient: (g, { inputs: [a, b], attributes: { transA = false, transB = false } }, [dy]) => [
    () =>
      g.reduceTo(
        transA ? g.matmul(b, dy!, { transA: transB, transB: true }) : g.matmul(dy!, b, { transB: !transB }),
        a.shape,
      ),
    () => {
      if (b.shape.length === 2 && a.shape.length > 2 && !transA) {
        // One Gemm for a weight's gradient, where batched products would have to be summed.
        const [x, y] = [flatten(g, a), flatten(g, dy!)];
        return transB ? g.matmul(y, x, { transA: true }) : g.matmul(x, y, { transA: true });
      }
      const product = transB ? g.matmul(dy!, a, { transA: true, transB: transA }) : g.matmul(a, dy!, { transA: !transA });
      return g.reduceTo(product, b.shape);
    },
  ],
  evaluate([a, b], { transA, transB }, [{ shape }]) {
    const inner = matrix({ dtype: "float64", shape: a.shape }, transA)[1] as number;
    const rank = shape.length;
    return [tensorOf(shape, (index) => {
      const batch = index.slice(0, rank - 2);
      const [row, column] = index.slice(rank - 2);
      let sum = 0;
      for (let k = 0; k < inner; k++) {
        sum += at(a, [...batch, ...(transA ? [k, row] : [row, k])]) * at(b, [...batch, ...(transB ? [column, k] : [k, column])]);
      }
      return sum;
    })];
  },
};

/** The op that the time goes into. */
export const products = { MatMul: matmul } satisfies Partial<OpTable>;
