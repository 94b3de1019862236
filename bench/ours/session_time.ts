/** How long onnxruntime itself runs, so that what a step costs outside it can be told. */

import { createRequire } from "node:module";
import { join } from "node:path";
import process from "node:process";
import * as web from "onnxruntime-web";

/** A stopwatch over all sessions of the process. */
export interface SessionTime {
  /** The package and its version. */
  readonly runtime: string;
  /** Starts from zero. */
  reset(): void;
  /** Seconds in which at least one session ran. */
  seconds(): number;
}

interface SessionClass {
  readonly prototype: { run(...args: unknown[]): Promise<unknown> };
}

/** Times every run of onnxruntime-web, or of the onnxruntime-node that is found from the working directory, from now on. */
export function watchSessions(native: boolean): SessionTime {
  let total = 0;
  let running = 0;
  let since = 0;
  const runtime = native ? createRequire(join(process.cwd(), "package.json"))("onnxruntime-node") as typeof web : web;
  const { prototype } = runtime.InferenceSession as unknown as SessionClass;
  const { run } = prototype;
  prototype.run = async function (...args) {
    if (running++ === 0) since = performance.now();
    try {
      return await run.apply(this, args);
    } finally {
      if (--running === 0) total += performance.now() - since;
    }
  };
  return {
    runtime: `onnxruntime-${native ? "node" : "web"} ${native ? runtime.env.versions.node : web.env.versions.web}`,
    reset: () => void (total = 0),
    seconds: () => total / 1000,
  };
}
