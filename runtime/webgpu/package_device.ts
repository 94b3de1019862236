/** What a device of the package `webgpu` (Dawn in Node and Bun) needs to work under onnxruntime-web. */

/** A device that also takes the bytes of shared memory, where onnxruntime-web's heap lies: Dawn's binding refuses them. */
export function forPackage(device: GPUDevice): GPUDevice {
  const { queue } = device;
  const writeBuffer = queue.writeBuffer.bind(queue);
  queue.writeBuffer =
    ((buffer: GPUBuffer, at: number, data: ArrayBuffer | SharedArrayBuffer | ArrayBufferView, start = 0, size?: number) => {
      if (!ArrayBuffer.isView(data) || !(data.buffer instanceof SharedArrayBuffer)) {
        return writeBuffer(buffer, at, data as never, start, size);
      }
      const unit = "BYTES_PER_ELEMENT" in data ? Number(data.BYTES_PER_ELEMENT) : 1;
      const bytes = (size ?? data.byteLength / unit - start) * unit;
      return writeBuffer(buffer, at, new Uint8Array(data.buffer, data.byteOffset + start * unit, bytes).slice());
    }) as typeof queue.writeBuffer;
  return device;
}

/** Keeps the process alive while something runs: Dawn's promises alone don't. */
export async function keptAlive<T>(job: () => Promise<T>): Promise<T> {
  const timer = setInterval(() => {}, 1000);
  try {
    return await job();
  } finally {
    clearInterval(timer);
  }
}
