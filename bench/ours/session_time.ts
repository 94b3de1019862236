/** How long onnxruntime itself runs, so that what a step costs outside it can be told. */

import * as web from "onnxruntime-web";

/** A stopwatch over all sessions of the process. */
export interface SessionTime {
  /** The version of onnxruntime-web. */
  readonly version: string;
  /** Starts from zero. */
  reset(): void;
  /** Seconds in which at least one session ran. */
  seconds(): number;
}

interface SessionClass {
  readonly prototype: { run(...args: unknown[]): Promise<unknown> };
}

/** Times every run of onnxruntime-web, and of onnxruntime-node where it is there, from now on. */
export async function watchSessions(): Promise<SessionTime> {
  let total = 0;
  let running = 0;
  let since = 0;
  const watch = ({ prototype }: SessionClass): void => {
    const { run } = prototype;
    prototype.run = async function (...args) {
      if (running++ === 0) since = performance.now();
      try {
        return await run.apply(this, args);
      } finally {
        if (--running === 0) total += performance.now() - since;
      }
    };
  };
  const classes = new Set<unknown>([web.InferenceSession as unknown]);
  const native = await import("onnxruntime-node" as string).catch(() => null);
  if (native) classes.add((native.default ?? native).InferenceSession);
  for (const one of classes) watch(one as SessionClass);
  return {
    version: web.env.versions.web ?? "?",
    reset: () => void (total = 0),
    seconds: () => total / 1000,
  };
}
