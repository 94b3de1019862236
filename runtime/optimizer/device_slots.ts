/** What an optimizer keeps on a device for its weights, and the copy of it on the host. */

import type { WeightGroup } from "../../codegen/optimizers/groups.ts";
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

  #made(device: Device, group: WeightGroup, { name, shape, initial }: WeightGroup["slots"][number]): DeviceTensor {
    if (this.#host === null && initial === 0) return device.zeros(shape);
    const data = new Float32Array(sizeOf(shape)).fill(initial);
    if (this.#host) { for (const { at, key } of placesOf(group, name, data.length)) data.set(this.#host[key], at); }
    return device.upload({ dtype: "float32", shape, data });
  }

  /** Reads them off the device. */
  async sync(device: () => Promise<Device>): Promise<void> {
    if (this.#isHostNewer || this.#host !== null) return;
    const opened = await device();
    const host: HostSlots = {};
    for (const group of this.#groups) {
      const tensors = Object.entries(this.of(group));
      const values = await opened.download(tensors.map(([, tensor]) => tensor));
      tensors.forEach(([name], i) => {
        const data = values[i].data as Float32Array<ArrayBuffer>;
        for (const { at, key, size } of placesOf(group, name, data.length)) host[key] = data.slice(at, at + size);
      });
    }
    this.#host = host;
  }

  /** The slots on the host, live. Throws "optimizer/unsynced" unless they were read after the last change. */
  get host(): HostSlots {
    if (this.#host) return this.#host;
    if (!this.#isHostNewer) {
      throw new OnnxHubError("optimizer/unsynced", "The newest state of the optimizer is on the device that trains", {
        remedy: "Await `sync()` first.",
      });
    }
    return this.#host = Object.fromEntries(
      this.#places().map(({ key, size, initial }) => [key, new Float32Array(size).fill(initial)]),
    );
  }

  set host(slots: HostSlots) {
    this.#host = slots;
    this.#isHostNewer = true;
  }

  /** The elements of each slot, by `path/name`. */
  get lengths(): Map<string, number> {
    return new Map(this.#places().map(({ key, size }) => [key, size]));
  }

  #places(): { key: string; size: number; initial: number }[] {
    return this.#groups.flatMap((group) =>
      group.slots.flatMap(({ name, shape, initial }) =>
        placesOf(group, name, sizeOf(shape)).map(({ key, size }) => ({ key, size, initial }))
      )
    );
  }

  /** Frees those on the device. */
  dispose(): void {
    for (const tensors of this.#tensors.values()) for (const tensor of Object.values(tensors)) tensor.dispose();
  }
}

/** Where the weights of a group have their parts of a slot, and what each is called: `path/name`. */
function placesOf({ weights }: WeightGroup, name: string, length: number): { at: number; key: string; size: number }[] {
  if (weights.length === 1) return [{ at: 0, key: `${weights[0].path}/${name}`, size: length }];
  let at = 0;
  return weights.map(({ path, shape }) => {
    const size = sizeOf(shape);
    at += size;
    return { at: at - size, key: `${path}/${name}`, size };
  });
}
