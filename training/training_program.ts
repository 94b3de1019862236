/** What training programs are compiled from, and which weights they train. */

import type { Compiled, CompileRequest } from "../codegen/compile.ts";
import type { Provider } from "../codegen/ops/rule.ts";
import type { TrainedWeight } from "../runtime/optimizer/prepared_weight.ts";
import type { Parameters } from "../runtime/parameters.ts";
import type { TrainingSetup } from "./training_setup.ts";

/** The request for training some weights, by path, on a device ("webgpu") or on the host. */
export function programRequest(
  { optimizer: _, ...objective }: TrainingSetup,
  trainable: readonly string[],
  provider: Provider,
): CompileRequest {
  return { mode: "train", ...objective, trainable, ...(provider === "webgpu" ? { provider } : { rowsOutside: true }) };
}

/** The weights that a program gives gradients of, in the order of those to be trained. */
export function trainedWeights({ program: { stages } }: Compiled, trainable: readonly string[], parameters: Parameters): TrainedWeight[] {
  const reached = new Set(stages.flatMap(({ outputs }) => outputs.flatMap((output) => "weight" in output ? [output.weight] : [])));
  return trainable.filter((path) => reached.has(path)).map((path) => ({ path, shape: parameters.info(path).shape }));
}
