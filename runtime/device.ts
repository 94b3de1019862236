/** What a device is: a processor with memory of its own, where tensors stay between runs. */

import type { Sizes } from "../codegen/cost.ts";
import { evaluateDim } from "../codegen/ir/dims.ts";
import type { Shape, TensorType } from "../codegen/ir/types.ts";
import type { RandomStream } from "../random.ts";
import type { FeedTensor } from "./backend.ts";

/** A tensor in a device's memory. */
export interface DeviceTensor {
  readonly dtype: FeedTensor["dtype"];
  readonly shape: readonly number[];
  /** Frees it. It must not be fed or read afterwards. */
  dispose(): void;
}

/** Elements [from.at, from.at + count) of a tensor that are written to another from to.at on. */
export interface DeviceCopy {
  readonly from: { readonly tensor: DeviceTensor; readonly at: number };
  readonly to: { readonly tensor: DeviceTensor; readonly at: number };
  readonly count: number;
}

/** A tensor that is to be, and what errors call it. */
export interface NamedTensor extends TensorType {
  readonly name: string;
}

/** What a run on a device is fed with: tensors that are there already, and ones that go up with it. */
export type DeviceFeeds = Readonly<Record<string, FeedTensor | DeviceTensor>>;

/** A graph loaded for fixed sizes of its symbols, all of whose outputs stay on the device. */
export interface DeviceSession {
  /** Runs the graph. The outputs are the caller's to dispose of. */
  run(feeds: DeviceFeeds): Promise<Record<string, DeviceTensor>>;
  /** Frees what the graph holds, its outputs aside. Running it afterwards is an error. */
  dispose(): Promise<void>;
}

/** How a graph is loaded on a device. */
export interface DeviceLoadOptions {
  /** How errors call it. */
  readonly label: string;
  /** The size of every symbolic dimension of its inputs, products included: see {@linkcode dimensionsOf}. */
  readonly sizes: Sizes;
  /** Whether a node that the device has no kernel for is an error; default false: it runs on the processor, with copies there and back. */
  readonly whole?: boolean;
}

/** A device. Its methods throw "backend/device-lost" once it is lost, with all that was in its memory. */
export interface Device {
  /** What it calls itself. */
  readonly description: string;
  /** The most bytes that one tensor can have. */
  readonly maxTensorBytes: number;
  /** Whether it is gone for good. */
  readonly isLost: boolean;
  /** Resolves when it is lost. */
  readonly lost: Promise<void>;
  /** A float32 tensor of zeros. */
  zeros(shape: readonly number[]): DeviceTensor;
  /** A float32 tensor of whatever its memory held before, to be written. */
  room(shape: readonly number[]): DeviceTensor;
  /** Copies elements of float32 tensors, within the device. */
  copy(copies: readonly DeviceCopy[]): void;
  /** Copies a tensor into the device's memory. */
  upload(tensor: FeedTensor): DeviceTensor;
  /** Copies tensors out of it, all at once. */
  download(tensors: readonly DeviceTensor[]): Promise<FeedTensor[]>;
  /** A dropout mask, float32, drawn on the device: `scale` where the stream keeps (probability 1 - rate), 0 where it drops. */
  mask(stream: RandomStream, rate: number, shape: readonly number[], scale: number): DeviceTensor;
  /** Loads an encoded ModelProto. */
  load(model: Uint8Array<ArrayBuffer>, options: DeviceLoadOptions): Promise<DeviceSession>;
  /** Gives back what is kept for tensors to come. */
  trim(): void;
  /** Throws "backend/limits" if one of these tensors is larger than one can be on this device. */
  requireRoom(tensors: Iterable<NamedTensor>, sizes: Sizes): void;
}

/** The sizes of all symbolic dimensions, products too, that tensors have. */
export function dimensionsOf(tensors: Iterable<{ readonly shape: Shape }>, sizes: Sizes): Sizes {
  const dimensions: Record<string, number> = {};
  for (const { shape } of tensors) {
    for (const dim of shape) if (typeof dim === "string") dimensions[dim] = evaluateDim(dim, sizes);
  }
  return dimensions;
}

/** Whether a feed is on a device already. */
export function isOnDevice(tensor: FeedTensor | DeviceTensor): tensor is DeviceTensor {
  return !("data" in tensor);
}
