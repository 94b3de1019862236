/** Training on a device: weights, gradients and slots stay there; the batch goes up, loss and metrics come down. */

import type { Compiled } from "../codegen/compile.ts";
import { OnnxHubError } from "../errors.ts";
import type { Device, DeviceTensor } from "../runtime/device.ts";
import { DeviceRunner } from "../runtime/device_runner.ts";
import { weightChangedOn, weightOn } from "../runtime/device_weights.ts";
import { DeviceOptimizer } from "../runtime/optimizer/device_optimizer.ts";
import { cachedCompile } from "../runtime/program_cache.ts";
import { DeviceRecovery } from "./device_recovery.ts";
import type { Batch, BatchResult } from "./engine.ts";
import { programRequest, trainedWeights } from "./training_program.ts";
import type { TrainingOptimizer, TrainingRun, TrainingRunOptions } from "./training_run.ts";

/** Compiles the training program for the device, and runs it batch by batch. */
export class DeviceTraining implements TrainingRun {
  readonly #options: TrainingRunOptions;
  readonly #compiled: Compiled;
  readonly #optimizer: DeviceOptimizer;
  readonly #recovery: DeviceRecovery;
  #opened: Device | null = null;
  #runner: DeviceRunner | null = null;

  /** Compiles the program; the device is opened by the first step. */
  constructor(options: TrainingRunOptions) {
    const { spec, setup, parameters, trainable, syncEvery } = options;
    this.#options = options;
    this.#compiled = cachedCompile(spec, programRequest(setup, trainable, "webgpu"));
    this.#optimizer = new DeviceOptimizer({
      optimizer: setup.optimizer,
      weights: trainedWeights(this.#compiled, trainable, parameters),
      device: () => this.#device(),
      weight: (device, path) => weightOn(device, parameters, path),
      changed: (device, path) => weightChangedOn(device, parameters, path),
      finalized: () => this.#recovery.addFinalized(),
    });
    this.#recovery = new DeviceRecovery({
      parameters,
      optimizer: this.#optimizer,
      syncEvery,
      run: (batch, step) => this.#run(batch, step),
      leave: () => {
        this.#opened = null;
        this.#runner = null;
      },
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

  /**
   * See {@linkcode TrainingRun}. Where the device is lost, goes on with another one from the last whole step; throws "backend/device-lost", with the
   * weights of the last copy on the host, where that can't be.
   */
  step(batch: Batch, step: number): Promise<BatchResult> {
    return this.#recovery.step(batch, step);
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
    this.#recovery.dispose();
    await Promise.all([this.#runner?.dispose(), this.#optimizer.dispose()]);
  }
}
