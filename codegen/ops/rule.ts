/** What an op's one unit consists of: shape rule, ONNX emission, gradient, reference evaluation. */

import type { GraphBuilder } from "../ir/builder.ts";
import type { DType, NodeOf, OpAttributes, OpName, Shape, TensorType, Value } from "../ir/types.ts";

/** An ONNX attribute's value: a string, a whole number, a float, or a list of whole numbers. */
export type OnnxAttribute =
  | { readonly kind: "int"; readonly value: number }
  | { readonly kind: "ints"; readonly value: readonly number[] }
  | { readonly kind: "float"; readonly value: number }
  | { readonly kind: "string"; readonly value: string };

/** Where an op writes its ONNX nodes. Names are those of ONNX tensors. */
export interface OnnxEmitter {
  /** Adds a node; returns its output names (made up unless given). */
  node(
    type: string,
    inputs: readonly string[],
    attributes?: Readonly<Record<string, OnnxAttribute>>,
    outputs?: number | readonly string[],
  ): string[];
  /** The name of a constant tensor, shared where equal. Scalars have shape []. */
  constant(dtype: DType, shape: readonly number[], data: readonly number[]): string;
  /** The ONNX name of an IR value. */
  name(value: Value): string;
}

/** A tensor of the reference evaluator: float64 (booleans as 0 and 1), whatever the dtype says. */
export interface ReferenceTensor {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** One op. */
export interface OpRule<K extends OpName> {
  /** The outputs' types; throws an OnnxHubError "codegen/shape" or "codegen/dtype" for inputs that don't fit. */
  infer(inputs: readonly TensorType[], attributes: OpAttributes[K]): TensorType[];
  /** Emits standard ONNX (opset 20) nodes; the last of them must write the names in `outputs`. */
  emit(emitter: OnnxEmitter, node: NodeOf<K>, outputs: readonly string[]): void;
  /**
   * The gradients of the inputs from those of the outputs (null: zero). Null for an input that has no derivative.
   * The rule itself is null for ops that are not differentiable anywhere: their inputs get no gradient.
   */
  gradient:
    | null
    | ((g: GraphBuilder, node: NodeOf<K>, outputs: readonly (Value | null)[]) => (Value | null)[]);
  /** The op in float64 on plain arrays: the reference that emission and gradient are tested against. */
  evaluate(inputs: readonly ReferenceTensor[], attributes: OpAttributes[K], shapes: readonly (readonly number[])[]): ReferenceTensor[];
}

/** Every op has a rule; a missing one is a type error. */
export type OpTable = { readonly [K in OpName]: OpRule<K> };

export type { Shape };
