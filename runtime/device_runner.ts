/** Runs programs on a device: weights are there, the batch goes up, what comes out stays until it is asked for. */

import type { Sizes } from "../codegen/cost.ts";
import type { Program, ProgramInput, ProgramOutput } from "../codegen/program.ts";
import { OnnxHubError } from "../errors.ts";
import { RandomStream } from "../random.ts";
import { evaluateShape } from "../codegen/ir/dims.ts";
import type { FeedTensor } from "./backend.ts";
import { type Device, type DeviceSession, type DeviceTensor, dimensionsOf, type NamedTensor } from "./device.ts";
import { weightOn } from "./device_weights.ts";
import { bindFeeds, type RunInputs } from "./feeds.ts";
import type { Parameters } from "./parameters.ts";

/** What one run left on the device; the caller disposes of the tensors. */
export interface DeviceRunResult {
  readonly outputs: readonly { readonly output: ProgramOutput; readonly tensor: DeviceTensor }[];
  /** The sizes of the symbolic dimensions. */
  readonly symbols: Sizes;
}

/** How many batch shapes stay loaded: each has its own session, whose shapes are all numbers. */
const SESSIONS = 4;

/** A program of one stage with its sessions on a device. */
export class DeviceRunner {
  readonly #program: Program;
  readonly #parameters: Parameters;
  readonly #values: Iterable<NamedTensor>;
  readonly #sessions = new Map<string, Promise<DeviceSession>>();
  #disposed = false;

  /** Nothing is loaded until the first run. `values` are the tensors that the device must have room for, beside inputs and outputs. */
  constructor(program: Program, readonly device: Device, parameters: Parameters, values: Iterable<NamedTensor> = []) {
    if (program.stages.length !== 1) throw new OnnxHubError("internal/stages", "A device runs programs of one stage");
    this.#program = program;
    this.#parameters = parameters;
    this.#values = values;
  }

  /** Runs the program; the outputs stay on the device. */
  async run(inputs: RunInputs): Promise<DeviceRunResult> {
    if (this.#disposed) throw new OnnxHubError("model/disposed", "The model was disposed of", { remedy: "Make a new one." });
    const [stage] = this.#program.stages;
    const { feeds: bound, symbols } = bindFeeds(this.#program, inputs);
    const session = await this.#session(symbols);
    const masks: DeviceTensor[] = [];
    const feed = (input: ProgramInput): FeedTensor | DeviceTensor => {
      if (input.role === "weight") return weightOn(this.device, this.#parameters, input.weight);
      if (input.role !== "dropout") return bound[input.name];
      const mask = dropoutMaskOn(this.device, input, inputs, symbols);
      masks.push(mask);
      return mask;
    };
    try {
      const results = await session.run(Object.fromEntries(stage.inputs.map((input) => [input.tensor ?? input.name, feed(input)])));
      return { outputs: stage.outputs.map((output) => ({ output, tensor: results[output.tensor ?? output.name] })), symbols };
    } finally {
      for (const mask of masks) mask.dispose();
    }
  }

  /** The session for a batch's sizes; the one not used for longest goes when there are too many. */
  #session(symbols: Sizes): Promise<DeviceSession> {
    const key = JSON.stringify(Object.entries(symbols).sort());
    const session = this.#sessions.get(key) ?? this.#load(symbols);
    this.#sessions.delete(key);
    this.#sessions.set(key, session);
    session.catch(() => this.#sessions.delete(key));
    if (this.#sessions.size > SESSIONS) {
      const [[oldest, loaded]] = this.#sessions;
      this.#sessions.delete(oldest);
      loaded.then((unused) => unused.dispose()).catch(() => {});
    }
    return session;
  }

  // deno-lint-ignore require-await -- what requireRoom throws is to be a rejection
  async #load(symbols: Sizes): Promise<DeviceSession> {
    const [stage] = this.#program.stages;
    this.device.requireRoom([...stage.inputs, ...stage.outputs, ...this.#values], symbols);
    return this.device.load(stage.model, { label: stage.name, sizes: dimensionsOf(stage.inputs, symbols) });
  }

  /** Frees the sessions; a later run is an error. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    const sessions = [...this.#sessions.values()];
    this.#sessions.clear();
    for (const session of await Promise.allSettled(sessions)) if (session.status === "fulfilled") await session.value.dispose();
  }
}

/** A dropout mask, drawn where it is needed: the same as `dropoutMask` draws on the host. */
function dropoutMaskOn(
  device: Device,
  { site, rate, shape }: Extract<ProgramInput, { role: "dropout" }>,
  run: RunInputs,
  symbols: Sizes,
): DeviceTensor {
  const { seed, step } = run.dropout ?? { seed: 0, step: 0 };
  return device.mask(new RandomStream(seed, "dropout", step, site), rate, evaluateShape(shape, symbols), Math.fround(1 / (1 - rate)));
}
