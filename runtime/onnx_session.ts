/** A session over onnxruntime's JavaScript API, which onnxruntime-web and onnxruntime-node share: tensors in and out, errors in words. */

import type * as Ort from "onnxruntime-web";
import { OnnxHubError } from "../errors.ts";
import type { Feeds, FeedTensor, Session } from "./backend.ts";

/** What of onnxruntime's API is used. */
export type OnnxRuntime = Pick<typeof Ort, "InferenceSession" | "Tensor">;

/** How a backend differs from others. */
export interface SessionTraits {
  readonly ort: OnnxRuntime;
  /** Runs one job at a time where the runtime demands it. */
  readonly alone: <T>(job: () => Promise<T>) => Promise<T>;
  /** What to do about exhausted memory. */
  readonly memoryRemedy: string;
  /** The data as the runtime takes it; default as it is. */
  readonly accept?: (data: FeedTensor["data"]) => FeedTensor["data"];
}

/**
 * Loads a graph.
 *
 * Errors from inside onnxruntime, which may be bare numbers, come out as "backend/load" and "backend/run" with the graph's name.
 */
export async function openSession(
  { ort, alone, memoryRemedy, accept = (data) => data }: SessionTraits,
  create: () => Promise<Ort.InferenceSession>,
  label: string,
): Promise<Session> {
  let session: Ort.InferenceSession | null;
  try {
    session = await alone(create);
  } catch (error) {
    throw wrap("backend/load", `onnxruntime could not load the graph ${label}`, error, memoryRemedy);
  }
  const toOrt = ({ dtype, shape, data }: FeedTensor): Ort.Tensor => new ort.Tensor(dtype as "float32", accept(data) as Float32Array, shape);
  return {
    async run(feeds, outputs) {
      if (!session) throw new OnnxHubError("backend/disposed", `The graph ${label} was disposed of`, { remedy: "Make a new model." });
      const inputs = Object.fromEntries(Object.entries(feeds).map(([name, feed]) => [name, toOrt(feed)]));
      const loaded = session;
      let results: Ort.InferenceSession.OnnxValueMapType;
      try {
        results = await alone(() => outputs ? loaded.run(inputs, outputs) : loaded.run(inputs));
      } catch (error) {
        throw wrap("backend/run", `onnxruntime failed in the graph ${label}`, error, memoryRemedy, describe(feeds));
      }
      return Object.fromEntries(Object.entries(results).map(([name, value]) => [name, fromOrt(value as Ort.Tensor, label, name)]));
    },
    async dispose() {
      const released = session;
      session = null;
      await released?.release();
    },
  };
}

function fromOrt(value: Ort.Tensor, label: string, name: string): FeedTensor {
  const { type, dims, data } = value;
  if (type !== "float32" && type !== "int32" && type !== "bool") {
    throw new OnnxHubError("backend/dtype", `The graph ${label} gives ${name} as ${type}`, { expected: "float32, int32 or bool" });
  }
  return { dtype: type, shape: [...dims], data } as FeedTensor;
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
