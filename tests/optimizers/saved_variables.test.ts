/** Optimizers' variables as files have them: every optimizer goes on from its own, on the host and on a device, and from no other's. */

import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import type { Optimizer } from "../../runtime/optimizer/config.ts";
import { DeviceOptimizer } from "../../runtime/optimizer/device_optimizer.ts";
import { OptimizerState } from "../../runtime/optimizer/optimizer.ts";
import { isBeginning, readSaved, type SavedOptimizer, type SavedTarget } from "../../runtime/optimizer/saved_variables.ts";
import { kerasName } from "../../runtime/optimizer/options.ts";
import type { OptimizerSnapshot } from "../../runtime/optimizer/snapshot.ts";
import type { OptimizerVariable } from "../../runtime/optimizer/variables.ts";
import { wasmBackend } from "../../runtime/wasm.ts";
import { gradientsOf, initialWeights, keras, optimizerOf } from "./keras_cases.ts";

const backend = wasmBackend();
const states: OptimizerState[] = [];
after(async () => {
  for (const state of states) await state.dispose();
});

function begin(optimizer: Optimizer): { state: OptimizerState; weights: Map<string, Float32Array<ArrayBuffer>> } {
  const weights = initialWeights();
  const state = new OptimizerState({ optimizer, weights: keras.variables, data: (path) => weights.get(path)!, load: backend.load });
  states.push(state);
  return { state, weights };
}

/** Variables as a file has them. */
function saved(variables: readonly OptimizerVariable[], name?: string): SavedOptimizer {
  return {
    name,
    variables: variables.map(({ shape, data }) => ({ shape, size: data.length, read: (into) => into.set(data) })),
  };
}

const target = (optimizer: Optimizer, hasBegun = false): SavedTarget => ({
  optimizer,
  weights: keras.variables,
  trained: () => keras.variables,
  hasBegun,
});

describe("an optimizer's variables", () => {
  for (const [name, run] of Object.entries(keras.cases)) {
    it(`${name}: are all that training goes on from, to the same bits`, async () => {
      const { state, weights } = begin(optimizerOf(run));
      for (let step = 0; step < 3; step++) await state.apply(gradientsOf(step));
      const read = readSaved(saved(state.variables, `${kerasName(run.class)}_12`), target(optimizerOf(run)));
      assert.ok(typeof read === "object", String(read));
      const resumed = begin(optimizerOf(run));
      for (const [path, data] of weights) resumed.weights.get(path)!.set(data);
      resumed.state.setState({ ...read, tensors: read.tensors ?? {} });
      assert.deepEqual(resumed.state.variables, state.variables);

      const device = new DeviceOptimizer({
        optimizer: optimizerOf(run),
        weights: keras.variables,
        device: () => Promise.reject(new Error("not asked for")),
        weight: () => assert.fail("not asked for"),
        changed: () => {},
      });
      device.setState({ ...read, tensors: read.tensors ?? {} });
      assert.deepEqual(device.variables, state.variables);

      for (let step = 3; step < 6; step++) {
        await state.apply(gradientsOf(step));
        await resumed.state.apply(gradientsOf(step));
      }
      assert.deepEqual(resumed.weights, weights);
      assert.deepEqual(resumed.state.getState(), state.getState());
    });
  }

  it("of weights that get no gradients are left out, as are those of weights that aren't trained by either", () => {
    const optimizer = optimizerOf(keras.cases.adam);
    const rest = keras.variables.slice(1);
    const { variables } = begin(optimizer).state;
    const read = readSaved(saved(variables), { ...target(optimizer), trained: () => rest }) as OptimizerSnapshot;
    assert.deepEqual(Object.keys(read.tensors).sort(), rest.flatMap(({ path }) => [`${path}/momentum`, `${path}/velocity`]).sort());
    const without = readSaved(saved(variables), { ...target(optimizer), weights: rest, trained: () => rest });
    assert.match(
      String(without),
      new RegExp(`it has ${variables.length - 2} variables whereas the saved optimizer has ${variables.length} `),
    );
  });

  it("of other shapes, numbers and classes don't fit", () => {
    const adam = optimizerOf(keras.cases.adam);
    const { variables } = begin(adam).state;
    const why = (list: readonly OptimizerVariable[], name?: string) => String(readSaved(saved(list, name), target(adam)));
    assert.match(why(variables.slice(1)), /whereas the saved optimizer has/);
    assert.match(
      why(variables.map((variable, i) => i === 3 ? { ...variable, shape: [99] } : variable)),
      /of the shape .* is of the shape \[99\]$/,
    );
    assert.match(why(variables, "lamb"), /of the class Adam whereas the saved optimizer is 'lamb'$/);
    assert.equal(typeof readSaved(saved(variables, "my_own"), target(adam)), "object", "a name of somebody's own says nothing");
  });

  it("saved before it trained are nothing to go on from, unless they say so", () => {
    const optimizer = optimizerOf(keras.cases.adam);
    const { variables } = begin(optimizer).state;
    const [iteration, rate] = variables;
    const beginning = (list: readonly OptimizerVariable[]): boolean => {
      const read = readSaved(saved(list), target(optimizer));
      return typeof read === "object" && isBeginning(read, optimizer);
    };
    assert.ok(beginning([iteration, rate]));
    assert.ok(!beginning([iteration, { ...rate, data: Float32Array.of(7) }]));
    assert.ok(!beginning([{ ...iteration, data: Int32Array.of(7) }, rate]));
    assert.ok(!beginning(variables));
    assert.equal(typeof readSaved(saved([iteration, rate]), target(optimizer, true)), "string");
  });
});
