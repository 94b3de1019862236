/** What the bench and a contestant say to each other: JSON, one message a line, over the contestant's standard input and output. */

import type { Workload } from "./workload.ts";

/** Contestants print other things too; a message is a line that starts with this. */
export const PREFIX = "@bench ";

/** From the bench. */
export type Request =
  & (
    /** Make the model and the batch, and run the warm-up; whatever was prepared before is let go. */
    | { readonly do: "prepare"; readonly workload: Workload }
    /** Measure that many steps. */
    | { readonly do: "measure"; readonly steps: number }
  )
  /** Which one is asked, where a process is several contestants. */
  & { readonly lane?: string };

/** What a contestant says of itself and of what it computed: versions, a loss, the tokens it found. */
export type Facts = Readonly<Record<string, string | number | readonly (string | number)[]>>;

/** From a contestant: the answer to the request before. */
export type Response =
  | { readonly did: "prepare"; readonly facts: Facts }
  /** Seconds of each step; facts about these steps. */
  | { readonly did: "measure"; readonly seconds: readonly number[]; readonly facts: Facts }
  | { readonly did: "fail"; readonly reason: string };

/** A message as a line. */
export function writeMessage(message: Request | Response): string {
  return PREFIX + JSON.stringify(message);
}

/** The message in a line; null for anything else that a contestant prints. */
export function readMessage<M extends Request | Response>(line: string): M | null {
  return line.startsWith(PREFIX) ? JSON.parse(line.slice(PREFIX.length)) as M : null;
}
