/** The `native` backend: onnxruntime-node, where the user has installed it. Loaded when first asked for, never imported statically. */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import process from "node:process";
import type { InferenceSession } from "onnxruntime-web";
import { OnnxHubError } from "../errors.ts";
import type { Backend, BackendOptions, FeedTensor } from "./backend.ts";
import { loadedGraph, type OnnxRuntime, openSession } from "./onnx_session.ts";
import { threadsOf } from "./threads.ts";

/** The package, and how it is installed without its own script, which downloads GPU libraries. */
const PACKAGE = "onnxruntime-node";
const REMEDY = `Install it in your project: \`npm install --ignore-scripts ${PACKAGE}\` (\`deno run\` needs --allow-ffi for it).`;

let loaded: OnnxRuntime | null = null;

/**
 * onnxruntime-node on the processor. It is looked for from the working directory, then from where this package is.
 *
 * Throws "backend/unavailable" where it isn't installed or can't be loaded, "backend/threads", "backend/load" and "backend/run".
 */
export function nativeBackend({ threads }: BackendOptions = {}): Backend {
  const count = threadsOf(threads);
  const ort = loaded ??= load();
  const options: InferenceSession.SessionOptions = {
    executionProviders: ["cpu"],
    graphOptimizationLevel: "all",
    intraOpNumThreads: count,
    interOpNumThreads: 1,
    extra: {
      // A pool that goes on spinning after a run takes the processor from the other stages' pools and from the optimizer.
      session: { force_spinning_stop: "1" },
      // The fused op takes four times as long as the two that it stands for: 33 of 610 ms of a prediction of XLM-R base.
      optimization: { disable_specified_optimizers: "SkipLayerNormFusion" },
    },
  };
  return {
    name: "native",
    load: (model, label, external) => {
      const externalData = [...external ?? []].map(([path, data]) => ({ path, data: unshared(data) as Uint8Array }));
      return openSession(
        { alone: (job) => job(), memoryRemedy: "Take a smaller batch, shorter sequences or a smaller model." },
        async () => loadedGraph(await ort.InferenceSession.create(model, { ...options, externalData }), ort, unshared),
        label,
      );
    },
  };
}

/** Whether the package is installed and can be loaded; loads it. */
export function hasNative(): boolean {
  try {
    loaded ??= load();
    return true;
  } catch {
    return false;
  }
}

function load(): OnnxRuntime {
  const causes: unknown[] = [];
  for (const from of [join(process.cwd(), "package.json"), import.meta.url]) {
    try {
      const require = createRequire(from);
      requireName(require.resolve(PACKAGE));
      return require(PACKAGE) as OnnxRuntime;
    } catch (error) {
      causes.push(error);
    }
  }
  throw new OnnxHubError("backend/unavailable", `The backend "native" needs the package ${PACKAGE}, which can't be loaded`, {
    path: "backend",
    found: causes.map((cause) => cause instanceof Error ? cause.message.split("\n", 1)[0] : String(cause)).join("; "),
    remedy: REMEDY,
    cause: causes[0],
  });
}

/** Another package under that name (an alias in somebody's lock file) is not it. */
function requireName(file: string): void {
  for (let directory = dirname(file); directory !== dirname(directory); directory = dirname(directory)) {
    let name: unknown;
    try {
      name = JSON.parse(readFileSync(join(directory, "package.json"), "utf8")).name;
    } catch {
      continue;
    }
    if (typeof name !== "string") continue;
    if (name === PACKAGE) return;
    throw new Error(`${directory} is the package ${name}`);
  }
}

type Pointer = object | null;

/** What of Deno's foreign-function interface is used. */
interface DenoMemory {
  readonly UnsafePointer: { of(data: Uint8Array): Pointer };
  readonly UnsafePointerView: { getArrayBuffer(pointer: Pointer, length: number): ArrayBuffer };
}

const aliases = new WeakMap<ArrayBufferLike, ArrayBuffer>();

/** Deno hands no shared memory to native code: there the same bytes are given as an ordinary buffer. */
function unshared(data: FeedTensor["data"] | Uint8Array): FeedTensor["data"] {
  const buffer = data.buffer as ArrayBufferLike;
  const deno = (globalThis as { readonly Deno?: Partial<DenoMemory> }).Deno;
  if (!(buffer instanceof SharedArrayBuffer) || !deno?.UnsafePointer || !deno.UnsafePointerView) return data as FeedTensor["data"];
  let alias = aliases.get(buffer);
  if (!alias) {
    alias = deno.UnsafePointerView.getArrayBuffer(deno.UnsafePointer.of(new Uint8Array(buffer)), buffer.byteLength);
    aliases.set(buffer, alias);
  }
  const View = data.constructor as Float32ArrayConstructor;
  return new View(alias, data.byteOffset, data.length) as FeedTensor["data"];
}
