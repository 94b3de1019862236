/** A graph that onnxruntime has loaded, whose outputs go where they are told. */

import type { InferenceSession, Tensor } from "onnxruntime-web";
import { BYTES } from "../../codegen/cost.ts";
import type { WebgpuMemory } from "./memory.ts";
import { WebgpuTensor } from "./tensor.ts";

/** Runs one job after the other. */
export type Alone = <T>(job: () => Promise<T>) => Promise<T>;

/** A session. It stays loaded as long as there are outputs in memory of its own: those whose shapes it can't foresee. */
export class LoadedGraph {
  #outputs = 0;
  #isDisposed = false;
  #isReleased = false;

  /** Takes a session over. */
  constructor(private readonly session: InferenceSession, private readonly memory: WebgpuMemory, private readonly alone: Alone) {}

  /** Whether it was disposed of. */
  get isDisposed(): boolean {
    return this.#isDisposed;
  }

  /** Runs the graph. */
  async run(inputs: Readonly<Record<string, Tensor>>): Promise<Record<string, WebgpuTensor>> {
    const outputs: Record<string, WebgpuTensor> = {};
    const places: Record<string, Tensor | null> = {};
    for (const metadata of this.session.outputMetadata) {
      places[metadata.name] = null;
      if (!metadata.isTensor || !isKnown(metadata)) continue;
      const output = this.memory.empty(metadata.type, metadata.shape);
      outputs[metadata.name] = output;
      places[metadata.name] = output.tensor;
    }
    try {
      const results = await this.alone(() => this.session.run(inputs, places));
      for (const [name, value] of Object.entries(results)) outputs[name] ??= this.#own(value as Tensor);
      return outputs;
    } catch (error) {
      for (const output of Object.values(outputs)) output.dispose();
      throw error;
    }
  }

  #own(tensor: Tensor): WebgpuTensor {
    this.#outputs++;
    return new WebgpuTensor(tensor, () => {
      tensor.dispose();
      this.#outputs--;
      this.alone(() => this.#releaseUnused()).catch(() => {});
    });
  }

  /** Lets go of the session, as soon as none of its outputs needs it. */
  dispose(): Promise<void> {
    this.#isDisposed = true;
    return this.alone(() => this.#releaseUnused());
  }

  async #releaseUnused(): Promise<void> {
    if (!this.#isDisposed || this.#isReleased || this.#outputs > 0) return;
    this.#isReleased = true;
    await this.session.release();
  }
}

type Known = { readonly type: "float32" | "int32" | "bool"; readonly shape: readonly number[] };

function isKnown(metadata: { readonly type: string; readonly shape: readonly (number | string)[] }): metadata is Known {
  return metadata.type in BYTES && metadata.shape.every((dim) => typeof dim === "number" && dim >= 0);
}
