/** Ops that find the greatest. They pass no gradient on. */

import { formatShape } from "../ir/dims.ts";
import type { Dim, Value } from "../ir/types.ts";
import { floats, numbers, requireAxis, requireDType, requireInputs, shapeError } from "./checks.ts";
import { forEachLine, sizeOf } from "./reference.ts";
import { int, type OnnxEmitter, type OpRule, type OpTable } from "./rule.ts";

/**
 * The k greatest along an axis, one after the other, and their int32 places, the axis kept as 1. For WebGPU, whose ArgMax and TopK give int64, which
 * only the CPU casts: the place of a maximum is the least index where it is, among those not taken yet.
 */
function emitGreatest(emitter: OnnxEmitter, x: Value, anyAxis: number, k: number): { value: string; place: string }[] {
  const axis = requireAxis("ArgMax", anyAxis, x.shape.length);
  const size = x.shape[axis];
  const along = emitter.constant("int64", [1], [axis]);
  const scalar = (value: number) => emitter.constant("int32", [], [value]);
  const none = typeof size === "number"
    ? scalar(size)
    : emitter.cast(emitter.node("Squeeze", [emitter.shape([size]), emitter.constant("int64", [1], [0])])[0], "int32");
  const [range] = emitter.node("Range", [scalar(0), none, scalar(1)]);
  const column = emitter.constant("int64", [x.shape.length - axis], [-1, ...new Array<number>(x.shape.length - axis - 1).fill(1)]);
  const [indices] = emitter.node("Reshape", [range, column]);
  const lowest = emitter.constant(x.dtype, [], [floats.includes(x.dtype) ? -Infinity : -(2 ** 31)]);
  const found: { value: string; place: string }[] = [];
  let rest = emitter.name(x);
  let free: string | null = null;
  while (found.length < k) {
    const [value] = emitter.node("ReduceMax", [rest, along], { keepdims: int(1) });
    let [hit] = emitter.node("Equal", [rest, value]);
    if (free !== null) [hit] = emitter.node("And", [hit, free]);
    const [candidates] = emitter.node("Where", [hit, indices, none]);
    const [place] = emitter.node("ReduceMin", [candidates, along], { keepdims: int(1) });
    found.push({ value, place });
    if (found.length === k) break;
    const [taken] = emitter.node("Equal", [indices, place]);
    const [others] = emitter.node("Not", [taken]);
    [free] = free === null ? [others] : emitter.node("And", [free, others]);
    [rest] = emitter.node("Where", [taken, lowest, rest]);
  }
  return found;
}

const argMax: OpRule<"ArgMax"> = {
  infer(inputs, { axis: anyAxis, keepDims }) {
    requireInputs("ArgMax", inputs, 1);
    const [{ dtype, shape }] = inputs;
    requireDType("ArgMax", dtype, numbers);
    const axis = requireAxis("ArgMax", anyAxis, shape.length);
    const reduced: Dim[] = shape.flatMap((dim, i) => i !== axis ? [dim] : keepDims ? [1] : []);
    return [{ dtype: "int32", shape: reduced }];
  },
  emit(emitter, { inputs: [x], attributes: { axis, keepDims } }, outputs) {
    if (emitter.provider === "webgpu") {
      const [{ place }] = emitGreatest(emitter, x, axis, 1);
      if (keepDims) emitter.node("Identity", [place], {}, outputs);
      else emitter.node("Squeeze", [place, emitter.constant("int64", [1], [axis])], {}, outputs);
      return;
    }
    const [index] = emitter.node("ArgMax", [emitter.name(x)], { axis: int(axis), keepdims: int(keepDims ? 1 : 0) });
    emitter.cast(index, "int32", outputs);
  },
  gradient: null,
  evaluate([x], { axis: anyAxis }, [{ shape }]) {
    const data = new Float64Array(sizeOf(shape));
    let at = 0;
    forEachLine(x.shape, requireAxis("ArgMax", anyAxis, x.shape.length), (start, step, length) => {
      let best = 0;
      for (let i = 1; i < length; i++) if (x.data[start + i * step] > x.data[start + best * step]) best = i;
      data[at++] = best;
    });
    return [{ shape, data }];
  },
};

const topK: OpRule<"TopK"> = {
  infer(inputs, { k }) {
    requireInputs("TopK", inputs, 1);
    const [{ dtype, shape }] = inputs;
    requireDType("TopK", dtype, numbers);
    const last = shape.at(-1);
    if (!Number.isInteger(k) || k < 1 || last === undefined || (typeof last === "number" && k > last)) {
      shapeError("TopK", `1 to ${last ?? 0} of the last axis of ${formatShape(shape)}`, `${k}`);
    }
    return [{ dtype, shape: shape.with(-1, k) }, { dtype: "int32", shape: shape.with(-1, k) }];
  },
  emit(emitter, { inputs: [x], attributes: { k } }, outputs) {
    if (emitter.provider === "webgpu") {
      const found = emitGreatest(emitter, x, -1, k);
      emitter.node("Concat", found.map(({ value }) => value), { axis: int(-1) }, [outputs[0]]);
      emitter.node("Concat", found.map(({ place }) => place), { axis: int(-1) }, [outputs[1]]);
      return;
    }
    const count = emitter.constant("int64", [1], [k]);
    const index = emitter.fresh(outputs[1]);
    emitter.node("TopK", [emitter.name(x), count], {}, [outputs[0], index]);
    emitter.cast(index, "int32", [outputs[1]]);
  },
  gradient: null,
  evaluate([x], { k }, [{ shape }]) {
    const width = x.shape[x.shape.length - 1];
    const [values, places] = [new Float64Array(sizeOf(shape)), new Float64Array(sizeOf(shape))];
    for (let row = 0; row * width < x.data.length; row++) {
      const line = x.data.subarray(row * width, (row + 1) * width);
      const order = Array.from(line.keys()).sort((a, b) => line[b] - line[a] || a - b);
      for (let i = 0; i < k; i++) [values[row * k + i], places[row * k + i]] = [line[order[i]], order[i]];
    }
    return [{ shape, data: values }, { shape, data: places }];
  },
};

/** The ops in this file. */
export const selections = { ArgMax: argMax, TopK: topK } satisfies Partial<OpTable>;
