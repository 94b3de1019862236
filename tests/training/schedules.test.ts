/** Whether the learning-rate schedules give Keras' values. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { OnnxHubError } from "../../errors.ts";
import {
  CosineDecay,
  CosineDecayRestarts,
  ExponentialDecay,
  InverseTimeDecay,
  type LearningRateSchedule,
  PiecewiseConstantDecay,
  PolynomialDecay,
  scheduleFromConfig,
} from "../../training/schedules.ts";

const golden: Record<string, number[]> = JSON.parse(
  readFileSync(new URL("../fixtures/kerashub-formats/mlm_golden_jax_float32.json", import.meta.url), "utf8"),
).schedules;

const schedules: Record<string, LearningRateSchedule> = {
  "PolynomialDecay(1e-2,10,1e-4,power=1)": new PolynomialDecay({ initialLearningRate: 1e-2, decaySteps: 10, endLearningRate: 1e-4 }),
  "PolynomialDecay(1e-2,10,1e-3,power=2,cycle=True)": new PolynomialDecay({
    initialLearningRate: 1e-2,
    decaySteps: 10,
    endLearningRate: 1e-3,
    power: 2,
    cycle: true,
  }),
  "ExponentialDecay(1e-2,5,0.9)": new ExponentialDecay({ initialLearningRate: 1e-2, decaySteps: 5, decayRate: 0.9 }),
  "ExponentialDecay(1e-2,5,0.9,staircase)": new ExponentialDecay({
    initialLearningRate: 1e-2,
    decaySteps: 5,
    decayRate: 0.9,
    staircase: true,
  }),
  "InverseTimeDecay(1e-2,5,0.5)": new InverseTimeDecay({ initialLearningRate: 1e-2, decaySteps: 5, decayRate: 0.5 }),
  "PiecewiseConstantDecay([3,7],[1,.5,.1])": new PiecewiseConstantDecay({ boundaries: [3, 7], values: [1, 0.5, 0.1] }),
  "CosineDecay(1e-2,10,alpha=0.1)": new CosineDecay({ initialLearningRate: 1e-2, decaySteps: 10, alpha: 0.1 }),
  "CosineDecay(0,10,warmup_target=1e-2,warmup_steps=4)": new CosineDecay({
    initialLearningRate: 0,
    decaySteps: 10,
    warmupTarget: 1e-2,
    warmupSteps: 4,
  }),
  "CosineDecayRestarts(1e-2,4)": new CosineDecayRestarts({ initialLearningRate: 1e-2, firstDecaySteps: 4 }),
  "CosineDecayRestarts(1e-2,4,t_mul=1,m_mul=0.5,alpha=0.1)": new CosineDecayRestarts({
    initialLearningRate: 1e-2,
    firstDecaySteps: 4,
    tMul: 1,
    mMul: 0.5,
    alpha: 0.1,
  }),
};

describe("learning-rate schedules", () => {
  it("cover every recorded table", () => assert.deepEqual(Object.keys(schedules), Object.keys(golden)));

  for (const [name, schedule] of Object.entries(schedules)) {
    it(`${name} gives Keras' rates, bit for bit`, () => {
      assert.deepEqual(golden[name].map((_, step) => schedule.at(step)), golden[name].map(Math.fround));
    });

    it(`${name} comes back from its configuration`, () => {
      const again = scheduleFromConfig({ class_name: schedule.className, config: schedule.getConfig() });
      assert.deepEqual(Array.from({ length: 20 }, (_, step) => again.at(step)), Array.from({ length: 20 }, (_, step) => schedule.at(step)));
    });
  }

  it("give Keras' configuration", () => {
    assert.deepEqual(schedules["CosineDecay(0,10,warmup_target=1e-2,warmup_steps=4)"].getConfig(), {
      initial_learning_rate: 0,
      decay_steps: 10,
      alpha: 0,
      name: "CosineDecay",
      warmup_target: 1e-2,
      warmup_steps: 4,
    });
    assert.deepEqual(schedules["CosineDecayRestarts(1e-2,4)"].getConfig(), {
      initial_learning_rate: 1e-2,
      first_decay_steps: 4,
      t_mul: 2,
      m_mul: 1,
      alpha: 0,
      name: "SGDRDecay",
    });
  });

  const bad: [string, () => unknown, string][] = [
    ["no steps", () => new ExponentialDecay({ initialLearningRate: 1, decaySteps: 0, decayRate: 1 }), "optimizer/schedule"],
    ["a rate that is no number", () => new CosineDecay({ initialLearningRate: NaN, decaySteps: 1 }), "optimizer/schedule"],
    ["too few values", () => new PiecewiseConstantDecay({ boundaries: [1], values: [1] }), "optimizer/schedule"],
    ["boundaries that fall", () => new PiecewiseConstantDecay({ boundaries: [2, 1], values: [1, 2, 3] }), "optimizer/schedule"],
    ["an unknown class", () => scheduleFromConfig({ class_name: "CosinDecay", config: {} }), "optimizer/schedule"],
    [
      "an unknown option",
      () => new PolynomialDecay({ initialLearningRate: 1, decaySteps: 1, pover: 2 } as never),
      "training/unknown-option",
    ],
  ];
  for (const [what, make, code] of bad) {
    it(`refuse ${what}`, () => assert.throws(make, (error: unknown) => error instanceof OnnxHubError && error.code === code));
  }
});
