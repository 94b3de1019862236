/** transformers.js as a contestant on its CPU device, which is onnxruntime-node: its fill-mask pipeline on PyTorch's export. */

import { basename, dirname } from "node:path";
import { type Prepared, serve } from "../serve.ts";
import type { Workload } from "../workload.ts";

/** A package of the peers' own, in no list of the project's. */
const TRANSFORMERS: string = "@huggingface/transformers";

/** What is used of transformers.js. */
interface Transformers {
  readonly env: { allowRemoteModels: boolean; localModelPath: string; version: string };
  pipeline(task: "fill-mask", model: string, options: object): Promise<FillMask>;
}

interface FillMask {
  (text: string, options: { top_k: number }): Promise<{ token: number }[]>;
  dispose(): Promise<void>;
}

async function prepare({ checkpoint, text, threads, weights }: Workload): Promise<Prepared> {
  const { env, pipeline } = await import(TRANSFORMERS) as Transformers;
  env.allowRemoteModels = false;
  env.localModelPath = dirname(checkpoint!);
  // Its own default are the processor's physical cores.
  const session_options = { intraOpNumThreads: threads };
  const dtype = weights === "int8" ? "q8" : "fp32";
  const fill = await pipeline("fill-mask", basename(checkpoint!), { device: "cpu", dtype, session_options });
  return {
    facts: { runtime: `transformers.js ${env.version}` },
    dispose: () => fill.dispose(),
    step: async () => ({ facts: { tokens: (await fill(text!, { top_k: 5 })).map(({ token }) => token) } }),
  };
}

await serve(prepare);
