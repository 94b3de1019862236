/** Softmax, its logarithm, and layer normalization. */

import { formatShape } from "../ir/dims.ts";
import { floats, requireAxis, requireDType, requireInputs, requireSameDType, shapeError } from "./checks.ts";
import { forEachLine } from "./reference.ts";
import { float, int, type OnnxEmitter, type OpRule, type OpTable } from "./rule.ts";
import type { GraphBuilder } from "../ir/builder.ts";
import type { Value } from "../ir/types.ts";

/** The logarithm of softmax; on WebGPU, which has no such op, x − max − log Σ exp(x − max). */
export function emitLogSoftmax(emitter: OnnxEmitter, x: Value, axis: number, output: string): void {
  const name = emitter.name(x);
  if (emitter.provider !== "webgpu") return void emitter.node("LogSoftmax", [name], { axis: int(axis) }, [output]);
  const along = emitter.constant("int64", [1], [axis]);
  const [max] = emitter.node("ReduceMax", [name, along], { keepdims: int(1) });
  const [shifted] = emitter.node("Sub", [name, max]);
  const [powers] = emitter.node("Exp", [shifted]);
  const [sum] = emitter.node("ReduceSum", [powers, along], { keepdims: int(1) });
  const [logSum] = emitter.node("Log", [sum]);
  emitter.node("Sub", [shifted, logSum], {}, [output]);
}

function softmaxLike<K extends "Softmax" | "LogSoftmax">(
  op: K,
  finish: (shifted: number, sum: number) => number,
  gradient: (g: GraphBuilder, dy: Value, y: Value, axis: number) => Value,
): OpRule<K> {
  return {
    infer(inputs, { axis }) {
      requireInputs(op, inputs, 1);
      const [{ dtype, shape }] = inputs;
      requireDType(op, dtype, floats);
      requireAxis(op, axis, shape.length);
      return [{ dtype, shape }];
    },
    emit(emitter, { inputs: [x], attributes: { axis } }, outputs) {
      if (op === "LogSoftmax") emitLogSoftmax(emitter, x, axis, outputs[0]);
      else emitter.node(op, [emitter.name(x)], { axis: int(axis) }, outputs);
    },
    gradient: (g, { outputs: [y], attributes: { axis } }, [dy]) => [() => gradient(g, dy!, y, axis)],
    evaluate([x], { axis }) {
      const data = new Float64Array(x.data.length);
      forEachLine(x.shape, requireAxis(op, axis, x.shape.length), (start, step, length) => {
        let max = -Infinity;
        for (let i = 0; i < length; i++) max = Math.max(max, x.data[start + i * step]);
        let sum = 0;
        for (let i = 0; i < length; i++) sum += Math.exp(x.data[start + i * step] - max);
        for (let i = 0; i < length; i++) data[start + i * step] = finish(x.data[start + i * step] - max, sum);
      });
      return [{ shape: x.shape, data }];
    },
  };
}

const layerNorm: OpRule<"LayerNorm"> = {
  infer(inputs, { epsilon }) {
    requireInputs("LayerNorm", inputs, 3);
    const dtype = requireSameDType("LayerNorm", inputs);
    requireDType("LayerNorm", dtype, floats);
    const [{ shape }, ...affine] = inputs;
    const last = shape.at(-1);
    if (last === undefined || affine.some((part) => part.shape.length !== 1 || part.shape[0] !== last)) {
      shapeError("LayerNorm", "[..., N], scale [N] and bias [N]", inputs.map((input) => formatShape(input.shape)).join(", "));
    }
    if (!(epsilon >= 0)) shapeError("LayerNorm", "an epsilon of 0 or more", `${epsilon}`);
    const row = { dtype, shape: shape.with(-1, 1) };
    return [{ dtype, shape }, row, row];
  },
  emit(emitter, { inputs, outputs: values, attributes: { epsilon } }, outputs) {
    const wanted = values.findLastIndex((value, i) => i === 0 || emitter.isUsed(value)) + 1;
    const attributes = { axis: int(-1), epsilon: float(epsilon) };
    emitter.node("LayerNormalization", inputs.map((x) => emitter.name(x)), attributes, outputs.slice(0, wanted));
  },
  gradient(g, { inputs: [x, scale, bias], outputs: [, mean, inverse] }, [dy, dMean, dInverse]) {
    const normal = g.mul(g.sub(x, mean), inverse);
    return [
      () => {
        const parts: Value[] = [];
        if (dy) {
          // s (g − mean(g) − n mean(g n)), n the normalized input, g = dy · scale, s the inverse standard deviation
          const inner = g.mul(dy, scale);
          const along = g.mul(normal, g.mean(g.mul(inner, normal), [-1], true));
          parts.push(g.mul(g.sub(g.sub(inner, g.mean(inner, [-1], true)), along), inverse));
        }
        const rows = g.constant(1, [], x.dtype);
        const width = x.shape.at(-1)!;
        const count = typeof width === "number" ? width : g.sum(g.expand(rows, [width]));
        if (dMean) parts.push(g.expand(g.div(dMean, count), x.shape));
        if (dInverse) parts.push(g.mul(normal, g.neg(g.div(g.mul(dInverse, g.mul(inverse, inverse)), count))));
        return parts.reduce((sum, part) => g.add(sum, part));
      },
      dy && (() => g.reduceTo(g.mul(dy, normal), scale.shape)),
      dy && (() => g.reduceTo(dy, bias.shape)),
    ];
  },
  evaluate([x, scale, bias], { epsilon }, [{ shape }, { shape: rowShape }]) {
    const width = x.shape[x.shape.length - 1];
    const rows = x.data.length / width;
    const [y, mean, inverse] = [x.data.slice(), new Float64Array(rows), new Float64Array(rows)];
    for (let row = 0; row < rows; row++) {
      const line = y.subarray(row * width, (row + 1) * width);
      mean[row] = line.reduce((sum, v) => sum + v, 0) / width;
      inverse[row] = 1 / Math.sqrt(line.reduce((sum, v) => sum + (v - mean[row]) ** 2, 0) / width + epsilon);
      line.forEach((v, i) => line[i] = (v - mean[row]) * inverse[row] * scale.data[i] + bias.data[i]);
    }
    return [{ shape, data: y }, { shape: rowShape, data: mean }, { shape: rowShape, data: inverse }];
  },
};

/** The ops in this file. */
export const normalizations = {
  Softmax: softmaxLike("Softmax", (x, sum) => Math.exp(x) / sum, (g, dy, y, axis) => {
    const weighted = g.mul(dy, y);
    return g.sub(weighted, g.mul(y, g.sum(weighted, [axis], true)));
  }),
  LogSoftmax: softmaxLike(
    "LogSoftmax",
    (x, sum) => x - Math.log(sum),
    (g, dy, y, axis) => g.sub(dy, g.mul(g.exp(y), g.sum(dy, [axis], true))),
  ),
  LayerNorm: layerNorm,
} satisfies Partial<OpTable>;
