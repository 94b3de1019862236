/** Adafactor (Shazeer & Stern 2018): second moments kept as the means of rows and columns. */

import type { GraphBuilder } from "../ir/builder.ts";
import type { Value } from "../ir/types.ts";
import { likeWeight } from "./adam.ts";
import type { OptimizerHyperparameters, Slot, UpdateRule } from "./types.ts";

const f32 = Math.fround;

function rootMeanSquare(b: GraphBuilder, x: Value): Value {
  return b.sqrt(b.mean(b.square(x)));
}

/** Adafactor. Weights of rank below two keep a whole second moment; Keras lists two unused scalars for those. */
export const adafactor: UpdateRule<OptimizerHyperparameters["Adafactor"]> = {
  defaults: {
    learningRate: 0.001,
    weightDecay: null,
    beta2Decay: -0.8,
    epsilon1: 1e-30,
    epsilon2: 1e-3,
    clipThreshold: 1,
    relativeStep: true,
  },
  slots(weight) {
    const { shape } = weight;
    const factored = shape.length >= 2;
    const means = (name: string, axis: number): Slot => {
      const kept = factored ? shape.filter((_, i) => i !== shape.length + axis) : [];
      return { name, shape: kept, initial: 0, group: 0, unnamed: true, ...(factored ? {} : { placeholder: true }) };
    };
    return [means("row_mean", -1), means("column_mean", -2), ...likeWeight(weight, ["velocity"])];
  },
  update(b, { w, g, lr, t, slot }, { hyperparameters, hasSchedule }, { shape }) {
    const { beta2Decay, epsilon1, epsilon2, clipThreshold, relativeStep } = hyperparameters;
    const cap = b.div(1, b.sqrt(t));
    const rate = !hasSchedule && relativeStep ? b.min(lr, cap) : lr;
    const rho = b.min(rate, cap);
    const alpha = b.mul(b.max(f32(epsilon2), rootMeanSquare(b, w)), rho);
    const square = b.add(b.square(g), f32(epsilon1));
    const beta2 = b.sub(1, b.pow(t, f32(beta2Decay)));
    const mix = (x: Value, y: Value): Value => b.add(b.mul(beta2, x), b.mul(b.sub(1, beta2), y));
    const slots: Record<string, Value> = {};
    if (shape.length >= 2) {
      const last = shape.length - 1;
      slots.row_mean = mix(slot("row_mean"), b.mean(square, [last])); // [..., rows]
      slots.column_mean = mix(slot("column_mean"), b.mean(square, [last - 1])); // [..., columns]
      const rows = b.div(slots.row_mean, b.mean(slots.row_mean, [last - 1], true));
      slots.velocity = b.mul(b.unsqueeze(rows, [last]), b.unsqueeze(slots.column_mean, [last - 1])); // [..., rows, columns]
    } else {
      slots.velocity = mix(slot("velocity"), square);
    }
    const update = b.div(g, b.sqrt(slots.velocity));
    const clipped = b.div(update, b.max(1, b.div(rootMeanSquare(b, update), f32(clipThreshold))));
    return { w: b.sub(w, b.mul(alpha, clipped)), slots };
  },
};
