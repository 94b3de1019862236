/** The graph IR's types: values with dtype and symbolic shape, nodes, graphs, and the table of every op's attributes. */

/** Element types that a graph's values can have. */
export type DType = "float32" | "float16" | "float64" | "int32" | "int64" | "bool" | "uint8" | "int8";

/** One dimension: a number, or a canonical product of symbols, `"batch"`, `"batch*sequence"`, `"2*batch"` (see dims.ts). */
export type Dim = number | string;

/** A shape, outermost dimension first. */
export type Shape = readonly Dim[];

/** What is known of a value before it is computed. */
export interface TensorType {
  readonly dtype: DType;
  readonly shape: Shape;
}

/** No attributes. */
export type None = Record<never, never>;

/** Every op of the IR with its attributes. An op is one unit: shape rule, ONNX emission, gradient, side by side in `ops/`. */
export interface OpAttributes {
  // A constant: `data` row-major; float data is rounded to the dtype when emitted.
  Constant: { readonly dtype: DType; readonly shape: readonly number[]; readonly data: readonly number[] };
  // Elementwise, two inputs, NumPy broadcasting.
  Add: None;
  Sub: None;
  Mul: None;
  Div: None;
  Pow: None;
  Max: None;
  Min: None;
  // Comparisons and logic, two inputs (Not: one), bool out; no gradient.
  Equal: None;
  Less: None;
  LessOrEqual: None;
  Greater: None;
  GreaterOrEqual: None;
  And: None;
  Or: None;
  Not: None;
  // Elementwise, one input.
  Neg: None;
  Abs: None;
  Sign: None;
  Exp: None;
  Log: None;
  Sqrt: None;
  Reciprocal: None;
  Sin: None;
  Cos: None;
  Tanh: None;
  Sigmoid: None;
  Relu: None;
  Erf: None;
  Softplus: None;
  Floor: None;
  Ceil: None;
  Round: None;
  // Gaussian error linear unit; approximate = the tanh form.
  Gelu: { readonly approximate: boolean };
  Cast: { readonly to: DType };
  // condition, then, else.
  Where: None;
  // [..., M, K] x [..., K, N], NumPy batch broadcasting; the last two dims of an operand transposed on demand.
  MatMul: { readonly transA?: boolean; readonly transB?: boolean };
  // x -> (uint8 of x's shape, float32 scale [], uint8 zero point []): x ≈ scale · (q - zero point), from x's least and greatest element, 0 among them.
  DynamicQuantizeLinear: None;
  // (a uint8 [..., M, K], b int8 [K, N], a's zero point uint8 []) -> int32 [..., M, N], the product of a - zero point and b. No gradient.
  MatMulInteger: None;
  // `shape` holds Dims; sizes must agree symbolically.
  Reshape: { readonly shape: Shape };
  Transpose: { readonly perm: readonly number[] };
  // Broadcast to `shape`.
  Expand: { readonly shape: Shape };
  Concat: { readonly axis: number };
  // [start, end) along one axis; negative ends count from the back; end null = to the end. Along a symbolic dim both from one side.
  Slice: { readonly axis: number; readonly start: number; readonly end: number | null };
  // Zeros put before and after along one axis (the gradient of Slice).
  Pad: { readonly axis: number; readonly before: number; readonly after: number };
  Squeeze: { readonly axes: readonly number[] };
  Unsqueeze: { readonly axes: readonly number[] };
  ReduceSum: { readonly axes: readonly number[]; readonly keepDims: boolean };
  ReduceMean: { readonly axes: readonly number[]; readonly keepDims: boolean };
  ReduceMax: { readonly axes: readonly number[]; readonly keepDims: boolean };
  // Running sum along an axis; reverse = from the end.
  CumSum: { readonly axis: number; readonly reverse?: boolean };
  Softmax: { readonly axis: number };
  LogSoftmax: { readonly axis: number };
  // (x, scale, bias) -> (y, mean, inverse standard deviation), over the last axis.
  LayerNorm: { readonly epsilon: number };
  // data, indices: rows of `data` along `axis`.
  Gather: { readonly axis: number };
  // data, indices of the same rank.
  GatherElements: { readonly axis: number };
  // (indices, updates, onto?) -> onto, or zeros of `size` along `axis`, with updates added at indices; indices has updates' shape.
  ScatterElementsAdd: { readonly axis: number; readonly size: Dim };
  // (indices [...], updates [..., width], onto? [rows, width]) -> [rows, width], rows of updates added at indices.
  ScatterRowsAdd: { readonly rows: Dim };
  // (logits [..., classes], labels int [...]) -> (-log softmax(logits)[label], shape [...]; log softmax(logits), for the gradient).
  SparseSoftmaxCrossEntropy: None;
  // Index of the greatest element along an axis, the lowest on ties; int64 becomes int32. No gradient.
  ArgMax: { readonly axis: number; readonly keepDims: boolean };
  // (x) -> (values, int32 indices) of the k greatest along the last axis, sorted descending. No gradient.
  TopK: { readonly k: number };
  // Stops the gradient: the value itself, derivative zero.
  StopGradient: None;
}

/** The name of an op. */
export type OpName = keyof OpAttributes;

/** A value: produced by one node, or an input of the graph (producer null). */
export interface Value extends TensorType {
  readonly id: number;
  /** Unique within the graph; input names are the feeds' names. */
  readonly name: string;
  readonly producer: Node | null;
}

/** One operation. */
export type Node = { [K in OpName]: NodeOf<K> }[OpName];

/** A node of one particular op. */
export interface NodeOf<K extends OpName> {
  readonly op: K;
  readonly attributes: OpAttributes[K];
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  /** The path of the layer that it was lowered from, or what else it belongs to ("loss", "gradient of …"). */
  readonly scope: string;
}

/** A graph: nodes in topological order. */
export interface Graph {
  readonly name: string;
  readonly inputs: readonly Value[];
  readonly nodes: readonly Node[];
  /** Named results; a value may be an output under several names. */
  readonly outputs: readonly { readonly name: string; readonly value: Value }[];
}
