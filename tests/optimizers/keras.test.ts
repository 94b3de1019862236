/** Every optimizer against Keras' own runs: weights after each step, variables, counters, resuming. */

import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import type { OptimizerName } from "../../codegen/optimizers/types.ts";
import { OptimizerState } from "../../runtime/optimizer/optimizer.ts";
import { wasmBackend } from "../../runtime/wasm.ts";
import { gradientsOf, initialWeights, keras, type KerasCase, optimizerOf, worst } from "./keras_cases.ts";

const backend = wasmBackend();
const states: OptimizerState[] = [];

/** Relative to the element, or to 0.1. Rules that go through matrices and means add up in another order than Keras' do. */
const tolerances: { readonly [K in OptimizerName]?: number } = { Muon: 2e-6, Adafactor: 2e-6 };

function begin(run: KerasCase): { state: OptimizerState; weights: Map<string, Float32Array<ArrayBuffer>> } {
  const weights = initialWeights();
  const state = new OptimizerState({
    optimizer: optimizerOf(run),
    weights: keras.variables,
    data: (path) => weights.get(path)!,
    load: backend.load,
  });
  states.push(state);
  return { state, weights };
}

after(async () => {
  for (const state of states) await state.dispose();
});

describe("optimizers against Keras", () => {
  for (const [name, run] of Object.entries(keras.cases)) {
    it(`${name}: ${run.class} gives Keras' weights at each of six steps`, async () => {
      const { state, weights } = begin(run);
      const tolerance = tolerances[run.class] ?? 3e-7;
      for (let step = 0; step < run.after.length; step++) {
        if (run.rates) assert.equal(state.learningRate, Math.fround(run.rates[step]));
        await state.apply(gradientsOf(step));
        keras.variables.forEach(({ path }, i) => {
          const difference = worst(weights.get(path)!, run.after[step][i], 0.1);
          assert.ok(difference <= tolerance, `${path} after step ${step + 1} is off by ${difference}`);
        });
      }
      assert.equal(state.iterations, run.iterations);
      const variables = state.variables.map(({ path, shape, dtype }) => [path.replace(/^[^/]+\//, ""), shape, dtype]);
      const expected = run.optimizer_variables.map((
        [path, shape, dtype],
      ) => [path.replace(/^[^/]+\//, "").replace(/^variable_\d+$/, "variable"), shape, dtype]);
      assert.deepEqual(variables, expected);
      if (run.finalized) {
        await state.finalizeWeights();
        keras.variables.forEach(({ path }, i) => assert.ok(worst(weights.get(path)!, run.finalized![i], 0.1) <= tolerance, path));
      }
    });
  }
});

describe("resuming an optimizer", () => {
  for (const name of ["adam_amsgrad", "nadam_accumulate_ema", "adafactor", "muon", "ftrl", "adam_accumulate_schedule"]) {
    it(`${name}: goes on from its state after three steps to the same bits`, async () => {
      const { state, weights } = begin(keras.cases[name]);
      for (let step = 0; step < 3; step++) await state.apply(gradientsOf(step));
      const resumed = begin(keras.cases[name]);
      for (const [path, data] of weights) resumed.weights.get(path)!.set(data);
      resumed.state.setState(structuredClone(state.getState()));
      for (let step = 3; step < 6; step++) {
        await state.apply(gradientsOf(step));
        await resumed.state.apply(gradientsOf(step));
      }
      assert.deepEqual(resumed.weights, weights);
      assert.deepEqual(resumed.state.getState(), state.getState());
    });
  }

  it("a state is a copy: going on leaves it as it was", async () => {
    const { state } = begin(keras.cases.adam);
    await state.apply(gradientsOf(0));
    const snapshot = state.getState();
    const before = structuredClone(snapshot);
    await state.apply(gradientsOf(1));
    assert.deepEqual(snapshot, before);
    assert.notDeepEqual(state.getState(), before);
  });
});
