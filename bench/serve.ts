/** The contestant's side of the protocol, for those that run on Deno. */

import process from "node:process";
import { createInterface } from "node:readline";
import { type Facts, readMessage, type Request, type Response, writeMessage } from "./protocol.ts";
import type { Workload } from "./workload.ts";

/** A model and a batch, ready to go. */
export interface Prepared {
  /** Does the measured work once. It may say what it computed, and it may have timed itself: then `seconds` counts. */
  step(): Promise<{ readonly seconds?: number; readonly facts?: Facts } | void>;
  /** What to tell of itself. */
  readonly facts?: Facts;
  /** Frees memory. */
  dispose?(): Promise<void> | void;
}

/** Answers the bench until it hangs up. */
export async function serve(prepare: (workload: Workload) => Promise<Prepared>): Promise<void> {
  let prepared: Prepared | null = null;
  const answer = async (request: Request): Promise<Response> => {
    if (request.do === "prepare") {
      await prepared?.dispose?.();
      prepared = null;
      const next = await prepare(request.workload);
      let facts: Facts = next.facts ?? {};
      const losses: number[] = [];
      for (let done = 0; done < request.workload.warmUp; done++) {
        const said = await next.step();
        facts = { ...facts, ...said?.facts };
        if (typeof said?.facts?.loss === "number") losses.push(said.facts.loss);
      }
      // Who starts from the same weights and computes the same has these losses too.
      if (losses.length > 0) facts = { ...facts, losses };
      prepared = next;
      return { did: "prepare", facts };
    }
    if (!prepared) return { did: "fail", reason: "nothing is prepared" };
    const seconds: number[] = [];
    let facts: Facts = {};
    for (let done = 0; done < request.steps; done++) {
      const start = performance.now();
      const said = await prepared.step();
      seconds.push(said?.seconds ?? (performance.now() - start) / 1000);
      facts = said?.facts ?? facts;
    }
    return { did: "measure", seconds, facts };
  };
  for await (const line of createInterface({ input: process.stdin })) {
    const request = readMessage<Request>(line);
    if (!request) continue;
    const response = await answer(request).catch((error): Response => ({ did: "fail", reason: reasonOf(error) }));
    process.stdout.write(`${writeMessage(response)}\n`);
  }
  process.exit(0);
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return `${error.name}: ${error.message}`;
}
