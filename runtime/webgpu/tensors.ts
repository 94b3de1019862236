/** Tensors in a GPU's memory: uploaded, or what onnxruntime left there, and how they come back. */

import type { Tensor } from "onnxruntime-web";
import { BYTES } from "../../codegen/cost.ts";
import { OnnxHubError } from "../../errors.ts";
import type { FeedTensor } from "../backend.ts";
import type { DeviceTensor } from "../device.ts";
import { BufferUsage, MapMode } from "./usage.ts";

/** What makes onnxruntime's tensors. */
export type TensorClass = typeof Tensor;

/** Shaders read four numbers at a time: a buffer ends at a multiple of 16 bytes. */
const ALIGNMENT = 16;

/** The most bytes that come back through one buffer. */
const DOWNLOAD_LIMIT = 2 ** 28;

const round = (bytes: number, unit: number): number => Math.max(unit, Math.ceil(bytes / unit) * unit);

/** A tensor in a buffer. */
export class WebgpuTensor implements DeviceTensor {
  readonly dtype: FeedTensor["dtype"];
  readonly shape: readonly number[];
  /** Bytes of its elements. */
  readonly bytes: number;
  #tensor: Tensor | null;
  readonly #free: () => void;

  /** Over a tensor of onnxruntime's whose data lies in a GPU buffer. */
  constructor(tensor: Tensor, free: () => void) {
    const { type, dims } = tensor;
    if (type !== "float32" && type !== "int32" && type !== "bool") {
      throw new OnnxHubError("backend/dtype", `A graph gives a tensor of ${type}`, { expected: "float32, int32 or bool" });
    }
    this.dtype = type;
    this.shape = [...dims];
    this.bytes = BYTES[type] * dims.reduce((a, b) => a * b, 1);
    this.#tensor = tensor;
    this.#free = free;
  }

  /** The tensor to feed; throws "backend/disposed" once it is gone. */
  get tensor(): Tensor {
    if (this.#tensor) return this.#tensor;
    throw new OnnxHubError("backend/disposed", "A tensor on the device was used after it was disposed of");
  }

  /** See {@linkcode DeviceTensor}. */
  dispose(): void {
    if (!this.#tensor) return;
    this.#tensor = null;
    this.#free();
  }
}

/** A tensor over a new buffer, which is all zeros. */
export function emptyTensor(
  device: GPUDevice,
  Tensor: TensorClass,
  dtype: FeedTensor["dtype"],
  shape: readonly number[],
): { tensor: WebgpuTensor; buffer: GPUBuffer } {
  const bytes = BYTES[dtype] * shape.reduce((a, b) => a * b, 1);
  const usage = BufferUsage.STORAGE | BufferUsage.COPY_SRC | BufferUsage.COPY_DST;
  const buffer = device.createBuffer({ size: round(bytes, ALIGNMENT), usage });
  const tensor = Tensor.fromGpuBuffer(buffer as never, { dataType: dtype, dims: shape });
  return { tensor: new WebgpuTensor(tensor, () => buffer.destroy()), buffer };
}

/** Copies a tensor into the GPU's memory. */
export function uploadTensor(device: GPUDevice, Tensor: TensorClass, { dtype, shape, data }: FeedTensor): WebgpuTensor {
  const { tensor, buffer } = emptyTensor(device, Tensor, dtype, shape);
  // WebGPU takes nothing from shared memory.
  const { buffer: source, byteOffset, byteLength } = data.buffer instanceof ArrayBuffer ? data : data.slice();
  const bytes = new Uint8Array(source as ArrayBuffer, byteOffset, byteLength);
  const whole = bytes.length - bytes.length % 4;
  if (whole > 0) device.queue.writeBuffer(buffer, 0, bytes, 0, whole);
  if (whole < bytes.length) {
    // Copies go by four bytes.
    const rest = new Uint8Array(4);
    rest.set(bytes.subarray(whole));
    device.queue.writeBuffer(buffer, whole, rest);
  }
  return tensor;
}

/** Copies tensors out of the GPU's memory, through one buffer as long as they fit. */
export async function downloadTensors(device: GPUDevice, tensors: readonly WebgpuTensor[]): Promise<FeedTensor[]> {
  const results: FeedTensor[] = [];
  for (let first = 0; first < tensors.length;) {
    let bytes = 0;
    let end = first;
    while (end < tensors.length && (end === first || bytes + tensors[end].bytes <= DOWNLOAD_LIMIT)) bytes += round(tensors[end++].bytes, 8);
    results.push(...await downloadTogether(device, tensors.slice(first, end), bytes));
    first = end;
  }
  return results;
}

async function downloadTogether(device: GPUDevice, tensors: readonly WebgpuTensor[], bytes: number): Promise<FeedTensor[]> {
  const staging = device.createBuffer({ size: round(bytes, 8), usage: BufferUsage.MAP_READ | BufferUsage.COPY_DST });
  try {
    const encoder = device.createCommandEncoder();
    let at = 0;
    for (const { tensor, bytes } of tensors) {
      encoder.copyBufferToBuffer(tensor.gpuBuffer as unknown as GPUBuffer, 0, staging, at, round(bytes, 4));
      at += round(bytes, 8);
    }
    device.queue.submit([encoder.finish()]);
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
