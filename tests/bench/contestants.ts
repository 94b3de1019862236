/** How tests start contestants: files of this folder or of bench/, on the runtime that runs the tests. */

import process from "node:process";
import { fileURLToPath } from "node:url";
import type { Launch } from "../../bench/contestant_process.ts";
import type { Workload } from "../../bench/workload.ts";

/** The project's root. */
export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** A file under the runtime of the tests. */
export function launchFile(path: string, ...args: string[]): Launch {
  const flags = "Deno" in globalThis ? ["run", "--allow-all", "--no-check"] : [];
  return { command: process.execPath, args: [...flags, path, ...args] };
}

/** A piece of work that takes a moment. */
export const TINY: Workload = {
  measured: "training step",
  shape: { vocabularySize: 50, numLayers: 2, numHeads: 2, hiddenDim: 16, intermediateDim: 32, maxSequenceLength: 8 },
  batch: 2,
  sequence: 8,
  masks: 2,
  dropout: 0,
  optimizer: "adam",
  learningRate: 1e-3,
  threads: 1,
  warmUp: 2,
  sameWeights: true,
};
