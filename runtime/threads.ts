/** How many threads a CPU backend computes with. */

import { availableParallelism } from "node:os";
import { OnnxHubError } from "../errors.ts";

/** The threads asked for, or the processor's cores, at most 8. Throws "backend/threads" for what is no whole number from 1 to 64. */
export function threadsOf(threads: number | undefined): number {
  if (threads === undefined) return Math.min(availableParallelism(), 8);
  if (Number.isInteger(threads) && threads >= 1 && threads <= 64) return threads;
  throw new OnnxHubError("backend/threads", "That is no number of threads", {
    path: "threads",
    expected: "a whole number from 1 to 64",
    found: typeof threads === "string" ? JSON.stringify(threads) : String(threads),
  });
}
