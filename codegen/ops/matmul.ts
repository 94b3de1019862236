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
    const names = [emitter.name(a), emitter.name(b)];
    if (a.shape.length === 2 && b.shape.length === 2) {
      emitter.node("Gemm", names, { ...(transA && { transA: int(1) }), ...(transB && { transB: int(1) }) }, outputs);
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
