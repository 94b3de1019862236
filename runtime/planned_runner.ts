/** Runs one compiled request for batches of any size: as one graph where that fits into the backend's memory, else in stages. */

import type { Compiled, CompileRequest } from "../codegen/compile.ts";
import type { Sizes } from "../codegen/cost.ts";
import { symbolsOf } from "../codegen/ir/dims.ts";
import type { ExpandedSpec } from "../spec/types.ts";
import type { Backend } from "./backend.ts";
import { type RunInputs, sizesOf } from "./feeds.ts";
import { firstThatFits, foreseenInHeap } from "./memory.ts";
import type { Parameters } from "./parameters.ts";
import { cachedCompile } from "./program_cache.ts";
import { ProgramRunner, type RunResult, type Staying, type TakeGradient } from "./runner.ts";

/** A run in a heap: `runner.run(inputs, take, stays)`. */
export interface PlanInHeap {
  readonly runner: ProgramRunner;
  readonly stays: Staying;
}

/** A request with the runners of its plans. */
export class PlannedRunner {
  /** The request as one graph. */
  readonly whole: Compiled;
  readonly #spec: ExpandedSpec;
  readonly #request: CompileRequest;
  readonly #backend: () => Promise<Backend>;
  readonly #parameters: Parameters;
  #staged: Compiled | null = null;
  readonly #symbols: readonly string[];
  readonly #runners = new Map<Compiled, ProgramRunner>();

  /** Compiles the whole; nothing is loaded until the first run. */
  constructor(spec: ExpandedSpec, request: CompileRequest, backend: () => Promise<Backend>, parameters: Parameters) {
    this.whole = cachedCompile(spec, request);
    this.#symbols = [...new Set(this.whole.program.inputs.flatMap(({ shape }) => [...symbolsOf(shape)]))];
    this.#spec = spec;
    this.#request = request;
    this.#backend = backend;
    this.#parameters = parameters;
  }

  /** One run; see {@linkcode ProgramRunner.run}. Throws "backend/memory" before anything is allocated for a batch that can't fit. */
  async run(inputs: RunInputs, take?: TakeGradient): Promise<RunResult> {
    const sizes = sizesOf(this.whole.program, inputs);
    const backend = await this.#backend();
    const runner = this.#runnerFor(backend, sizes);
    // Where graphs have a heap of their own, it has room for what stays only by a plan.
    return await runner.run(inputs, take, backend.heap ? "none" : "all");
  }

  /** How a batch runs where all weights live in the backend's heap: with as much that stays there as fits into so many bytes; null where too little does. */
  inHeap(inputs: RunInputs, bytes: number): PlanInHeap | null {
    const sizes = sizesOf(this.whole.program, inputs);
    if (!this.#isKnown(sizes)) return { runner: this.#runner(this.whole), stays: "all" };
    for (const stays of ["all", "gradients"] as const) {
      const plan = this.#plans(sizes).find((make) => foreseenInHeap(make(), sizes, stays) <= bytes);
      if (plan) return { runner: this.#runner(plan()), stays };
    }
    return null;
  }

  /** The whole, then in stages, which takes less memory. */
  #plans(sizes: Sizes): readonly (() => Compiled)[] {
    return [() => this.whole, () => this.#staged ??= cachedCompile(this.#spec, { ...this.#request, stagesFor: sizes })];
  }

  /** Whether all sizes are known: what is missing is said by whoever binds the inputs. */
  #isKnown(sizes: Sizes): boolean {
    return this.#symbols.every((symbol) => sizes[symbol] !== undefined);
  }

  #runnerFor({ name, device }: Backend, sizes: Sizes): ProgramRunner {
    return this.#runner(device || !this.#isKnown(sizes) ? this.whole : firstThatFits(this.#plans(sizes), name, sizes));
  }

  #runner(compiled: Compiled): ProgramRunner {
    let runner = this.#runners.get(compiled);
    if (!runner) this.#runners.set(compiled, runner = new ProgramRunner(compiled.program, this.#backend, this.#parameters));
    return runner;
  }

  /** Frees the sessions; a later run is an error. */
  async dispose(): Promise<void> {
    await Promise.all([...this.#runners.values()].map((runner) => runner.dispose()));
  }
}
