/** Updates that are no kernel, Adafactor's and Muon's of matrices, as ONNX graphs on a backend. */

import { NEXT } from "../../codegen/optimizers/step.ts";
import { OnnxHubError } from "../../errors.ts";
import type { Backend, FeedTensor, Session } from "../backend.ts";
import type { Optimizer } from "./config.ts";
import type { OnnxUpdate } from "./prepared_weight.ts";

/** The loaded graphs of one optimizer: one for each kind of weight. */
export class OnnxUpdates {
  readonly #sessions = new Map<string, Session>();

  /** Nothing is loaded until the first run; without `load` a run throws "optimizer/backend". */
  constructor(private readonly optimizer: Pick<Optimizer, "className" | "name">, private readonly load?: Backend["load"]) {}

  /** Computes a graph; the output `next_x` is written to the tensor `x`. */
  async run(
    { graph, model, key }: OnnxUpdate,
    tensors: Readonly<Record<string, Float32Array>>,
    scalars: Readonly<Record<string, number>>,
  ): Promise<void> {
    if (!this.load) {
      throw new OnnxHubError("optimizer/backend", `${this.optimizer.className} needs a backend for its update of matrices`, {
        path: "load",
        remedy: "Give the optimizer's state a function that loads ONNX graphs.",
      });
    }
    const session = this.#sessions.get(key) ?? await this.load(model, `${this.optimizer.name}/update`);
    this.#sessions.set(key, session);
    const feeds: Record<string, FeedTensor> = {};
    for (const { name, shape } of graph.inputs) {
      feeds[name] = { dtype: "float32", shape: shape as number[], data: tensors[name] ?? Float32Array.of(scalars[name]) };
    }
    const outputs = await session.run(feeds);
    for (const { name } of graph.outputs) tensors[name.slice(NEXT.length)].set(outputs[name].data);
  }

  /** Frees the sessions. */
  async dispose(): Promise<void> {
    const sessions = [...this.#sessions.values()];
    this.#sessions.clear();
    for (const session of sessions) await session.dispose();
  }
}
