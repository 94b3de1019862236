/** Comparisons, logic and choice. Only Where passes a gradient on. */

import type { DType, TensorType } from "../ir/types.ts";
import { dtypeError, numbers, requireBroadcast, requireDType, requireInputs, requireSameDType } from "./checks.ts";
import { at, tensorOf } from "./reference.ts";
import type { OnnxEmitter, OpRule, OpTable } from "./rule.ts";

type Comparison = "Equal" | "Less" | "LessOrEqual" | "Greater" | "GreaterOrEqual" | "And" | "Or";

/** Or; on WebGPU, which has none, that not both are false. */
function emitOr(emitter: OnnxEmitter, [a, b]: readonly string[], outputs: readonly string[]): void {
  if (emitter.provider !== "webgpu") return void emitter.node("Or", [a, b], {}, outputs);
  const [notA] = emitter.node("Not", [a]);
  const [notB] = emitter.node("Not", [b]);
  const [neither] = emitter.node("And", [notA, notB]);
  emitter.node("Not", [neither], {}, outputs);
}

function comparison<K extends Comparison>(op: K, compare: (a: number, b: number) => boolean, allowed: readonly DType[]): OpRule<K> {
  return {
    infer(inputs) {
      requireInputs(op, inputs, 2);
      requireDType(op, requireSameDType(op, inputs), allowed);
      return [{ dtype: "bool", shape: requireBroadcast(op, inputs.map(({ shape }) => shape)) }];
    },
    emit(emitter, { inputs }, outputs) {
      const names = inputs.map((x) => emitter.name(x));
      if (emitter.provider === "webgpu" && op === "Or") return emitOr(emitter, names, outputs);
      // WebGPU compares no booleans.
      const compared = emitter.provider === "webgpu" && op === "Equal" && inputs[0].dtype === "bool"
        ? names.map((name) => emitter.cast(name, "int32"))
        : names;
      emitter.node(op, compared, {}, outputs);
    },
    gradient: null,
    evaluate: ([a, b], _, [{ shape }]) => [tensorOf(shape, (index) => compare(at(a, index), at(b, index)) ? 1 : 0)],
  };
}

const not: OpRule<"Not"> = {
  infer(inputs) {
    requireInputs("Not", inputs, 1);
    requireDType("Not", inputs[0].dtype, ["bool"]);
    return [{ dtype: "bool", shape: inputs[0].shape }];
  },
  emit: (emitter, { inputs }, outputs) => void emitter.node("Not", [emitter.name(inputs[0])], {}, outputs),
  gradient: null,
  evaluate: ([x]) => [{ shape: x.shape, data: x.data.map((v) => v === 0 ? 1 : 0) }],
};

function inferWhere(inputs: readonly TensorType[]): TensorType[] {
  requireInputs("Where", inputs, 3);
  if (inputs[0].dtype !== "bool") dtypeError("Where", "a bool condition", inputs[0].dtype);
  const dtype = requireSameDType("Where", inputs.slice(1));
  return [{ dtype, shape: requireBroadcast("Where", inputs.map(({ shape }) => shape)) }];
}

const where: OpRule<"Where"> = {
  infer: inferWhere,
  emit(emitter, { inputs: [condition, a, b] }, outputs) {
    const names = [condition, a, b].map((x) => emitter.name(x));
    if (a.dtype !== "bool") return void emitter.node("Where", names, {}, outputs);
    // The runtime has no Where of booleans.
    const [no] = emitter.node("Not", [names[0]]);
    const [first] = emitter.node("And", [names[0], names[1]]);
    const [second] = emitter.node("And", [no, names[2]]);
    emitOr(emitter, [first, second], outputs);
  },
  gradient: (g, { inputs: [condition, a, b] }, [dy]) => [
    null,
    () => g.reduceTo(g.where(condition, dy!, 0), a.shape),
    () => g.reduceTo(g.where(condition, 0, dy!), b.shape),
  ],
  evaluate: ([condition, a, b], _, [{ shape }]) => [tensorOf(shape, (index) => at(at(condition, index) ? a : b, index))],
};

/** op: what is true of the operands. */
export const comparisons = {
  Equal: comparison("Equal", (a, b) => a === b, [...numbers, "bool"]),
  Less: comparison("Less", (a, b) => a < b, numbers),
  LessOrEqual: comparison("LessOrEqual", (a, b) => a <= b, numbers),
  Greater: comparison("Greater", (a, b) => a > b, numbers),
  GreaterOrEqual: comparison("GreaterOrEqual", (a, b) => a >= b, numbers),
  And: comparison("And", (a, b) => a !== 0 && b !== 0, ["bool"]),
  Or: comparison("Or", (a, b) => a !== 0 || b !== 0, ["bool"]),
  Not: not,
  Where: where,
} satisfies Partial<OpTable>;
