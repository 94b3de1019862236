/** A tensor in a GPU buffer. */

import type { Tensor } from "onnxruntime-web";
import { BYTES } from "../../codegen/cost.ts";
import { OnnxHubError } from "../../errors.ts";
import type { FeedTensor } from "../backend.ts";
import type { DeviceTensor } from "../device.ts";

/** A tensor of onnxruntime's whose data lies in a GPU buffer. */
export class WebgpuTensor implements DeviceTensor {
  readonly dtype: FeedTensor["dtype"];
  readonly shape: readonly number[];
  /** Bytes of its elements. */
  readonly bytes: number;
  #tensor: Tensor | null;
  readonly #free: () => void;

  /** `free` is called once, when it is disposed of. */
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

  /** The buffer underneath, which may be larger. */
  get buffer(): GPUBuffer {
    return this.tensor.gpuBuffer as unknown as GPUBuffer;
  }

  /** See {@linkcode DeviceTensor}. */
  dispose(): void {
    if (!this.#tensor) return;
    this.#tensor = null;
    this.#free();
  }
}
