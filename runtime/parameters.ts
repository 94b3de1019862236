/** A model's weights, each living once, as a typed array on the JavaScript side. */

import type { WeightInfo } from "../codegen/program.ts";
import { OnnxHubError } from "../errors.ts";
import { initialize } from "./initializers.ts";
import type { Tensor } from "./tensor.ts";

/** The weights of one model, in KerasHub's order. Backbones and tasks that belong together share one. */
export class Parameters {
  readonly #data = new Map<string, Float32Array<ArrayBuffer>>();
  readonly #infos = new Map<string, WeightInfo>();
  /** Goes up whenever a weight changes, so that copies know when they are stale. */
  version = 0;

  /** The weights' descriptions, in order. */
  get infos(): readonly WeightInfo[] {
    return [...this.#infos.values()];
  }

  /** Makes the weights that are not there yet, freshly initialized. Those that are there must have the same shape. */
  ensure(infos: readonly WeightInfo[], seed: number): void {
    for (const info of infos) {
      const known = this.#infos.get(info.path);
      if (known && known.shape.join() !== info.shape.join()) {
        throw new OnnxHubError("model/weight-shape", `The weight ${info.path} is there already with another shape`, {
          expected: `[${known.shape.join(", ")}]`,
          found: `[${info.shape.join(", ")}]`,
        });
      }
      if (known) continue;
      this.#infos.set(info.path, info);
      this.#data.set(info.path, initialize(info.initializer, info.shape, seed, info.path));
    }
  }

  /** A weight's values, to read or to write in place (then call {@linkcode touch}). */
  get(path: string): Float32Array<ArrayBuffer> {
    const data = this.#data.get(path);
    if (!data) throw new OnnxHubError("model/unknown-weight", `There is no weight ${path}`, { path });
    return data;
  }

  /** A weight's description. */
  info(path: string): WeightInfo {
    this.get(path);
    return this.#infos.get(path)!;
  }

  /** Says that weights were written in place. */
  touch(): void {
    this.version++;
  }

  /** Replaces a weight's values; throws "model/weight-shape" for another shape. */
  set(path: string, { shape, data }: Tensor<"float32">): void {
    const into = this.get(path);
    const info = this.#infos.get(path)!;
    if (shape.join() !== info.shape.join()) {
      throw new OnnxHubError("model/weight-shape", `These values don't fit the weight ${path}`, {
        path,
        expected: `[${info.shape.join(", ")}]`,
        found: `[${shape.join(", ")}]`,
      });
    }
    into.set(data);
    this.version++;
  }

  /** Lets go of all values. */
  dispose(): void {
    this.#data.clear();
    this.#infos.clear();
  }
}
