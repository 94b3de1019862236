/** A GPU's memory: buffers under tensors, kept when they are free for tensors of the same size; what goes into them and comes out. */

import type { Tensor } from "onnxruntime-web";
import { BYTES } from "../../codegen/cost.ts";
import type { FeedTensor } from "../backend.ts";
import { BufferUsage, MapMode } from "./usage.ts";
import { WebgpuTensor } from "./tensor.ts";

/** Shaders read four numbers at a time: a buffer ends at a multiple of 16 bytes. */
const ALIGNMENT = 16;

/** The most bytes that come back at a time, unless one tensor has more. */
const DOWNLOAD_LIMIT = 2 ** 28;

/** From how many bytes on a tensor comes back by itself. */
const LARGE = 2 ** 20;

const round = (bytes: number, unit: number): number => Math.max(unit, Math.ceil(bytes / unit) * unit);

/** The bytes that tensors take in a buffer, one after the other. */
const sizeOf = (tensors: readonly WebgpuTensor[]): number => tensors.reduce((sum, { bytes }) => sum + round(bytes, 8), 0);

/** A mapped buffer's bytes, which outlive the mapping: without a copy where the runtime allows it. */
function takenOver(mapped: ArrayBuffer): ArrayBuffer {
  try {
    return mapped.transfer();
  } catch {
    return mapped.slice(0);
  }
}

function view({ dtype, shape, bytes }: WebgpuTensor, buffer: ArrayBuffer): FeedTensor {
  switch (dtype) {
    case "float32":
      return { dtype, shape, data: new Float32Array(buffer, 0, bytes / 4) };
    case "int32":
      return { dtype, shape, data: new Int32Array(buffer, 0, bytes / 4) };
    case "bool":
      return { dtype, shape, data: new Uint8Array(buffer, 0, bytes) };
  }
}

/** Makes tensors on a device. A driver takes tens of milliseconds for a large buffer, so that none is given back as long as it may be wanted again. */
export class WebgpuMemory {
  readonly #device: GPUDevice;
  readonly #Tensor: typeof Tensor;
  /** Free buffers by size, the one freed last at the end. */
  readonly #free = new Map<number, GPUBuffer[]>();
  #freeBytes = 0;
  #usedBytes = 0;
  /** The most bytes that were in use at a time: as many may lie free. */
  #mostBytes = 0;

  /** Allocates nothing yet. */
  constructor(device: GPUDevice, TensorClass: typeof Tensor) {
    this.#device = device;
    this.#Tensor = TensorClass;
  }

  /** A tensor whose values are what its buffer had before. */
  empty(dtype: FeedTensor["dtype"], shape: readonly number[]): WebgpuTensor {
    const buffer = this.#take(round(BYTES[dtype] * shape.reduce((a, b) => a * b, 1), ALIGNMENT));
    const tensor = this.#Tensor.fromGpuBuffer(buffer as never, { dataType: dtype, dims: shape });
    return new WebgpuTensor(tensor, () => this.#give(buffer));
  }

  /** A tensor of zeros. */
  zeros(dtype: FeedTensor["dtype"], shape: readonly number[]): WebgpuTensor {
    const tensor = this.empty(dtype, shape);
    const encoder = this.#device.createCommandEncoder();
    encoder.clearBuffer(tensor.buffer);
    this.#device.queue.submit([encoder.finish()]);
    return tensor;
  }

  /** Copies a tensor to the device. */
  upload({ dtype, shape, data }: FeedTensor): WebgpuTensor {
    const tensor = this.empty(dtype, shape);
    const { queue } = this.#device;
    // WebGPU takes nothing from shared memory.
    const { buffer: source, byteOffset, byteLength } = data.buffer instanceof ArrayBuffer ? data : data.slice();
    const bytes = new Uint8Array(source as ArrayBuffer, byteOffset, byteLength);
    const whole = bytes.length - bytes.length % 4;
    if (whole > 0) queue.writeBuffer(tensor.buffer, 0, bytes, 0, whole);
    if (whole < bytes.length) {
      // Copies go by four bytes.
      const rest = new Uint8Array(4);
      rest.set(bytes.subarray(whole));
      queue.writeBuffer(tensor.buffer, whole, rest);
    }
    return tensor;
  }

  /** Copies tensors from the device: large ones each by itself, whose copy is not copied again, the others together; not too much at a time. */
  async download(tensors: readonly WebgpuTensor[]): Promise<FeedTensor[]> {
    const small = tensors.filter(({ bytes }) => bytes < LARGE);
    const batches = [...small.length > 0 ? [small] : [], ...tensors.filter(({ bytes }) => bytes >= LARGE).map((tensor) => [tensor])];
    const found = new Map<WebgpuTensor, FeedTensor>();
    for (let first = 0; first < batches.length;) {
      const running: Promise<void>[] = [];
      for (let bytes = 0; first < batches.length && (running.length === 0 || bytes + sizeOf(batches[first]) <= DOWNLOAD_LIMIT); first++) {
        const batch = batches[first];
        bytes += sizeOf(batch);
        running.push(this.#downloadTogether(batch).then((values) => batch.forEach((tensor, i) => void found.set(tensor, values[i]))));
      }
      await Promise.all(running);
    }
    return tensors.map((tensor) => found.get(tensor)!);
  }

  async #downloadTogether(tensors: readonly WebgpuTensor[]): Promise<FeedTensor[]> {
    const staging = this.#device.createBuffer({ size: sizeOf(tensors), usage: BufferUsage.MAP_READ | BufferUsage.COPY_DST });
    try {
      const encoder = this.#device.createCommandEncoder();
      let at = 0;
      for (const { buffer, bytes } of tensors) {
        encoder.copyBufferToBuffer(buffer, 0, staging, at, round(bytes, 4));
        at += round(bytes, 8);
      }
      this.#device.queue.submit([encoder.finish()]);
      await staging.mapAsync(MapMode.READ);
      const mapped = staging.getMappedRange();
      if (tensors.length === 1) return [view(tensors[0], takenOver(mapped))];
      at = 0;
      return tensors.map((tensor) => {
        const copy = mapped.slice(at, at + tensor.bytes);
        at += round(tensor.bytes, 8);
        return view(tensor, copy);
      });
    } finally {
      staging.destroy();
    }
  }

  /** Gives the buffers that lie free back to the driver. */
  trim(): void {
    for (const buffers of this.#free.values()) for (const buffer of buffers) buffer.destroy();
    this.#free.clear();
    this.#freeBytes = 0;
    this.#mostBytes = this.#usedBytes;
  }

  #take(size: number): GPUBuffer {
    this.#usedBytes += size;
    this.#mostBytes = Math.max(this.#mostBytes, this.#usedBytes);
    const free = this.#free.get(size)?.pop();
    if (free) {
      this.#freeBytes -= size;
      return free;
    }
    return this.#device.createBuffer({ size, usage: BufferUsage.STORAGE | BufferUsage.COPY_SRC | BufferUsage.COPY_DST });
  }

  #give(buffer: GPUBuffer): void {
    const { size } = buffer;
    this.#usedBytes -= size;
    // The size given back last is the likeliest to be wanted: it goes to the end, sizes that nobody wants any more come first.
    const buffers = this.#free.get(size) ?? [];
    this.#free.delete(size);
    this.#free.set(size, buffers);
    buffers.push(buffer);
    this.#freeBytes += size;
    while (this.#freeBytes > this.#mostBytes) {
      const [[oldest, unused]] = this.#free;
      unused.shift()?.destroy();
      this.#freeBytes -= oldest;
      if (unused.length === 0) this.#free.delete(oldest);
    }
  }
}
