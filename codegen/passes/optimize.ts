/** The passes, in order. */

import type { Graph } from "../ir/types.ts";
import { SharingBuilder } from "./subexpressions.ts";
import { dropDeadCode } from "./dead_code.ts";
import { simplify } from "./simplify.ts";

/** An equal graph that computes less, built anew: inputs and outputs keep their names. Deterministic. */
export function optimize(graph: Graph): Graph {
  return dropDeadCode(simplify(dropDeadCode(graph), new SharingBuilder(graph.name)));
}
