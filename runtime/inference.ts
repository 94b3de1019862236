/** Runs a model without training it: with its weights fed at first, and held by the runtime once they have stayed as they are for a while. */

import type { Compiled } from "../codegen/compile.ts";
import { bytesOf, type Sizes } from "../codegen/cost.ts";
import { symbolsOf } from "../codegen/ir/dims.ts";
import type { Provider } from "../codegen/ops/rule.ts";
import type { ExpandedSpec } from "../spec/types.ts";
import type { Backend, Session } from "./backend.ts";
import { type RunInputs, sizesOf } from "./feeds.ts";
import { type HeldGraph, heldGraph, heldModel, type WeightFormat } from "./held_weights.ts";
import { int8Range } from "./int8_range.ts";
import { firstThatFits, foreseenBytes, memoryOf } from "./memory.ts";
import type { Parameters } from "./parameters.ts";
import { PlannedRunner } from "./planned_runner.ts";
import { ProgramRunner, type RunResult } from "./runner.ts";

/**
 * Bytes of weights whose packing pays within one run more. A session that holds its weights packs them for matrix products: runs are a tenth to a
 * fifth faster, and making it takes about as long as ten to twenty runs that are fed with them (measured on XLM-R base).
 */
const BYTES_A_RUN = 2 ** 26;

/** What a session that holds weights takes of them: a copy, and another one packed. */
const COPIES = 2.2;

/** The runs of one model's inference program. */
export class Inference {
  readonly #compiled: Compiled;
  readonly #backend: () => Promise<Backend>;
  readonly #parameters: Parameters;
  readonly #fed: PlannedRunner;
  readonly #format: WeightFormat;
  /** The graph of the session that holds the weights. */
  readonly #held: HeldGraph;
  /** Of the weights as they are held. */
  readonly #bytes: number;
  #holding: Promise<ProgramRunner> | null = null;
  /** The weights' version at the last run, and how many runs it has seen. */
  #version = -1;
  #runs = 0;

  /** Nothing is loaded until the first run. Weights in another format than float32 are held from the first run on. */
  constructor(
    spec: ExpandedSpec,
    provider: Provider,
    backend: () => Promise<Backend>,
    parameters: Parameters,
    format: WeightFormat = "float32",
  ) {
    this.#backend = backend;
    this.#parameters = parameters;
    this.#format = format;
    this.#fed = new PlannedRunner(spec, { mode: "infer", provider, rowsOutside: provider === "cpu" }, backend, parameters);
    this.#compiled = this.#fed.whole;
    const { program, graph } = this.#compiled;
    const weights = new Set(program.inputs.flatMap(({ role, name }) => role === "weight" ? [name] : []));
    this.#held = heldGraph(graph, weights, format);
    const held = this.#held.graph.inputs.filter(({ name }) => this.#held.names.has(name));
    this.#bytes = held.reduce((sum, value) => sum + bytesOf(value, {}), 0);
  }

  /** Bytes of the weights that a session holds, in their format; rows are looked up outside, in float32. */
  get heldBytes(): number {
    return this.#bytes;
  }

  /** One run; see {@linkcode ProgramRunner.run}. */
  async run(inputs: RunInputs): Promise<RunResult> {
    const { version } = this.#parameters;
    if (version !== this.#version) await this.#forget(version);
    if (this.#format !== "float32") await this.#requireRoom(inputs);
    if (!this.#holding && await this.#pays()) this.#holding ??= this.#hold();
    const holding = this.#holding;
    let runner: ProgramRunner | null;
    try {
      runner = await holding;
    } catch (error) {
      if (this.#holding === holding) this.#holding = null;
      throw error;
    }
    const result = await (runner ?? this.#fed).run(inputs);
    this.#runs++;
    return result;
  }

  /** Throws "backend/memory" for a batch that doesn't fit beside the weights. */
  async #requireRoom(inputs: RunInputs): Promise<void> {
    const { name } = await this.#backend();
    const sizes = sizesOf(this.#compiled.program, inputs);
    const isKnown = this.#held.graph.inputs.every(({ shape }) => [...symbolsOf(shape)].every((symbol) => sizes[symbol] !== undefined));
    if (isKnown) firstThatFits([() => ({ stageGraphs: [this.#held.graph] })], name, sizes);
  }

  /** Whether the runtime is to hold the weights from now on: they were not changed lately, and there is room. */
  async #pays(): Promise<boolean> {
    if (this.#format !== "float32") return true;
    if (this.#runs < Math.max(1, Math.ceil(this.#bytes / BYTES_A_RUN))) return false;
    const backend = await this.#backend();
    const { name, device } = backend;
    const taken = (await backend.heap?.())?.heldBytes ?? 0;
    const ones: Sizes = new Proxy({}, { get: () => 1, has: () => true });
    return !device && COPIES * this.#bytes + foreseenBytes(this.#compiled.stageGraphs, ones) - this.#bytes <= 0.75 * memoryOf(name) - taken;
  }

  async #hold(): Promise<ProgramRunner> {
    const { program } = this.#compiled;
    const backend = await this.#backend();
    const range = this.#format === "int8" ? await int8Range(backend) : 0;
    const paths = new Map(program.inputs.flatMap((input) => input.role === "weight" ? [[input.name, input.weight]] : []));
    const { model, bytes } = heldModel(this.#held, (name) => this.#parameters.get(paths.get(name)!), range);
    const [stage] = program.stages;
    const inputs = stage.inputs.filter(({ role }) => role !== "weight");
    const load = async (graph: Uint8Array<ArrayBuffer>, label: string): Promise<Session> => {
      const session = await backend.load(graph, label, bytes);
      bytes.clear(); // the session has its own copy
      return session;
    };
    return new ProgramRunner(
      { ...program, inputs: program.inputs.filter(({ role }) => role !== "weight"), stages: [{ ...stage, model, inputs }] },
      () => Promise.resolve({ ...backend, load }),
      this.#parameters,
    );
  }

  async #forget(version: number): Promise<void> {
    this.#version = version;
    this.#runs = 0;
    const stale = this.#holding;
    this.#holding = null;
    await (await settled(stale))?.dispose();
  }

  /** Frees the sessions; a later run is an error. */
  async dispose(): Promise<void> {
    await Promise.all([this.#fed.dispose(), settled(this.#holding).then((runner) => runner?.dispose())]);
  }
}

/** A runner that was made, or null. */
async function settled(runner: Promise<ProgramRunner> | null): Promise<ProgramRunner | null> {
  return await runner?.catch(() => null) ?? null;
}
