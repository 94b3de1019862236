/** A GPU under onnxruntime-web: sessions, tensors in its memory, masks; what it cannot hold, and what becomes of it. */

import type * as Ort from "onnxruntime-web";
import { BYTES, type Sizes } from "../../codegen/cost.ts";
import { evaluateShape, formatShape } from "../../codegen/ir/dims.ts";
import { OnnxHubError } from "../../errors.ts";
import type { RandomStream } from "../../random.ts";
import type { FeedTensor } from "../backend.ts";
import {
  type Device,
  type DeviceCopy,
  type DeviceFeeds,
  type DeviceLoadOptions,
  type DeviceSession,
  isOnDevice,
  type NamedTensor,
} from "../device.ts";
import { type Alone, LoadedGraph } from "./graph.ts";
import { MaskShader } from "./masks.ts";
import { WebgpuMemory } from "./memory.ts";
import type { WebgpuTensor } from "./tensor.ts";

/** What of onnxruntime's API is used. */
export type OnnxRuntime = Pick<typeof Ort, "InferenceSession" | "Tensor" | "env">;

/** How long the news of a loss may take to arrive after what failed by it, in milliseconds. */
const NEWS_OF_LOSS = 250;

/** What a device is made of. */
export interface WebgpuDeviceOptions {
  readonly ort: OnnxRuntime;
  readonly device: GPUDevice;
  readonly description: string;
  /** onnxruntime-web refuses two runs at once. */
  readonly alone: Alone;
  /** Keeps the process alive while something runs. */
  readonly awake: <T>(job: () => Promise<T>) => Promise<T>;
}

/** See {@linkcode Device}. */
export class WebgpuDevice implements Device {
  readonly description: string;
  readonly #ort: OnnxRuntime;
  readonly #device: GPUDevice;
  readonly #alone: Alone;
  readonly #awake: WebgpuDeviceOptions["awake"];
  readonly #masks: MaskShader;
  readonly #memory: WebgpuMemory;
  /** Resolves once the device is lost. */
  readonly lost: Promise<void>;
  /** Who waits for something that the loss makes impossible. A race with `lost` would keep each racer for as long as the device lives. */
  readonly #waiting = new Set<(reason: Error) => void>();
  #lost: string | null = null;
  /** The first error that nothing else reported. */
  #failure: string | null = null;

  /** Takes over a GPU device. */
  constructor({ ort, device, description, alone, awake }: WebgpuDeviceOptions) {
    this.#ort = ort;
    this.#device = device;
    this.description = description;
    this.#alone = alone;
    this.#awake = awake;
    this.#masks = new MaskShader(device);
    this.#memory = new WebgpuMemory(device, ort.Tensor);
    this.lost = device.lost.then(({ reason, message }) => {
      this.#lost = message || reason;
      for (const reject of this.#waiting) reject(new Error(this.#lost));
    });
    device.addEventListener("uncapturederror", (event) => {
      event.preventDefault();
      this.#failure ??= (event as GPUUncapturedErrorEvent).error.message;
    });
  }

  /** See {@linkcode Device}. */
  get isLost(): boolean {
    return this.#lost !== null;
  }

  /** See {@linkcode Device}. */
  get maxTensorBytes(): number {
    const { maxBufferSize, maxStorageBufferBindingSize } = this.#device.limits;
    return Math.min(maxBufferSize, maxStorageBufferBindingSize);
  }

  /** The GPU device underneath. */
  get gpu(): GPUDevice {
    return this.#device;
  }

  /** See {@linkcode Device}. */
  zeros(shape: readonly number[]): WebgpuTensor {
    this.#requireAlive();
    return this.#memory.zeros("float32", shape);
  }

  /** See {@linkcode Device}. */
  room(shape: readonly number[]): WebgpuTensor {
    this.#requireAlive();
    return this.#memory.empty("float32", shape);
  }

  /** See {@linkcode Device}. */
  copy(copies: readonly DeviceCopy[]): void {
    this.#requireAlive();
    const encoder = this.#device.createCommandEncoder();
    for (const { from, to, count } of copies) {
      const [source, target] = [from.tensor as WebgpuTensor, to.tensor as WebgpuTensor];
      encoder.copyBufferToBuffer(source.buffer, BYTES.float32 * from.at, target.buffer, BYTES.float32 * to.at, BYTES.float32 * count);
    }
    this.#device.queue.submit([encoder.finish()]);
  }

  /** See {@linkcode Device}. */
  upload(tensor: FeedTensor): WebgpuTensor {
    this.#requireAlive();
    return this.#memory.upload(tensor);
  }

  /** See {@linkcode Device}. */
  async download(tensors: readonly WebgpuTensor[]): Promise<FeedTensor[]> {
    this.#requireAlive();
    const results = await this.#guarded("reading from the GPU", () => this.#memory.download(tensors));
    this.#requireNoFailure("reading from the GPU");
    return results;
  }

  /** See {@linkcode Device}. */
  mask(stream: RandomStream, rate: number, shape: readonly number[], scale: number): WebgpuTensor {
    this.#requireAlive();
    const tensor = this.#memory.empty("float32", shape);
    this.#masks.fill(tensor.buffer, stream, rate, tensor.bytes / BYTES.float32, scale);
    return tensor;
  }

  /** See {@linkcode Device}. */
  trim(): void {
    if (!this.isLost) this.#memory.trim();
  }

  /** See {@linkcode Device}. */
  requireRoom(tensors: Iterable<NamedTensor>, sizes: Sizes): void {
    const limit = this.maxTensorBytes;
    for (const { name, dtype, shape } of tensors) {
      const dims = evaluateShape(shape, sizes);
      const bytes = BYTES[dtype] * dims.reduce((a, b) => a * b, 1);
      if (bytes <= limit) continue;
      const count = (number: number) => number.toLocaleString("en-US");
      throw new OnnxHubError("backend/limits", "A tensor is larger than this GPU lets one be", {
        path: name,
        expected: `at most ${count(limit)} bytes (${this.description})`,
        found: `${count(bytes)} bytes for ${dtype} ${formatShape(dims)}`,
        remedy: 'Take a smaller batch, shorter sequences or a smaller model, or the backend "wasm".',
      });
    }
  }

  /** See {@linkcode Device}. */
  async load(model: Uint8Array<ArrayBuffer>, { label, sizes, whole = false }: DeviceLoadOptions): Promise<DeviceSession> {
    this.#requireAlive();
    const options = {
      executionProviders: [{ name: "webgpu", device: this.#device } as Ort.InferenceSession.WebGpuExecutionProviderOption],
      preferredOutputLocation: "gpu-buffer",
      freeDimensionOverrides: sizes,
      // What it would log it also throws.
      logSeverityLevel: 4,
      ...(whole && { extra: { session: { disable_cpu_ep_fallback: "1" } } }),
    } as const;
    const session = await this.#guarded(
      `loading the graph ${label}`,
      () => this.#alone(() => this.#ort.InferenceSession.create(model, options)),
      "backend/load",
    );
    const graph = new LoadedGraph(session, this.#memory, this.#alone);
    return {
      run: async (feeds) => {
        this.#requireAlive();
        if (graph.isDisposed) {
          throw new OnnxHubError("backend/disposed", `The graph ${label} was disposed of`, { remedy: "Make a new model." });
        }
        return await this.#run(graph, feeds, label);
      },
      dispose: () => graph.dispose(),
    };
  }

  async #run(graph: LoadedGraph, feeds: DeviceFeeds, label: string): Promise<Record<string, WebgpuTensor>> {
    const sent: WebgpuTensor[] = [];
    try {
      const inputs: Record<string, Ort.Tensor> = {};
      for (const [name, feed] of Object.entries(feeds)) {
        const tensor = isOnDevice(feed) ? feed as WebgpuTensor : this.upload(feed);
        if (tensor !== feed) sent.push(tensor);
        inputs[name] = tensor.tensor;
      }
      const doing = `running the graph ${label}`;
      const outputs = await this.#guarded(doing, () => graph.run(inputs));
      try {
        this.#requireNoFailure(doing);
      } catch (error) {
        for (const output of Object.values(outputs)) output.dispose();
        throw error;
      }
      return outputs;
    } finally {
      for (const tensor of sent) tensor.dispose();
    }
  }

  /** Does something during which the device may be lost, and says so if it was. */
  async #guarded<T>(doing: string, body: () => Promise<T>, code: "backend/load" | "backend/run" = "backend/run"): Promise<T> {
    try {
      return await this.#awake(() => this.#orLoss(body));
    } catch (error) {
      if (error instanceof OnnxHubError) throw error;
      await Promise.race([this.lost, new Promise((resolve) => setTimeout(resolve, NEWS_OF_LOSS))]);
      if (this.isLost) throw this.#lossError(doing, error);
      const text = error instanceof Error ? error.message : String(error);
      throw new OnnxHubError(code, `onnxruntime failed ${doing}`, { found: text, cause: error });
    }
  }

  /** What the body gives; an error if the device is lost first. */
  #orLoss<T>(body: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject);
      body().then(resolve, reject).finally(() => this.#waiting.delete(reject));
    });
  }

  #lossError(doing: string, cause?: unknown): OnnxHubError {
    return new OnnxHubError("backend/device-lost", `The GPU was lost before or while ${doing}`, {
      found: this.#lost ?? undefined,
      remedy: "Make the model anew, from what was saved last.",
      cause,
    });
  }

  #requireAlive(): void {
    if (this.isLost) throw this.#lossError("it was used");
  }

  /** What went wrong without anyone being told: not enough memory, above all. */
  #requireNoFailure(doing: string): void {
    const failure = this.#failure;
    if (failure === null) return;
    this.#failure = null;
    const isMemory = /memory/i.test(failure);
    throw new OnnxHubError("backend/run", `The GPU failed ${doing}`, {
      found: failure,
      remedy: isMemory ? "Take a smaller batch, shorter sequences or a smaller model." : undefined,
    });
  }
}
