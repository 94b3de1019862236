/** A running optimizer's contract: learning rate, counters, averages, missing gradients, and what misuse gets. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { OnnxHubError } from "../../errors.ts";
import { Adam, Muon, Nadam, type Optimizer, SGD } from "../../runtime/optimizer/config.ts";
import { OptimizerState } from "../../runtime/optimizer/optimizer.ts";

const weights = [{ path: "dense/kernel", shape: [2, 2] }, { path: "dense/bias", shape: [2] }, { path: "scale", shape: [] }];

function begin(optimizer: Optimizer): { state: OptimizerState; data: Record<string, Float32Array<ArrayBuffer>>; warnings: string[] } {
  const data: Record<string, Float32Array<ArrayBuffer>> = {
    "dense/kernel": Float32Array.of(1, 2, 3, 4),
    "dense/bias": Float32Array.of(5, 6),
    scale: Float32Array.of(7),
  };
  const warnings: string[] = [];
  const state = new OptimizerState({ optimizer, weights, data: (path) => data[path], warn: (message) => warnings.push(message) });
  return { state, data, warnings };
}

const ones = (): Map<string, Float32Array<ArrayBuffer>> =>
  new Map([["dense/kernel", Float32Array.of(1, 1, 1, 1)], ["dense/bias", Float32Array.of(1, 1)], ["scale", Float32Array.of(1)]]);

function hasCode(code: string, ...parts: readonly string[]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof OnnxHubError, String(error));
    assert.equal(error.code, code);
    for (const part of parts) assert.ok(error.message.includes(part), `"${error.message}" does not say "${part}"`);
    return true;
  };
}

describe("a running optimizer", () => {
  it("updates weights of every rank in place, a scalar among them", async () => {
    const { state, data } = begin(new SGD(0.5));
    await state.apply(ones());
    assert.deepEqual(data, {
      "dense/kernel": Float32Array.of(0.5, 1.5, 2.5, 3.5),
      "dense/bias": Float32Array.of(4.5, 5.5),
      scale: Float32Array.of(6.5),
    });
    assert.equal(state.iterations, 1);
  });

  it("takes a learning rate set between updates, rounded to float32", async () => {
    const { state, data } = begin(new SGD(0.5));
    assert.equal(new OptimizerState({ optimizer: new SGD(0.1), weights: [], data: () => data.scale }).learningRate, Math.fround(0.1));
    state.learningRate = 2;
    await state.apply(ones());
    assert.deepEqual([...data["dense/bias"]], [3, 4]);
    assert.throws(() => state.learningRate = NaN, hasCode("optimizer/option"));
  });

  it("asks its schedule for every batch, and refuses to have the rate set", async () => {
    const { state, data } = begin(new SGD({ at: (step) => [1, 10, 100][step] }));
    assert.equal(state.hasSchedule, true);
    await state.apply(ones());
    await state.apply(ones());
    assert.deepEqual([...data.scale], [-4]);
    assert.equal(state.learningRate, 100);
    assert.throws(() => state.learningRate = 1, hasCode("optimizer/schedule", "not settable"));
  });

  it("counts batches and updates apart while gradients accumulate", async () => {
    const { state, data } = begin(new SGD({ learningRate: 1, gradientAccumulationSteps: 2 }));
    await state.apply(ones());
    assert.deepEqual([state.batches, state.iterations, data.scale[0]], [1, 0, 7]);
    await state.apply(new Map([...ones()].map(([path, g]) => [path, g.map((x) => 3 * x)])));
    assert.deepEqual([state.batches, state.iterations, data.scale[0]], [2, 1, 5]);
  });

  it("replaces weights by their averages at the end", async () => {
    const { state, data } = begin(new SGD({ learningRate: 1, useEma: true, emaMomentum: 0.5 }));
    for (let step = 0; step < 3; step++) await state.apply(ones());
    assert.equal(data.scale[0], 4);
    await state.finalizeWeights();
    assert.equal(data.scale[0], ((6 + 5) / 2 + 4) / 2);
  });

  it("leaves weights without a gradient as they are, and warns once", async () => {
    const { state, data, warnings } = begin(new Adam());
    const only = new Map([["scale", Float32Array.of(1)]]);
    await state.apply(only);
    await state.apply(only);
    assert.deepEqual([...data["dense/bias"]], [5, 6]);
    assert.notEqual(data.scale[0], 7);
    assert.deepEqual(warnings, ["Gradients do not exist for variables dense/kernel, dense/bias when minimizing the loss."]);
  });

  it("a global norm that isn't finite makes every weight NaN, as in Keras", async () => {
    const { state, data } = begin(new SGD({ learningRate: 1, globalClipnorm: 1 }));
    await state.apply(new Map([...ones(), ["scale", Float32Array.of(Infinity)]]));
    assert.deepEqual([...data["dense/bias"]], [NaN, NaN]);
  });

  it("its variables are live", async () => {
    const { state } = begin(new Adam());
    const velocity = state.variables.find(({ path }) => path === "adam/dense_bias_velocity")!;
    await state.apply(ones());
    assert.ok(velocity.data[0] > 0);
    assert.deepEqual([...state.variables[0].data], [1]);
    assert.deepEqual(state.variables.find(({ path }) => path === "adam/scale_momentum")!.shape, []);
  });

  it("gradients that don't fit are one error", async () => {
    const { state, data } = begin(new Nadam());
    const before = structuredClone(data);
    await assert.rejects(
      state.apply(new Map([["dense/bias", new Float32Array(3)]])),
      hasCode("optimizer/gradient", "dense/bias", "2 elements", "3"),
    );
    await assert.rejects(state.apply(new Map([["embedding", new Float32Array(3)]])), hasCode("optimizer/gradient", "embedding"));
    await assert.rejects(state.apply(new Map()), hasCode("optimizer/gradient", "No gradients provided for any variable"));
    assert.deepEqual(data, before);
    assert.equal(state.iterations, 0);
  });

  it("a state of another optimizer, or damaged, is refused and changes nothing", async () => {
    const { state } = begin(new Adam());
    await state.apply(ones());
    const before = state.getState();
    assert.throws(
      () => state.setState(begin(new SGD()).state.getState()),
      hasCode("optimizer/state", "dense/kernel/momentum", "4 elements", "nothing"),
    );
    assert.throws(
      () => state.setState(begin(new Adam({ amsgrad: true })).state.getState()),
      hasCode("optimizer/state", "velocity_hat", "no such tensor"),
    );
    const short = { ...before, tensors: { ...before.tensors, "scale/velocity": new Float32Array(2) } };
    assert.throws(() => state.setState(short), hasCode("optimizer/state", "scale/velocity"));
    assert.throws(() => state.setState({ ...before, batches: -1 }), hasCode("optimizer/state", "batches"));
    assert.throws(() => state.setState({ ...before, learningRate: null }), hasCode("optimizer/state", "learningRate"));
    assert.deepEqual(state.getState(), before);
  });

  it("matrices under Muon need a backend, and the error says so", async () => {
    const { state } = begin(new Muon());
    await assert.rejects(state.apply(ones()), hasCode("optimizer/backend", "Muon"));
  });

  it("applies nothing once disposed of", async () => {
    const { state } = begin(new SGD());
    await state.dispose();
    await assert.rejects(state.apply(ones()), hasCode("optimizer/disposed"));
  });
});
