/** Runs programs: loads their stages when first needed, feeds them, sorts what comes out by its role. */

import type { Program } from "../codegen/program.ts";
import { OnnxHubError } from "../errors.ts";
import type { Backend, FeedTensor, Session } from "./backend.ts";
import { bindFeeds, checkNames, type RunInputs } from "./feeds.ts";
import type { Parameters } from "./parameters.ts";
import type { Tensor } from "./tensor.ts";

/** What one run gave. */
export interface RunResult {
  /** The model's outputs. */
  readonly outputs: Record<string, Tensor>;
  /** NaN where the program has no loss. */
  readonly loss: number;
  readonly metrics: Record<string, { total: number; count: number }>;
  /** By weight path; float32, of the weight's shape. */
  readonly gradients: Map<string, Float32Array<ArrayBuffer>>;
  /** The sizes of the symbolic dimensions. */
  readonly symbols: Readonly<Record<string, number>>;
}

/** A program with its sessions. */
export class ProgramRunner {
  #sessions: Promise<Session>[] | null = null;
  #disposed = false;

  /** Nothing is loaded until the first run. */
  constructor(readonly program: Program, private readonly backend: () => Promise<Backend>, private readonly parameters: Parameters) {}

  /** Runs all stages. */
  async run(inputs: RunInputs): Promise<RunResult> {
    if (this.#disposed) throw new OnnxHubError("model/disposed", "The model was disposed of", { remedy: "Make a new one." });
    const { program } = this;
    checkNames(inputs.x, program.stages.flatMap((stage) => stage.inputs.flatMap((input) => input.role === "data" ? [input.name] : [])));
    const result: RunResult = { outputs: {}, loss: NaN, metrics: {}, gradients: new Map(), symbols: {} };
    for (let i = 0; i < program.stages.length; i++) {
      const { feeds, symbols } = bindFeeds(program, i, inputs, this.parameters);
      this.#sessions ??= program.stages.map(async (stage) => (await this.backend()).load(stage.model, stage.name));
      const values = await (await this.#sessions[i]).run(feeds);
      Object.assign(result.symbols, symbols);
      for (const output of program.stages[i].outputs) sort(result, output, values[output.name]);
    }
    return result;
  }

  /** Frees the sessions; a later run is an error. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    const sessions = this.#sessions ?? [];
    this.#sessions = null;
    for (const session of await Promise.allSettled(sessions)) if (session.status === "fulfilled") await session.value.dispose();
  }
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function sort(result: Mutable<RunResult>, output: Program["stages"][number]["outputs"][number], value: FeedTensor): void {
  switch (output.role) {
    case "output":
      result.outputs[output.name] = value as Tensor;
      break;
    case "loss":
      result.loss = value.data[0];
      break;
    case "metric":
      (result.metrics[output.metric] ??= { total: 0, count: 0 })[output.part] = value.data[0];
      break;
    case "gradient":
      result.gradients.set(output.weight, value.data as Float32Array<ArrayBuffer>);
      break;
  }
}
