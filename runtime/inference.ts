/** Runs a model without training it: with its weights fed at first, and held by the runtime once they have stayed as they are for a while. */

import type { Compiled } from "../codegen/compile.ts";
import type { Sizes } from "../codegen/cost.ts";
import { encode, type ExternalData } from "../codegen/onnx/encode.ts";
import type { Provider } from "../codegen/ops/rule.ts";
import type { ProgramInput, Stage } from "../codegen/program.ts";
import type { ExpandedSpec } from "../spec/types.ts";
import type { Backend } from "./backend.ts";
import type { RunInputs } from "./feeds.ts";
import { foreseenBytes, memoryOf } from "./memory.ts";
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
  readonly #held: Stage["inputs"];
  readonly #bytes: number;
  #holding: ProgramRunner | null = null;
  /** The weights' version at the last run, and how many runs it has seen. */
  #version = -1;
  #runs = 0;

  /** Nothing is loaded until the first run. */
  constructor(spec: ExpandedSpec, provider: Provider, backend: () => Promise<Backend>, parameters: Parameters) {
    this.#backend = backend;
    this.#parameters = parameters;
    this.#fed = new PlannedRunner(spec, { mode: "infer", provider, rowsOutside: provider === "cpu" }, backend, parameters);
    this.#compiled = this.#fed.whole;
    this.#held = this.#compiled.program.inputs.filter(({ role }) => role === "weight");
    this.#bytes = this.#held.reduce((sum, { shape }) => sum + 4 * (shape as number[]).reduce((a, b) => a * b, 1), 0);
  }

  /** One run; see {@linkcode ProgramRunner.run}. */
  async run(inputs: RunInputs): Promise<RunResult> {
    const { version } = this.#parameters;
    if (version !== this.#version) await this.#forget(version);
    const runner = this.#holding ??= await this.#pays() ? await this.#hold() : null;
    const result = await (runner ?? this.#fed).run(inputs);
    this.#runs++;
    return result;
  }

  /** Whether the runtime is to hold the weights from now on: they were not changed lately, and there is room. */
  async #pays(): Promise<boolean> {
    if (this.#runs < Math.max(1, Math.ceil(this.#bytes / BYTES_A_RUN))) return false;
    const { name, device } = await this.#backend();
    const ones: Sizes = new Proxy({}, { get: () => 1, has: () => true });
    return !device && COPIES * this.#bytes + foreseenBytes(this.#compiled.stageGraphs, ones) - this.#bytes <= 0.75 * memoryOf(name);
  }

  async #hold(): Promise<ProgramRunner> {
    const { program, stageGraphs: [graph] } = this.#compiled;
    const bytes = new Map<string, Uint8Array>();
    const places = new Map<string, ExternalData>();
    for (const { name, weight } of this.#held as Extract<ProgramInput, { role: "weight" }>[]) {
      const { buffer, byteOffset, byteLength } = this.#parameters.get(weight);
      bytes.set(name, new Uint8Array(buffer, byteOffset, byteLength));
      places.set(name, { location: name, offset: 0, length: byteLength });
    }
    const [stage] = program.stages;
    const inputs = stage.inputs.filter(({ role }) => role !== "weight");
    const stages = [{ ...stage, model: encode(graph, { initializers: places }), inputs }];
    const backend = await this.#backend();
    return new ProgramRunner(
      { ...program, inputs: program.inputs.filter(({ role }) => role !== "weight"), stages },
      () => Promise.resolve({ ...backend, load: (model, label) => backend.load(model, label, bytes) }),
      this.#parameters,
    );
  }

  async #forget(version: number): Promise<void> {
    this.#version = version;
    this.#runs = 0;
    const stale = this.#holding;
    this.#holding = null;
    await stale?.dispose();
  }

  /** Frees the sessions; a later run is an error. */
  async dispose(): Promise<void> {
    await Promise.all([this.#fed.dispose(), this.#holding?.dispose()]);
  }
}
