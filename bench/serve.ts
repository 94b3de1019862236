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

/** Answers the bench until it hangs up; a process that is several contestants is told by the lane which of them is asked. */
export async function serve(prepare: (workload: Workload, lane: string) => Promise<Prepared>): Promise<void> {
  const lanes = new Map<string, Prepared>();
  const answer = async (request: Request): Promise<Response> => {
    const { lane = "" } = request;
    if (request.do === "prepare") {
      await lanes.get(lane)?.dispose?.();
      lanes.delete(lane);
      const prepared = await prepare(request.workload, lane);
      const facts = { ...prepared.facts, ...await warmUp(prepared, request.workload.warmUp) };
      lanes.set(lane, prepared);
      return { did: "prepare", facts };
    }
    const prepared = lanes.get(lane);
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

/** The first steps. Who starts from the same weights and computes the same says the same `losses`. */
async function warmUp(prepared: Prepared, steps: number): Promise<Facts> {
  let facts: Facts = {};
  const losses: number[] = [];
  for (let done = 0; done < steps; done++) {
    const said = await prepared.step();
    facts = { ...facts, ...said?.facts };
    if (typeof said?.facts?.loss === "number") losses.push(said.facts.loss);
  }
  return losses.length > 0 ? { ...facts, losses } : facts;
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return `${error.name}: ${error.message}`;
}
