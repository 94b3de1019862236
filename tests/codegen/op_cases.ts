/** Every op with representative inputs: shapes, broadcasts, attributes, symbols. A new op without cases is a type error. */

import type { DType, OpAttributes, OpName, Shape } from "../../codegen/ir/types.ts";

/** How an input's numbers are drawn; a list gives them. */
export type Values =
  | "normal" // -1.5 to 1.5
  | "positive" // 0.3 to 2
  | "distinct" // 0.1 apart, none within 0.04 of 0 or of a half: no kink is near
  | "between" // 0.1 apart, far from the distinct ones
  | "bool"
  | readonly number[]
  | { readonly below: number }; // whole numbers

/** An op's input. */
export interface InputCase {
  readonly dtype: DType;
  readonly shape: Shape;
  readonly values: Values;
  /** Whether it is a constant of the graph, and no input. */
  readonly constant?: boolean;
}

/** A good call of an op. */
export interface GoodCase<K extends OpName> {
  readonly what: string;
  readonly inputs: readonly InputCase[];
  readonly attributes: OpAttributes[K];
  /** The outputs' types, as `float32[2, 3]`. */
  readonly gives: readonly string[];
}

/** A bad call of an op. */
export interface BadCase<K extends OpName> {
  readonly what: string;
  readonly inputs: readonly InputCase[];
  readonly attributes: OpAttributes[K];
  readonly code: "codegen/shape" | "codegen/dtype";
  /** What the message must contain. */
  readonly says: readonly string[];
}

/** An op's calls. */
export interface OpCases<K extends OpName> {
  readonly good: readonly GoodCase<K>[];
  readonly bad: readonly BadCase<K>[];
}

/** The numbers behind the symbols. */
export const symbols: Readonly<Record<string, number>> = { batch: 2, sequence: 3, n: 4 };

const of = (dtype: DType, values: Values) => (...shape: Shape): InputCase => ({ dtype, shape, values });
const f = of("float32", "normal");
const positive = of("float32", "positive");
const distinct = of("float32", "distinct");
const bool = of("bool", "bool");
const index = (below: number, ...shape: Shape): InputCase => ({ dtype: "int32", shape, values: { below } });
const long = (below: number, ...shape: Shape): InputCase => ({ dtype: "int64", shape, values: { below } });
const given = (dtype: DType, shape: Shape, ...values: number[]): InputCase => ({ dtype, shape, values });

const bytes = of("uint8", { below: 256 });
const quantized = (shape: string): readonly string[] => [`uint8[${shape}]`, "float32[]", "uint8[]"];

type Draw = (...shape: Shape) => InputCase;

/** An op of one input. */
function unary<K extends OpName>(attributes: OpAttributes[K], draw: Draw = f): OpCases<K> {
  return {
    good: [
      { what: "a matrix with symbolic rows", inputs: [draw("batch", 5)], attributes, gives: ["float32[batch, 5]"] },
      { what: "a scalar", inputs: [draw()], attributes, gives: ["float32[]"] },
    ],
    bad: [
      { what: "a boolean", inputs: [bool(3)], attributes, code: "codegen/dtype", says: ["float32", "bool"] },
      { what: "two inputs", inputs: [f(3), f(3)], attributes, code: "codegen/shape", says: ["1 inputs", "found 2"] },
    ],
  };
}

/** An op of two inputs that broadcast. */
function binary<K extends OpName>(
  attributes: OpAttributes[K],
  dtype: "float32" | "bool" = "float32",
  left: Draw = f,
  right: Draw = left,
): OpCases<K> {
  const cases: [string, Shape, Shape, string][] = [
    ["equal shapes", ["batch", 3], ["batch", 3], "[batch, 3]"],
    ["a vector on the right", ["batch", "sequence", 4], [4], "[batch, sequence, 4]"],
    ["a scalar on the left", [], [2, 3], "[2, 3]"],
    ["a scalar on the right", [2, 3], [], "[2, 3]"],
    ["both broadcast", ["batch", 1, 4], ["sequence", 1], "[batch, sequence, 4]"],
    ["ones in front", [1, 1, 3], ["batch", 2, 3], "[batch, 2, 3]"],
  ];
  return {
    good: cases.map(([what, a, b, shape]) => ({ what, inputs: [left(...a), right(...b)], attributes, gives: [`${dtype}${shape}`] })),
    bad: [
      { what: "shapes that differ", inputs: [left(2, 3), right(2, 4)], attributes, code: "codegen/shape", says: ["[2, 3]", "[2, 4]"] },
      {
        what: "a symbol and a number",
        inputs: [left("batch", 3), right(2, 3)],
        attributes,
        code: "codegen/shape",
        says: ["[batch, 3]", "[2, 3]"],
      },
      { what: "two dtypes", inputs: [f(3), index(3, 3)], attributes, code: "codegen/dtype", says: ["float32", "int32"] },
    ],
  };
}

function reduction<K extends "ReduceSum" | "ReduceMean" | "ReduceMax">(draw: Draw = f): OpCases<K> {
  const make = (axes: number[], keepDims: boolean) => ({ axes, keepDims }) as OpAttributes[K];
  return {
    good: [
      { what: "the last axis", inputs: [draw("batch", 4)], attributes: make([-1], false), gives: ["float32[batch]"] },
      { what: "the last axis, kept", inputs: [draw("batch", 4)], attributes: make([1], true), gives: ["float32[batch, 1]"] },
      { what: "symbolic axes", inputs: [draw("batch", "sequence", 2)], attributes: make([0, 1], false), gives: ["float32[2]"] },
      { what: "all axes", inputs: [draw("batch", 3)], attributes: make([0, 1], false), gives: ["float32[]"] },
      { what: "axes apart", inputs: [draw(2, "sequence", 3)], attributes: make([2, 0], true), gives: ["float32[1, sequence, 1]"] },
      { what: "no axis", inputs: [draw(2, 2)], attributes: make([], false), gives: ["float32[2, 2]"] },
    ],
    bad: [
      { what: "an axis too many", inputs: [f(2, 3)], attributes: make([2], false), code: "codegen/shape", says: ["-2 to 1", "found 2"] },
      { what: "an axis twice", inputs: [f(2, 3)], attributes: make([1, -1], false), code: "codegen/shape", says: ["distinct", "[1, -1]"] },
      { what: "a boolean", inputs: [bool(2)], attributes: make([0], false), code: "codegen/dtype", says: ["float32", "bool"] },
    ],
  };
}

function softmax<K extends "Softmax" | "LogSoftmax">(): OpCases<K> {
  const along = (axis: number) => ({ axis }) as OpAttributes[K];
  return {
    good: [
      { what: "the last axis", inputs: [f("batch", 5)], attributes: along(-1), gives: ["float32[batch, 5]"] },
      { what: "an inner axis", inputs: [f(2, "sequence", 3)], attributes: along(1), gives: ["float32[2, sequence, 3]"] },
      {
        what: "attention scores",
        inputs: [f("batch", 2, "sequence", "sequence")],
        attributes: along(3),
        gives: ["float32[batch, 2, sequence, sequence]"],
      },
    ],
    bad: [
      { what: "no such axis", inputs: [f(2, 3)], attributes: along(2), code: "codegen/shape", says: ["-2 to 1", "found 2"] },
      { what: "whole numbers", inputs: [index(3, 2)], attributes: along(0), code: "codegen/dtype", says: ["float32", "int32"] },
    ],
  };
}

/** Every op's calls. */
export const opCases: { readonly [K in OpName]: OpCases<K> } = {
  Constant: {
    good: [
      { what: "a scalar", inputs: [], attributes: { dtype: "float32", shape: [], data: [0.1] }, gives: ["float32[]"] },
      { what: "whole numbers", inputs: [], attributes: { dtype: "int32", shape: [2, 2], data: [1, -2, 3, 4] }, gives: ["int32[2, 2]"] },
      { what: "an infinity", inputs: [], attributes: { dtype: "float32", shape: [2], data: [-Infinity, -0] }, gives: ["float32[2]"] },
      { what: "booleans", inputs: [], attributes: { dtype: "bool", shape: [3], data: [1, 0, 1] }, gives: ["bool[3]"] },
      { what: "an int64", inputs: [], attributes: { dtype: "int64", shape: [1], data: [2 ** 40] }, gives: ["int64[1]"] },
    ],
    bad: [{
      what: "numbers that are too few",
      inputs: [],
      attributes: { dtype: "float32", shape: [2, 2], data: [1] },
      code: "codegen/shape",
      says: ["4 numbers for [2, 2]", "found 1"],
    }],
  },
  Add: binary({}),
  Sub: binary({}),
  Mul: binary({}),
  Div: binary({}, "float32", f, positive),
  Pow: {
    good: [
      ...binary<"Pow">({}, "float32", positive, f).good,
      { what: "a square", inputs: [f(4), { ...given("float32", [], 2), constant: true }], attributes: {}, gives: ["float32[4]"] },
      { what: "a cube", inputs: [f(4), { ...given("float32", [1], 3), constant: true }], attributes: {}, gives: ["float32[4]"] },
    ],
    bad: binary<"Pow">({}).bad,
  },
  Max: binary({}, "float32", distinct, of("float32", "between")),
  Min: binary({}, "float32", distinct, of("float32", "between")),
  Equal: {
    good: [
      ...binary<"Equal">({}, "bool", (...shape) => index(2, ...shape)).good,
      { what: "booleans", inputs: [bool(4), bool(4)], attributes: {}, gives: ["bool[4]"] },
    ],
    bad: binary<"Equal">({}).bad,
  },
  Less: binary({}, "bool", (...shape) => index(3, ...shape)),
  LessOrEqual: binary({}, "bool", (...shape) => index(3, ...shape)),
  Greater: binary({}, "bool"),
  GreaterOrEqual: binary({}, "bool", (...shape) => index(3, ...shape)),
  And: {
    good: binary<"And">({}, "bool", bool).good,
    bad: [
      { what: "shapes that differ", inputs: [bool(2), bool(3)], attributes: {}, code: "codegen/shape", says: ["[2]", "[3]"] },
      { what: "numbers", inputs: [f(2), f(2)], attributes: {}, code: "codegen/dtype", says: ["bool", "float32"] },
    ],
  },
  Or: {
    good: binary<"Or">({}, "bool", bool).good,
    bad: [{ what: "shapes that differ", inputs: [bool(2), bool(3)], attributes: {}, code: "codegen/shape", says: ["[2]", "[3]"] }],
  },
  Not: {
    good: [{ what: "a vector", inputs: [bool("n")], attributes: {}, gives: ["bool[n]"] }],
    bad: [{ what: "a number", inputs: [f(2)], attributes: {}, code: "codegen/dtype", says: ["bool", "float32"] }],
  },
  Neg: unary({}),
  Abs: unary({}, distinct),
  Sign: unary({}),
  Exp: unary({}),
  Log: unary({}, positive),
  Sqrt: unary({}, positive),
  Reciprocal: unary({}, positive),
  Sin: unary({}),
  Cos: unary({}),
  Tanh: unary({}),
  Sigmoid: unary({}),
  Relu: unary({}, distinct),
  Erf: unary({}),
  Softplus: unary({}),
  Floor: unary({}),
  Ceil: unary({}),
  Round: {
    good: [
      { what: "halves to even", inputs: [given("float32", [5], 0.5, 1.5, 2.5, -0.5, -1.4)], attributes: {}, gives: ["float32[5]"] },
      ...unary<"Round">({}).good,
    ],
    bad: unary<"Round">({}).bad,
  },
  Gelu: {
    good: [...unary<"Gelu">({ approximate: false }).good, ...unary<"Gelu">({ approximate: true }).good],
    bad: unary<"Gelu">({ approximate: false }).bad,
  },
  Cast: {
    good: [
      { what: "float to double", inputs: [f("batch", 2)], attributes: { to: "float64" }, gives: ["float64[batch, 2]"] },
      { what: "float to whole", inputs: [distinct(6)], attributes: { to: "int32" }, gives: ["int32[6]"] },
      { what: "whole to float", inputs: [index(9, 3)], attributes: { to: "float32" }, gives: ["float32[3]"] },
      { what: "boolean to float", inputs: [bool(4)], attributes: { to: "float32" }, gives: ["float32[4]"] },
      { what: "whole to boolean", inputs: [given("int32", [2, 2], 0, 1, -2, 7)], attributes: { to: "bool" }, gives: ["bool[2, 2]"] },
      { what: "float to boolean", inputs: [given("float32", [3], 0, 0.5, -2)], attributes: { to: "bool" }, gives: ["bool[3]"] },
      { what: "to what it is", inputs: [f(2)], attributes: { to: "float32" }, gives: ["float32[2]"] },
    ],
    bad: [{ what: "two inputs", inputs: [f(1), f(1)], attributes: { to: "int32" }, code: "codegen/shape", says: ["1 inputs", "found 2"] }],
  },
  Where: {
    good: [
      { what: "equal shapes", inputs: [bool(2, 3), f(2, 3), f(2, 3)], attributes: {}, gives: ["float32[2, 3]"] },
      {
        what: "all broadcast",
        inputs: [bool("batch", 1, 1), f("sequence", 1), f(4)],
        attributes: {},
        gives: ["float32[batch, sequence, 4]"],
      },
      { what: "a scalar", inputs: [bool("batch", 4), f("batch", 4), f()], attributes: {}, gives: ["float32[batch, 4]"] },
      { what: "whole numbers", inputs: [bool(4), index(5, 4), index(5, 1)], attributes: {}, gives: ["int32[4]"] },
      { what: "booleans", inputs: [bool(4), bool(4), bool(1)], attributes: {}, gives: ["bool[4]"] },
    ],
    bad: [
      { what: "shapes that differ", inputs: [bool(2), f(2), f(3)], attributes: {}, code: "codegen/shape", says: ["[2]", "[3]"] },
      { what: "no condition", inputs: [f(2), f(2), f(2)], attributes: {}, code: "codegen/dtype", says: ["bool", "float32"] },
      { what: "two dtypes", inputs: [bool(2), f(2), index(2, 2)], attributes: {}, code: "codegen/dtype", says: ["float32", "int32"] },
    ],
  },
  MatMul: {
    good: [
      { what: "matrices", inputs: [f(2, 3), f(3, 4)], attributes: {}, gives: ["float32[2, 4]"] },
      { what: "matrices, A transposed", inputs: [f(3, 2), f(3, 4)], attributes: { transA: true }, gives: ["float32[2, 4]"] },
      { what: "matrices, B transposed", inputs: [f("batch", 3), f(4, 3)], attributes: { transB: true }, gives: ["float32[batch, 4]"] },
      {
        what: "matrices, both transposed",
        inputs: [f(3, 2), f(4, 3)],
        attributes: { transA: true, transB: true },
        gives: ["float32[2, 4]"],
      },
      { what: "rows times a weight", inputs: [f("batch", "sequence", 3), f(3, 2)], attributes: {}, gives: ["float32[batch, sequence, 2]"] },
      {
        what: "rows times a transposed weight",
        inputs: [f("batch", "sequence", 3), f(2, 3)],
        attributes: { transB: true },
        gives: ["float32[batch, sequence, 2]"],
      },
      {
        what: "rows of one symbol times a transposed weight",
        inputs: [f(2, "n", 3), f(2, 3)],
        attributes: { transB: true },
        gives: ["float32[2, n, 2]"],
      },
      {
        what: "a transposed batch times a weight",
        inputs: [f("batch", 3, 2), f(3, 4)],
        attributes: { transA: true },
        gives: ["float32[batch, 2, 4]"],
      },
      { what: "a matrix times a batch", inputs: [f(2, 3), f("batch", 3, 2)], attributes: {}, gives: ["float32[batch, 2, 2]"] },
      {
        what: "batches",
        inputs: [f("batch", 2, "sequence", 3), f("batch", 2, 3, "sequence")],
        attributes: {},
        gives: ["float32[batch, 2, sequence, sequence]"],
      },
      {
        what: "queries times keys",
        inputs: [f("batch", 2, "sequence", 3), f("batch", 2, "sequence", 3)],
        attributes: { transB: true },
        gives: ["float32[batch, 2, sequence, sequence]"],
      },
      {
        what: "batches that broadcast",
        inputs: [f("batch", 1, 2, 3), f(2, 4, 3)],
        attributes: { transB: true },
        gives: ["float32[batch, 2, 2, 4]"],
      },
      {
        what: "batches, both transposed",
        inputs: [f("batch", 3, 2), f("batch", 4, 3)],
        attributes: { transA: true, transB: true },
        gives: ["float32[batch, 2, 4]"],
      },
    ],
    bad: [
      {
        what: "inner dimensions that differ",
        inputs: [f("batch", 3), f(4, 5)],
        attributes: {},
        code: "codegen/shape",
        says: ["[batch, 3]", "[4, 5]"],
      },
      { what: "batches that differ", inputs: [f(2, 3, 4), f(3, 4, 5)], attributes: {}, code: "codegen/shape", says: ["[2]", "[3]"] },
      { what: "a vector", inputs: [f(3), f(3, 4)], attributes: {}, code: "codegen/shape", says: ["rank 2", "[3]"] },
      {
        what: "whole numbers",
        inputs: [index(2, 2, 2), index(2, 2, 2)],
        attributes: {},
        code: "codegen/dtype",
        says: ["float32", "int32"],
      },
    ],
  },
  Reshape: {
    good: [
      {
        what: "rows merged",
        inputs: [f("batch", "sequence", 4)],
        attributes: { shape: ["batch*sequence", 4] },
        gives: ["float32[batch*sequence, 4]"],
      },
      {
        what: "heads split",
        inputs: [f("batch", "sequence", 4)],
        attributes: { shape: ["batch", "sequence", 2, 2] },
        gives: ["float32[batch, sequence, 2, 2]"],
      },
      {
        what: "a matrix of merged rows",
        inputs: [f("batch*sequence", 4)],
        attributes: { shape: ["batch*sequence", 2, 2] },
        gives: ["float32[batch*sequence, 2, 2]"],
      },
      { what: "a symbol moved", inputs: [f(2, "n", 3)], attributes: { shape: [6, "n"] }, gives: ["float32[6, n]"] },
      {
        what: "two symbols moved",
        inputs: [f("batch", 2, "sequence")],
        attributes: { shape: [2, "batch", "sequence"] },
        gives: ["float32[2, batch, sequence]"],
      },
      { what: "to a scalar", inputs: [f(1, 1)], attributes: { shape: [] }, gives: ["float32[]"] },
    ],
    bad: [
      {
        what: "another size",
        inputs: [f("batch", 6)],
        attributes: { shape: ["batch", 5] },
        code: "codegen/shape",
        says: ["[batch, 6]", "[batch, 5]"],
      },
      {
        what: "a dimension of -1",
        inputs: [f(2, 3)],
        attributes: { shape: [-1] },
        code: "codegen/shape",
        says: ["whole dimensions", "[-1]"],
      },
    ],
  },
  Transpose: {
    good: [
      {
        what: "heads forward",
        inputs: [f("batch", "sequence", 2, 2)],
        attributes: { perm: [0, 2, 1, 3] },
        gives: ["float32[batch, 2, sequence, 2]"],
      },
      { what: "a cycle", inputs: [f(2, 3, 4)], attributes: { perm: [2, 0, 1] }, gives: ["float32[4, 2, 3]"] },
    ],
    bad: [
      { what: "no permutation", inputs: [f(2, 3)], attributes: { perm: [0] }, code: "codegen/shape", says: ["[2, 3]", "[0]"] },
      { what: "an axis twice", inputs: [f(2, 3)], attributes: { perm: [0, 0] }, code: "codegen/shape", says: ["distinct", "[0, 0]"] },
    ],
  },
  Expand: {
    good: [
      { what: "a scalar", inputs: [f()], attributes: { shape: [2, 3] }, gives: ["float32[2, 3]"] },
      { what: "ones", inputs: [f("batch", 1, 3)], attributes: { shape: ["batch", 2, 3] }, gives: ["float32[batch, 2, 3]"] },
      { what: "axes in front", inputs: [f(3)], attributes: { shape: [2, 2, 3] }, gives: ["float32[2, 2, 3]"] },
    ],
    bad: [
      { what: "no broadcast", inputs: [f(2)], attributes: { shape: [3] }, code: "codegen/shape", says: ["[2]", "[3]"] },
      { what: "a narrower shape", inputs: [f(2, 3)], attributes: { shape: [1, 3] }, code: "codegen/shape", says: ["[2, 3]", "[1, 3]"] },
    ],
  },
  Concat: {
    good: [
      {
        what: "three along the last axis",
        inputs: [f("batch", 1), f("batch", 2), f("batch", 3)],
        attributes: { axis: -1 },
        gives: ["float32[batch, 6]"],
      },
      { what: "two along the first axis", inputs: [f(1, "n"), f(2, "n")], attributes: { axis: 0 }, gives: ["float32[3, n]"] },
      { what: "a single one", inputs: [f("batch", 2)], attributes: { axis: 0 }, gives: ["float32[batch, 2]"] },
    ],
    bad: [
      {
        what: "other axes that differ",
        inputs: [f(2, 3), f(3, 3)],
        attributes: { axis: 1 },
        code: "codegen/shape",
        says: ["[2, 3]", "[3, 3]"],
      },
      { what: "a symbolic axis", inputs: [f("batch"), f(3)], attributes: { axis: 0 }, code: "codegen/shape", says: ["[batch]", "[3]"] },
    ],
  },
  Slice: {
    good: [
      { what: "the middle", inputs: [f("batch", 5)], attributes: { axis: 1, start: 1, end: 3 }, gives: ["float32[batch, 2]"] },
      { what: "the rest", inputs: [f(2, 5)], attributes: { axis: -1, start: 2, end: null }, gives: ["float32[2, 3]"] },
      { what: "all but the last", inputs: [f(5)], attributes: { axis: 0, start: 0, end: -1 }, gives: ["float32[4]"] },
      {
        what: "the first of unknown length",
        inputs: [f("batch", "sequence", 2)],
        attributes: { axis: 1, start: 0, end: 1 },
        gives: ["float32[batch, 1, 2]"],
      },
      {
        what: "the last two of unknown length",
        inputs: [f("batch", "sequence")],
        attributes: { axis: 1, start: -2, end: null },
        gives: ["float32[batch, 2]"],
      },
      {
        what: "all of unknown length",
        inputs: [f("batch", 2)],
        attributes: { axis: 0, start: 0, end: null },
        gives: ["float32[batch, 2]"],
      },
    ],
    bad: [
      { what: "nothing", inputs: [f(4)], attributes: { axis: 0, start: 3, end: 3 }, code: "codegen/shape", says: ["[4]", "[3, 3)"] },
      {
        what: "a length that isn't known",
        inputs: [f("batch")],
        attributes: { axis: 0, start: 1, end: null },
        code: "codegen/shape",
        says: ["[batch]", "[1, end)"],
      },
    ],
  },
  Pad: {
    good: [
      { what: "both sides", inputs: [f("batch", 2)], attributes: { axis: 1, before: 1, after: 2 }, gives: ["float32[batch, 5]"] },
      {
        what: "one side of an inner axis",
        inputs: [f(2, 2, "n")],
        attributes: { axis: -2, before: 0, after: 1 },
        gives: ["float32[2, 3, n]"],
      },
    ],
    bad: [{
      what: "a symbolic axis",
      inputs: [f("batch")],
      attributes: { axis: 0, before: 1, after: 0 },
      code: "codegen/shape",
      says: ["[batch]", "1 and 0"],
    }],
  },
  Squeeze: {
    good: [
      { what: "two axes", inputs: [f(1, "n", 1)], attributes: { axes: [0, -1] }, gives: ["float32[n]"] },
      { what: "no axis", inputs: [f(1, 2)], attributes: { axes: [] }, gives: ["float32[1, 2]"] },
    ],
    bad: [{
      what: "a longer axis",
      inputs: [f("batch", 2)],
      attributes: { axes: [1] },
      code: "codegen/shape",
      says: ["axes [1]", "[batch, 2]"],
    }],
  },
  Unsqueeze: {
    good: [
      { what: "both ends", inputs: [f("batch", 2)], attributes: { axes: [0, -1] }, gives: ["float32[1, batch, 2, 1]"] },
      { what: "a scalar", inputs: [f()], attributes: { axes: [0] }, gives: ["float32[1]"] },
    ],
    bad: [{ what: "an axis too far", inputs: [f(2)], attributes: { axes: [3] }, code: "codegen/shape", says: ["-2 to 1", "found 3"] }],
  },
  ReduceSum: reduction(),
  ReduceMean: reduction(),
  ReduceMax: reduction(distinct),
  CumSum: {
    good: [
      { what: "forward", inputs: [f("batch", 4)], attributes: { axis: 1 }, gives: ["float32[batch, 4]"] },
      { what: "backward along the first axis", inputs: [f("n", 2)], attributes: { axis: 0, reverse: true }, gives: ["float32[n, 2]"] },
      { what: "whole numbers", inputs: [index(2, "batch", "sequence")], attributes: { axis: -1 }, gives: ["int32[batch, sequence]"] },
    ],
    bad: [{ what: "no such axis", inputs: [f(2)], attributes: { axis: 1 }, code: "codegen/shape", says: ["-1 to 0", "found 1"] }],
  },
  Softmax: softmax(),
  LogSoftmax: softmax(),
  LayerNorm: {
    good: [
      {
        what: "rows",
        inputs: [f("batch", "sequence", 4), f(4), f(4)],
        attributes: { epsilon: 1e-5 },
        gives: ["float32[batch, sequence, 4]", "float32[batch, sequence, 1]", "float32[batch, sequence, 1]"],
      },
      {
        what: "one row, much epsilon",
        inputs: [f(5), f(5), f(5)],
        attributes: { epsilon: 0.1 },
        gives: ["float32[5]", "float32[1]", "float32[1]"],
      },
    ],
    bad: [
      {
        what: "a scale of another width",
        inputs: [f("batch", 4), f(3), f(4)],
        attributes: { epsilon: 1e-5 },
        code: "codegen/shape",
        says: ["[batch, 4]", "[3]"],
      },
      {
        what: "a negative epsilon",
        inputs: [f(2, 4), f(4), f(4)],
        attributes: { epsilon: -1 },
        code: "codegen/shape",
        says: ["epsilon", "-1"],
      },
    ],
  },
  Gather: {
    good: [
      {
        what: "embeddings",
        inputs: [f(5, 3), index(5, "batch", "sequence")],
        attributes: { axis: 0 },
        gives: ["float32[batch, sequence, 3]"],
      },
      { what: "rows of a symbolic table", inputs: [f("n", 3), index(4, "batch")], attributes: { axis: 0 }, gives: ["float32[batch, 3]"] },
      { what: "numbers of a vector", inputs: [f(5), long(5, "n")], attributes: { axis: 0 }, gives: ["float32[n]"] },
      { what: "a cube's planes", inputs: [f(3, 2, 2), index(3, 4)], attributes: { axis: 0 }, gives: ["float32[4, 2, 2]"] },
      { what: "the middle axis", inputs: [f("batch", 4, 2), index(4, 3)], attributes: { axis: 1 }, gives: ["float32[batch, 3, 2]"] },
      {
        what: "the middle axis by a matrix",
        inputs: [f(2, 4, 2), index(4, 2, "n")],
        attributes: { axis: -2 },
        gives: ["float32[2, 2, n, 2]"],
      },
      { what: "one index", inputs: [f("batch", "sequence", 2), index(3)], attributes: { axis: 1 }, gives: ["float32[batch, 2]"] },
      { what: "from the end", inputs: [f(4, 2), given("int32", [3], -1, 0, -4)], attributes: { axis: 0 }, gives: ["float32[3, 2]"] },
      { what: "whole numbers", inputs: [index(9, 4), index(4, 3)], attributes: { axis: 0 }, gives: ["int32[3]"] },
    ],
    bad: [
      { what: "fractional indices", inputs: [f(4, 2), f(3)], attributes: { axis: 0 }, code: "codegen/dtype", says: ["int32", "float32"] },
      {
        what: "no such axis",
        inputs: [f(4, 2), index(2, 3)],
        attributes: { axis: 2 },
        code: "codegen/shape",
        says: ["-2 to 1", "found 2"],
      },
    ],
  },
  GatherElements: {
    good: [
      { what: "the last axis", inputs: [f("batch", 5), index(5, "batch", 2)], attributes: { axis: -1 }, gives: ["float32[batch, 2]"] },
      {
        what: "the middle axis",
        inputs: [f("batch", "sequence", 2), index(3, "batch", "n", 2)],
        attributes: { axis: 1 },
        gives: ["float32[batch, n, 2]"],
      },
    ],
    bad: [{
      what: "other axes that differ",
      inputs: [f(3, 5), index(5, 2, 2)],
      attributes: { axis: 1 },
      code: "codegen/shape",
      says: ["[3, 5]", "[2, 2]"],
    }],
  },
  ScatterElementsAdd: {
    good: [
      { what: "onto zeros", inputs: [index(5, "batch", 3), f("batch", 3)], attributes: { axis: 1, size: 5 }, gives: ["float32[batch, 5]"] },
      {
        what: "onto a symbolic axis",
        inputs: [index(2, "batch", 4, 2), f("batch", 4, 2)],
        attributes: { axis: 1, size: "batch" },
        gives: ["float32[batch, batch, 2]"],
      },
      { what: "onto a tensor", inputs: [index(2, 4, 3), f(4, 3), f(2, 3)], attributes: { axis: 0, size: 2 }, gives: ["float32[2, 3]"] },
    ],
    bad: [
      {
        what: "indices of another shape",
        inputs: [index(2, 2, 3), f(2, 4)],
        attributes: { axis: 1, size: 5 },
        code: "codegen/shape",
        says: ["[2, 4]", "[2, 3]"],
      },
      {
        what: "a target of another shape",
        inputs: [index(2, 2, 3), f(2, 3), f(2, 6)],
        attributes: { axis: 1, size: 5 },
        code: "codegen/shape",
        says: ["[2, 5]", "[2, 6]"],
      },
    ],
  },
  ScatterRowsAdd: {
    good: [
      {
        what: "onto zeros",
        inputs: [index(5, "batch", "sequence"), f("batch", "sequence", 2)],
        attributes: { rows: 5 },
        gives: ["float32[5, 2]"],
      },
      { what: "onto a matrix", inputs: [index(3, "n"), f("n", 2), f(3, 2)], attributes: { rows: 3 }, gives: ["float32[3, 2]"] },
      { what: "int64 indices", inputs: [long(3, "n"), f("n", 2)], attributes: { rows: 3 }, gives: ["float32[3, 2]"] },
      { what: "symbolic rows and width", inputs: [index(4, 2, 2), f(2, 2, "n")], attributes: { rows: "n" }, gives: ["float32[n, n]"] },
    ],
    bad: [
      { what: "too few indices", inputs: [index(5, 2), f(3, 4)], attributes: { rows: 5 }, code: "codegen/shape", says: ["[2]", "[3, 4]"] },
      {
        what: "a target of another width",
        inputs: [index(5, 3), f(3, 4), f(5, 3)],
        attributes: { rows: 5 },
        code: "codegen/shape",
        says: ["[5, 4]", "[5, 3]"],
      },
    ],
  },
  SparseSoftmaxCrossEntropy: {
    good: [
      {
        what: "tokens",
        inputs: [f("batch", "sequence", 5), index(5, "batch", "sequence")],
        attributes: {},
        gives: ["float32[batch, sequence]", "float32[batch, sequence, 5]"],
      },
      { what: "rows", inputs: [f(3, 4), long(4, 3)], attributes: {}, gives: ["float32[3]", "float32[3, 4]"] },
    ],
    bad: [
      {
        what: "labels of another shape",
        inputs: [f("batch", 5), index(5, "n")],
        attributes: {},
        code: "codegen/shape",
        says: ["[batch, 5]", "[n]"],
      },
      { what: "fractional labels", inputs: [f(2, 5), f(2)], attributes: {}, code: "codegen/dtype", says: ["int32", "float32"] },
    ],
  },
  ArgMax: {
    good: [
      { what: "the last axis", inputs: [distinct("batch", 5)], attributes: { axis: -1, keepDims: false }, gives: ["int32[batch]"] },
      { what: "the first axis, kept", inputs: [distinct("n", 2)], attributes: { axis: 0, keepDims: true }, gives: ["int32[1, 2]"] },
      {
        what: "ties",
        inputs: [given("float32", [2, 4], 1, 3, 3, 2, 5, 5, 5, 5)],
        attributes: { axis: 1, keepDims: false },
        gives: ["int32[2]"],
      },
    ],
    bad: [{
      what: "a scalar",
      inputs: [f()],
      attributes: { axis: 0, keepDims: false },
      code: "codegen/shape",
      says: ["no axis", "found 0"],
    }],
  },
  TopK: {
    good: [
      { what: "the greatest two", inputs: [distinct("batch", 5)], attributes: { k: 2 }, gives: ["float32[batch, 2]", "int32[batch, 2]"] },
      { what: "all", inputs: [distinct(4)], attributes: { k: 4 }, gives: ["float32[4]", "int32[4]"] },
    ],
    bad: [{ what: "more than there are", inputs: [f(2, 3)], attributes: { k: 4 }, code: "codegen/shape", says: ["[2, 3]", "found 4"] }],
  },
  DynamicQuantizeLinear: {
    good: [
      {
        what: "both signs",
        inputs: [given("float32", [2, 3], -1, 0.3, 2, 0.7, -0.2, 1.1)],
        attributes: {},
        gives: ["uint8[2, 3]", "float32[]", "uint8[]"],
      },
      {
        what: "positive numbers: zero is in their range",
        inputs: [given("float32", [3], 1, 2.2, 4.2)],
        attributes: {},
        gives: quantized("3"),
      },
      {
        what: "negative numbers: zero is in their range",
        inputs: [given("float32", [3], -1, -2.2, -4.2)],
        attributes: {},
        gives: quantized("3"),
      },
      { what: "zeros alone", inputs: [given("float32", ["batch", 1], 0, 0)], attributes: {}, gives: quantized("batch, 1") },
    ],
    bad: [
      { what: "whole numbers", inputs: [index(5, 3)], attributes: {}, code: "codegen/dtype", says: ["float32", "int32"] },
      { what: "two inputs", inputs: [f(3), f(3)], attributes: {}, code: "codegen/shape", says: ["1 inputs", "found 2"] },
    ],
  },
  MatMulInteger: {
    good: [
      {
        what: "two matrices, a zero point between",
        inputs: [bytes(4, 3), given("int8", [3, 2], -127, 127, 5, -1, 0, 64), given("uint8", [], 131)],
        attributes: {},
        gives: ["int32[4, 2]"],
      },
      {
        what: "a batch of rows",
        inputs: [bytes("batch", "sequence", 2), given("int8", [2, 3], 1, -2, 3, -4, 5, -6), given("uint8", [], 0)],
        attributes: {},
        gives: ["int32[batch, sequence, 3]"],
      },
    ],
    bad: [
      {
        what: "matrices that don't fit",
        inputs: [bytes(4, 3), given("int8", [2, 3]), given("uint8", [])],
        attributes: {},
        code: "codegen/shape",
        says: ["[..., M, K] and [K, N]", "[4, 3] and [2, 3]"],
      },
      {
        what: "a zero point for each row",
        inputs: [bytes(4, 3), given("int8", [3, 3]), bytes(4)],
        attributes: {},
        code: "codegen/shape",
        says: ["a zero point of shape []", "[4]"],
      },
      {
        what: "floats",
        inputs: [f(4, 3), f(3, 3), f()],
        attributes: {},
        code: "codegen/dtype",
        says: ["uint8, int8 and uint8", "float32, float32 and float32"],
      },
    ],
  },
  StopGradient: {
    good: [{ what: "a matrix", inputs: [f("batch", 2)], attributes: {}, gives: ["float32[batch, 2]"] }],
    bad: [{ what: "no input", inputs: [], attributes: {}, code: "codegen/shape", says: ["1 inputs", "found 0"] }],
  },
};
