/** Every op of the IR. */

import { comparisons } from "./comparison.ts";
import { elementwise } from "./elementwise.ts";
import { indexing } from "./indexing.ts";
import { losses } from "./loss.ts";
import { products } from "./matmul.ts";
import { normalizations } from "./normalization.ts";
import { quantizations } from "./quantization.ts";
import { reductions } from "./reduce.ts";
import type { OpTable } from "./rule.ts";
import { selections } from "./selection.ts";
import { movements } from "./shape.ts";

/** The rule of every op. */
export const ops: OpTable = {
  ...elementwise,
  ...comparisons,
  ...products,
  ...quantizations,
  ...movements,
  ...reductions,
  ...normalizations,
  ...indexing,
  ...selections,
  ...losses,
};
