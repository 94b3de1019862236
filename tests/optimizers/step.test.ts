/** A step whose gradients come one by one: the result of `apply` to the bit, and what misuse gets. */

import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { OnnxHubError } from "../../errors.ts";
import { Adam, Nadam, type Optimizer, SGD } from "../../runtime/optimizer/config.ts";
import { OptimizerState } from "../../runtime/optimizer/optimizer.ts";
import { wasmBackend } from "../../runtime/wasm.ts";
import { gradientsOf, initialWeights, keras, type KerasCase, optimizerOf } from "./keras_cases.ts";

const backend = wasmBackend();
const states: OptimizerState[] = [];

function begin(run: KerasCase): { state: OptimizerState; weights: Map<string, Float32Array<ArrayBuffer>> } {
  const weights = initialWeights();
  const data = (path: string) => weights.get(path)!;
  const state = new OptimizerState({ optimizer: optimizerOf(run), weights: keras.variables, data, load: backend.load });
  states.push(state);
  return { state, weights };
}

after(async () => {
  for (const state of states) await state.dispose();
});

function hasCode(code: string, ...parts: readonly string[]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof OnnxHubError, String(error));
    assert.equal(error.code, code);
    for (const part of parts) assert.ok(error.message.includes(part), `"${error.message}" does not say "${part}"`);
    return true;
  };
}

/** A state over two weights, each of one element, 1 and 2. */
function small(optimizer: Optimizer = new SGD(0.5), warnings: string[] = []) {
  const weights = new Map([["a", Float32Array.of(1)], ["b", Float32Array.of(2)]]);
  const paths = [...weights.keys()].map((path) => ({ path, shape: [1] }));
  const data = (path: string) => weights.get(path)!;
  return { weights, state: new OptimizerState({ optimizer, weights: paths, data, warn: (message) => warnings.push(message) }) };
}

const one = () => Float32Array.of(1);

describe("a step of gradients one by one", () => {
  for (const [name, run] of Object.entries(keras.cases)) {
    const clipsAll = optimizerOf(run).settings.clip?.by === "global_norm";
    it(`${name}: ${clipsAll ? "is refused, for it needs all gradients" : "gives what all at once give, to the bit"}`, async () => {
      const whole = begin(run);
      assert.equal(whole.state.needsAllGradients, clipsAll);
      if (clipsAll) {
        assert.throws(() => whole.state.beginStep(), hasCode("optimizer/step", "globalClipnorm", "`apply`"));
        return;
      }
      const split = begin(run);
      for (let index = 0; index < run.after.length; index++) {
        await whole.state.apply(gradientsOf(index));
        const step = split.state.beginStep();
        // In the order of a backward pass; and nobody looks at a gradient again once its update is done.
        for (const [path, gradient] of [...gradientsOf(index)].reverse()) {
          await step.update(path, gradient);
          gradient.fill(NaN);
        }
        await step.finish();
        assert.deepEqual(split.weights, whole.weights);
        assert.deepEqual(split.state.getState(), whole.state.getState());
      }
    });
  }

  it("leaves a weight without a gradient as it is, and warns once", async () => {
    const warnings: string[] = [];
    const { state, weights } = small(new SGD(0.5), warnings);
    for (let index = 0; index < 2; index++) {
      const step = state.beginStep();
      await step.update("b", one());
      await step.finish();
    }
    assert.deepEqual([...weights.values()].map(([value]) => value), [1, 1]);
    assert.deepEqual(warnings, ["Gradients do not exist for variables a when minimizing the loss."]);
  });

  it("takes the learning rate of its beginning", async () => {
    const { state, weights } = small();
    const step = state.beginStep();
    state.learningRate = 100;
    for (const path of state.paths) await step.update(path, one());
    await step.finish();
    assert.deepEqual([...weights.values()].map(([value]) => value), [0.5, 1.5]);
  });

  it("that isn't finished counts for nothing: another may begin, and then it is over", async () => {
    const { state } = small(new Nadam());
    const before = state.getState();
    const abandoned = state.beginStep();
    const step = state.beginStep();
    await assert.rejects(abandoned.update("a", one()), hasCode("optimizer/step", "over"));
    await assert.rejects(abandoned.finish(), hasCode("optimizer/step", "over"));
    assert.deepEqual(state.getState(), before);
    for (const path of state.paths) await step.update(path, one());
    await step.finish();
    assert.equal(state.iterations, 1);
    await assert.rejects(step.update("a", one()), hasCode("optimizer/step", "over"));
    const outdated = state.beginStep();
    state.setState(before);
    await assert.rejects(outdated.update("a", one()), hasCode("optimizer/step", "over"));
  });

  it("refuses gradients that don't fit, a second one of the same weight, and none at all", async () => {
    const { state, weights } = small(new Adam());
    const step = state.beginStep();
    await assert.rejects(step.finish(), hasCode("optimizer/gradient", "No gradients provided for any variable"));
    await assert.rejects(step.update("c", one()), hasCode("optimizer/gradient", "c", "one of 2 trained weights"));
    await assert.rejects(step.update("a", new Float32Array(3)), hasCode("optimizer/gradient", "a", "1 elements", "3"));
    assert.deepEqual([...weights.values()].map(([value]) => value), [1, 2]);
    await step.update("a", one());
    const after = weights.get("a")![0];
    await assert.rejects(step.update("a", one()), hasCode("optimizer/gradient", "had its gradient"));
    assert.equal(weights.get("a")![0], after);
  });

  it("waits for updates that a backend runs: finishing before them is an error", async () => {
    const { state } = begin(keras.cases.muon);
    const step = state.beginStep();
    const updates = [...gradientsOf(0)].map(([path, gradient]) => step.update(path, gradient));
    await assert.rejects(step.finish(), hasCode("optimizer/step", "still running"));
    await Promise.all(updates);
    await step.finish();
    assert.equal(state.iterations, 1);
  });

  it("is over once the optimizer is disposed of", async () => {
    const { state } = small();
    const step = state.beginStep();
    await state.dispose();
    await assert.rejects(step.update("a", one()), hasCode("optimizer/disposed"));
    assert.throws(() => state.beginStep(), hasCode("optimizer/disposed"));
  });
});
