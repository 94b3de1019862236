/** The graphs of an optimizer on a device: loaded when first needed, one session for all that are equal. */

import { encode } from "../../codegen/onnx/encode.ts";
import type { GroupGraph } from "../../codegen/optimizers/groups.ts";
import type { Graph } from "../../codegen/ir/types.ts";
import type { Device, DeviceSession, DeviceTensor } from "../device.ts";
import { Kernel, type KernelCache } from "./kernel.ts";

/** A graph that is loaded, and the kernel of its scalars. */
interface Loaded {
  readonly session: DeviceSession;
  readonly inputs: readonly string[];
  readonly scalars: Kernel | null;
}

/** Runs graphs of groups. */
export class DeviceGraphs {
  readonly #kernels: KernelCache = new Map();
  readonly #loaded = new Map<Graph, Promise<Loaded>>();
  readonly #sessions = new Map<string, Promise<DeviceSession>>();

  /** `name` is the optimizer's, for errors. Loads nothing yet. */
  constructor(private readonly name: string) {}

  /** Computes a group's graph: scalars on the host, from those given, in float32; the rest on the device, `feed` giving its other inputs. */
  async run(
    device: Device,
    { graph, scalars }: GroupGraph,
    given: Readonly<Record<string, number>>,
    feed: (name: string) => DeviceTensor,
  ): Promise<Record<string, DeviceTensor>> {
    const { session, inputs, scalars: kernel } = await this.#load(device, graph, scalars);
    const computed = kernel?.run({}, given) ?? {};
    return await session.run(
      Object.fromEntries(
        inputs.map((name) => [
          name,
          name in computed ? { dtype: "float32", shape: [], data: Float32Array.of(computed[name]) } : feed(name),
        ]),
      ),
    );
  }

  #load(device: Device, graph: Graph, scalars: Graph): Promise<Loaded> {
    let loading = this.#loaded.get(graph);
    if (!loading) this.#loaded.set(graph, loading = this.#loadNew(device, graph, scalars));
    return loading;
  }

  async #loadNew(device: Device, graph: Graph, scalars: Graph): Promise<Loaded> {
    device.requireRoom(graph.nodes.flatMap(({ outputs }) => outputs), {});
    const model = encode(graph, { provider: "webgpu" });
    const key = new TextDecoder("latin1").decode(model);
    let session = this.#sessions.get(key);
    if (!session) {
      session = device.load(model, { label: `${this.name}/${graph.name}`, sizes: {}, whole: true });
      this.#sessions.set(key, session);
    }
    return {
      session: await session,
      inputs: graph.inputs.map(({ name }) => name),
      scalars: scalars.outputs.length > 0 ? Kernel.compile(scalars, [1], this.#kernels)! : null,
    };
  }

  /** Frees the sessions. */
  async dispose(): Promise<void> {
    const sessions = [...this.#sessions.values()];
    this.#sessions.clear();
    for (const session of await Promise.allSettled(sessions)) if (session.status === "fulfilled") await session.value.dispose();
  }
}
