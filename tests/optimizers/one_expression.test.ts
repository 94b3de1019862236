/** Each update rule is one expression: the CPU kernel, the ONNX graph and the float64 evaluation of it agree. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { evaluate } from "../../codegen/ir/evaluate.ts";
import type { Graph } from "../../codegen/ir/types.ts";
import { verify } from "../../codegen/ir/verify.ts";
import { encode } from "../../codegen/onnx/encode.ts";
import { optimizerNames, updateRules } from "../../codegen/optimizers/rules.ts";
import { optimizerGraph, slotsOf, type StepSettings, updateGraph } from "../../codegen/optimizers/step.ts";
import type { OptimizerName } from "../../codegen/optimizers/types.ts";
import { RandomStream } from "../../random.ts";
import type { Feeds } from "../../runtime/backend.ts";
import { Kernel } from "../../runtime/optimizer/kernel.ts";
import { TILE } from "../../codegen/optimizers/kernel/lower.ts";
import { wasmBackend } from "../../runtime/wasm.ts";
import { worst } from "./keras_cases.ts";

const backend = wasmBackend();

function settingsOf(optimizer: OptimizerName, changes: Partial<StepSettings> = {}, hyperparameters: object = {}): StepSettings {
  return {
    optimizer,
    hyperparameters: { ...updateRules[optimizer].defaults, ...hyperparameters },
    hasSchedule: false,
    weightDecay: 0.1,
    clip: null,
    lossScaleFactor: null,
    gradientAccumulationSteps: null,
    useEma: false,
    ...changes,
  };
}

/** Values in the range that each input has in training. */
function valuesOf(name: string, size: number): Float32Array<ArrayBuffer> {
  const stream = new RandomStream(5, name);
  const positive = /velocity|accum|norm|mean/.test(name) && name !== "accumulated";
  // The mean gradient's square must stay below the mean square, as it does in training.
  const scale = name === "average_gradient" ? 0.05 : 1;
  return Float32Array.from({ length: size }, (_, i) => positive ? stream.uniform(i) + 0.05 : scale * stream.normal(i));
}

const scalars: Readonly<Record<string, number>> = { lr: 0.05, t: 3, clip_scale: 0.7, u_product: 0.4, ema_momentum: 0.9 };

function feedsOf(graph: Graph): Feeds {
  return Object.fromEntries(graph.inputs.map(({ name, shape }) => {
    const dims = shape as number[];
    const data = name in scalars ? Float32Array.of(scalars[name]) : valuesOf(name, dims.reduce((a, b) => a * b, 1));
    return [name, { dtype: "float32" as const, shape: dims, data }];
  }));
}

async function byOnnx(graph: Graph, feeds: Feeds): Promise<Map<string, ArrayLike<number>>> {
  const session = await backend.load(encode(graph), graph.name);
  const outputs = await session.run(feeds);
  await session.dispose();
  return new Map(Object.entries(outputs).map(([name, { data }]) => [name, data]));
}

function byReference(graph: Graph, feeds: Feeds): Map<string, ArrayLike<number>> {
  const inputs = Object.fromEntries(
    Object.entries(feeds).map(([name, { shape, data }]) => [name, { shape, data: Float64Array.from(data) }]),
  );
  return new Map(Object.entries(evaluate(graph, inputs)).map(([name, { data }]) => [name, data]));
}

function byKernel(graph: Graph, feeds: Feeds, shape: readonly number[]): Map<string, ArrayLike<number>> | null {
  const kernel = Kernel.compile(graph, shape);
  if (!kernel) return null;
  const size = shape.reduce((a, b) => a * b, 1);
  const tensors: Record<string, Float32Array<ArrayBuffer>> = {};
  for (const [name, { data }] of Object.entries(feeds)) if (!(name in scalars)) tensors[name] = Float32Array.from(data);
  for (const { name } of graph.outputs) tensors[name.replace("next_", "")] ??= new Float32Array(size);
  kernel.run(tensors, scalars);
  return new Map(graph.outputs.map(({ name }) => [name, tensors[name.replace("next_", "")]]));
}

function assertClose(
  actual: ReadonlyMap<string, ArrayLike<number>>,
  expected: ReadonlyMap<string, ArrayLike<number>>,
  tolerance: number,
): void {
  assert.deepEqual([...actual.keys()].sort(), [...expected.keys()].sort());
  for (const [name, values] of expected) {
    assert.equal(actual.get(name)!.length, values.length, name);
    const difference = worst(actual.get(name)!, values, 0.5);
    assert.ok(difference <= tolerance, `${name} is off by ${difference}`);
  }
}

/** Newton-Schulz multiplies rounding errors, and Ftrl divides a small difference by the learning rate; all else is a few roundings. */
const tolerances: { readonly [K in OptimizerName]?: number } = { Muon: 5e-5, Ftrl: 2e-5 };

const cases: readonly (readonly [string, StepSettings])[] = [
  ...optimizerNames.map((name) => [name, settingsOf(name)] as const),
  ["Adam with AMSGrad, clipping each norm", settingsOf("Adam", { clip: { by: "norm", limit: 0.3 } }, { amsgrad: true })],
  [
    "SGD with Nesterov momentum, clipping elements",
    settingsOf("SGD", { clip: { by: "value", limit: 0.5 } }, { momentum: 0.9, nesterov: true }),
  ],
  [
    "RMSprop, centred with momentum, accumulating",
    settingsOf("RMSprop", { gradientAccumulationSteps: 3 }, { centered: true, momentum: 0.5 }),
  ],
  [
    "Ftrl with an odd power, scaled loss",
    settingsOf("Ftrl", { lossScaleFactor: 8 }, { learningRatePower: -0.7, l1RegularizationStrength: 0.2 }),
  ],
  ["Nadam under a global norm", settingsOf("Nadam", { clip: { by: "global_norm", limit: 1 } })],
  ["Adafactor with a schedule", settingsOf("Adafactor", { hasSchedule: true })],
];

describe("one expression for every way of running it", () => {
  for (const [name, settings] of cases) {
    // 1-D tensors are longer than a tile and no multiple of a vector; matrices are tall and wide.
    for (const shape of [[TILE + 7], [1], [9, 5], [5, 9], [2, 3, 4]]) {
      it(`${name} on [${shape}]: kernel, ONNX and float64 agree`, async () => {
        const graph = updateGraph(settings, { path: "dense/kernel", shape });
        verify(graph);
        const feeds = feedsOf(graph);
        const expected = byReference(graph, feeds);
        const tolerance = tolerances[settings.optimizer] ?? 3e-6;
        assertClose(await byOnnx(graph, feeds), expected, tolerance);
        const kernel = byKernel(graph, feeds, shape);
        const needsMore = (settings.optimizer === "Adafactor" && shape.length > 1) || (settings.optimizer === "Muon" && shape.length === 2);
        assert.equal(kernel === null, needsMore);
        if (kernel) assertClose(kernel, expected, tolerance);
      });
    }
  }

  it("one graph updates all weights of a model as their own graphs do, global norm and shared scalars included", async () => {
    const settings = settingsOf("Nadam", { clip: { by: "global_norm", limit: 0.5 }, gradientAccumulationSteps: 2 });
    const weights = [{ path: "a/kernel", shape: [4, 3] }, { path: "a/bias", shape: [3], excludedFromDecay: true }];
    const whole = optimizerGraph(settings, weights);
    verify(whole);
    const feeds = feedsOf(whole);
    const outputs = await byOnnx(whole, feeds);
    let squaredNorm = 0;
    for (const { path } of weights) {
      feeds[`${path}/g`].data.forEach((g, i) => squaredNorm += ((g + feeds[`${path}/accumulated`].data[i]) / 2) ** 2);
    }
    const uProduct = outputs.get("next_u_product")![0];
    assert.ok(Math.abs(uProduct - 0.4 * 0.9 * (1 - 0.5 * 0.96 ** 3)) < 1e-7);
    for (const weight of weights) {
      const graph = updateGraph(settings, weight);
      const own: Record<string, Feeds[string]> = {};
      for (const { name } of graph.inputs) own[name] = feeds[`${weight.path}/${name}`] ?? feeds[name];
      own.clip_scale = { dtype: "float32", shape: [], data: Float32Array.of(Math.min(1, 0.5 / Math.sqrt(squaredNorm))) };
      own.u_product = { dtype: "float32", shape: [], data: Float32Array.of(uProduct) };
      const expected = byReference(graph, own);
      for (const name of ["w", ...slotsOf(settings, weight).map((slot) => slot.name)]) {
        const difference = worst(outputs.get(`next_${weight.path}/${name}`)!, expected.get(`next_${name}`)!, 0.5);
        assert.ok(difference < 3e-6, `${weight.path}/${name} is off by ${difference}`);
      }
    }
  });

  it("the same settings and weights encode to the same bytes", () => {
    const weights = [{ path: "a/kernel", shape: [4, 3] }, { path: "a/bias", shape: [3] }];
    for (const name of optimizerNames) {
      assert.deepEqual(encode(optimizerGraph(settingsOf(name), weights)), encode(optimizerGraph(settingsOf(name), weights)));
    }
  });
});
