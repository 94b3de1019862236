/** A running optimizer on a device: weights, gradients and slots stay there, ONNX graphs update them; as Keras does, and as on the host. */

import {
  clipScaleGraph,
  type GroupGraph,
  type GroupGraphs,
  groupGraphs,
  groupWeights,
  type WeightGroup,
} from "../../codegen/optimizers/groups.ts";
import { NEXT, scalarGraph, scalarsOf, type StepSettings } from "../../codegen/optimizers/step.ts";
import { OnnxHubError } from "../../errors.ts";
import type { Device, DeviceTensor } from "../device.ts";
import type { Optimizer } from "./config.ts";
import { DeviceGraphs } from "./device_graphs.ts";
import { DeviceSlots, type HostSlots } from "./device_slots.ts";
import { Kernel } from "./kernel.ts";
import { checkedRate } from "./options.ts";
import type { TrainedWeight } from "./prepared_weight.ts";
import { checkSnapshot, type OptimizerSnapshot } from "./snapshot.ts";
import { kerasVariables, type OptimizerVariable, variablePlaces } from "./variables.ts";

/** What a running optimizer on a device is made from. */
export interface DeviceOptimizerOptions {
  readonly optimizer: Optimizer;
  /** The weights to train, in the model's order. */
  readonly weights: readonly TrainedWeight[];
  /** Opens the device when it is first needed. */
  readonly device: () => Promise<Device>;
  /** A weight on the device, which updates write to. */
  readonly weight: (device: Device, path: string) => DeviceTensor;
  /** The most elements that one graph updates at a time, of weights that are updated element by element; default 2^24. */
  readonly lineLength?: number;
  /** Is told of weights that were written. */
  readonly changed: (device: Device, path: string) => void;
  /** Is told when the weights became their averages at the end of training. */
  readonly finalized?: () => void;
}

/** What training goes on from on another device: a snapshot without a copy of the slots, null for slots as they start. */
export interface OptimizerMark {
  readonly batches: number;
  readonly rate: number;
  readonly scalars: Scalars;
  readonly slots: HostSlots | null;
}

/** A group with what it runs. */
interface Group extends WeightGroup {
  readonly graphs: GroupGraphs;
}

type Gradients = ReadonlyMap<string, DeviceTensor>;
type Scalars = Readonly<Record<string, number>>;

/** What a graph of a group may read beside weights and slots. */
interface GroupFeeds {
  readonly gradients?: Gradients;
  readonly clipScale?: DeviceTensor | null;
}

/**
 * Applies an optimizer's updates on a device. The order of a step is Keras': unscale, accumulate, clip, decay, update, average, count. Scalars are
 * computed on the host, in float32, as the kernels there do.
 */
export class DeviceOptimizer {
  readonly #options: DeviceOptimizerOptions;
  readonly #settings: StepSettings;
  readonly #groups: readonly Group[];
  #slots: DeviceSlots;
  #graphs: DeviceGraphs;
  /** From the squared norms of the groups' gradients to what a clipped global norm multiplies them by. */
  readonly #clipScale: GroupGraph | null;
  /** The optimizer's own. */
  readonly #scalars: Record<string, number>;
  readonly #scalarKernel: Kernel;
  #batches = 0;
  #rate: number;
  #disposed = false;

  /** Allocates nothing yet. */
  constructor(options: DeviceOptimizerOptions) {
    const { optimizer, weights, lineLength } = options;
    const { settings } = optimizer;
    this.#options = options;
    this.#settings = settings;
    // The rules see weights of rank 1 at least.
    const step = weights.map(({ path, shape }) => ({
      path,
      shape: shape.length === 0 ? [1] : shape,
      excludedFromDecay: optimizer.isExcludedFromWeightDecay(path),
    }));
    this.#groups = groupWeights(settings, step, lineLength).map((group) => ({ ...group, graphs: groupGraphs(settings, group) }));
    this.#slots = new DeviceSlots(this.#groups);
    this.#graphs = new DeviceGraphs(optimizer.name);
    const global = settings.clip?.by === "global_norm" ? settings.clip : null;
    this.#clipScale = global && clipScaleGraph(this.#groups.length, global.limit);
    this.#rate = typeof optimizer.learningRate === "number" ? Math.fround(optimizer.learningRate) : 0;
    this.#scalars = Object.fromEntries(scalarsOf(settings).map(({ name, initial }) => [name, Math.fround(initial)]));
    // The scale of a global norm is the device's to compute.
    this.#scalarKernel = Kernel.compile(scalarGraph(global ? { ...settings, clip: null } : settings), [1])!;
  }

  /** The paths of the trained weights, in order. */
  get paths(): readonly string[] {
    return this.#options.weights.map(({ path }) => path);
  }

  /** Updates so far: batches by accumulation steps, rounded down. */
  get iterations(): number {
    return Math.floor(this.#batches / (this.#settings.gradientAccumulationSteps ?? 1));
  }

  /** Batches so far: what schedules count by. */
  get batches(): number {
    return this.#batches;
  }

  /** Whether the learning rate follows a schedule. */
  get hasSchedule(): boolean {
    return this.#settings.hasSchedule;
  }

  /** What the loss is to be multiplied by before gradients are taken. */
  get lossScale(): number {
    return this.#settings.lossScaleFactor ?? 1;
  }

  /** The learning rate of the next update, float32. Setting it throws "optimizer/schedule" where it follows a schedule. */
  get learningRate(): number {
    const { learningRate } = this.#options.optimizer;
    return typeof learningRate === "number" ? this.#rate : Math.fround(learningRate.at(this.#batches));
  }

  set learningRate(rate: number) {
    if (this.hasSchedule) {
      throw new OnnxHubError(
        "optimizer/schedule",
        "This optimizer follows a learning-rate schedule, hence its learning rate is not settable",
        {
          path: "learningRate",
          remedy: "Make the optimizer with a number for `learningRate` if you need to set it.",
        },
      );
    }
    this.#rate = checkedRate(rate);
  }

  /** Takes over the gradients of one batch, by path, one for every trained weight, and updates weights and slots. */
  async apply(gradients: Gradients): Promise<void> {
    if (this.#disposed) throw new OnnxHubError("optimizer/disposed", "This optimizer was disposed of");
    const device = await this.#options.device();
    this.#slots.begin(device);
    const steps = this.#settings.gradientAccumulationSteps;
    if (steps !== null && (this.#batches + 1) % steps !== 0) {
      for (const group of this.#groups) await this.#run(device, group, group.graphs.accumulate!, {}, { gradients });
    } else await this.#update(device, gradients);
    for (const gradient of gradients.values()) gradient.dispose();
    await this.#updateAverages(device);
    this.#batches++;
  }

  async #update(device: Device, gradients: Gradients): Promise<void> {
    const clipScale = this.#clipScale && await this.#globalClipScale(device, this.#clipScale, gradients);
    const step = { lr: this.learningRate, t: Math.fround(this.iterations + 1) };
    const computed = this.#scalarKernel.run({}, { ...this.#scalars, ...step });
    for (const name of Object.keys(this.#scalars)) this.#scalars[name] = computed[NEXT + name];
    for (const group of this.#groups) {
      await this.#run(device, group, group.graphs.update, { ...step, ...this.#scalars }, { gradients, clipScale });
      const accumulated = group.slots.find(({ name }) => name === "accumulated");
      if (accumulated) this.#slots.replace(group, accumulated.name, device.zeros(accumulated.shape));
    }
    clipScale?.dispose();
  }

  async #globalClipScale(device: Device, graph: GroupGraph, gradients: Gradients): Promise<DeviceTensor> {
    const norms: DeviceTensor[] = [];
    for (const group of this.#groups) {
      const { squared_norm } = await this.#compute(device, group, group.graphs.squaredNorm!, {}, { gradients });
      norms.push(squared_norm);
    }
    const { clip_scale } = await this.#graphs.run(device, graph, {}, (name) => norms[Number(name.split("/")[1])]);
    for (const norm of norms) norm.dispose();
    return clip_scale;
  }

  async #updateAverages(device: Device): Promise<void> {
    const { useEma, emaMomentum, emaOverwriteFrequency } = this.#options.optimizer.options;
    if (!useEma) return;
    const overwrite = emaOverwriteFrequency !== null && (this.iterations + 1) % emaOverwriteFrequency === 0;
    for (const group of this.#groups) {
      await this.#run(device, group, group.graphs.average!, { ema_momentum: this.iterations === 0 ? 0 : emaMomentum }, {});
      if (overwrite) this.#write(device, group, this.#slots.of(group).average);
    }
  }

  /** Runs a graph of a group; what it gives replaces weights and slots. */
  async #run(device: Device, group: Group, graph: GroupGraph, scalars: Scalars, feeds: GroupFeeds): Promise<void> {
    for (const [name, tensor] of Object.entries(await this.#compute(device, group, graph, scalars, feeds))) {
      const target = name.slice(NEXT.length);
      if (target !== "w") this.#slots.replace(group, target, tensor);
      else {
        this.#write(device, group, tensor);
        tensor.dispose();
      }
    }
  }

  async #compute(
    device: Device,
    group: Group,
    graph: GroupGraph,
    scalars: Scalars,
    { gradients, clipScale }: GroupFeeds,
  ): Promise<Record<string, DeviceTensor>> {
    const lines: DeviceTensor[] = [];
    const inLine = (read: (path: string) => DeviceTensor): DeviceTensor => {
      if (!group.segments) return read(group.weight.path);
      const line = device.room(group.shape);
      lines.push(line);
      device.copy(
        group.segments.map(({ weight, from, at, count }) => ({
          from: { tensor: read(weight.path), at: from },
          to: { tensor: line, at },
          count,
        })),
      );
      return line;
    };
    try {
      return await this.#graphs.run(device, graph, scalars, (name) => {
        if (name === "w") return inLine((path) => this.#options.weight(device, path));
        if (name === "g") return inLine((path) => gradients!.get(path)!);
        return name === "clip_scale" ? clipScale! : this.#slots.of(group)[name];
      });
    } finally {
      for (const line of lines) line.dispose();
    }
  }

  /** Writes a group's weights. */
  #write(device: Device, { segments, weight, shape }: Group, values: DeviceTensor): void {
    const all = segments ?? [{ weight, from: 0, at: 0, count: shape.reduce((a, b) => a * b, 1) }];
    device.copy(
      all.map(({ weight, from, at, count }) => ({
        from: { tensor: values, at },
        to: { tensor: this.#options.weight(device, weight.path), at: from },
        count,
      })),
    );
    for (const { weight } of all) this.#options.changed(device, weight.path);
  }

  /** Keras' end of `fit`: with averages, the weights become their averages. */
  async finalizeWeights(): Promise<void> {
    if (!this.#settings.useEma || this.#batches === 0) return;
    const device = await this.#options.device();
    this.#slots.begin(device);
    for (const group of this.#groups) this.#write(device, group, this.#slots.of(group).average);
    this.#options.finalized?.();
  }

  /** The bytes of its slots. */
  get stateBytes(): number {
    return this.#slots.bytes;
  }

  /** Reads the slots off the device: what training goes on from should the device be lost. An `older` mark is written over, and of no use any more. */
  async mark(older: OptimizerMark | null = null): Promise<OptimizerMark> {
    await this.#slots.sync(this.#options.device, older?.slots);
    return { batches: this.#batches, rate: this.#rate, scalars: { ...this.#scalars }, slots: this.#slots.mark };
  }

  /** Goes on from a mark on another device than before, which is lost with all that it held. */
  restart({ batches, rate, scalars, slots }: OptimizerMark): void {
    this.#batches = batches;
    this.#rate = rate;
    Object.assign(this.#scalars, scalars);
    this.#slots = new DeviceSlots(this.#groups);
    if (slots) this.#slots.host = slots;
    this.#graphs = new DeviceGraphs(this.#options.optimizer.name);
  }

  /** Reads the slots off the device: what {@linkcode variables} and {@linkcode getState} give. */
  sync(): Promise<void> {
    return this.#slots.sync(this.#options.device);
  }

  /** The variables in Keras' order and under its paths. Throws "optimizer/unsynced" unless {@linkcode sync} came after the last update. */
  get variables(): readonly OptimizerVariable[] {
    const { optimizer, weights } = this.#options;
    return kerasVariables(variablePlaces(optimizer, weights), {
      batches: this.#batches,
      learningRate: this.hasSchedule ? null : this.#rate,
      tensors: this.#slots.host,
      scalars: this.#scalars,
    });
  }

  /** A copy of all that training goes on from. Throws "optimizer/unsynced" as {@linkcode variables} does. */
  getState(): OptimizerSnapshot {
    const tensors = Object.fromEntries(Object.entries(this.#slots.host).map(([name, data]) => [name, data.slice()]));
    for (const [name, value] of Object.entries(this.#scalars)) tensors[name] = Float32Array.of(value);
    return { batches: this.#batches, learningRate: this.hasSchedule ? null : this.#rate, tensors };
  }

  /** Goes on from a snapshot. Throws "optimizer/state" for one of another optimizer or other weights. */
  setState(snapshot: OptimizerSnapshot): void {
    const lengths = new Map([...this.#slots.lengths, ...Object.keys(this.#scalars).map((name) => [name, 1] as const)]);
    checkSnapshot(snapshot, { optimizer: this.#options.optimizer.className, lengths, hasSchedule: this.hasSchedule });
    const tensors = Object.entries(snapshot.tensors);
    this.#slots.host = Object.fromEntries(tensors.filter(([name]) => !(name in this.#scalars)).map(([name, data]) => [name, data.slice()]));
    for (const name of Object.keys(this.#scalars)) this.#scalars[name] = snapshot.tensors[name][0];
    this.#batches = snapshot.batches;
    if (snapshot.learningRate !== null) this.#rate = snapshot.learningRate;
  }

  /** Frees sessions and slots; applying gradients afterwards is an error. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    this.#slots.dispose();
    await this.#graphs.dispose();
  }
}
