/** A graph that onnxruntime has loaded, which stays loaded as long as there are outputs of it: they lie in its memory. */

import type { InferenceSession, Tensor } from "onnxruntime-web";
import { WebgpuTensor } from "./tensors.ts";

/** Runs one job after the other. */
export type Alone = <T>(job: () => Promise<T>) => Promise<T>;

/** A session with its live outputs. */
export class LoadedGraph {
  #outputs = 0;
  #isDisposed = false;
  #isReleased = false;

  /** Takes a session over. */
  constructor(private readonly session: InferenceSession, private readonly alone: Alone) {}

  /** Whether it was disposed of. */
  get isDisposed(): boolean {
    return this.#isDisposed;
  }

  /** Runs the graph. */
  async run(inputs: Readonly<Record<string, Tensor>>): Promise<Record<string, WebgpuTensor>> {
    const results = await this.alone(() => this.session.run(inputs));
    return Object.fromEntries(Object.entries(results).map(([name, value]) => [name, this.#output(value as Tensor)]));
  }

  #output(tensor: Tensor): WebgpuTensor {
    this.#outputs++;
    return new WebgpuTensor(tensor, () => {
      tensor.dispose();
      this.#outputs--;
      this.alone(() => this.#releaseUnused()).catch(() => {});
    });
  }

  /** Lets go of the session, as soon as there is no output left. */
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
