/** What becomes of weights, memory and errors when a GPU trains. Where there is no GPU: the error that says so. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { trainingRequest } from "../../codegen/training_request.ts";
import { type models, optimizers } from "../../mod.ts";
import { openBackend } from "../../runtime/backends.ts";
import { findAdapter } from "../../runtime/webgpu/adapter.ts";
import type { WebgpuDevice } from "../../runtime/webgpu/device.ts";
import type { Batch } from "../../training/engine.ts";
import { ModelEngine } from "../../training/model_engine.ts";
import { batch, code, end, small, steps } from "./small_model.ts";
import { assertUnavailable, onWebgpu } from "./with_webgpu.ts";

const directory = mkdtempSync(join(tmpdir(), "webgpu-"));
after(() => rmSync(directory, { recursive: true, force: true }));

describe("training on WebGPU", () => {
  onWebgpu("goes as on the processor, dropout included, every loss within 1e-5", async () => {
    const [gpu, cpu] = [small("webgpu"), small("wasm")];
    const [found, expected] = [await steps(gpu, 0, 6), await steps(cpu, 0, 6)];
    found.forEach((loss, i) => assert.ok(Math.abs(loss - expected[i]) <= 1e-5 * expected[i], `${loss} instead of ${expected[i]}`));
    await end(gpu, cpu);
  });

  onWebgpu("takes batches of more shapes than stay loaded", async () => {
    const [gpu, cpu] = [small("webgpu", { dropout: 0 }), small("wasm", { dropout: 0 })];
    for (const [rows, length] of [[2, 6], [1, 6], [2, 5], [3, 4], [4, 8], [5, 6], [2, 6]]) {
      const { x, y } = batch(rows, rows, length);
      const [{ loss }, { loss: expected }] = [await gpu.trainOnBatch(x as never, y), await cpu.trainOnBatch(x as never, y)];
      assert.ok(Math.abs(loss - expected) <= 1e-5 * expected, `${rows} × ${length}: ${loss} instead of ${expected}`);
    }
    await end(gpu, cpu);
  });

  onWebgpu("keeps the newest weights on the GPU until they are asked for", async () => {
    const model = small({ name: "webgpu", syncEvery: 100 });
    const [{ path }] = model.weights;
    const before = model.parameters.get(path).slice();
    await steps(model, 0, 1);
    assert.throws(() => model.parameters.get(path), code("model/unsynced", /await/i));
    await model.sync();
    assert.notDeepEqual(model.parameters.get(path), before);
    const weights = await model.getWeights();
    assert.deepEqual(weights[0].data, model.parameters.get(path));
    await steps(model, 1, 2);
    assert.notDeepEqual((await model.getWeights())[0].data, weights[0].data);
    await end(model);
  });

  onWebgpu("saves what it trained, and goes on from what is loaded", async () => {
    const model = small("webgpu", { dropout: 0 });
    const file = join(directory, "trained.weights.h5");
    await steps(model, 0, 3);
    await model.saveWeights(file);
    const { x, y } = batch(9);
    const trained = await model.testOnBatch(x as never, y);
    const other = small("wasm");
    await other.loadWeights(file);
    const expected = await other.testOnBatch(x as never, y);
    assert.ok(Math.abs(trained.loss - expected.loss) <= 1e-5 * expected.loss);
    await steps(model, 3, 5);
    assert.notEqual((await model.testOnBatch(x as never, y)).loss, trained.loss);
    await model.loadWeights(file);
    assert.equal((await model.testOnBatch(x as never, y)).loss, trained.loss);
    await end(model, other);
  });

  onWebgpu("trains on from a file to the same losses, the optimizer's variables with the weights", async () => {
    const file = join(directory, "interrupted.weights.h5");
    const [whole, resumed, host] = [small("webgpu"), small("webgpu"), small("wasm")];
    await steps(whole, 0, 3);
    await whole.saveWeights(file);
    await steps(resumed, 5, 7);
    for (const model of [resumed, host]) {
      await model.loadWeights(file);
      assert.deepEqual(model.optimizerState!.variables, whole.optimizerState!.variables);
    }
    const expected = await steps(whole, 3, 6);
    assert.deepEqual(await steps(resumed, 3, 6), expected);
    (await steps(host, 3, 6)).forEach((loss, i) => assert.ok(Math.abs(loss - expected[i]) <= 1e-5 * loss));
    await end(whole, resumed, host);
  });

  onWebgpu("copies the weights to the host when an epoch ends and after the first step, or every so many steps", async () => {
    const [{ x, y }] = [batch(0, 4)];
    const epochs = small("webgpu");
    await epochs.fit({ x: x as never, y, batchSize: 2, epochs: 1, verbose: 0 });
    assert.ok(epochs.parameters.get(epochs.weights[0].path).every(Number.isFinite));
    const atOnce = small("webgpu");
    await steps(atOnce, 0, 1);
    assert.ok(atOnce.parameters.get(atOnce.weights[0].path).every(Number.isFinite), "how long a copy takes is found out by the first step");
    const often = small({ name: "webgpu", syncEvery: 2 });
    const { path } = often.weights[0];
    await steps(often, 0, 1);
    assert.throws(() => often.parameters.get(path), code("model/unsynced"));
    await steps(often, 1, 2);
    assert.ok(often.parameters.get(path).every(Number.isFinite));
    await end(epochs, atOnce, often);
  });

  onWebgpu("goes on from a saved state to the same losses", async () => {
    const engine = (model: models.XLMRobertaMaskedLM) =>
      new ModelEngine({
        spec: model.expanded,
        parameters: model.parameters,
        backend: () => openBackend("webgpu"),
        provider: "webgpu",
        setup: {
          ...trainingRequest(model.expanded),
          metrics: [],
          reduction: "sum_over_batch_size",
          optimizer: new optimizers.Adam({ learningRate: 0.01, gradientAccumulationSteps: 2, useEma: true }),
        },
        weights: model.weights,
        trainable: () => model.trainableWeights,
        seed: 1,
        infer: () => Promise.reject(new Error("not asked for")),
        unpad: (x) => x,
        files: { save: (path) => model.saveWeights(path), load: (path) => model.loadWeights(path) },
      });
    const given = (step: number) => {
      const { x, y } = batch(step);
      const int32 = (rows: number[][]) =>
        ({ dtype: "int32", shape: [rows.length, rows[0].length], data: Int32Array.from(rows.flat()) }) as const;
      return { x: Object.fromEntries(Object.entries(x).map(([name, rows]) => [name, int32(rows)])), y: int32(y) } satisfies Batch;
    };
    const [first, second] = [small("webgpu"), small("webgpu")];
    const [one, other] = [engine(first), engine(second)];
    for (let step = 0; step < 3; step++) await one.trainBatch(given(step));
    const file = join(directory, "state");
    await one.saveState(file);
    await other.loadState(file);
    for (let step = 3; step < 6; step++) {
      assert.deepEqual(await other.trainBatch(given(step)), await one.trainBatch(given(step)));
    }
    assert.deepEqual(await other.getWeights(), await one.getWeights());
    await Promise.all([one.dispose(), other.dispose()]);
    await end(first, second);
  });

  onWebgpu("holds memory flat", async (device) => {
    const { gpu } = device as WebgpuDevice;
    const live = new Set<GPUBuffer>();
    const { createBuffer } = gpu;
    gpu.createBuffer = (descriptor) => {
      const buffer = createBuffer.call(gpu, descriptor);
      const { destroy } = buffer;
      live.add(buffer);
      buffer.destroy = () => {
        live.delete(buffer);
        return destroy.call(buffer);
      };
      return buffer;
    };
    try {
      const model = small("webgpu");
      const bytes = () => [...live].reduce((sum, { size }) => sum + size, 0);
      await steps(model, 0, 20);
      const early = { buffers: live.size, bytes: bytes() };
      await steps(model, 20, 120);
      assert.deepEqual({ buffers: live.size, bytes: bytes() }, early);
      await end(model);
      await new Promise((resolve) => setTimeout(resolve, 100));
      assert.equal(live.size, 0, "nothing is left of a model that was disposed of");
    } finally {
      gpu.createBuffer = createBuffer;
    }
  });
});

describe("what a GPU can't do", () => {
  onWebgpu("a weight larger than it lets a tensor be is refused before anything is allocated", async (device) => {
    const vocabularySize = Math.floor(device.maxTensorBytes / 64) + 1;
    const model = small("webgpu", { vocabularySize });
    const { x, y } = batch(0);
    await assert.rejects(
      model.trainOnBatch(x as never, y),
      code("backend/limits", new RegExp(`token_embedding.*at most [\\d,]+ bytes.*\\[${vocabularySize}, 16\\]`)),
    );
    await end(model);
  });

  it("no adapter is an error that names the driver", async () => {
    const own = Object.getOwnPropertyDescriptor(navigator, "gpu");
    Object.defineProperty(navigator, "gpu", { value: { requestAdapter: () => Promise.resolve(null) }, configurable: true });
    try {
      await assert.rejects(findAdapter(), (error: unknown) => {
        assertUnavailable(error);
        return true;
      });
    } finally {
      if (own) Object.defineProperty(navigator, "gpu", own);
      else delete (navigator as { gpu?: unknown }).gpu;
    }
  });

  it("a number of steps that makes no sense is refused", () => {
    assert.throws(() => small({ name: "webgpu", syncEvery: 0 }), code("backend/sync-every", /1 or more/));
  });
});
