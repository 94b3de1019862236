/** A running optimizer on a device: weights, gradients and slots stay there, ONNX graphs update them; as Keras does, and as on the host. */

import { encode } from "../../codegen/onnx/encode.ts";
import {
  clipScaleGraph,
  type GroupGraph,
  type GroupGraphs,
  groupGraphs,
  groupWeights,
  type WeightGroup,
} from "../../codegen/optimizers/groups.ts";
import { NEXT, scalarGraph, scalarsOf, slotsOf, type StepSettings } from "../../codegen/optimizers/step.ts";
import { OnnxHubError } from "../../errors.ts";
import type { Device, DeviceSession, DeviceTensor } from "../device.ts";
import type { Optimizer } from "./config.ts";
import { Kernel, type KernelCache } from "./kernel.ts";
import { checkedRate } from "./options.ts";
import type { TrainedWeight } from "./prepared_weight.ts";
import { checkSnapshot, type OptimizerSnapshot } from "./snapshot.ts";
import { kerasVariables, type OptimizerVariable } from "./variables.ts";

/** What a running optimizer on a device is made from. */
export interface DeviceOptimizerOptions {
  readonly optimizer: Optimizer;
  /** The weights to train, in the model's order. */
  readonly weights: readonly TrainedWeight[];
  /** Opens the device when it is first needed. */
  readonly device: () => Promise<Device>;
  /** A weight on the device. */
  readonly weight: (device: Device, path: string) => DeviceTensor;
  /** Takes over what replaces a weight. */
  readonly replace: (device: Device, path: string, tensor: DeviceTensor) => void;
}

/** A graph of a group, loaded. */
interface LoadedGraph {
  readonly scalars: Kernel | null;
  readonly session: DeviceSession;
  readonly inputs: readonly string[];
}

/** A group with what it keeps on the device. */
interface Group extends WeightGroup {
  readonly graphs: GroupGraphs;
  /** Empty until the first step. */
  tensors: Record<string, DeviceTensor>;
}

type Host = Record<string, Float32Array<ArrayBuffer>>;

/**
 * Applies an optimizer's updates on a device. The order of a step is Keras': unscale, accumulate, clip, decay, update, average, count. Scalars are
 * computed on the host, in float32, as the kernels there do.
 */
export class DeviceOptimizer {
  readonly #options: DeviceOptimizerOptions;
  readonly #settings: StepSettings;
  readonly #groups: readonly Group[];
  readonly #scalars: Record<string, number>;
  readonly #kernels: KernelCache = new Map();
  readonly #scalarKernel: Kernel;
  readonly #loaded = new Map<GroupGraph, Promise<LoadedGraph>>();
  readonly #sessions = new Map<string, Promise<DeviceSession>>();
  #clipScale: Promise<DeviceSession> | null = null;
  #batches = 0;
  #rate: number;
  /** The slots as they were when the device's were last read, or as they are to be there. */
  #host: Host | null;
  /** Whether the device's slots are older than those. */
  #isHostNewer = true;
  #disposed = false;

  /** Allocates nothing yet. */
  constructor(options: DeviceOptimizerOptions) {
    const { optimizer, weights } = options;
    this.#options = options;
    this.#settings = optimizer.settings;
    const grouped = weights.map(({ path, shape }) => ({
      path,
      actualShape: shape,
      shape: shape.length === 0 ? [1] : shape,
      excludedFromDecay: optimizer.isExcludedFromWeightDecay(path),
    }));
    this.#groups = groupWeights(this.#settings, grouped).map((group) => ({
      ...group,
      graphs: groupGraphs(this.#settings, group),
      tensors: {},
    }));
    this.#rate = typeof optimizer.learningRate === "number" ? Math.fround(optimizer.learningRate) : 0;
    this.#scalars = Object.fromEntries(scalarsOf(this.#settings).map(({ name, initial }) => [name, Math.fround(initial)]));
    const { clip } = this.#settings;
    // The device computes the scale of a global norm.
    const settings = clip?.by === "global_norm" ? { ...this.#settings, clip: null } : this.#settings;
    this.#scalarKernel = Kernel.compile(scalarGraph(settings), [1], this.#kernels)!;
    this.#host = null;
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
  async apply(gradients: ReadonlyMap<string, DeviceTensor>): Promise<void> {
    if (this.#disposed) throw new OnnxHubError("optimizer/disposed", "This optimizer was disposed of");
    const device = await this.#options.device();
    this.#prepareTensors(device);
    const steps = this.#settings.gradientAccumulationSteps;
    if (steps !== null && (this.#batches + 1) % steps !== 0) {
      for (const group of this.#groups) {
        await this.#run(device, group, group.graphs.accumulate!, gradients, {});
        this.#disposeGradients(group, gradients);
      }
    } else await this.#update(device, gradients);
    await this.#updateAverages(device);
    this.#batches++;
    this.#isHostNewer = false;
    this.#host = null;
  }

  async #update(device: Device, gradients: ReadonlyMap<string, DeviceTensor>): Promise<void> {
    const clip = this.#settings.clip?.by === "global_norm"
      ? await this.#globalClipScale(device, gradients, this.#settings.clip.limit)
      : null;
    const step = { lr: this.learningRate, t: Math.fround(this.iterations + 1) };
    const computed = this.#scalarKernel.run({}, { ...this.#scalars, ...step });
    for (const name of Object.keys(this.#scalars)) this.#scalars[name] = computed[NEXT + name];
    for (const group of this.#groups) {
      await this.#run(device, group, group.graphs.update, gradients, { ...step, ...this.#scalars }, clip ?? undefined);
      this.#disposeGradients(group, gradients);
      if (!group.tensors.accumulated) continue;
      group.tensors.accumulated.dispose();
      group.tensors.accumulated = device.zeros(group.slots.find(({ name }) => name === "accumulated")!.shape);
    }
    clip?.dispose();
  }

  async #globalClipScale(device: Device, gradients: ReadonlyMap<string, DeviceTensor>, limit: number): Promise<DeviceTensor> {
    const norms: Record<string, DeviceTensor> = {};
    for (const [i, group] of this.#groups.entries()) {
      norms[`squared_norm/${i}`] = (await this.#compute(device, group, group.graphs.squaredNorm!, gradients, {})).squared_norm;
    }
    this.#clipScale ??= this.#load(device, encode(clipScaleGraph(this.#groups.length, limit), { provider: "webgpu" }), "clip_scale");
    const { clip_scale } = await (await this.#clipScale).run(norms);
    for (const norm of Object.values(norms)) norm.dispose();
    return clip_scale;
  }

  async #updateAverages(device: Device): Promise<void> {
    const { useEma, emaMomentum, emaOverwriteFrequency } = this.#options.optimizer.options;
    if (!useEma) return;
    const overwrite = emaOverwriteFrequency !== null && (this.iterations + 1) % emaOverwriteFrequency === 0;
    for (const group of this.#groups) {
      await this.#run(device, group, group.graphs.average!, new Map(), { ema_momentum: this.iterations === 0 ? 0 : emaMomentum });
      if (overwrite) await this.#run(device, group, group.graphs.takeAverages!, new Map(), {});
    }
  }

  #disposeGradients({ weights }: Group, gradients: ReadonlyMap<string, DeviceTensor>): void {
    for (const { path } of weights) gradients.get(path)!.dispose();
  }

  /** Runs a graph of a group; what it gives replaces weights and slots. */
  async #run(
    device: Device,
    group: Group,
    graph: GroupGraph,
    gradients: ReadonlyMap<string, DeviceTensor>,
    scalars: Readonly<Record<string, number>>,
    clipScale?: DeviceTensor,
  ): Promise<void> {
    const results = await this.#compute(device, group, graph, gradients, scalars, clipScale);
    for (const [name, tensor] of Object.entries(results)) {
      const [target, index] = name.slice(NEXT.length).split("/");
      if (index !== undefined) this.#options.replace(device, group.weights[Number(index)].path, tensor);
      else {
        group.tensors[target].dispose();
        group.tensors[target] = tensor;
      }
    }
  }

  async #compute(
    device: Device,
    group: Group,
    graph: GroupGraph,
    gradients: ReadonlyMap<string, DeviceTensor>,
    scalars: Readonly<Record<string, number>>,
    clipScale?: DeviceTensor,
  ): Promise<Record<string, DeviceTensor>> {
    let loading = this.#loaded.get(graph);
    if (!loading) this.#loaded.set(graph, loading = this.#loadGraph(device, graph));
    const { session, inputs, scalars: kernel } = await loading;
    const computed = kernel?.run({}, scalars) ?? {};
    return await session.run(Object.fromEntries(inputs.map((name) => {
      if (name in computed) return [name, { dtype: "float32", shape: [], data: Float32Array.of(computed[name]) }];
      const [kind, index] = name.split("/");
      if (kind === "clip_scale") return [name, clipScale!];
      if (index === undefined) return [name, group.tensors[kind]];
      const { path } = group.weights[Number(index)];
      return [name, kind === "g" ? gradients.get(path)! : this.#options.weight(device, path)];
    })));
  }

  async #loadGraph(device: Device, { graph, scalars }: GroupGraph): Promise<LoadedGraph> {
    device.requireRoom(graph.nodes.flatMap(({ outputs }) => outputs), {});
    const model = encode(graph, { provider: "webgpu" });
    const key = new TextDecoder("latin1").decode(model);
    let session = this.#sessions.get(key);
    if (!session) this.#sessions.set(key, session = this.#load(device, model, graph.name));
    return {
      session: await session,
      inputs: graph.inputs.map(({ name }) => name),
      scalars: scalars.outputs.length > 0 ? Kernel.compile(scalars, [1], this.#kernels)! : null,
    };
  }

  #load(device: Device, model: Uint8Array<ArrayBuffer>, what: string): Promise<DeviceSession> {
    return device.load(model, { label: `${this.#options.optimizer.name}/${what}`, sizes: {}, whole: true });
  }

  /** Puts the slots on the device where the host has newer ones, or none are there yet. */
  #prepareTensors(device: Device): void {
    if (!this.#isHostNewer) return;
    for (const group of this.#groups) {
      for (const tensor of Object.values(group.tensors)) tensor.dispose();
      group.tensors = {};
      for (const { name, shape, initial } of group.slots) {
        if (this.#host === null && initial === 0) group.tensors[name] = device.zeros(shape);
        else {
          const data = new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(initial);
          for (const { at, key, size } of placesOf(group, name, data.length)) {
            if (this.#host) data.set(this.#host[key].subarray(0, size), at);
          }
          group.tensors[name] = device.upload({ dtype: "float32", shape, data });
        }
      }
    }
  }

  /** Keras' end of `fit`: with averages, the weights become their averages. */
  async finalizeWeights(): Promise<void> {
    if (!this.#settings.useEma || this.#batches === 0) return;
    const device = await this.#options.device();
    for (const group of this.#groups) await this.#run(device, group, group.graphs.takeAverages!, new Map(), {});
  }

  /** Reads the slots off the device: what {@linkcode variables} and {@linkcode getState} give. */
  async sync(): Promise<void> {
    if (this.#isHostNewer || this.#host !== null) return;
    const device = await this.#options.device();
    const host: Host = {};
    for (const group of this.#groups) {
      const names = Object.keys(group.tensors);
      const values = await device.download(Object.values(group.tensors));
      names.forEach((name, i) => {
        const data = values[i].data as Float32Array<ArrayBuffer>;
        for (const { at, key, size } of placesOf(group, name, data.length)) host[key] = data.slice(at, at + size);
      });
    }
    this.#host = host;
  }

  /** The slots on the host, by `path/name`. */
  #synced(): Host {
    if (this.#host) return this.#host;
    if (!this.#isHostNewer) {
      throw new OnnxHubError("optimizer/unsynced", "The newest state of the optimizer is on the device that trains", {
        remedy: "Await `sync()` first.",
      });
    }
    return this.#host = Object.fromEntries(
      this.#groups.flatMap((group) =>
        group.slots.flatMap(({ name, shape, initial }) =>
          placesOf(group, name, shape.reduce((a, b) => a * b, 1)).map(({ key, size }) => [key, new Float32Array(size).fill(initial)])
        )
      ),
    );
  }

  /** The variables in Keras' order and under its paths. Throws "optimizer/unsynced" unless {@linkcode sync} came after the last update. */
  get variables(): readonly OptimizerVariable[] {
    const host = this.#synced();
    const groups = new Map(this.#groups.flatMap((group) => group.weights.map((weight) => [weight.path, { group, weight }] as const)));
    return kerasVariables({
      name: this.#options.optimizer.name,
      batches: this.#batches,
      learningRate: this.hasSchedule ? null : this.#rate,
      weights: this.#options.weights.map(({ path, shape }) => {
        const { group, weight } = groups.get(path)!;
        const tensors = Object.fromEntries(group.slots.map(({ name }) => [name, host[`${path}/${name}`]]));
        return { weight, shape, slots: slotsOf(this.#settings, weight), tensors };
      }),
      scalars: this.#scalars,
    });
  }

  /** A copy of all that training goes on from. Throws "optimizer/unsynced" as {@linkcode variables} does. */
  getState(): OptimizerSnapshot {
    const tensors: Host = {};
    for (const [name, data] of Object.entries(this.#synced())) tensors[name] = data.slice();
    for (const [name, value] of Object.entries(this.#scalars)) tensors[name] = Float32Array.of(value);
    return { batches: this.#batches, learningRate: this.hasSchedule ? null : this.#rate, tensors };
  }

  /** Goes on from a snapshot. Throws "optimizer/state" for one of another optimizer or other weights. */
  setState(snapshot: OptimizerSnapshot): void {
    const lengths = new Map(
      this.#groups.flatMap((group) =>
        group.slots.flatMap(({ name, shape }) =>
          placesOf(group, name, shape.reduce((a, b) => a * b, 1)).map(({ key, size }) => [key, size] as const)
        )
      ),
    );
    const scalars = Object.keys(this.#scalars);
    for (const name of scalars) lengths.set(name, 1);
    checkSnapshot(snapshot, { optimizer: this.#options.optimizer.className, lengths, hasSchedule: this.hasSchedule });
    const slots = Object.entries(snapshot.tensors).filter(([name]) => !scalars.includes(name));
    this.#host = Object.fromEntries(slots.map(([name, data]) => [name, data.slice()]));
    this.#isHostNewer = true;
    for (const name of scalars) this.#scalars[name] = snapshot.tensors[name][0];
    this.#batches = snapshot.batches;
    if (snapshot.learningRate !== null) this.#rate = snapshot.learningRate;
  }

  /** Frees sessions and slots; applying gradients afterwards is an error. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    for (const group of this.#groups) for (const tensor of Object.values(group.tensors)) tensor.dispose();
    const sessions = [...this.#sessions.values(), ...this.#clipScale ? [this.#clipScale] : []];
    this.#sessions.clear();
    for (const session of await Promise.allSettled(sessions)) if (session.status === "fulfilled") await session.value.dispose();
  }
}

/** Where the weights of a group have their parts of a slot, and what each is called: `path/name`. */
function placesOf({ weights }: WeightGroup, name: string, length: number): { at: number; key: string; size: number }[] {
  if (weights.length === 1) return [{ at: 0, key: `${weights[0].path}/${name}`, size: length }];
  let at = 0;
  return weights.map(({ path, shape }) => {
    const size = shape.reduce((a, b) => a * b, 1);
    at += size;
    return { at: at - size, key: `${path}/${name}`, size };
  });
}
