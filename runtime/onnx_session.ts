/** A session over onnxruntime, by the JavaScript API that onnxruntime-web and onnxruntime-node share or otherwise: tensors in and out, errors in words. */

import type * as Ort from "onnxruntime-web";
import { OnnxHubError } from "../errors.ts";
import type { Feeds, FeedTensor, Session } from "./backend.ts";

/** What of onnxruntime's API is used. */
export type OnnxRuntime = Pick<typeof Ort, "InferenceSession" | "Tensor">;

/** onnxruntime's optimizers that would undo what was done for speed, by their names there: this one lets Gemm transpose what the code generator did. */
export const DISABLED_OPTIMIZERS: readonly string[] = ["GemmTransposeFusion"];

/** A graph that onnxruntime has loaded. */
export interface LoadedGraph {
  /** See {@linkcode Session.run}; errors are onnxruntime's. */
  run(...of: Parameters<Session["run"]>): ReturnType<Session["run"]>;
  release(): Promise<void>;
}

/** How a backend differs from others. */
export interface SessionTraits {
  /** Runs one job at a time where the runtime demands it. */
  readonly alone: <T>(job: () => Promise<T>) => Promise<T>;
  /** What to do about exhausted memory. */
  readonly memoryRemedy: string;
}

/**
 * Loads a graph.
 *
 * Errors from inside onnxruntime, which may be bare numbers, come out as "backend/load" and "backend/run" with the graph's name.
 */
export async function openSession(
  { alone, memoryRemedy }: SessionTraits,
  load: () => Promise<LoadedGraph>,
  label: string,
): Promise<Session> {
  let graph: LoadedGraph | null;
  try {
    graph = await alone(load);
  } catch (error) {
    throw wrap("backend/load", `onnxruntime could not load the graph ${label}`, error, memoryRemedy);
  }
  return {
    async run(feeds, outputs, kept) {
      if (!graph) throw new OnnxHubError("backend/disposed", `The graph ${label} was disposed of`, { remedy: "Make a new model." });
      const loaded = graph;
      try {
        return await alone(() => loaded.run(feeds, outputs, kept));
      } catch (error) {
        if (error instanceof OnnxHubError) throw error;
        throw wrap("backend/run", `onnxruntime failed in the graph ${label}`, error, memoryRemedy, describe(feeds));
      }
    },
    async dispose() {
      const released = graph;
      graph = null;
      await released?.release();
    },
  };
}

/** A session behind onnxruntime's JavaScript API. `accept` gives data as the runtime takes them; default as they are. */
export function loadedGraph(
  session: Ort.InferenceSession,
  { Tensor }: Pick<OnnxRuntime, "Tensor">,
  accept: (data: FeedTensor["data"]) => FeedTensor["data"] = (data) => data,
): LoadedGraph {
  const toOrt = ({ dtype, shape, data }: FeedTensor): Ort.Tensor => new Tensor(dtype as "float32", accept(data) as Float32Array, shape);
  return {
    async run(feeds, outputs) {
      const inputs = Object.fromEntries(Object.entries(feeds).map(([name, feed]) => [name, toOrt(feed)]));
      const results = await (outputs ? session.run(inputs, outputs) : session.run(inputs));
      return Object.fromEntries(Object.entries(results).map(([name, value]) => [name, fromOrt(value as Ort.Tensor, name)]));
    },
    release: () => session.release(),
  };
}

function fromOrt({ type, dims, data }: Ort.Tensor, name: string): FeedTensor {
  if (type !== "float32" && type !== "int32" && type !== "bool") throw unknownType(name, type);
  return { dtype: type, shape: [...dims], data } as FeedTensor;
}

/** The error of an output whose elements no tensor of ours has. */
export function unknownType(name: string, type: string): OnnxHubError {
  return new OnnxHubError("backend/dtype", `A graph gives ${name} as ${type}`, { expected: "float32, int32 or bool" });
}

function describe(feeds: Feeds): string {
  return Object.entries(feeds).filter(([name]) => !name.includes("/")).map(([name, { shape }]) => `${name} [${shape.join(", ")}]`).join(
    ", ",
  );
}

function wrap(code: "backend/load" | "backend/run", what: string, error: unknown, memoryRemedy: string, inputs?: string): OnnxHubError {
  const text = error instanceof Error ? error.message : String(error);
  const memory = /^\d+$/.test(text) || /bad_alloc|out of memory|Failed to allocate/i.test(text);
  return new OnnxHubError(code, what, {
    found: memory ? `out of memory (${text})` : text,
    remedy: memory ? memoryRemedy : inputs ? `The inputs were ${inputs}.` : undefined,
    cause: error,
  });
}
