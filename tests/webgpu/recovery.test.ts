/** A GPU that is lost in mid-training: what was trained comes back on another one, to the bit. Where there is no GPU: the error that says so. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe } from "node:test";
import { callbacks, models, optimizers } from "../../mod.ts";
import type { BackendChoice } from "../../runtime/backend.ts";
import { openBackend } from "../../runtime/backends.ts";
import { DeviceOptimizer } from "../../runtime/optimizer/device_optimizer.ts";
import type { WebgpuDevice } from "../../runtime/webgpu/device.ts";
import type { Optimizer } from "../../runtime/optimizer/config.ts";
import { batch, code, end, small, steps } from "./small_model.ts";
import { onWebgpu } from "./with_webgpu.ts";

const directory = mkdtempSync(join(tmpdir(), "recovery-"));
after(() => rmSync(directory, { recursive: true, force: true }));

/** Loses the GPU that all models are on. */
async function loseGpu(): Promise<void> {
  const { device } = await openBackend("webgpu");
  (device as WebgpuDevice).gpu.destroy();
  await device!.lost;
}

/** What was warned of while `body` ran. */
async function warnings(body: () => Promise<void>): Promise<string[]> {
  const { warn } = console;
  const texts: string[] = [];
  console.warn = (text: string) => void texts.push(text);
  try {
    await body();
  } finally {
    console.warn = warn;
  }
  return texts;
}

/** Without any GPU to be had while `body` runs. */
async function withoutAdapter(body: () => Promise<void>): Promise<void> {
  const { gpu } = navigator as { gpu: { requestAdapter: unknown } };
  const own = Object.getOwnPropertyDescriptor(gpu, "requestAdapter");
  Object.defineProperty(gpu, "requestAdapter", { value: () => Promise.resolve(null), configurable: true });
  try {
    await body();
  } finally {
    if (own) Object.defineProperty(gpu, "requestAdapter", own);
    else delete gpu.requestAdapter;
  }
}

/** With an optimizer that says it has so much state, while `body` runs. */
async function withStateOf(bytes: number, body: () => Promise<void>): Promise<void> {
  const own = Object.getOwnPropertyDescriptor(DeviceOptimizer.prototype, "stateBytes")!;
  Object.defineProperty(DeviceOptimizer.prototype, "stateBytes", { get: () => bytes, configurable: true });
  try {
    await body();
  } finally {
    Object.defineProperty(DeviceOptimizer.prototype, "stateBytes", own);
  }
}

async function weightsOf(model: models.XLMRobertaMaskedLM): Promise<Float32Array[]> {
  return (await model.getWeights()).map(({ data }) => data);
}

const variables = (model: models.XLMRobertaMaskedLM) => model.optimizerState!.variables;

describe("a GPU that is lost in mid-training", () => {
  const OPTIMIZERS: Record<string, () => Optimizer> = {
    "Adam": () => new optimizers.Adam(0.01),
    "a schedule, accumulation, averages and a clipped global norm": () =>
      new optimizers.AdamW({
        learningRate: new optimizers.schedules.ExponentialDecay({ initialLearningRate: 0.01, decaySteps: 2, decayRate: 0.5 }),
        gradientAccumulationSteps: 2,
        useEma: true,
        emaOverwriteFrequency: 2,
        globalClipnorm: 0.5,
      }),
    "scalars of its own": () => new optimizers.Nadam(0.01),
  };
  const cases: [optimizer: string, backend: BackendChoice][] = [
    ["Adam", "webgpu"],
    ["Adam", { name: "webgpu", syncEvery: 1 }],
    ...Object.keys(OPTIMIZERS).map((name): [string, BackendChoice] => [name, { name: "webgpu", syncEvery: 4 }]),
  ];
  for (const [name, backend] of cases) {
    const often = typeof backend === "string" ? "as often as is cheap" : `every ${backend.syncEvery} steps`;
    onWebgpu(`changes nothing: ${name}, copied ${often}`, async () => {
      const [model, undisturbed] = [small(backend), small(backend)];
      for (const each of [model, undisturbed]) each.compile({ optimizer: OPTIMIZERS[name]() });
      const expected = await steps(undisturbed, 0, 9);
      const weights = await weightsOf(undisturbed);
      const losses: number[] = [];
      const said = await warnings(async () => {
        for (const [from, to] of [[0, 3], [3, 6], [6, 9]]) {
          losses.push(...await steps(model, from, to));
          await loseGpu();
        }
        assert.deepEqual(await weightsOf(model), weights, "the last loss came after training");
      });
      assert.deepEqual(losses, expected);
      assert.match(said.join("\n"), /lost after training step 3.*\n.*lost after training step 6/);
      assert.deepEqual(variables(model), variables(undisturbed));
      await end(model, undisturbed);
    });
  }

  onWebgpu("is what a warning tells of, with the steps that were computed again", async () => {
    const model = small({ name: "webgpu", syncEvery: 3 });
    await steps(model, 0, 5);
    await loseGpu();
    const [said, ...more] = await warnings(async () => void await steps(model, 5, 6));
    assert.match(said, /lost after training step 5: .*goes on with a new one, where what came after step 3 was computed again/s);
    assert.deepEqual(more, []);
    await end(model);
  });

  onWebgpu("is lost a second time, and nothing is lost", async () => {
    const [model, undisturbed] = [small({ name: "webgpu", syncEvery: 100 }), small("wasm")];
    await steps(model, 0, 2);
    await warnings(async () => {
      for (let step = 2; step < 5; step++) {
        await loseGpu();
        await steps(model, step, step + 1);
      }
    });
    await steps(undisturbed, 0, 5);
    const [found, expected] = [await weightsOf(model), await weightsOf(undisturbed)];
    found.forEach((data, i) => data.forEach((value, j) => assert.ok(Math.abs(value - expected[i][j]) < 1e-4)));
    await end(model, undisturbed);
  });

  onWebgpu("keeps learning rates that were set, and what users wrote to weights and batches", async () => {
    const run = async (lose: () => Promise<void>) => {
      const model = small({ name: "webgpu", syncEvery: 100 });
      const { path } = model.weights[1];
      const { x, y } = batch(0);
      const ids = Int32Array.from(x.token_ids.flat());
      const given = { ...x, token_ids: { dtype: "int32", shape: [2, 6], data: ids } };
      await model.trainOnBatch(given as never, y);
      // A token that is there three times would be added up in an order of the GPU's own.
      ids.forEach((id, i) => ids[i] = (id + 1) % 50);
      model.optimizerState!.learningRate = 0.002;
      await model.trainOnBatch(given as never, y);
      await lose();
      await model.trainOnBatch(given as never, y);
      await model.sync();
      model.parameters.get(path).fill(0.25);
      model.parameters.touch();
      await steps(model, 1, 3);
      await lose();
      await steps(model, 3, 4);
      const weights = await weightsOf(model);
      await end(model);
      return weights;
    };
    const expected = await run(() => Promise.resolve());
    await warnings(async () => assert.deepEqual(await run(loseGpu), expected));
  });

  onWebgpu("doesn't end fit, its validation or its callbacks", async () => {
    const run = async (lose: () => Promise<void>) => {
      const model = small("webgpu");
      model.compile({ optimizer: new optimizers.Adam({ learningRate: 0.01, useEma: true }) });
      const { x, y } = batch(0, 4);
      const data = { x: x as never, y };
      let batches = 0;
      const losing = new callbacks.LambdaCallback({
        onTrainBatchEnd: async () => void (++batches % 3 === 2 && await lose()),
        onTestBatchBegin: async () => void (batches === 8 && await lose()),
      });
      const history = await model.fit({
        ...data,
        batchSize: 2,
        epochs: 6,
        verbose: 0,
        validationData: data,
        callbacks: [losing, new callbacks.ReduceLROnPlateau({ monitor: "loss", patience: 1, minDelta: 10, factor: 0.5 })],
      });
      await lose();
      const file = join(directory, "fitted.weights.h5");
      await model.saveWeights(file);
      const saved = small("wasm");
      await saved.loadWeights(file);
      const weights = await weightsOf(saved);
      await end(model, saved);
      return { history: history.history, weights };
    };
    const expected = await run(() => Promise.resolve());
    await warnings(async () => assert.deepEqual(await run(loseGpu), expected));
  });

  onWebgpu("is followed by no other: the error names the step whose weights are left", async () => {
    const model = small({ name: "webgpu", syncEvery: 3 });
    await steps(model, 0, 3);
    const copied = model.parameters.get(model.weights[0].path).slice();
    await steps(model, 3, 5);
    await loseGpu();
    await withoutAdapter(async () => {
      await assert.rejects(steps(model, 5, 6), code("backend/device-lost", /for good after training step 5.*weights of step 3/s));
    });
    assert.deepEqual(model.parameters.get(model.weights[0].path), copied);
    const file = join(directory, "survivor.weights.h5");
    await model.saveWeights(file);
    const { x, y } = batch(0);
    const next = small("wasm");
    await next.loadWeights(file);
    assert.deepEqual(next.parameters.get(next.weights[0].path), copied);
    const [{ loss }, expected] = [await model.testOnBatch(x as never, y), await next.testOnBatch(x as never, y)];
    assert.ok(Math.abs(loss - expected.loss) <= 1e-5 * loss, "the model goes on with them, on a new device");
    assert.ok((await steps(model, 5, 7)).every(Number.isFinite));
    await end(model, next);
  });

  onWebgpu("is told of once to whoever asks for weights that are gone", async () => {
    const model = small({ name: "webgpu", syncEvery: 3 });
    const before = await weightsOf(model);
    await steps(model, 0, 2);
    await loseGpu();
    await withoutAdapter(() => assert.rejects(model.getWeights(), code("backend/device-lost", /weights of step 0.*copied last/s)));
    assert.deepEqual(await weightsOf(model), before);
    await end(model);
  });

  onWebgpu("leaves the copied weights of an optimizer with too much state to copy", async () => {
    const model = small({ name: "webgpu", syncEvery: 2 });
    await withStateOf(2 ** 40, async () => {
      await steps(model, 0, 3);
      await loseGpu();
      await assert.rejects(steps(model, 3, 4), code("backend/device-lost", /after training step 3.*weights of step 2/s));
    });
    assert.ok((await steps(model, 3, 5)).every(Number.isFinite));
    await end(model);
  });

  onWebgpu("takes no step from a large state, unless it comes while that is copied over the copy before", async () => {
    const [model, undisturbed] = [small({ name: "webgpu", syncEvery: 2 }), small({ name: "webgpu", syncEvery: 2 })];
    await withStateOf(2 ** 31, async () => {
      await steps(undisturbed, 0, 5);
      const expected = await weightsOf(undisturbed);
      await steps(model, 0, 3);
      await warnings(async () => {
        await loseGpu();
        await steps(model, 3, 5);
      });
      assert.deepEqual(await weightsOf(model), expected);
      const { device } = await openBackend("webgpu");
      const { download } = device!;
      await steps(model, 5, 7);
      device!.download = async (tensors) => {
        (device as WebgpuDevice).gpu.destroy();
        await device!.lost;
        return await download.call(device, tensors);
      };
      await assert.rejects(model.sync(), code("backend/device-lost", /after training step 7.*weights of step 6/s));
    });
    await end(model, undisturbed);
  });

  onWebgpu("is no loss to weights that were asked for without the optimizer", async () => {
    const [model, undisturbed] = [small({ name: "webgpu", syncEvery: 100 }), small({ name: "webgpu", syncEvery: 100 })];
    await steps(undisturbed, 0, 5);
    await undisturbed.sync();
    await steps(model, 0, 2);
    await model.parameters.sync();
    await loseGpu();
    await warnings(async () => {
      await steps(model, 2, 4);
      await loseGpu();
      await model.predictOnBatch(batch(0).x as never);
      await steps(model, 4, 5);
      await loseGpu();
      await model.parameters.sync();
      assert.deepEqual(await weightsOf(model), await weightsOf(undisturbed));
    });
    await end(model, undisturbed);
  });

  onWebgpu("takes nothing from another model on the same backbone", async () => {
    const first = small({ name: "webgpu", syncEvery: 100 });
    const second = new models.XLMRobertaMaskedLM({ backbone: first.backbone as models.XLMRobertaBackbone });
    second.compile({ optimizer: new optimizers.SGD(0.1) });
    await steps(first, 0, 2);
    await steps(second, 2, 4);
    await first.backbone.sync();
    const expected = first.backbone.parameters.get(first.backbone.weights[0].path).slice();
    const head = await weightsOf(first);
    await loseGpu();
    await warnings(async () => {
      assert.deepEqual(await weightsOf(first), head);
      await steps(second, 4, 5);
    });
    assert.notDeepEqual((await weightsOf(second))[0], expected);
    await first.dispose();
    await end(second);
  });
});
