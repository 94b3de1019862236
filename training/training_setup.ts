/** What `compile` settled. */

import type { LossConfig, LossReduction } from "../codegen/losses.ts";
import type { MetricConfig } from "../codegen/metrics.ts";
import type { Optimizer } from "../runtime/optimizer/config.ts";

/** Loss, metrics and optimizer of a task. */
export interface TrainingSetup {
  readonly loss: LossConfig;
  readonly reduction: LossReduction;
  readonly metrics: readonly MetricConfig[];
  readonly optimizer: Optimizer;
}
