/** Optimizers on a GPU against Keras. Where there is no GPU: the error that says so. */

import assert from "node:assert/strict";
import { describe } from "node:test";
import type { Device, DeviceTensor } from "../../runtime/device.ts";
import { DeviceOptimizer } from "../../runtime/optimizer/device_optimizer.ts";
import { gradientsOf, initialWeights, keras, type KerasCase, optimizerOf, worst } from "../optimizers/keras_cases.ts";
import { onWebgpu } from "./with_webgpu.ts";

/** Relative to the element, or to 0.1. A GPU may round quotients, roots and powers a few units off. */
const TOLERANCE = 2e-6;

const shapeOf = new Map(keras.variables.map(({ path, shape }) => [path, shape]));

/** An optimizer in the middle of its work. */
interface Running {
  readonly optimizer: DeviceOptimizer;
  readonly weights: Map<string, DeviceTensor>;
}

function upload(device: Device, path: string, data: Float32Array<ArrayBuffer>): DeviceTensor {
  return device.upload({ dtype: "float32", shape: shapeOf.get(path)!, data });
}

function begin(device: Device, run: KerasCase, lineLength?: number): Running {
  const weights = new Map([...initialWeights()].map(([path, data]) => [path, upload(device, path, data)]));
  const optimizer = new DeviceOptimizer({
    optimizer: optimizerOf(run),
    weights: keras.variables,
    device: () => Promise.resolve(device),
    weight: (_, path) => weights.get(path)!,
    changed: () => {},
    lineLength,
  });
  return { optimizer, weights };
}

async function apply(device: Device, { optimizer }: Running, step: number): Promise<void> {
  await optimizer.apply(new Map([...gradientsOf(step)].map(([path, data]) => [path, upload(device, path, data)])));
}

async function read(device: Device, { weights }: Running): Promise<Map<string, ArrayLike<number>>> {
  const values = await device.download([...weights.values()]);
  return new Map([...weights.keys()].map((path, i) => [path, values[i].data]));
}

async function end({ optimizer, weights }: Running): Promise<void> {
  await optimizer.dispose();
  for (const tensor of weights.values()) tensor.dispose();
}

async function assertWeights(device: Device, running: Running, expected: readonly (readonly number[])[], what: string): Promise<void> {
  const found = await read(device, running);
  keras.variables.forEach(({ path }, i) => {
    const difference = worst(found.get(path)!, expected[i], 0.1);
    assert.ok(difference <= TOLERANCE, `${path} ${what} is off by ${difference}`);
  });
}

describe("optimizers on WebGPU", () => {
  for (const [name, run] of Object.entries(keras.cases)) {
    onWebgpu(`${name}: ${run.class} gives Keras' weights at each of six steps`, async (device) => {
      const running = begin(device, run);
      const { optimizer } = running;
      for (let step = 0; step < run.after.length; step++) {
        if (run.rates) assert.equal(optimizer.learningRate, Math.fround(run.rates[step]));
        await apply(device, running, step);
        await assertWeights(device, running, run.after[step], `after step ${step + 1}`);
      }
      assert.equal(optimizer.iterations, run.iterations);
      await optimizer.sync();
      const unnamed = (path: string) => path.replace(/^[^/]+\//, "").replace(/^variable_\d+$/, "variable");
      assert.deepEqual(
        optimizer.variables.map(({ path, shape, dtype }) => [unnamed(path), shape, dtype]),
        run.optimizer_variables.map(([path, shape, dtype]) => [unnamed(path), shape, dtype]),
      );
      if (run.finalized) {
        await optimizer.finalizeWeights();
        await assertWeights(device, running, run.finalized, "in the end");
      }
      await end(running);
    });
  }
});

describe("weights cut into lines on WebGPU", () => {
  for (const name of ["adam", "adam_global_clipnorm", "nadam_accumulate_ema"]) {
    onWebgpu(`${name}: give Keras' weights wherever they are cut`, async (device) => {
      const run = keras.cases[name];
      for (const lineLength of [5]) {
        const running = begin(device, run, lineLength);
        for (let step = 0; step < run.after.length; step++) await apply(device, running, step);
        await assertWeights(device, running, run.after.at(-1)!, `in lines of ${lineLength}`);
        await running.optimizer.sync();
        const whole = begin(device, run);
        for (let step = 0; step < run.after.length; step++) await apply(device, whole, step);
        await whole.optimizer.sync();
        const [found, expected] = [running, whole].map(({ optimizer }) => optimizer.getState());
        assert.deepEqual(Object.keys(found.tensors).sort(), Object.keys(expected.tensors).sort());
        for (const [slot, data] of Object.entries(expected.tensors)) assert.ok(worst(found.tensors[slot], data, 0.1) <= TOLERANCE, slot);
        await Promise.all([end(running), end(whole)]);
      }
    });
  }
});

describe("resuming an optimizer on WebGPU", () => {
  for (const name of ["adam_amsgrad", "nadam_accumulate_ema", "adafactor", "muon", "adam_accumulate_schedule"]) {
    onWebgpu(`${name}: goes on from its state after three steps to the same bits`, async (device) => {
      const first = begin(device, keras.cases[name]);
      for (let step = 0; step < 3; step++) await apply(device, first, step);
      assert.throws(() => first.optimizer.getState(), { code: "optimizer/unsynced" });
      await first.optimizer.sync();
      const resumed = begin(device, keras.cases[name]);
      for (const [path, data] of await read(device, first)) {
        resumed.weights.get(path)!.dispose();
        resumed.weights.set(path, upload(device, path, Float32Array.from(data)));
      }
      resumed.optimizer.setState(structuredClone(first.optimizer.getState()));
      for (let step = 3; step < 6; step++) {
        await apply(device, first, step);
        await apply(device, resumed, step);
      }
      assert.deepEqual(await read(device, resumed), await read(device, first));
      await first.optimizer.sync();
      await resumed.optimizer.sync();
      assert.deepEqual(resumed.optimizer.getState(), first.optimizer.getState());
      await Promise.all([end(first), end(resumed)]);
    });
  }
});
