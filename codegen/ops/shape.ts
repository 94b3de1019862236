/** Ops that move elements and compute nothing. */

import { formatShape, sameShape, sizeOf } from "../ir/dims.ts";
import type { Dim, Shape } from "../ir/types.ts";
import { requireAxes, requireAxis, requireBroadcast, requireInputs, requireSameDType, shapeError } from "./checks.ts";
import { at, tensorOf } from "./reference.ts";
import { int, ints, type OnnxAttribute, type OnnxEmitter, type OpRule, type OpTable } from "./rule.ts";

const vector = (emitter: OnnxEmitter, ...data: number[]): string => emitter.constant("int64", [data.length], data);

/** Reshape's target: 0 copies the dimension at the same place, -1 is what remains; else read off when it runs. */
function reshapeTarget(emitter: OnnxEmitter, from: Shape, to: Shape): string {
  const target = to.map((dim, i) => typeof dim === "number" ? dim : dim === from[i] ? 0 : -1);
  if (to.includes(0) || target.filter((dim) => dim === -1).length > 1) return emitter.shape(to);
  return vector(emitter, ...target);
}

const reshape: OpRule<"Reshape"> = {
  infer(inputs, { shape }) {
    requireInputs("Reshape", inputs, 1);
    const [x] = inputs;
    if (shape.some((dim) => typeof dim === "number" && (dim < 0 || !Number.isInteger(dim)))) {
      shapeError("Reshape", "whole dimensions", formatShape(shape), "Compute the dimension with divideDims: there is no -1 here.");
    }
    if (sizeOf(x.shape) !== sizeOf(shape)) shapeError("Reshape", `as many elements as ${formatShape(x.shape)}`, formatShape(shape));
    return [{ dtype: x.dtype, shape }];
  },
  emit(emitter, { inputs: [x], attributes: { shape } }, outputs) {
    const attributes: Record<string, OnnxAttribute> = shape.includes(0) ? { allowzero: int(1) } : {};
    emitter.node("Reshape", [emitter.name(x), reshapeTarget(emitter, x.shape, shape)], attributes, outputs);
  },
  gradient: (g, { inputs: [x] }, [dy]) => [() => g.reshape(dy!, x.shape)],
  evaluate: ([x], _, [{ shape }]) => [{ shape, data: x.data }],
};

const transpose: OpRule<"Transpose"> = {
  infer(inputs, { perm }) {
    requireInputs("Transpose", inputs, 1);
    const [x] = inputs;
    if (
      perm.length !== x.shape.length || perm.some((axis) => axis < 0) ||
      requireAxes("Transpose", perm, x.shape.length).length !== perm.length
    ) {
      shapeError("Transpose", `a permutation of the axes of ${formatShape(x.shape)}`, `[${perm.join(", ")}]`);
    }
    return [{ dtype: x.dtype, shape: perm.map((axis) => x.shape[axis]) }];
  },
  emit(emitter, { inputs: [x], attributes: { perm } }, outputs) {
    emitter.node("Transpose", [emitter.name(x)], { perm: ints(perm) }, outputs);
  },
  gradient: (g, { attributes: { perm } }, [dy]) => [() => g.transpose(dy!, perm.map((_, i) => perm.indexOf(i)))],
  evaluate: ([x], { perm }, [{ shape }]) => [tensorOf(shape, (index) => at(x, perm.map((_, i) => index[perm.indexOf(i)])))],
};

const expand: OpRule<"Expand"> = {
  infer(inputs, { shape }) {
    requireInputs("Expand", inputs, 1);
    const [x] = inputs;
    if (!sameShape(requireBroadcast("Expand", [x.shape, shape]), shape)) {
      shapeError("Expand", `a shape that ${formatShape(x.shape)} broadcasts to`, formatShape(shape));
    }
    return [{ dtype: x.dtype, shape }];
  },
  emit(emitter, { inputs: [x], attributes: { shape } }, outputs) {
    // A dimension that is there already needs no number: 1 leaves it alone.
    const lead = shape.length - x.shape.length;
    const target = shape.map((dim, i) => dim === x.shape[i - lead] ? 1 : dim);
    emitter.node("Expand", [emitter.name(x), emitter.shape(target)], {}, outputs);
  },
  gradient: (g, { inputs: [x] }, [dy]) => [() => g.reduceTo(dy!, x.shape)],
  evaluate: ([x], _, [{ shape }]) => [tensorOf(shape, (index) => at(x, index))],
};

/** The dimensions of the operands along the axis, which must be numbers, and the places where they begin. */
function segments(shapes: readonly Shape[], axis: number): { lengths: number[]; starts: number[] } {
  const lengths = shapes.map((shape) => shape[axis] as number);
  let start = 0;
  return { lengths, starts: lengths.map((length) => (start += length) - length) };
}

const concat: OpRule<"Concat"> = {
  infer(inputs, { axis: anyAxis }) {
    requireInputs("Concat", inputs, 1, Infinity);
    const dtype = requireSameDType("Concat", inputs);
    const shapes = inputs.map(({ shape }) => shape);
    const axis = requireAxis("Concat", anyAxis, shapes[0].length);
    const found = () => shapes.map(formatShape).join(" and ");
    const rest = (shape: Shape) => shape.toSpliced(axis, 1, 0);
    if (shapes.some((shape) => !sameShape(rest(shape), rest(shapes[0])))) {
      shapeError("Concat", `shapes that differ along axis ${axis} only`, found());
    }
    if (shapes.length === 1) return [{ dtype, shape: shapes[0] }];
    if (shapes.some((shape) => typeof shape[axis] !== "number")) shapeError("Concat", `known dimensions along axis ${axis}`, found());
    const total = segments(shapes, axis).lengths.reduce((sum, length) => sum + length, 0);
    return [{ dtype, shape: shapes[0].toSpliced(axis, 1, total) }];
  },
  emit(emitter, { inputs, attributes: { axis } }, outputs) {
    emitter.node("Concat", inputs.map((x) => emitter.name(x)), { axis: int(axis) }, outputs);
  },
  gradient: (g, { inputs, attributes: { axis: anyAxis } }, [dy]) => {
    if (inputs.length === 1) return [() => dy!];
    const axis = requireAxis("Concat", anyAxis, inputs[0].shape.length);
    const { lengths, starts } = segments(inputs.map(({ shape }) => shape), axis);
    return inputs.map((_, i) => () => g.slice(dy!, axis, starts[i], starts[i] + lengths[i]));
  },
  evaluate(inputs, { axis: anyAxis }, [{ shape }]) {
    const axis = requireAxis("Concat", anyAxis, shape.length);
    const { starts } = segments(inputs.map((x) => x.shape), axis);
    return [tensorOf(shape, (index) => {
      const which = starts.findLastIndex((start) => start <= index[axis]);
      return at(inputs[which], index.with(axis, index[axis] - starts[which]));
    })];
  },
};

/** The bounds that a slice of an axis has, counted from the front; null where the axis' length isn't known. */
function sliceBounds(dim: number, start: number, end: number | null): [number, number] {
  const place = (position: number) => Math.min(Math.max(position < 0 ? position + dim : position, 0), dim);
  return [place(start), end === null ? dim : place(end)];
}

function slicedDim(dim: Dim, start: number, end: number | null): Dim | null {
  if (typeof dim === "number") {
    const [from, to] = sliceBounds(dim, start, end);
    return to > from ? to - from : null;
  }
  if (start === 0 && end === null) return dim;
  // Of an unknown length only a piece whose own length is plain can be taken.
  if (start < 0 && end === null) return -start;
  const length = end !== null && start < 0 === end < 0 ? end - start : 0;
  return length > 0 ? length : null;
}

const slice: OpRule<"Slice"> = {
  infer(inputs, { axis: anyAxis, start, end }) {
    requireInputs("Slice", inputs, 1);
    const [x] = inputs;
    const axis = requireAxis("Slice", anyAxis, x.shape.length);
    const dim = slicedDim(x.shape[axis], start, end) ??
      shapeError(
        "Slice",
        `a piece of ${formatShape(x.shape)} along axis ${axis} that isn't empty and whose length is known`,
        `[${start}, ${end ?? "end"})`,
      );
    return [{ dtype: x.dtype, shape: x.shape.with(axis, dim) }];
  },
  emit(emitter, { inputs: [x], attributes: { axis, start, end } }, outputs) {
    const bounds = [start, end ?? 2 ** 31 - 1, axis].map((position) => vector(emitter, position));
    emitter.node("Slice", [emitter.name(x), ...bounds], {}, outputs);
  },
  gradient: (g, { inputs: [x], outputs: [y], attributes: { axis: anyAxis, start, end } }, [dy]) => [() => {
    const axis = requireAxis("Slice", anyAxis, x.shape.length);
    const dim = x.shape[axis];
    if (sameShape(x.shape, y.shape)) return dy!;
    if (typeof dim === "number") {
      const [from, to] = sliceBounds(dim, start, end);
      return g.op("Pad", [dy!], { axis, before: from, after: dim - to })[0];
    }
    const length = y.shape[axis] as number;
    const shape = y.shape.map((_, i) => i === axis ? length : 1);
    const indices = g.reshape(g.constant(Array.from({ length }, (_, i) => start + i), [length], "int32"), shape);
    return g.op("ScatterElementsAdd", [g.expand(indices, y.shape), dy!], { axis, size: dim })[0];
  }],
  evaluate([x], { axis: anyAxis, start, end }, [{ shape }]) {
    const axis = requireAxis("Slice", anyAxis, shape.length);
    const [from] = sliceBounds(x.shape[axis], start, end);
    return [tensorOf(shape, (index) => at(x, index.with(axis, index[axis] + from)))];
  },
};

const pad: OpRule<"Pad"> = {
  infer(inputs, { axis: anyAxis, before, after }) {
    requireInputs("Pad", inputs, 1);
    const [x] = inputs;
    const axis = requireAxis("Pad", anyAxis, x.shape.length);
    const dim = x.shape[axis];
    if (typeof dim !== "number" || before < 0 || after < 0) {
      shapeError("Pad", `a known dimension along axis ${axis} and no negative padding`, `${formatShape(x.shape)}, ${before} and ${after}`);
    }
    return [{ dtype: x.dtype, shape: x.shape.with(axis, dim + before + after) }];
  },
  emit(emitter, { inputs: [x], attributes: { axis, before, after } }, outputs) {
    emitter.node("Pad", [emitter.name(x), vector(emitter, before, after), "", vector(emitter, axis)], {}, outputs);
  },
  gradient: (
    g,
    { inputs: [x], attributes: { axis, before } },
    [dy],
  ) => [() => g.slice(dy!, axis, before, before + (x.shape.at(axis) as number))],
  evaluate([x], { axis: anyAxis, before }, [{ shape }]) {
    const axis = requireAxis("Pad", anyAxis, shape.length);
    return [tensorOf(shape, (index) => {
      const place = index[axis] - before;
      return place < 0 || place >= x.shape[axis] ? 0 : at(x, index.with(axis, place));
    })];
  },
};

const squeeze: OpRule<"Squeeze"> = {
  infer(inputs, { axes: anyAxes }) {
    requireInputs("Squeeze", inputs, 1);
    const [{ dtype, shape }] = inputs;
    const axes = requireAxes("Squeeze", anyAxes, shape.length);
    if (axes.some((axis) => shape[axis] !== 1)) shapeError("Squeeze", `1 along axes [${axes.join(", ")}]`, formatShape(shape));
    return [{ dtype, shape: shape.filter((_, i) => !axes.includes(i)) }];
  },
  emit(emitter, { inputs: [x], attributes: { axes } }, outputs) {
    if (axes.length === 0) emitter.node("Identity", [emitter.name(x)], {}, outputs);
    else emitter.node("Squeeze", [emitter.name(x), vector(emitter, ...axes)], {}, outputs);
  },
  gradient: (g, { inputs: [x] }, [dy]) => [() => g.reshape(dy!, x.shape)],
  evaluate: ([x], _, [{ shape }]) => [{ shape, data: x.data }],
};

const unsqueeze: OpRule<"Unsqueeze"> = {
  infer(inputs, { axes: anyAxes }) {
    requireInputs("Unsqueeze", inputs, 1);
    const [{ dtype, shape }] = inputs;
    const axes = requireAxes("Unsqueeze", anyAxes, shape.length + anyAxes.length);
    const result: Dim[] = [...shape];
    for (const axis of axes) result.splice(axis, 0, 1);
    return [{ dtype, shape: result }];
  },
  emit(emitter, { inputs: [x], attributes: { axes } }, outputs) {
    if (axes.length === 0) emitter.node("Identity", [emitter.name(x)], {}, outputs);
    else emitter.node("Unsqueeze", [emitter.name(x), vector(emitter, ...axes)], {}, outputs);
  },
  gradient: (g, { inputs: [x] }, [dy]) => [() => g.reshape(dy!, x.shape)],
  evaluate: ([x], _, [{ shape }]) => [{ shape, data: x.data }],
};

/** The ops in this file. */
export const movements = {
  Reshape: reshape,
  Transpose: transpose,
  Expand: expand,
  Concat: concat,
  Slice: slice,
  Pad: pad,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
} satisfies Partial<OpTable>;
