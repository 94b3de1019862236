/** An optimizer's variables in Keras' order and under Keras' paths. */

import type { PreparedWeight } from "./prepared_weight.ts";

/** A variable of the optimizer, as Keras lists it. */
export interface OptimizerVariable {
  /** Keras' path: `adam/dense_kernel_momentum`. Not always unique. */
  readonly path: string;
  readonly shape: readonly number[];
  readonly dtype: "float32" | "int32";
  /** The values; float32 ones are live, not a copy. */
  readonly data: Float32Array | Int32Array;
}

/** What the list is made from. */
export interface VariableSource {
  /** The optimizer's name. */
  readonly name: string;
  readonly batches: number;
  /** Null where the rate follows a schedule: then it is no variable. */
  readonly learningRate: number | null;
  readonly weights: readonly Pick<PreparedWeight, "weight" | "shape" | "slots" | "tensors">[];
  readonly scalars: Readonly<Record<string, number>>;
}

/** Counter and rate, then averages, accumulators and each group of slots, weight by weight, then the optimizer's own scalars. */
export function kerasVariables({ name, batches, learningRate, weights, scalars }: VariableSource): OptimizerVariable[] {
  const variables: OptimizerVariable[] = [{ path: `${name}/iteration`, shape: [], dtype: "int32", data: Int32Array.of(batches) }];
  const add = (path: string, shape: readonly number[], data: Float32Array): void => {
    variables.push({ path, shape, dtype: "float32", data });
  };
  if (learningRate !== null) add(`${name}/learning_rate`, [], Float32Array.of(learningRate));
  for (const [key, suffix] of [["average", "average"], ["accumulated", "gradient_accumulator"]]) {
    for (const { weight, shape, tensors } of weights) {
      if (tensors[key]) add(`${name}/${weight.path.replaceAll("/", "_")}_${suffix}`, shape, tensors[key]);
    }
  }
  const groups = new Set(weights.flatMap(({ slots }) => slots.map(({ group }) => group)));
  for (const group of [...groups].sort()) {
    for (const { weight, shape, slots, tensors } of weights) {
      const own = weight.path.slice(weight.path.lastIndexOf("/") + 1);
      for (const slot of slots.filter((slot) => slot.group === group)) {
        if (slot.placeholder) variables.push({ path: own, shape: [], dtype: "int32", data: Int32Array.of(0) });
        else if (slot.unnamed) add(`${name}/${own}`, slot.shape, tensors[slot.name]);
        else {add(
            `${name}/${weight.path.replaceAll("/", "_")}_${slot.name}`,
            slot.shape === weight.shape ? shape : slot.shape,
            tensors[slot.name],
          );}
      }
    }
  }
  // Keras gives these no name of their own.
  for (const value of Object.values(scalars)) add("variable", [], Float32Array.of(value));
  return variables;
}
