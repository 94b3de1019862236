/** Weights in a device's memory: uploaded when first needed or changed on the host, and newer there while the device trains. */

import { OnnxHubError } from "../errors.ts";
import type { Device, DeviceTensor } from "./device.ts";
import type { Parameters, WeightHolder } from "./parameters.ts";

/** A weight on the device. */
interface Entry {
  tensor: DeviceTensor;
  /** The version of the host's values that it was made from, or that were made from it. */
  version: number;
}

/** The weights of one model's own on one device. */
class DeviceWeights implements WeightHolder {
  readonly #entries = new Map<string, Entry>();

  constructor(private readonly device: Device, private readonly parameters: Parameters) {
    parameters.attach(this);
  }

  get(path: string): DeviceTensor {
    const { parameters, device } = this;
    const entry = this.#entries.get(path);
    if (entry && (parameters.isAhead(path) || entry.version === parameters.versionOf(path))) return entry.tensor;
    const data = parameters.get(path) as Float32Array<ArrayBuffer>;
    const tensor = device.upload({ dtype: "float32", shape: parameters.info(path).shape, data });
    entry?.tensor.dispose();
    this.#entries.set(path, { tensor, version: parameters.versionOf(path) });
    return tensor;
  }

  changed(path: string): void {
    this.parameters.setAhead(path, true);
  }

  async fetch(): Promise<() => void> {
    const { parameters, device } = this;
    if (device.isLost) {
      const isLess = [...this.#entries.keys()].some((path) => parameters.isAhead(path));
      this.dispose();
      if (!isLess) return () => {};
      throw new OnnxHubError("backend/device-lost", "The newest weights were lost with the GPU", {
        remedy: "The model has those that were copied last: save them, or go on from them.",
      });
    }
    const ahead = [...this.#entries].filter(([path]) => parameters.isAhead(path));
    const values = ahead.length === 0 ? [] : await device.download(ahead.map(([, { tensor }]) => tensor));
    return () =>
      ahead.forEach(([path, entry], i) => {
        parameters.room(path).set(values[i].data);
        entry.version = parameters.versionOf(path);
      });
  }

  dispose(): void {
    for (const [path, { tensor }] of this.#entries) {
      this.parameters.setAhead(path, false);
      tensor.dispose();
    }
    this.#entries.clear();
    this.device.trim();
    this.parameters.detach(this);
    known.get(this.device)?.delete(this.parameters);
  }
}

const known = new WeakMap<Device, WeakMap<Parameters, DeviceWeights>>();

function holderOf(device: Device, parameters: Parameters, path: string): DeviceWeights {
  const owner = parameters.owner(path);
  let all = known.get(device);
  if (!all) known.set(device, all = new WeakMap());
  let holder = all.get(owner);
  if (!holder) all.set(owner, holder = new DeviceWeights(device, owner));
  return holder;
}

/** The newest values of a weight on a device. The tensor belongs to the weight: it is not to be disposed of. */
export function weightOn(device: Device, parameters: Parameters, path: string): DeviceTensor {
  return holderOf(device, parameters, path).get(path);
}

/** Says that the tensor which {@linkcode weightOn} gave was written; the host has an older one until `parameters.sync()`. */
export function weightChangedOn(device: Device, parameters: Parameters, path: string): void {
  holderOf(device, parameters, path).changed(path);
}
