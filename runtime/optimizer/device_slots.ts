/** What an optimizer keeps on a device for its weights, and the copy of it on the host. */

import type { GroupSlot, WeightGroup } from "../../codegen/optimizers/groups.ts";
import { OnnxHubError } from "../../errors.ts";
import type { Device, DeviceTensor } from "../device.ts";

/** Slots on the host, by `path/name`. */
export type HostSlots = Record<string, Float32Array<ArrayBuffer>>;

const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** The slots of all groups: on the device from the first step on, on the host when asked for. */
export class DeviceSlots {
  readonly #groups: readonly WeightGroup[];
  readonly #tensors: Map<WeightGroup, Record<string, DeviceTensor>>;
  /** As the device's were when they were last read, or as they are to be there; null for what they start as. */
  #host: HostSlots | null = null;
  /** Whether the device's are older than those. */
  #isHostNewer = true;

  /** Allocates nothing yet. */
  constructor(groups: readonly WeightGroup[]) {
    this.#groups = groups;
    this.#tensors = new Map(groups.map((group) => [group, {}]));
  }

  /** A group's slots on the device, by name. */
  of(group: WeightGroup): Record<string, DeviceTensor> {
    return this.#tensors.get(group)!;
  }

  /** Takes over what replaces a slot. */
  replace(group: WeightGroup, name: string, tensor: DeviceTensor): void {
    const tensors = this.of(group);
    tensors[name]?.dispose();
    tensors[name] = tensor;
  }

  /** Puts the slots on the device where the host has newer ones, or none are there yet; they are to change now. */
  begin(device: Device): void {
    if (this.#isHostNewer) {
      for (const group of this.#groups) for (const slot of group.slots) this.replace(group, slot.name, this.#made(device, group, slot));
    }
    this.#isHostNewer = false;
    this.#host = null;
  }

  #made(device: Device, group: WeightGroup, { name, shape, initial }: GroupSlot): DeviceTensor {
    if (this.#host === null && initial === 0) return device.zeros(shape);
    const data = new Float32Array(sizeOf(shape)).fill(initial);
    if (this.#host) {
      for (const { key, from, at, count } of placesOf(group, name, data.length)) data.set(this.#host[key].subarray(from, from + count), at);
    }
    return device.upload({ dtype: "float32", shape, data });
  }

  /** Reads them off the device, into the arrays of an older copy if one is given. */
  async sync(device: () => Promise<Device>, older: HostSlots | null = null): Promise<void> {
    if (this.#isHostNewer || this.#host !== null) return;
    const host = older ?? this.#initial();
    for (const group of this.#groups) {
      const tensors = Object.entries(this.of(group));
      if (tensors.length === 0) continue;
      const values = await (await device()).download(tensors.map(([, tensor]) => tensor));
      tensors.forEach(([name], i) => {
        const data = values[i].data as Float32Array<ArrayBuffer>;
        for (const { key, from, at, count } of placesOf(group, name, data.length)) host[key].set(data.subarray(at, at + count), from);
      });
    }
    this.#host = host;
  }

  /** {@linkcode DeviceSlots.host}, but null for slots as they start. */
  get mark(): HostSlots | null {
    return this.#isHostNewer && this.#host === null ? null : this.host;
  }

  /** The slots on the host, live. Throws "optimizer/unsynced" unless they were read after the last change. */
  get host(): HostSlots {
    if (this.#host) return this.#host;
    if (!this.#isHostNewer) {
      throw new OnnxHubError("optimizer/unsynced", "The newest state of the optimizer is on the device that trains", {
        remedy: "Await `sync()` first.",
      });
    }
    return this.#host = this.#initial();
  }

  set host(slots: HostSlots) {
    this.#host = slots;
    this.#isHostNewer = true;
  }

  /** The elements of each slot, by `path/name`. */
  get lengths(): Map<string, number> {
    const lengths = new Map<string, number>();
    for (const { key, count } of this.#places()) lengths.set(key, (lengths.get(key) ?? 0) + count);
    return lengths;
  }

  /** The bytes of all of them. */
  get bytes(): number {
    return [...this.lengths.values()].reduce((sum, length) => sum + 4 * length, 0);
  }

  /** The slots as they start. */
  #initial(): HostSlots {
    const host: HostSlots = {};
    for (const [key, length] of this.lengths) host[key] = new Float32Array(length);
    for (const { key, from, count, initial } of this.#places()) host[key].fill(initial, from, from + count);
    return host;
  }

  #places(): (Place & { initial: number })[] {
    return this.#groups.flatMap((group) =>
      group.slots.flatMap(({ name, shape, initial }) => placesOf(group, name, sizeOf(shape)).map((place) => ({ ...place, initial })))
    );
  }

  /** Frees those on the device. */
  dispose(): void {
    for (const tensors of this.#tensors.values()) for (const tensor of Object.values(tensors)) tensor.dispose();
  }
}

/** Where elements of a slot are: [from, from + count) of what a weight has, under `path/name`, lie at `at` in the group's. */
interface Place {
  readonly key: string;
  readonly from: number;
  readonly at: number;
  readonly count: number;
}

function placesOf({ segments, weight }: WeightGroup, name: string, length: number): Place[] {
  if (!segments) return [{ key: `${weight.path}/${name}`, from: 0, at: 0, count: length }];
  return segments.map(({ weight, from, at, count }) => ({ key: `${weight.path}/${name}`, from, at, count }));
}
