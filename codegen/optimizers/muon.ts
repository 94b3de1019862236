/** Muon (Jordan 2024; scaled as in Liu et al. 2025): momentum made orthogonal by Newton-Schulz; Adam for what is no matrix. */

import type { GraphBuilder } from "../ir/builder.ts";
import type { Value } from "../ir/types.ts";
import { adamUpdate, likeWeight } from "./adam.ts";
import type { OptimizedWeight, OptimizerHyperparameters, UpdateRule } from "./types.ts";

type Hyperparameters = OptimizerHyperparameters["Muon"];

const f32 = Math.fround;

/** Whether Adam updates a weight: everything but matrices, embeddings, and what `excludeLayers` matches. */
function leftToAdam({ path, shape }: OptimizedWeight, { excludeEmbeddings, excludeLayers }: Hyperparameters): boolean {
  if (shape.length !== 2) return true;
  if (excludeEmbeddings && path.toLowerCase().includes("embedding")) return true;
  return excludeLayers.some((pattern) => new RegExp(pattern).test(path));
}

/** Nearly the orthogonal factor of x, by the quintic Newton-Schulz iteration on the wide orientation. */
function orthogonalize(b: GraphBuilder, x: Value, shape: readonly number[], { muonA, muonB, muonC, nsSteps }: Hyperparameters): Value {
  const tall = shape[0] > shape[1];
  let y = tall ? b.transpose(x, [1, 0]) : x; // [short, long]
  y = b.div(y, b.add(b.sqrt(b.sum(b.square(y), [0, 1], true)), f32(1e-7)));
  for (let step = 0; step < nsSteps; step++) {
    const gram = b.matmul(y, y, { transB: true }); // [short, short]
    const polynomial = b.add(b.mul(f32(muonB), gram), b.matmul(b.mul(f32(muonC), gram), gram));
    y = b.add(b.mul(f32(muonA), y), b.matmul(polynomial, y));
  }
  return tall ? b.transpose(y, [1, 0]) : y;
}

/** Muon. */
export const muon: UpdateRule<Hyperparameters> = {
  defaults: {
    learningRate: 0.001,
    weightDecay: 0.004,
    adamBeta1: 0.9,
    adamBeta2: 0.999,
    adamWeightDecay: 0.004,
    epsilon: 1e-7,
    excludeLayers: [],
    excludeEmbeddings: true,
    muonA: 3.4445,
    muonB: -4.775,
    muonC: 2.0315,
    adamLrRatio: 1,
    momentum: 0.95,
    nsSteps: 5,
    nesterov: true,
    rmsRate: 0.2,
  },
  slots: (weight, hyperparameters) => likeWeight(weight, leftToAdam(weight, hyperparameters) ? ["momentum", "velocity"] : ["momentum"]),
  update(b, values, { hyperparameters }, weight) {
    const { adamBeta1, adamBeta2, adamLrRatio, epsilon, nesterov, rmsRate } = hyperparameters;
    if (leftToAdam(weight, hyperparameters)) {
      return adamUpdate(b, values, b.mul(values.lr, f32(adamLrRatio)), adamBeta1, adamBeta2, epsilon);
    }
    const { w, g, lr, slot } = values;
    const before = slot("momentum");
    const momentum = b.add(before, b.add(g, b.mul(before, f32(hyperparameters.momentum - 1))));
    const direction = nesterov ? b.add(g, b.mul(f32(hyperparameters.momentum), momentum)) : momentum;
    let step = b.mul(lr, orthogonalize(b, direction, weight.shape, hyperparameters));
    if (rmsRate !== null) step = b.mul(b.mul(step, f32(Math.sqrt(Math.max(...weight.shape)))), f32(rmsRate));
    return { w: b.sub(w, step), slots: { momentum } };
  },
  weightDecay: (weight, hyperparameters, weightDecay) =>
    leftToAdam(weight, hyperparameters) ? hyperparameters.adamWeightDecay : weightDecay,
};
