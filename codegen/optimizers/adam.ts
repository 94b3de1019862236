/** Adam and its kin: AdamW, Adamax, Nadam, Lamb. Sources: Kingma & Ba 2014, Loshchilov & Hutter 2019, Dozat 2015, You et al. 2019. */

import type { GraphBuilder } from "../ir/builder.ts";
import type { Value } from "../ir/types.ts";
import type { AdamHyperparameters, MomentHyperparameters, OptimizedWeight, Slot, UpdateResult, UpdateRule, UpdateValues } from "./types.ts";

const f32 = Math.fround;

/** Slots of the weight's own shape, all in one group. */
export function likeWeight(weight: OptimizedWeight, names: readonly string[], initial: number | readonly number[] = 0, group = 0): Slot[] {
  return names.map((name, i) => ({ name, shape: weight.shape, initial: typeof initial === "number" ? initial : initial[i], group }));
}

/** A running mean: x + (target - x) · rate. */
export function approach(b: GraphBuilder, x: Value, target: Value, rate: number): Value {
  return b.add(x, b.mul(b.sub(target, x), f32(rate)));
}

/** 1 - β^t, with β and the power in float32: early on it decides every digit of a step. */
export function biasCorrection(b: GraphBuilder, beta: number, t: Value): Value {
  return b.sub(1, b.pow(f32(beta), t));
}

/** Adam's update with a given learning rate; Muon takes it for the weights that it leaves to Adam. */
export function adamUpdate(
  b: GraphBuilder,
  values: UpdateValues,
  lr: Value,
  beta1: number,
  beta2: number,
  epsilon: number,
  amsgrad = false,
): UpdateResult {
  const { w, g, t } = values;
  const alpha = b.div(b.mul(lr, b.sqrt(biasCorrection(b, beta2, t))), biasCorrection(b, beta1, t));
  const momentum = approach(b, values.slot("momentum"), g, 1 - beta1);
  const velocity = approach(b, values.slot("velocity"), b.square(g), 1 - beta2);
  const slots: Record<string, Value> = { momentum, velocity };
  if (amsgrad) slots.velocity_hat = b.max(values.slot("velocity_hat"), velocity);
  const denominator = b.add(b.sqrt(slots.velocity_hat ?? velocity), f32(epsilon));
  return { w: b.sub(w, b.div(b.mul(momentum, alpha), denominator)), slots };
}

/** Adam. */
export const adam: UpdateRule<AdamHyperparameters> = {
  defaults: { learningRate: 0.001, weightDecay: null, beta1: 0.9, beta2: 0.999, epsilon: 1e-7, amsgrad: false },
  slots: (
    weight,
    { amsgrad },
  ) => [...likeWeight(weight, ["momentum", "velocity"]), ...(amsgrad ? likeWeight(weight, ["velocity_hat"], 0, 1) : [])],
  update: (b, values, { hyperparameters: { beta1, beta2, epsilon, amsgrad } }) =>
    adamUpdate(b, values, values.lr, beta1, beta2, epsilon, amsgrad),
};

/** AdamW: Adam with weight decay on by default. */
export const adamW: UpdateRule<AdamHyperparameters> = { ...adam, defaults: { ...adam.defaults, weightDecay: 0.004 } };

/** Adamax: Adam with the infinity norm for a second moment. */
export const adamax: UpdateRule<MomentHyperparameters> = {
  defaults: { learningRate: 0.001, weightDecay: null, beta1: 0.9, beta2: 0.999, epsilon: 1e-7 },
  slots: (weight) => likeWeight(weight, ["momentum", "norm"]),
  update(b, { w, g, lr, t, slot }, { hyperparameters: { beta1, beta2, epsilon } }) {
    const momentum = approach(b, slot("momentum"), g, 1 - beta1);
    const norm = b.max(b.mul(f32(beta2), slot("norm")), b.abs(g));
    const denominator = b.mul(biasCorrection(b, beta1, t), b.add(norm, f32(epsilon)));
    return { w: b.sub(w, b.div(b.mul(lr, momentum), denominator)), slots: { momentum, norm } };
  },
};

/** Nadam's momentum of a step: β1 · (1 - 0.5 · 0.96^step). */
function nadamMomentum(b: GraphBuilder, beta1: number, step: Value): Value {
  return b.mul(f32(beta1), b.sub(1, b.mul(0.5, b.pow(f32(0.96), step))));
}

/** Nadam: Adam with Nesterov's momentum. */
export const nadam: UpdateRule<MomentHyperparameters> = {
  defaults: { learningRate: 0.001, weightDecay: null, beta1: 0.9, beta2: 0.999, epsilon: 1e-7 },
  slots: (weight) => likeWeight(weight, ["momentum", "velocity"]),
  scalars: [{
    name: "u_product",
    initial: 1,
    // (u · β1) · (1 - …) and not u · momentum: Keras multiplies from the left.
    update: (b, value, t, { beta1 }) => b.mul(b.mul(value, f32(beta1)), b.sub(1, b.mul(0.5, b.pow(f32(0.96), t)))),
  }],
  update(b, { w, g, lr, t, slot, scalar }, { hyperparameters: { beta1, beta2, epsilon } }) {
    const product = scalar("u_product");
    const now = nadamMomentum(b, beta1, t);
    const next = nadamMomentum(b, beta1, b.add(t, 1));
    const momentum = approach(b, slot("momentum"), g, 1 - f32(beta1));
    const velocity = approach(b, slot("velocity"), b.square(g), 1 - f32(beta2));
    const fromMomentum = b.div(b.mul(next, momentum), b.sub(1, b.mul(product, next)));
    const fromGradient = b.div(b.mul(b.sub(1, now), g), b.sub(1, product));
    const corrected = b.div(velocity, biasCorrection(b, beta2, t));
    const step = b.div(b.mul(b.add(fromMomentum, fromGradient), lr), b.add(b.sqrt(corrected), f32(epsilon)));
    return { w: b.sub(w, step), slots: { momentum, velocity } };
  },
};

/** LAMB: Adam's step scaled, weight by weight, to the weight's norm. */
export const lamb: UpdateRule<MomentHyperparameters> = {
  defaults: { learningRate: 0.001, weightDecay: null, beta1: 0.9, beta2: 0.999, epsilon: 1e-7 },
  slots: (weight) => likeWeight(weight, ["momentum", "velocity"]),
  update(b, { w, g, lr, t, slot }, { hyperparameters: { beta1, beta2, epsilon } }) {
    const momentum = approach(b, slot("momentum"), g, 1 - beta1);
    const velocity = approach(b, slot("velocity"), b.square(g), 1 - beta2);
    const corrected = b.div(momentum, biasCorrection(b, beta1, t));
    const root = b.add(b.sqrt(b.div(velocity, biasCorrection(b, beta2, t))), f32(epsilon));
    const update = b.div(corrected, root);
    const weightNorm = b.sqrt(b.sum(b.square(w)));
    const updateNorm = b.sqrt(b.sum(b.square(update)));
    const bothPositive = b.and(b.greater(weightNorm, 0), b.greater(updateNorm, 0));
    const ratio = b.where(bothPositive, b.div(weightNorm, updateNorm), 1);
    return { w: b.sub(w, b.mul(b.mul(ratio, lr), update)), slots: { momentum, velocity } };
  },
};
