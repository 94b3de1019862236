/** The passes, in order. */

import type { Graph } from "../ir/types.ts";
import { dropDeadCode } from "./dead_code.ts";

/** An equal graph that computes less. Deterministic. */
export function optimize(graph: Graph): Graph {
  return dropDeadCode(graph);
}
