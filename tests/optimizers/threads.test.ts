/** Large weights are updated in place and by several threads: the same bits, and nothing left behind. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { GraphBuilder } from "../../codegen/ir/builder.ts";
import { TILE } from "../../codegen/optimizers/kernel/lower.ts";
import { optimizerNames } from "../../codegen/optimizers/rules.ts";
import { RandomStream } from "../../random.ts";
import { getOptimizer } from "../../runtime/optimizer/config.ts";
import { Kernel } from "../../runtime/optimizer/kernel.ts";
import { KernelMemory } from "../../runtime/optimizer/kernel_memory.ts";
import { OptimizerState, type OptimizerStateOptions } from "../../runtime/optimizer/optimizer.ts";
import { KernelThreads } from "../../runtime/optimizer/threads.ts";
import { wasmBackend } from "../../runtime/wasm.ts";

const run = promisify(execFile);
const backend = wasmBackend();

/** A matrix large enough for threads, no whole number of tiles nor of vectors; one that is too small to be moved; a bias. */
const weights = [{ path: "embedding", shape: [17409, 9] }, { path: "dense/kernel", shape: [60, 70] }, {
  path: "dense/bias",
  shape: [70],
}];

function values(name: string, shape: readonly number[]): Float32Array<ArrayBuffer> {
  const stream = new RandomStream(7, name);
  return Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => stream.uniform(i) - 0.5);
}

interface Run {
  readonly state: OptimizerState;
  readonly data: Map<string, Float32Array>;
}

const moving = (data: Map<string, Float32Array>): OptimizerStateOptions["move"] => (path, from, copy) => {
  if (data.get(path) === from) data.set(path, copy());
};

/** A running optimizer over fresh weights; where `threads` is null they stay where they are. */
function begin(className: string, config: Record<string, unknown>, threads: number | null): Run {
  const data = new Map<string, Float32Array>(weights.map(({ path, shape }) => [path, values(path, shape)]));
  const state = new OptimizerState({
    optimizer: getOptimizer({ class_name: className, config }),
    weights,
    data: (path) => data.get(path)!,
    ...threads === null ? {} : { threads, move: moving(data) },
    load: backend.load,
  });
  return { state, data };
}

/** Some gradient of every weight. */
const gradients = (): Map<string, Float32Array<ArrayBuffer>> =>
  new Map(weights.map(({ path, shape }) => [path, values(`${path} gradient`, shape)]));

const cases: readonly (readonly [string, Record<string, unknown>])[] = [
  ...optimizerNames.map((name) => [name, {}] as const),
  ["Adam", { global_clipnorm: 0.1 }],
  ["Adam", { clipnorm: 0.1, amsgrad: true }],
  ["Nadam", { gradient_accumulation_steps: 2, use_ema: true, ema_overwrite_frequency: 2 }],
];

/** Waits until the threads compute tiles too: they are waited for by nobody else. */
async function untilShared(threads: KernelThreads, sweep: () => void): Promise<void> {
  for (let tries = 0; threads.tiles === 0; tries++) {
    assert.ok(tries < 2000, "no thread took a tile");
    sweep();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe("large weights", () => {
  for (const [name, config] of cases) {
    it(`${name} ${JSON.stringify(config)}: in place and by one, two or four threads, the bits are the same`, async () => {
      const runs = [null, 1, 2, 4].map((threads) => begin(name, config, threads));
      for (let step = 0; step < 3; step++) {
        const gradients = new Map(weights.map(({ path, shape }) => [path, values(`${path} ${step}`, shape)]));
        for (const { state } of runs) await state.apply(gradients);
      }
      const [apart, ...others] = runs;
      for (const { state, data } of others) {
        for (const { path } of weights) assert.deepEqual(data.get(path)!.slice(), apart.data.get(path)!, path);
        assert.deepEqual(state.getState(), apart.state.getState());
      }
      for (const { state } of runs) await state.dispose();
    });
  }

  it("take gradients in parts, wherever these begin and end", async () => {
    const [whole, ...inParts] = [null, null, 1, 2].map((threads) => begin("Adam", {}, threads));
    for (const size of [150_001, 140_000, 4096, 1001]) {
      const gradients = new Map(weights.map(({ path, shape }) => [path, values(`${path} ${size}`, shape)]));
      await whole.state.apply(gradients);
      for (const { state, data } of inParts) {
        const step = state.beginStep();
        for (const [path, gradient] of gradients) {
          await step.update(path, {
            length: gradient.length,
            async *parts() {
              for (let offset = 0; offset < gradient.length; offset += size) yield { offset, data: gradient.slice(offset, offset + size) };
            },
          });
        }
        await step.finish();
        for (const { path } of weights) {
          assert.deepEqual(data.get(path)!.slice(), whole.data.get(path)!, `${path}, ${size} elements a part`);
        }
        assert.deepEqual(state.getState(), whole.state.getState());
      }
    }
    for (const { state } of [whole, ...inParts]) await state.dispose();
  });

  it("move before the first step, their values kept, and back afterwards; small ones stay", async () => {
    for (const threads of [1, 2]) {
      const { state, data } = begin("Adam", {}, threads);
      const before = data.get("embedding")!;
      state.beginStep();
      const [large, small] = ["embedding", "dense/kernel"].map((path) => data.get(path)!);
      assert.ok(large !== before && large.buffer.byteLength > 2 * large.byteLength, "a part of a larger buffer, with the slots");
      assert.equal(threads > 1, large.buffer instanceof SharedArrayBuffer);
      assert.equal(small.byteLength, small.buffer.byteLength);
      assert.deepEqual(large.slice(), values("embedding", weights[0].shape));
      await state.apply(gradients());
      assert.equal(data.get("embedding"), large);
      const trained = large.slice();
      await state.dispose();
      const back = data.get("embedding")!;
      assert.deepEqual(back, trained);
      assert.equal(back.byteLength, back.buffer.byteLength);
    }
  });

  it("of one optimizer go on to the next, whichever is disposed of first", async () => {
    const { state, data } = begin("SGD", {}, 2);
    await state.apply(gradients());
    const before = data.get("embedding")!;
    const trained = before.slice();
    const next = new OptimizerState({
      optimizer: getOptimizer("adam"),
      weights,
      data: (path) => data.get(path)!,
      move: moving(data),
      threads: 2,
    });
    next.beginStep();
    const after = data.get("embedding")!;
    assert.notEqual(after, before);
    await state.dispose();
    assert.equal(data.get("embedding"), after);
    await next.dispose();
    assert.deepEqual(data.get("embedding"), trained);
  });
});

describe("threads", () => {
  it("take tiles, and sums over several passes are those of one thread to the bit", async () => {
    const length = 40 * TILE + 3;
    const b = new GraphBuilder("test");
    const [w, g] = [b.input("w", "float32", [length]), b.input("g", "float32", [length])];
    const scaled = b.mul(g, b.div(b.sum(b.square(g)), b.add(b.sum(b.abs(w)), 1)));
    b.output("next_w", b.sub(w, b.div(scaled, b.sqrt(b.sum(b.square(scaled))))));
    b.output("mean", b.mean(scaled));
    const kernel = Kernel.compile(b.finish(), [length])!;
    const memory = KernelMemory.create({ tensors: [length], workers: 3 })!;
    const inPlace = memory.allocate(length);
    const threads = new KernelThreads(3, [kernel], [memory]);
    await threads.start();
    const [initial, gradient] = [values("w", [length]), values("g", [length])];
    const apart = initial.slice();
    const alone = kernel.run({ w: apart, g: gradient }, {});
    await untilShared(threads, () => {
      inPlace.set(initial);
      assert.deepEqual(kernel.run({ w: inPlace, g: gradient }, {}, memory, threads), alone);
      assert.deepEqual(inPlace.slice(), apart);
    });
    await threads.dispose();
  });

  it("leave kernels that call a function of the main thread to it", async () => {
    const length = 40 * TILE;
    const b = new GraphBuilder("test");
    b.output("next_w", b.exp(b.input("w", "float32", [length])));
    const kernel = Kernel.compile(b.finish(), [length])!;
    assert.equal(kernel.isSelfContained, false);
    const memory = KernelMemory.create({ tensors: [length], workers: 1 })!;
    const w = memory.allocate(length);
    const threads = new KernelThreads(1, [kernel], [memory]);
    await threads.start();
    kernel.run({ w }, {}, memory, threads);
    assert.deepEqual([w[0], w[length - 1], threads.tiles], [1, 1, 0]);
    await threads.dispose();
  });

  it("do not keep a script from ending, and need no permission", async () => {
    const source = (path: string): string => JSON.stringify(new URL(`../../runtime/optimizer/${path}`, import.meta.url).href);
    const script = `
      import { SGD } from ${source("config.ts")};
      import { OptimizerState } from ${source("optimizer.ts")};
      let w = new Float32Array(1e6);
      const gradient = new Float32Array(1e6).fill(1);
      const state = new OptimizerState({
        optimizer: new SGD(1),
        weights: [{ path: "w", shape: [1e6] }],
        data: () => w,
        move: (_, from, copy) => w = copy(),
        threads: 3,
      });
      for (let step = 0; step < 20; step++) {
        await state.apply(new Map([["w", gradient]]));
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      console.log(w[0], w[999999]);`;
    const directory = mkdtempSync(join(tmpdir(), "onnxhub-threads-"));
    try {
      const file = join(directory, "script.ts");
      writeFileSync(file, script);
      const config = fileURLToPath(new URL("../../deno.json", import.meta.url));
      const args = "Deno" in globalThis ? ["run", "--no-check", "--no-prompt", "--config", config, file] : [file];
      const { stdout } = await run(process.execPath, args, { timeout: 120_000 });
      assert.equal(stdout.trim(), "-20 -20");
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
