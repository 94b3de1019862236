/** Runs programs: loads their stages when first needed, feeds them, sorts what comes out by its role. */

import type { Program, ProgramInput, ProgramOutput, Stage } from "../codegen/program.ts";
import { OnnxHubError } from "../errors.ts";
import type { Backend, FeedTensor, Session } from "./backend.ts";
import type { Device } from "./device.ts";
import { DeviceRunner } from "./device_runner.ts";
import { bindFeeds, type BoundFeeds, dropoutMask, type RunInputs } from "./feeds.ts";
import { FactorProduct, type Gradient, GradientInTerms, type GradientTerms, wholeGradient } from "./gradient.ts";
import { MaskArrays } from "./dropout_mask.ts";
import type { Parameters } from "./parameters.ts";
import { release } from "./release.ts";
import type { Tensor } from "./tensor.ts";

/** What one run gave. */
export interface RunResult {
  /** The model's outputs. */
  readonly outputs: Record<string, Tensor>;
  /** NaN where the program has no loss. */
  readonly loss: number;
  readonly metrics: Record<string, { total: number; count: number }>;
  /** By weight path; float32, of the weight's shape. Empty where each was handed on as it came. */
  readonly gradients: Map<string, Float32Array<ArrayBuffer>>;
  /** The sizes of the symbolic dimensions. */
  readonly symbols: Readonly<Record<string, number>>;
}

/**
 * Takes a weight's gradient as soon as it is whole and no later stage reads the weight: the weight may change now. The gradient's memory is
 * freed afterwards, unless the promise gives true: then it is kept.
 */
export type TakeGradient = (path: string, gradient: Float32Array<ArrayBuffer> | Gradient) => Promise<boolean | void>;

/** What of a run stays where it was computed, until it is let go of: nothing, gradients that are handed on, or activations for later stages, too. */
export type Staying = "none" | "gradients" | "all";

/** A program with its sessions. */
export class ProgramRunner {
  readonly #sessions = new Map<Uint8Array, Promise<Session>>();
  /** The last stage that reads a tensor, by its name. */
  readonly #lastReader = new Map<string, number>();
  /** The last stage that gives a part of a weight's gradient, by its path. */
  readonly #lastPart = new Map<string, number>();
  readonly #product: FactorProduct;
  readonly #masks = new MaskArrays();
  #onDevice: DeviceRunner | null = null;
  #disposed = false;

  /** Nothing is loaded until the first run. */
  constructor(readonly program: Program, private readonly backend: () => Promise<Backend>, private readonly parameters: Parameters) {
    this.#product = new FactorProduct(backend);
    program.stages.forEach(({ inputs, outputs }, at) => {
      for (const input of inputs) {
        this.#lastReader.set(input.name, at);
        if (input.role === "rows") this.#lastReader.set(input.weight, Math.max(at, this.#lastReader.get(input.weight) ?? 0));
      }
      for (const output of outputs) if ("weight" in output) this.#lastPart.set(output.weight, at);
    });
  }

  /**
   * Runs all stages, in order. With `take` gradients are handed on one by one instead of being kept; what `stays` names is where it was computed meanwhile,
   * the rest is copied.
   */
  async run(inputs: RunInputs, take?: TakeGradient, stays: Staying = "none"): Promise<RunResult> {
    if (this.#disposed) throw new OnnxHubError("model/disposed", "The model was disposed of", { remedy: "Make a new one." });
    const { program } = this;
    const { device } = await this.backend();
    if (device) return await this.#runOn(device, inputs);
    const bound = bindFeeds(program, inputs);
    const batch = { ...bound.feeds };
    const result: RunResult = { outputs: {}, loss: NaN, metrics: {}, gradients: new Map(), symbols: bound.symbols };
    const keep: TakeGradient = async (path, gradient) => {
      result.gradients.set(path, gradient instanceof Float32Array ? gradient : await wholeGradient(gradient));
      return true;
    };
    const parts = new Map<string, GradientTerms>();
    for (const [at, stage] of program.stages.entries()) {
      const session = await this.#session(stage);
      const feeds = this.#feeds(stage, bound, inputs);
      const values = await session.run(feeds, undefined, staying(stage, stays, take !== undefined));
      for (const output of stage.outputs) {
        const value = values[output.tensor ?? output.name];
        if ("weight" in output) addPart(parts, output, value, batch);
        else sort(result, bound, output, value);
      }
      this.#letGo(stage, at, feeds, bound);
      await this.#handOn(parts, at, take ?? keep);
    }
    return result;
  }

  /** Runs the program on a device and reads all that it gives. */
  async #runOn(device: Device, inputs: RunInputs): Promise<RunResult> {
    if (this.#onDevice?.device !== device) this.#onDevice = new DeviceRunner(this.program, device, this.parameters);
    const { outputs, symbols } = await this.#onDevice.run(inputs);
    try {
      const values = await device.download(outputs.map(({ tensor }) => tensor));
      const result: RunResult = { outputs: {}, loss: NaN, metrics: {}, gradients: new Map(), symbols };
      outputs.forEach(({ output }, i) => {
        if (output.role === "gradient") result.gradients.set(output.weight, values[i].data as Float32Array<ArrayBuffer>);
        else sort(result, { feeds: {}, symbols }, output, values[i]);
      });
      return result;
    } finally {
      for (const { tensor } of outputs) tensor.dispose();
    }
  }

  #session({ model, name }: Stage): Promise<Session> {
    let session = this.#sessions.get(model);
    if (!session) this.#sessions.set(model, session = this.backend().then((backend) => backend.load(model, name)));
    return session;
  }

  #feeds(stage: Stage, bound: BoundFeeds, run: RunInputs): Record<string, FeedTensor> {
    return Object.fromEntries(stage.inputs.map((input) => [input.tensor ?? input.name, this.#feed(input, bound, run)]));
  }

  #feed(input: ProgramInput, { feeds, symbols }: BoundFeeds, run: RunInputs): FeedTensor {
    if (input.role === "weight") {
      return { dtype: "float32", shape: input.shape as readonly number[], data: this.parameters.get(input.weight) };
    }
    if (input.role === "rows") return this.#rows(input.weight, feeds[input.indices], input.shape.at(-1) as number);
    // A mask is needed again on the way back: it stays until then.
    return input.role === "dropout" ? feeds[input.name] ??= dropoutMask(input, run, symbols, this.#masks) : feeds[input.name];
  }

  /** The rows of a weight at given indices. */
  #rows(weight: string, { shape, data: indices }: FeedTensor, width: number): FeedTensor {
    const table = this.parameters.get(weight);
    const data = new Float32Array(indices.length * width);
    indices.forEach((index: number, i: number) => data.set(table.subarray(index * width, (index + 1) * width), i * width));
    return { dtype: "float32", shape: [...shape, width], data };
  }

  /** Frees what was made for this stage alone, and what no later one reads. */
  #letGo({ inputs }: Stage, at: number, feeds: Readonly<Record<string, FeedTensor>>, bound: BoundFeeds): void {
    for (const { name, role, tensor } of inputs) {
      if (role !== "rows" && !((role === "stash" || role === "dropout") && this.#lastReader.get(name) === at)) continue;
      const { data } = feeds[tensor ?? name];
      if (role === "dropout") this.#masks.give(data as Float32Array<ArrayBuffer>);
      else release(data);
      delete bound.feeds[name];
    }
  }

  async #handOn(parts: Map<string, GradientTerms>, at: number, take: TakeGradient): Promise<void> {
    for (const [path, terms] of parts) {
      if (Math.max(this.#lastPart.get(path)!, this.#lastReader.get(path) ?? 0) > at) continue;
      parts.delete(path);
      const { dense, product, rows } = terms;
      if (dense && !product && rows.length === 0) {
        if (await take(path, dense) !== true) release(dense);
      } else {
        const gradient = new GradientInTerms(this.parameters.info(path).shape, terms, this.#product.multiply);
        await take(path, gradient);
        gradient.release();
      }
    }
  }

  /** Frees the sessions; a later run is an error. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    const sessions = [...this.#sessions.values()];
    this.#sessions.clear();
    this.#masks.clear();
    await this.#product.dispose();
    await this.#onDevice?.dispose();
    for (const session of await Promise.allSettled(sessions)) if (session.status === "fulfilled") await session.value.dispose();
  }
}

/** The outputs of a stage that stay: only what the run itself lets go of. */
function staying({ outputs }: Stage, stays: Staying, handsOn: boolean): ReadonlySet<string> {
  const kept = outputs.filter((output) => "weight" in output ? handsOn && stays !== "none" : output.role === "stash" && stays === "all");
  return new Set(kept.map(({ tensor, name }) => tensor ?? name));
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function sort(result: Mutable<RunResult>, { feeds }: BoundFeeds, output: ProgramOutput, value: FeedTensor): void {
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
    case "stash":
      feeds[output.name] = value;
      break;
  }
}

/** A tensor with all axes but the last taken together. */
function asMatrix({ dtype, shape, data }: FeedTensor): FeedTensor {
  const width = shape[shape.length - 1];
  return { dtype, shape: [data.length / width, width], data } as FeedTensor;
}

/** Puts what a stage gave of a weight's gradient to the rest. */
function addPart(
  parts: Map<string, GradientTerms>,
  output: Extract<ProgramOutput, { weight: string }>,
  value: FeedTensor,
  batch: Readonly<Record<string, FeedTensor>>,
): void {
  const terms = parts.get(output.weight) ?? { rows: [] };
  parts.set(output.weight, terms);
  const data = value.data as Float32Array<ArrayBuffer>;
  switch (output.role) {
    case "gradient":
      terms.dense = data;
      break;
    case "gradient_rows":
      terms.rows.push({ indices: batch[output.indices].data as Int32Array<ArrayBuffer>, rows: data });
      break;
    case "gradient_factor":
      terms.product = { ...terms.product, [output.side]: asMatrix(value) };
      break;
  }
}
