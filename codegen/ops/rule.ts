/** What an op's one unit consists of: shape rule, ONNX emission, gradient, reference evaluation. */

import type { GraphBuilder } from "../ir/builder.ts";
import type { DType, NodeOf, OpAttributes, OpName, Shape, TensorType, Value } from "../ir/types.ts";

/** An ONNX attribute's value: a string, a whole number, a float, or a list of whole numbers. */
export type OnnxAttribute =
  | { readonly kind: "int"; readonly value: number }
  | { readonly kind: "ints"; readonly value: readonly number[] }
  | { readonly kind: "float"; readonly value: number }
  | { readonly kind: "string"; readonly value: string };

/**
 * What executes the emitted nodes. They mean the same everywhere; but WebGPU has no kernels for some ops, which would run on the CPU between two copies,
 * so that what those ops do is emitted for it in others.
 */
export type Provider = "cpu" | "webgpu";

/** Where an op writes its ONNX nodes. Names are those of ONNX tensors. */
export interface OnnxEmitter {
  /** What will execute them. */
  readonly provider: Provider;
  /** Adds a node; returns its output names. Nodes without given outputs get made-up names, and equal ones are one node. */
  node(
    type: string,
    inputs: readonly string[],
    attributes?: Readonly<Record<string, OnnxAttribute>>,
    outputs?: readonly string[],
  ): string[];
  /** A tensor name that nothing else has. */
  fresh(base: string): string;
  /** Adds a Cast node (ONNX numbers the dtypes). */
  cast(name: string, to: DType, outputs?: readonly string[]): string;
  /** The name of a constant tensor, shared where equal. Scalars have shape []. */
  constant(dtype: DType, shape: readonly number[], data: readonly number[]): string;
  /** The name of an int64 vector with a shape's dimensions: a constant, or read off the graph's inputs when it runs. */
  shape(shape: Shape): string;
  /** The ONNX name of an IR value. */
  name(value: Value): string;
  /** Makes an output of the node another name's equal, without a node if possible. */
  alias(value: Value, name: string): void;
  /** Whether anything reads the value. */
  isUsed(value: Value): boolean;
}

/** A tensor of the reference evaluator: float64 (booleans as 0 and 1), whatever the dtype says. */
export interface ReferenceTensor {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** An output's type with every dimension a number. */
export interface ConcreteType {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** An input's gradient, computed on demand; null where there is none. */
export type InputGradient = null | (() => Value);

/** One op. */
export interface OpRule<K extends OpName> {
  /** The outputs' types; throws an OnnxHubError "codegen/shape" or "codegen/dtype" for inputs that don't fit. */
  infer(inputs: readonly TensorType[], attributes: OpAttributes[K]): TensorType[];
  /** Emits standard ONNX (opset 20) nodes; they write the names in `outputs`, or alias them. */
  emit(emitter: OnnxEmitter, node: NodeOf<K>, outputs: readonly string[]): void;
  /**
   * The gradients of the inputs from those of the outputs (null: zero; at least one isn't), one function an input: only those
   * that somebody differentiates by are called. The rule itself is null for ops whose derivative is zero or undefined everywhere.
   */
  gradient: null | ((g: GraphBuilder, node: NodeOf<K>, outputs: readonly (Value | null)[]) => readonly InputGradient[]);
  /** The op in float64 on plain arrays: the reference that emission and gradient are tested against. */
  evaluate(inputs: readonly ReferenceTensor[], attributes: OpAttributes[K], outputs: readonly ConcreteType[]): ReferenceTensor[];
}

/** Every op has a rule; a missing one is a type error. */
export type OpTable = { readonly [K in OpName]: OpRule<K> };

/** An ONNX attribute of whole number. */
export const int = (value: number): OnnxAttribute => ({ kind: "int", value });
/** An ONNX attribute of whole numbers. */
export const ints = (value: readonly number[]): OnnxAttribute => ({ kind: "ints", value });
/** An ONNX attribute of float. */
export const float = (value: number): OnnxAttribute => ({ kind: "float", value });
/** An ONNX attribute of string. */
export const string = (value: string): OnnxAttribute => ({ kind: "string", value });
