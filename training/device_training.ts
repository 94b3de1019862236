/** Training on a device: weights, gradients and slots stay there; the batch goes up, loss and metrics come down. */

import type { Compiled } from "../codegen/compile.ts";
import { OnnxHubError } from "../errors.ts";
import type { Device, DeviceTensor } from "../runtime/device.ts";
import { DeviceRunner } from "../runtime/device_runner.ts";
import { weightChangedOn, weightOn } from "../runtime/device_weights.ts";
import { DeviceOptimizer } from "../runtime/optimizer/device_optimizer.ts";
import { cachedCompile } from "../runtime/program_cache.ts";
import type { Batch, BatchResult } from "./engine.ts";
import { programRequest, trainedWeights } from "./training_program.ts";
import type { TrainingOptimizer, TrainingRun, TrainingRunOptions } from "./training_run.ts";

/** The share of the time that copies to the host may take where nobody says how often they are made. */
const COPYING = 0.05;

/** Compiles the training program for the device, and runs it batch by batch. */
export class DeviceTraining implements TrainingRun {
  readonly #options: TrainingRunOptions;
  readonly #compiled: Compiled;
  readonly #optimizer: DeviceOptimizer;
  #opened: Device | null = null;
  #runner: DeviceRunner | null = null;
  /** The step whose weights the host had when the last one began. */
  #copied = 0;
  /** When the next copy is worth its time: at once, then as the last one took. */
  #next = 0;

  /** Compiles the program; the device is opened by the first step. */
  constructor(options: TrainingRunOptions) {
    const { spec, setup, parameters, trainable } = options;
    this.#options = options;
    this.#compiled = cachedCompile(spec, programRequest(setup, trainable, "webgpu"));
    this.#optimizer = new DeviceOptimizer({
      optimizer: setup.optimizer,
      weights: trainedWeights(this.#compiled, trainable, parameters),
      device: () => this.#device(),
      weight: (device, path) => weightOn(device, parameters, path),
      changed: (device, path) => weightChangedOn(device, parameters, path),
    });
  }

  /** See {@linkcode TrainingRun}. */
  get optimizer(): TrainingOptimizer {
    return this.#optimizer;
  }

  /** The device that the training began on; another has none of its state. */
  async #device(): Promise<Device> {
    if (this.#opened) return this.#opened;
    const { device, name } = await this.#options.backend();
    if (device) return this.#opened = device;
    throw new OnnxHubError("internal/device", `The backend ${name} has no device to train on`);
  }

  /** See {@linkcode TrainingRun}. Throws "backend/device-lost", with the weights of the last copy on the host, once the device is lost. */
  async step(batch: Batch, step: number): Promise<BatchResult> {
    const { parameters, syncEvery } = this.#options;
    const optimizer = this.#optimizer;
    const [path] = optimizer.paths;
    const done = optimizer.batches;
    if (!parameters.owner(path).isAhead(path)) this.#copied = done;
    try {
      const result = await this.#run(batch, step);
      if (syncEvery === undefined ? performance.now() >= this.#next : optimizer.batches % syncEvery === 0) await this.#copy();
      return result;
    } catch (error) {
      if (!(error instanceof OnnxHubError) || error.code !== "backend/device-lost") throw error;
      // What the device had is gone: from now on the host's copy counts.
      await parameters.sync().catch(() => {});
      throw new OnnxHubError("backend/device-lost", `The GPU was lost in training step ${done + 1}`, {
        found: error.found,
        remedy:
          `The model has the weights of step ${this.#copied}, which were copied last: save them, or train on from them; the optimizer begins anew.`,
        cause: error,
      });
    }
  }

  async #copy(): Promise<void> {
    const start = performance.now();
    await this.#options.parameters.sync();
    const end = performance.now();
    this.#next = end + (end - start) * (1 / COPYING - 1);
  }

  async #run({ x, y, sampleWeight }: Batch, step: number): Promise<BatchResult> {
    const device = await this.#device();
    const optimizer = this.#optimizer;
    const { outputs, symbols } = await this.#runnerOn(device).run({
      x,
      labels: y,
      sampleWeight,
      lossScale: optimizer.lossScale,
      dropout: { seed: this.#options.seed, step },
    });
    const gradients = new Map<string, DeviceTensor>();
    for (const { output, tensor } of outputs) if (output.role === "gradient") gradients.set(output.weight, tensor);
    const scalars = outputs.filter(({ output }) => output.role === "loss" || output.role === "metric");
    try {
      // All work is under way before anybody waits for what it gives.
      await optimizer.apply(gradients);
      const values = await device.download(scalars.map(({ tensor }) => tensor));
      const metrics: Record<string, { total: number; count: number }> = {};
      let loss = NaN;
      scalars.forEach(({ output }, i) => {
        const value = values[i].data[0];
        if (output.role === "loss") loss = value;
        else if (output.role === "metric") (metrics[output.metric] ??= { total: 0, count: 0 })[output.part] = value;
      });
      return { loss, size: symbols.batch, metrics };
    } finally {
      for (const { tensor } of outputs) tensor.dispose();
    }
  }

  #runnerOn(device: Device): DeviceRunner {
    const { program, graph } = this.#compiled;
    const values = graph.nodes.flatMap(({ scope, outputs }) => outputs.map(({ dtype, shape }) => ({ name: scope, dtype, shape })));
    return this.#runner ??= new DeviceRunner(program, device, this.#options.parameters, values);
  }

  /** See {@linkcode TrainingRun}. */
  async dispose(): Promise<void> {
    await Promise.all([this.#runner?.dispose(), this.#optimizer.dispose()]);
  }
}
