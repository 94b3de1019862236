/** Ops that read and write by index. Negative indices count from the end, as in ONNX. */

import { formatShape, sameShape, sizeOf } from "../ir/dims.ts";
import type { Dim, DType, Shape, TensorType, Value } from "../ir/types.ts";
import { dtypeError, floats, indexTypes, numbers, requireAxis, requireDType, requireInputs, shapeError } from "./checks.ts";
import { at, offset, tensorOf, wrapIndex } from "./reference.ts";
import { int, type OnnxEmitter, type OpRule, type OpTable, string } from "./rule.ts";

function requireIndices(op: string, { dtype }: TensorType): void {
  if (!indexTypes.includes(dtype)) dtypeError(op, "int32 or int64 indices", dtype);
}

function requireOne(op: string, a: DType, b: DType): void {
  if (a !== b) dtypeError(op, "one dtype", `${a} and ${b}`);
}

/** Zeros that exist only while the graph runs: constant folding would keep a constant of this size for good. */
function emitZeros(emitter: OnnxEmitter, indices: Value, dtype: DType, shape: Shape): string {
  const name = emitter.name(indices);
  const [zeros] = emitter.node("Sub", [name, name]);
  const [zero] = emitter.node("ReduceMax", [zeros], { keepdims: int(0) });
  return emitter.node("Expand", [emitter.cast(zero, dtype), emitter.shape(shape)])[0];
}

/** Rows [..., width] as [rows, width]. */
function flattened(emitter: OnnxEmitter, updates: Value): string {
  const { shape } = updates;
  const width = shape[shape.length - 1];
  const target = typeof width === "number"
    ? emitter.constant("int64", [2], [-1, width])
    : emitter.shape([sizeOf(shape.slice(0, -1)), width]);
  return emitter.node("Reshape", [emitter.name(updates), target])[0];
}

const gather: OpRule<"Gather"> = {
  infer(inputs, { axis: anyAxis }) {
    requireInputs("Gather", inputs, 2);
    const [data, indices] = inputs;
    requireIndices("Gather", indices);
    const axis = requireAxis("Gather", anyAxis, data.shape.length);
    return [{ dtype: data.dtype, shape: data.shape.toSpliced(axis, 1, ...indices.shape) }];
  },
  emit(emitter, { inputs, attributes: { axis } }, outputs) {
    emitter.node("Gather", inputs.map((x) => emitter.name(x)), { axis: int(axis) }, outputs);
  },
  gradient: (g, { inputs: [data, indices], attributes: { axis: anyAxis } }, [dy]) => [() => {
    const axis = requireAxis("Gather", anyAxis, data.shape.length);
    const size = data.shape[axis];
    if (axis === 0) {
      const width = sizeOf(data.shape.slice(1));
      const updates = g.reshape(dy!, [...indices.shape, width]);
      return g.reshape(g.op("ScatterRowsAdd", [indices, updates], { rows: size })[0], data.shape);
    }
    const count = sizeOf(indices.shape);
    const updates = g.reshape(dy!, data.shape.with(axis, count));
    const line = g.reshape(indices, data.shape.map((_, i) => i === axis ? count : 1));
    return g.op("ScatterElementsAdd", [g.expand(line, updates.shape), updates], { axis, size })[0];
  }, null],
  evaluate([data, indices], { axis: anyAxis }, [{ shape }]) {
    const axis = requireAxis("Gather", anyAxis, data.shape.length);
    const rank = indices.shape.length;
    return [tensorOf(shape, (index) => {
      const row = wrapIndex(at(indices, index.slice(axis, axis + rank)), data.shape[axis]);
      return at(data, index.toSpliced(axis, rank, row));
    })];
  },
};

const gatherElements: OpRule<"GatherElements"> = {
  infer(inputs, { axis: anyAxis }) {
    requireInputs("GatherElements", inputs, 2);
    const [data, indices] = inputs;
    requireIndices("GatherElements", indices);
    const axis = requireAxis("GatherElements", anyAxis, data.shape.length);
    if (indices.shape.length !== data.shape.length || !sameShape(indices.shape.with(axis, data.shape[axis]), data.shape)) {
      shapeError(
        "GatherElements",
        `indices that differ from ${formatShape(data.shape)} along axis ${axis} only`,
        formatShape(indices.shape),
      );
    }
    return [{ dtype: data.dtype, shape: indices.shape }];
  },
  emit(emitter, { inputs, attributes: { axis } }, outputs) {
    emitter.node("GatherElements", inputs.map((x) => emitter.name(x)), { axis: int(axis) }, outputs);
  },
  gradient: (g, { inputs: [data, indices], attributes: { axis } }, [dy]) => [
    () => g.op("ScatterElementsAdd", [indices, dy!], { axis, size: data.shape.at(axis)! })[0],
    null,
  ],
  evaluate([data, indices], { axis: anyAxis }, [{ shape }]) {
    const axis = requireAxis("GatherElements", anyAxis, shape.length);
    return [tensorOf(shape, (index, flat) => at(data, index.with(axis, wrapIndex(indices.data[flat], data.shape[axis]))))];
  },
};

const scatterElementsAdd: OpRule<"ScatterElementsAdd"> = {
  infer(inputs, { axis: anyAxis, size }) {
    requireInputs("ScatterElementsAdd", inputs, 2, 3);
    const [indices, updates, onto] = inputs;
    requireIndices("ScatterElementsAdd", indices);
    requireDType("ScatterElementsAdd", updates.dtype, numbers);
    if (!sameShape(indices.shape, updates.shape)) {
      shapeError("ScatterElementsAdd", `indices of the updates' shape ${formatShape(updates.shape)}`, formatShape(indices.shape));
    }
    const shape = updates.shape.with(requireAxis("ScatterElementsAdd", anyAxis, updates.shape.length), size);
    if (onto) {
      requireOne("ScatterElementsAdd", onto.dtype, updates.dtype);
      if (!sameShape(onto.shape, shape)) shapeError("ScatterElementsAdd", `${formatShape(shape)} to add onto`, formatShape(onto.shape));
    }
    return [{ dtype: updates.dtype, shape }];
  },
  emit(emitter, { inputs: [indices, updates, onto], outputs: [y], attributes: { axis } }, outputs) {
    const base = onto ? emitter.name(onto) : emitZeros(emitter, indices, y.dtype, y.shape);
    const inputs = [base, emitter.name(indices), emitter.name(updates)];
    emitter.node("ScatterElements", inputs, { axis: int(axis), reduction: string("add") }, outputs);
  },
  gradient: (g, { inputs: [indices], attributes: { axis } }, [dy]) => [null, () => g.gatherElements(dy!, indices, axis), () => dy!],
  evaluate([indices, updates, onto], { axis: anyAxis }, [{ shape }]) {
    const axis = requireAxis("ScatterElementsAdd", anyAxis, shape.length);
    const result = onto ? { shape, data: onto.data.slice() } : tensorOf(shape, () => 0);
    tensorOf(updates.shape, (index, flat) => {
      const row = wrapIndex(indices.data[flat], shape[axis]);
      return result.data[offset(result, index.with(axis, row))] += updates.data[flat];
    });
    return [result];
  },
};

const scatterRowsAdd: OpRule<"ScatterRowsAdd"> = {
  infer(inputs, { rows }) {
    requireInputs("ScatterRowsAdd", inputs, 2, 3);
    const [indices, updates, onto] = inputs;
    requireIndices("ScatterRowsAdd", indices);
    requireDType("ScatterRowsAdd", updates.dtype, floats);
    if (updates.shape.length === 0 || !sameShape(indices.shape, updates.shape.slice(0, -1))) {
      shapeError(
        "ScatterRowsAdd",
        "indices [...] and updates [..., width]",
        `${formatShape(indices.shape)} and ${formatShape(updates.shape)}`,
      );
    }
    const shape: Dim[] = [rows, updates.shape[updates.shape.length - 1]];
    if (onto) {
      requireOne("ScatterRowsAdd", onto.dtype, updates.dtype);
      if (!sameShape(onto.shape, shape)) shapeError("ScatterRowsAdd", `${formatShape(shape)} to add onto`, formatShape(onto.shape));
    }
    return [{ dtype: updates.dtype, shape }];
  },
  emit(emitter, { inputs: [indices, updates, onto], outputs: [y] }, outputs) {
    const base = onto ? emitter.name(onto) : emitZeros(emitter, indices, y.dtype, y.shape);
    // ScatterND(add) would need no indices per element, but its threads race where indices repeat: sums get lost.
    const column = emitter.constant("int64", [2], [-1, 1]);
    const [rows] = emitter.node("Reshape", [emitter.name(indices), column]);
    const [places] = emitter.node("Expand", [rows, emitter.shape([1, y.shape[1]])]);
    const inputs = [base, places, updates.shape.length === 2 ? emitter.name(updates) : flattened(emitter, updates)];
    emitter.node("ScatterElements", inputs, { axis: int(0), reduction: string("add") }, outputs);
  },
  gradient: (g, { inputs: [indices] }, [dy]) => [null, () => g.gather(dy!, indices), () => dy!],
  evaluate([indices, updates, onto], _, [{ shape }]) {
    const [rows, width] = shape;
    const data = onto ? onto.data.slice() : new Float64Array(rows * width);
    indices.data.forEach((index, i) => {
      const row = wrapIndex(index, rows);
      for (let j = 0; j < width; j++) data[row * width + j] += updates.data[i * width + j];
    });
    return [{ shape, data }];
  },
};

/** The ops in this file. */
export const indexing = {
  Gather: gather,
  GatherElements: gatherElements,
  ScatterElementsAdd: scatterElementsAdd,
  ScatterRowsAdd: scatterRowsAdd,
} satisfies Partial<OpTable>;
