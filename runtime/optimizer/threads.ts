/** Threads beside the main one that kernels' passes are shared with: workers over the same WebAssembly memories. */

import type { Worker } from "node:worker_threads";
import { TILE } from "../../codegen/optimizers/kernel/lower.ts";
import { OnnxHubError } from "../../errors.ts";
import type { Heap } from "../backend.ts";
import type { Kernel } from "./kernel.ts";
import { type KernelMemory, MOST_TENSORS, RING } from "./kernel_memory.ts";
import { copyIn, type PassFunction, runTile, SCALARS, type Sweep, tileLength } from "./sweep.ts";

/** The fewest tiles that are worth waking a thread for. */
const LEAST_TILES = 16;

/** The most tiles of a task: waking a thread takes as long as a tile or two. */
const MOST_TILES = 16;

/** The integers that a thread and the main one talk through, each of the first three on a cache line of its own. */
const STATE = 0;
/** Tasks given so far: written by the main thread. */
const GIVEN = 16;
/** Tasks done so far: written by the thread. */
const DONE = 32;
/** The tasks, in a ring: who has it, which pass, then its arguments. */
const TASKS = 48;
const TASK = 5 + MOST_TENSORS;
const STRIDE = Math.ceil((TASKS + RING * TASK) / 16) * 16;

/** States of a thread: 0 while it starts. */
const READY = 1;
const FAILED = 2;

/** Who has a task: the one who changes this first. */
const ANYONE = 0;
const THREAD = 1;
const MAIN = 2;

const constants = { STATE, GIVEN, DONE, TASKS, TASK, RING, READY, FAILED, ANYONE, THREAD };

/** What a worker is given at its start. */
interface WorkerData {
  readonly memories: readonly WebAssembly.Memory[];
  /** What some of the modules import beside the memory. */
  readonly heap?: WebAssembly.Memory;
  /** Modules; each is instantiated over every memory. */
  readonly modules: readonly { readonly wasm: Uint8Array<ArrayBuffer>; readonly passes: number }[];
  readonly channel: Int32Array;
  readonly constants: typeof constants;
}

/**
 * A worker's whole program. It is handed over as text, so that there is no file for a bundler to lose, and must not refer to anything
 * outside itself.
 */
function work({ memories, heap, modules, channel, constants }: WorkerData): void {
  const { STATE, GIVEN, DONE, TASKS, TASK, RING, READY, FAILED, ANYONE, THREAD } = constants;
  try {
    const passes: ((...of: number[]) => void)[] = [];
    for (const { wasm, passes: count } of modules) {
      const module = new WebAssembly.Module(wasm);
      for (const memory of memories) {
        const { exports } = new WebAssembly.Instance(module, { kernel: heap ? { memory, heap } : { memory } });
        for (let i = 0; i < count; i++) passes.push(exports[`pass${i}`] as (...of: number[]) => void);
      }
    }
    Atomics.store(channel, STATE, READY);
    for (let done = 0;; done++) {
      // A sweep's next task is there soon: sleeping at once would cost more than it saves.
      for (let spins = 0; Atomics.load(channel, GIVEN) === done && spins < 2000; spins++);
      while (Atomics.load(channel, GIVEN) === done) Atomics.wait(channel, GIVEN, done);
      const task = TASKS + TASK * (done % RING);
      const pass = channel[task + 1];
      if (pass < 0) return;
      if (Atomics.compareExchange(channel, task, ANYONE, THREAD) === ANYONE) passes[pass](...channel.subarray(task + 2, task + TASK));
      Atomics.store(channel, DONE, done + 1);
      Atomics.notify(channel, DONE);
    }
  } catch {
    Atomics.store(channel, STATE, FAILED);
    Atomics.notify(channel, DONE);
  }
}

/** One thread as the main one sees it. */
interface Thread {
  readonly worker: Worker;
  readonly channel: Int32Array;
  given: number;
}

/** Whether this process can have threads that its main one may wait for: browsers' must not. */
export function canHaveThreads(): boolean {
  const { process } = globalThis as { process?: { versions?: { node?: string } } };
  return typeof SharedArrayBuffer === "function" && process?.versions?.node !== undefined;
}

/** The threads of one optimizer: workers that start when first needed, sleep while there is nothing to do, and don't keep the process alive. */
export class KernelThreads {
  readonly #workers: number;
  #kernels: readonly Kernel[];
  #memories: readonly KernelMemory[];
  #starting: Promise<void> | null = null;
  readonly #threads: Thread[] = [];
  readonly #passes = new Map<PassFunction, number>();
  #tiles = 0;

  /** So many threads beside this one, for these kernels (null is none) over those of the memories that are shared. */
  constructor(workers: number, kernels: readonly (Kernel | null)[], memories: readonly KernelMemory[]) {
    this.#workers = workers;
    this.#kernels = kernels.filter((kernel) => kernel !== null).filter((kernel) => kernel.isSelfContained);
    this.#memories = [...new Set(memories)].filter(({ shared }) => shared);
  }

  /**
   * Starts the workers, once. It does not wait until they are ready: until then this thread does all the work. Weights and gradients may be in the heap
   * that is given with the first call.
   */
  start(heap: Heap | null = null): Promise<void> {
    return this.#starting ??= this.#start(heap);
  }

  async #start(heap: Heap | null): Promise<void> {
    const { Worker } = await import("node:worker_threads");
    const modules: { wasm: Uint8Array<ArrayBuffer>; passes: number }[] = [];
    for (const kernel of this.#kernels) {
      for (const inHeap of kernel.combinations(heap ? ["w", "g"] : [])) {
        modules.push({ wasm: kernel.module(true, inHeap), passes: kernel.passCount });
        for (const memory of this.#memories) {
          for (const pass of kernel.passes(memory, inHeap, heap)) this.#passes.set(pass, this.#passes.size);
        }
      }
    }
    const memories = this.#memories.map(({ memory }) => memory);
    for (let i = 0; i < this.#workers; i++) {
      const channel = new Int32Array(new SharedArrayBuffer(STRIDE * 4));
      const workerData: WorkerData = { memories, heap: heap?.memory, modules, channel, constants };
      const worker = new Worker(`(${work})(require("node:worker_threads").workerData)`, { eval: true, workerData });
      worker.unref();
      this.#threads.push({ worker, channel, given: 0 });
    }
  }

  /** The tiles that other threads than the main one have computed. */
  get tiles(): number {
    return this.#tiles;
  }

  /** Whether a sweep can be shared: large, over tensors in a memory of the threads, but for one that is only read. */
  takes(sweep: Sweep): boolean {
    const copied = sweep.tensors.filter((tensor) => tensor !== null && tensor.address === null);
    return sweep.length > LEAST_TILES * TILE && this.#passes.has(sweep.run) && copied.length <= 1 && !copied[0]?.stored;
  }

  /** Computes all tiles on all threads that are ready, this one among them; the sums are those that one thread alone gets. */
  sweep(sweep: Sweep): number[] {
    const tiles = Math.ceil(sweep.length / TILE);
    const isWhole = sweep.sums === 0 && sweep.tensors.every((tensor) => tensor === null || tensor.address !== null);
    const step = isWhole ? Math.min(MOST_TILES, Math.floor(tiles / LEAST_TILES)) : 1;
    const ready = this.#threads.filter(({ channel }) => Atomics.load(channel, STATE) === READY);
    for (let next = 0; next < tiles;) {
      ready.forEach((thread, i) => {
        while (next < tiles && thread.given - Atomics.load(thread.channel, DONE) < RING) {
          this.#give(thread, i, sweep, next, step);
          next += step;
        }
      });
      if (next < tiles) runTile(sweep, next, next, step);
      next += step;
    }
    for (const thread of ready) this.#finish(thread, sweep);
    const totals: number[] = Array(sweep.sums).fill(0);
    for (let tile = 0; tile < tiles && sweep.sums > 0; tile++) {
      for (let i = 0; i < totals.length; i++) totals[i] += sweep.memory.sum(tile, i);
    }
    return totals;
  }

  #give(thread: Thread, index: number, sweep: Sweep, tile: number, tiles: number): void {
    const { channel } = thread;
    const slot = thread.given % RING;
    const task = TASKS + TASK * slot;
    channel[task] = ANYONE;
    channel[task + 1] = this.#passes.get(sweep.run)!;
    channel[task + 2] = tileLength(sweep, tile, tiles);
    channel[task + 3] = SCALARS;
    channel[task + 4] = sweep.memory.sums(tile);
    sweep.tensors.forEach((tensor, i) => {
      if (tensor === null) return;
      let address = tensor.address === null ? null : tensor.address + tile * TILE * 4;
      if (address === null) copyIn(sweep, tensor.array, tile, address = sweep.memory.ringTile(index, slot));
      channel[task + 5 + i] = address;
    });
    Atomics.store(channel, GIVEN, ++thread.given);
    Atomics.notify(channel, GIVEN);
    this.#tiles += Math.ceil(channel[task + 2] / TILE);
  }

  /** Takes back what a thread hasn't begun, for it may not get a processor for long, and waits for the rest. */
  #finish({ channel, given }: Thread, sweep: Sweep): void {
    let last = Atomics.load(channel, DONE);
    for (let number = last; number < given; number++) {
      const task = TASKS + TASK * (number % RING);
      if (Atomics.compareExchange(channel, task, ANYONE, MAIN) === ANYONE) {
        const [count, scalars, sums, ...tensors] = channel.subarray(task + 2, task + TASK);
        sweep.run(count, scalars, sums, ...tensors);
        this.#tiles -= Math.ceil(count / TILE);
      } else if (channel[task] === THREAD) last = number + 1;
    }
    // A few microseconds, unless other processes want its processor.
    for (let spins = 0; Atomics.load(channel, DONE) < last && spins < 5000; spins++);
    for (let done = Atomics.load(channel, DONE); done < last; done = Atomics.load(channel, DONE)) {
      if (Atomics.load(channel, STATE) === FAILED) throw new OnnxHubError("optimizer/thread", "A thread of the optimizer failed");
      Atomics.wait(channel, DONE, done, 1000);
    }
  }

  /** Lets the threads end; they don't start again. */
  async dispose(): Promise<void> {
    await (this.#starting ??= Promise.resolve());
    this.#passes.clear();
    this.#kernels = this.#memories = [];
    for (const thread of this.#threads.splice(0)) {
      const { channel, worker } = thread;
      channel[TASKS + TASK * (thread.given % RING) + 1] = -1;
      Atomics.store(channel, GIVEN, ++thread.given);
      Atomics.notify(channel, GIVEN);
      await worker.terminate();
    }
  }
}
