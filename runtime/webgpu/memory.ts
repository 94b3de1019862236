/** A GPU's memory: buffers under tensors, kept when they are free for tensors of the same size; what goes into them and comes out. */

import type { Tensor } from "onnxruntime-web";
import { BYTES } from "../../codegen/cost.ts";
import type { FeedTensor } from "../backend.ts";
import { BufferUsage, MapMode } from "./usage.ts";
import { WebgpuTensor } from "./tensor.ts";

/** Shaders read four numbers at a time: a buffer ends at a multiple of 16 bytes. */
const ALIGNMENT = 16;

/** The most bytes that come back through one buffer. */
const DOWNLOAD_LIMIT = 2 ** 28;

const round = (bytes: number, unit: number): number => Math.max(unit, Math.ceil(bytes / unit) * unit);

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

  /** Copies tensors from the device, through one buffer as long as they fit. */
  async download(tensors: readonly WebgpuTensor[]): Promise<FeedTensor[]> {
    const results: FeedTensor[] = [];
    for (let first = 0; first < tensors.length;) {
      let bytes = 0;
      let end = first;
      while (end < tensors.length && (end === first || bytes + tensors[end].bytes <= DOWNLOAD_LIMIT)) {
        bytes += round(tensors[end++].bytes, 8);
      }
      results.push(...await this.#downloadTogether(tensors.slice(first, end), bytes));
      first = end;
    }
    return results;
  }

  async #downloadTogether(tensors: readonly WebgpuTensor[], bytes: number): Promise<FeedTensor[]> {
    const staging = this.#device.createBuffer({ size: round(bytes, 8), usage: BufferUsage.MAP_READ | BufferUsage.COPY_DST });
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
      at = 0;
      return tensors.map(({ dtype, shape, bytes }) => {
        const copy = mapped.slice(at, at + bytes);
        at += round(bytes, 8);
        switch (dtype) {
          case "float32":
            return { dtype, shape, data: new Float32Array(copy) };
          case "int32":
            return { dtype, shape, data: new Int32Array(copy) };
          case "bool":
            return { dtype, shape, data: new Uint8Array(copy) };
        }
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
