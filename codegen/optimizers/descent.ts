/** Gradient descent and what adapts it by running means or sums of squares: SGD, Lion, RMSprop, Adagrad, Adadelta, FTRL. */

import type { GraphBuilder } from "../ir/builder.ts";
import type { Value } from "../ir/types.ts";
import { likeWeight } from "./adam.ts";
import type { OptimizerHyperparameters, UpdateResult, UpdateRule } from "./types.ts";

const f32 = Math.fround;

/** x · decay + y · (1 - decay), the decay's complement taken in double precision as Python does. */
function mix(b: GraphBuilder, x: Value, y: Value, decay: number): Value {
  return b.add(b.mul(f32(decay), x), b.mul(f32(1 - decay), y));
}

/** SGD, with momentum and Nesterov's variant of it. */
export const sgd: UpdateRule<OptimizerHyperparameters["SGD"]> = {
  defaults: { learningRate: 0.01, weightDecay: null, momentum: 0, nesterov: false },
  slots: (weight, { momentum }) => momentum === 0 ? [] : likeWeight(weight, ["momentum"]),
  update(b, { w, g, lr, slot }, { hyperparameters }): UpdateResult {
    const step = b.mul(g, lr);
    if (hyperparameters.momentum === 0) return { w: b.sub(w, step), slots: {} };
    const rate = f32(hyperparameters.momentum);
    const momentum = b.sub(b.mul(slot("momentum"), rate), step);
    const change = hyperparameters.nesterov ? b.sub(b.mul(momentum, rate), step) : momentum;
    return { w: b.add(w, change), slots: { momentum } };
  },
};

/** Lion (Chen et al. 2023): the sign of a mixed momentum. */
export const lion: UpdateRule<OptimizerHyperparameters["Lion"]> = {
  defaults: { learningRate: 0.001, weightDecay: null, beta1: 0.9, beta2: 0.99 },
  slots: (weight) => likeWeight(weight, ["momentum"]),
  update(b, { w, g, lr, slot }, { hyperparameters: { beta1, beta2 } }) {
    // Both complements are those of the float32 decay, as Keras casts before it subtracts.
    const mixed = (beta: number): Value => b.add(b.mul(slot("momentum"), f32(beta)), b.mul(g, f32(1 - f32(beta))));
    return { w: b.sub(w, b.mul(lr, b.sign(mixed(beta1)))), slots: { momentum: mixed(beta2) } };
  },
};

/** RMSprop (Hinton, lecture 6e), plain or centred, with momentum on demand. */
export const rmsprop: UpdateRule<OptimizerHyperparameters["RMSprop"]> = {
  defaults: { learningRate: 0.001, weightDecay: null, rho: 0.9, momentum: 0, epsilon: 1e-7, centered: false },
  slots: (weight, { momentum, centered }) => [
    ...likeWeight(weight, ["velocity"]),
    ...(momentum > 0 ? likeWeight(weight, ["momentum"], 0, 1) : []),
    ...(centered ? likeWeight(weight, ["average_gradient"], 0, 2) : []),
  ],
  update(b, { w, g, lr, slot }, { hyperparameters }) {
    const { rho, momentum, epsilon, centered } = hyperparameters;
    const velocity = mix(b, slot("velocity"), b.square(g), rho);
    const slots: Record<string, Value> = { velocity };
    let variance = velocity;
    if (centered) {
      slots.average_gradient = mix(b, slot("average_gradient"), g, rho);
      variance = b.sub(velocity, b.square(slots.average_gradient));
    }
    const increment = b.div(b.mul(lr, g), b.sqrt(b.add(variance, f32(epsilon))));
    if (momentum > 0) slots.momentum = b.add(b.mul(f32(momentum), slot("momentum")), increment);
    return { w: b.sub(w, slots.momentum ?? increment), slots };
  },
};

/** Adagrad (Duchi et al. 2011). */
export const adagrad: UpdateRule<OptimizerHyperparameters["Adagrad"]> = {
  defaults: { learningRate: 0.001, weightDecay: null, initialAccumulatorValue: 0.1, epsilon: 1e-7 },
  slots: (weight, { initialAccumulatorValue }) => likeWeight(weight, ["accumulator"], initialAccumulatorValue),
  update(b, { w, g, lr, slot }, { hyperparameters: { epsilon } }) {
    const accumulator = b.add(slot("accumulator"), b.square(g));
    return { w: b.sub(w, b.div(b.mul(lr, g), b.sqrt(b.add(accumulator, f32(epsilon))))), slots: { accumulator } };
  },
};

/** Adadelta (Zeiler 2012). */
export const adadelta: UpdateRule<OptimizerHyperparameters["Adadelta"]> = {
  defaults: { learningRate: 0.001, weightDecay: null, rho: 0.95, epsilon: 1e-7 },
  slots: (weight) => likeWeight(weight, ["accumulated_grad", "accumulated_delta_var"]),
  update(b, { w, g, lr, slot }, { hyperparameters: { rho, epsilon } }) {
    const root = (x: Value): Value => b.sqrt(b.add(x, f32(epsilon)));
    const deltas = slot("accumulated_delta_var");
    const accumulated_grad = mix(b, slot("accumulated_grad"), b.square(g), rho);
    const delta = b.neg(b.div(b.mul(root(deltas), g), root(accumulated_grad)));
    const accumulated_delta_var = mix(b, deltas, b.square(delta), rho);
    return { w: b.add(w, b.mul(lr, delta)), slots: { accumulated_grad, accumulated_delta_var } };
  },
};

/** FTRL-Proximal (McMahan et al. 2013), with L1, L2 and shrinkage. */
export const ftrl: UpdateRule<OptimizerHyperparameters["Ftrl"]> = {
  defaults: {
    learningRate: 0.001,
    weightDecay: null,
    learningRatePower: -0.5,
    initialAccumulatorValue: 0.1,
    l1RegularizationStrength: 0,
    l2RegularizationStrength: 0,
    l2ShrinkageRegularizationStrength: 0,
    beta: 0,
  },
  slots: (weight, { initialAccumulatorValue }) => likeWeight(weight, ["accumulator", "linear"], [initialAccumulatorValue, 0]),
  update(b, { w, g, lr, slot }, { hyperparameters }) {
    const { learningRatePower, l1RegularizationStrength, l2RegularizationStrength, l2ShrinkageRegularizationStrength, beta } =
      hyperparameters;
    const powered = (x: Value): Value => b.pow(x, f32(-learningRatePower));
    const l2 = b.add(f32(l2RegularizationStrength), b.div(f32(beta), b.mul(2, lr)));
    const shrunk = b.add(g, b.mul(f32(2 * l2ShrinkageRegularizationStrength), w));
    const before = slot("accumulator");
    const accumulator = b.add(before, b.square(g));
    const sigma = b.div(b.sub(powered(accumulator), powered(before)), lr);
    const linear = b.add(slot("linear"), b.sub(shrunk, b.mul(sigma, w)));
    const quadratic = b.add(b.div(powered(accumulator), lr), b.mul(2, l2));
    const clipped = b.min(b.max(linear, f32(-l1RegularizationStrength)), f32(l1RegularizationStrength));
    return { w: b.div(b.sub(clipped, linear), quadratic), slots: { accumulator, linear } };
  },
};
