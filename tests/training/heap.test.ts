/** Training in the backend's heap: the same bits as with copies of weights and gradients, and back where there is no room. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { optimizers, spec } from "../../mod.ts";
import { compile } from "../../codegen/compile.ts";
import { trainingRequest } from "../../codegen/training_request.ts";
import type { Backend, Heap } from "../../runtime/backend.ts";
import { openBackend } from "../../runtime/backends.ts";
import { wholeGradient } from "../../runtime/gradient.ts";
import { Parameters } from "../../runtime/parameters.ts";
import { ProgramRunner, type Staying } from "../../runtime/runner.ts";
import { HostTraining } from "../../training/host_training.ts";

type Config = Readonly<Record<string, number>>;

const SMALL: Config = { vocabulary_size: 9001, num_layers: 2, num_heads: 2, hidden_dim: 32, intermediate_dim: 64, max_sequence_length: 8 };
/** Its embedding is put together in parts that don't end with a whole vector of four. */
const ODD: Config = { ...SMALL, vocabulary_size: 230_001, num_layers: 1, num_heads: 1, hidden_dim: 5 };

const rows = (batch: number, length: number, at: (i: number) => number) => ({
  dtype: "int32" as const,
  shape: [batch, length],
  data: Int32Array.from({ length: batch * length }, (_, i) => at(i)),
});

interface Case {
  readonly config?: Config;
  readonly optimizer?: () => optimizers.Optimizer;
  /** Only weights of the head are trained. */
  readonly frozen?: boolean;
}

/** Trains three steps on a backend; `between` sees the weights after each. Gives the losses and a copy of all weights. */
async function train(
  backend: Backend,
  { config = SMALL, optimizer = () => new optimizers.Adam(0.01), frozen = false }: Case,
  between: (weights: readonly Float32Array[], step: number) => void = () => {},
) {
  const expanded = spec.expand(await spec.load("xlm_roberta"), { config: { ...config, dropout: 0.1 }, task: "masked_lm" });
  const request = trainingRequest(expanded);
  const weights = compile(expanded, request).program.weights;
  const parameters = new Parameters(7);
  parameters.ensure(weights);
  const trainable = weights.filter(({ part }) => !frozen || part === "head").map(({ path }) => path);
  const setup = { loss: request.loss, reduction: "sum_over_batch_size" as const, metrics: [], optimizer: optimizer() };
  const run = new HostTraining({ spec: expanded, setup, parameters, backend: () => Promise.resolve(backend), trainable, seed: 3 });
  const losses: number[] = [];
  for (let step = 0; step < 3; step++) {
    const x = {
      token_ids: rows(2, 6, (i) => (i * 797 + step) % config.vocabulary_size),
      padding_mask: rows(2, 6, () => 1),
      mask_positions: rows(2, 2, (i) => i % 2 + 1),
    };
    losses.push((await run.step({ x, y: rows(2, 2, (i) => (i * 31 + step) % config.vocabulary_size) }, step)).loss);
    between(weights.map(({ path }) => parameters.get(path)), step);
  }
  await run.dispose();
  return { losses, weights: weights.map(({ path }) => parameters.get(path)), paths: weights.map(({ path }) => path) };
}

/** The wasm backend with a heap that gives room only so often, or with none. */
async function wasm(rooms = Infinity): Promise<{ readonly backend: Backend; readonly heap: Heap }> {
  const backend = await openBackend("wasm");
  const heap = await backend.heap!();
  assert.ok(heap);
  const limited: Heap = {
    memory: heap.memory,
    buffer: heap.buffer,
    get heldBytes() {
      return heap.heldBytes;
    },
    allocate: (elements) => rooms-- > 0 ? heap.allocate(elements) : null,
    holds: (array) => heap.holds(array),
  };
  return { backend: { ...backend, heap: () => Promise.resolve(limited) }, heap };
}

const without = async (): Promise<Backend> => ({ ...await openBackend("wasm"), heap: undefined });

function assertSame(actual: Awaited<ReturnType<typeof train>>, expected: Awaited<ReturnType<typeof train>>): void {
  assert.deepEqual(actual.losses, expected.losses);
  actual.weights.forEach((data, i) => assert.deepEqual(data, expected.weights[i], actual.paths[i]));
}

describe("training in the backend's heap", () => {
  const cases: Readonly<Record<string, Case>> = {
    "Adam": {},
    "a frozen backbone": { frozen: true },
    "gradients that accumulate": { optimizer: () => new optimizers.Adam({ learningRate: 0.01, gradientAccumulationSteps: 2 }) },
    "averaged weights": {
      optimizer: () => new optimizers.SGD({ learningRate: 0.1, momentum: 0.9, useEma: true, emaOverwriteFrequency: 2 }),
    },
    "gradients clipped by the norm of all": { optimizer: () => new optimizers.Adam({ learningRate: 0.01, globalClipnorm: 0.1 }) },
    "each gradient clipped by its norm": { optimizer: () => new optimizers.Adam({ learningRate: 0.01, clipnorm: 0.01 }) },
    "updates that are graphs": { optimizer: () => new optimizers.Adafactor(0.01) },
    "a weight whose parts end between vectors": { config: ODD },
  };
  for (const [name, options] of Object.entries(cases)) {
    it(`gives the bits that it gives with copies: ${name}`, async () => {
      const { backend, heap } = await wasm();
      const before = heap.heldBytes;
      const inHeap = await train(backend, options, (weights) => {
        for (const { buffer } of weights) assert.equal(buffer, heap.buffer);
        assert.equal(heap.heldBytes - before, weights.reduce((sum, { byteLength }) => sum + byteLength, 0));
      });
      assert.equal(heap.heldBytes, before);
      for (const { buffer } of inHeap.weights) assert.notEqual(buffer, heap.buffer);
      assertSame(
        inHeap,
        await train(await without(), options, (weights) => assert.ok(weights.every(({ buffer }) => buffer !== heap.buffer))),
      );
    });
  }

  it("ends where a weight finds no room, for good and to the same bits: all weights leave the heap", async () => {
    const { backend, heap } = await wasm(5);
    const before = heap.heldBytes;
    const tried = await train(backend, {}, (weights) => {
      assert.ok(weights.every(({ buffer }) => buffer !== heap.buffer));
      assert.equal(heap.heldBytes, before);
    });
    assertSame(tried, await train(await without(), {}));
  });

  it("is not begun where the heap has too little room for the model", async () => {
    const { backend, heap } = await wasm();
    const full: Backend = { ...backend, heap: async () => ({ ...(await backend.heap!())!, heldBytes: 2 ** 32 }) };
    await train(full, {}, (weights) => assert.ok(weights.every(({ buffer }) => buffer !== heap.buffer)));
  });

  it("passes activations and gradients on where they are, from stage to stage and run to run, to the bits of copies", async () => {
    const { backend, heap } = await wasm();
    const expanded = spec.expand(await spec.load("xlm_roberta"), { config: { ...SMALL, dropout: 0.1 }, task: "masked_lm" });
    const sizes = { batch: 2, sequence: 6, masks: 2 };
    const { program } = compile(expanded, { ...trainingRequest(expanded), rowsOutside: true, stagesFor: sizes });
    assert.ok(program.stages.length > 4);
    const parameters = new Parameters(7);
    parameters.ensure(program.weights);
    const runner = new ProgramRunner(program, () => Promise.resolve(backend), parameters);
    const run = async (step: number, stays: Staying) => {
      const gradients = new Map<string, Float32Array>();
      const places: ArrayBufferLike[] = [];
      const x = { token_ids: rows(2, 6, (i) => i * 797), padding_mask: rows(2, 6, () => 1), mask_positions: rows(2, 2, (i) => i % 2 + 1) };
      const { loss } = await runner.run(
        { x, labels: rows(2, 2, (i) => i), lossScale: 1, dropout: { seed: 1, step } },
        async (path, gradient) => {
          gradients.set(path, gradient instanceof Float32Array ? gradient.slice() : await wholeGradient(gradient));
          if (gradient instanceof Float32Array) places.push(gradient.buffer);
        },
        stays,
      );
      return { loss, gradients, places };
    };
    for (let step = 0; step < 3; step++) {
      const copied = await run(step, "none");
      assert.ok(copied.places.every((buffer) => buffer !== heap.buffer));
      for (const stays of ["all", "gradients"] as const) {
        const there = await run(step, stays);
        assert.ok(there.places.length > 10 && there.places.every((buffer) => buffer === heap.buffer));
        assert.equal(there.loss, copied.loss);
        assert.equal(there.gradients.size, parameters.infos.length);
        for (const [path, gradient] of there.gradients) assert.deepEqual(gradient, copied.gradients.get(path), path);
      }
    }
    await runner.dispose();
  });
});
