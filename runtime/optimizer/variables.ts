/** An optimizer's variables in Keras' order and under Keras' paths. */

import { scalarsOf, slotsOf } from "../../codegen/optimizers/step.ts";
import type { Optimizer } from "./config.ts";
import type { TrainedWeight } from "./prepared_weight.ts";

/** A variable of the optimizer, as Keras lists it. */
export interface OptimizerVariable {
  /** Keras' path: `adam/dense_kernel_momentum`. Not always unique. */
  readonly path: string;
  readonly shape: readonly number[];
  readonly dtype: "float32" | "int32";
  /** The values; float32 ones are live, not a copy. */
  readonly data: Float32Array | Int32Array;
}

/** A variable's place in the list. */
export interface VariablePlace extends Omit<OptimizerVariable, "data"> {
  /** What is there: the counter of batches, the learning rate, or a tensor of the optimizer's state. */
  readonly holds: "batches" | "learning_rate" | "tensor";
  /** The tensor's name in the state: `dense/kernel/momentum`. */
  readonly tensor: string;
}

/** What the list is filled with. */
export interface VariableValues {
  readonly batches: number;
  /** Null where the rate follows a schedule: then it is no variable. */
  readonly learningRate: number | null;
  /** Slots, accumulators and averages, by name. */
  readonly tensors: Readonly<Record<string, Float32Array>>;
  /** The optimizer's own. */
  readonly scalars: Readonly<Record<string, number>>;
}

/** The places that an optimizer has whatever it trains: before it trains anything, Keras lists these alone. */
export function firstPlaces({ name, learningRate }: Optimizer): VariablePlace[] {
  const places: VariablePlace[] = [{ path: `${name}/iteration`, shape: [], dtype: "int32", holds: "batches", tensor: "" }];
  if (typeof learningRate === "number") {
    places.push({ path: `${name}/learning_rate`, shape: [], dtype: "float32", holds: "learning_rate", tensor: "" });
  }
  return places;
}

/** Counter and rate, then averages, accumulators and each group of slots, weight by weight, then the optimizer's own scalars. */
export function variablePlaces(optimizer: Optimizer, weights: readonly TrainedWeight[]): VariablePlace[] {
  const { name, settings } = optimizer;
  const places = firstPlaces(optimizer);
  const add = (path: string, shape: readonly number[], tensor: string, dtype: VariablePlace["dtype"] = "float32"): void => {
    places.push({ path, shape, dtype, holds: "tensor", tensor });
  };
  const named = (path: string, suffix: string): string => `${name}/${path.replaceAll("/", "_")}_${suffix}`;
  if (settings.useEma) { for (const { path, shape } of weights) add(named(path, "average"), shape, `${path}/average`); }
  if (settings.gradientAccumulationSteps !== null) {
    for (const { path, shape } of weights) add(named(path, "gradient_accumulator"), shape, `${path}/accumulated`);
  }
  // The rules see weights of rank 1 at least.
  const ruled = weights.map(({ path, shape }) => ({ path, shape: shape.length === 0 ? [1] : shape, really: shape }));
  const slotted = ruled.map((weight) => ({ ...weight, slots: slotsOf(settings, weight) }));
  const groups = new Set(slotted.flatMap(({ slots }) => slots.map(({ group }) => group)));
  for (const group of [...groups].sort()) {
    for (const { path, shape, really, slots } of slotted) {
      const own = path.slice(path.lastIndexOf("/") + 1);
      for (const slot of slots.filter((slot) => slot.group === group)) {
        const tensor = `${path}/${slot.name}`;
        if (slot.placeholder) add(own, [], tensor, "int32");
        else if (slot.unnamed) add(`${name}/${own}`, slot.shape, tensor);
        else add(named(path, slot.name), slot.shape === shape ? really : slot.shape, tensor);
      }
    }
  }
  // Keras gives these no name of their own.
  for (const scalar of scalarsOf(settings)) add("variable", [], scalar.name);
  return places;
}

/** The variables in their places. */
export function kerasVariables(places: readonly VariablePlace[], values: VariableValues): OptimizerVariable[] {
  const { batches, learningRate, tensors, scalars } = values;
  return places.map(({ path, shape, dtype, holds, tensor }) => {
    if (holds === "batches") return { path, shape, dtype, data: Int32Array.of(batches) };
    if (holds === "learning_rate") return { path, shape, dtype, data: Float32Array.of(learningRate!) };
    if (dtype === "int32") return { path, shape, dtype, data: Int32Array.of(0) };
    return { path, shape, dtype, data: tensors[tensor] ?? Float32Array.of(scalars[tensor]) };
  });
}
