/** Ops that find the greatest. They pass no gradient on. */

import { formatShape } from "../ir/dims.ts";
import type { Dim } from "../ir/types.ts";
import { numbers, requireAxis, requireDType, requireInputs, shapeError } from "./checks.ts";
import { forEachLine, sizeOf } from "./reference.ts";
import { int, type OpRule, type OpTable } from "./rule.ts";

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
