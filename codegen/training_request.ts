/** What a task is trained with unless told otherwise, as a request to the compiler. */

import { OnnxHubError } from "../errors.ts";
import type { ExpandedSpec } from "../spec/types.ts";
import type { CompileRequest } from "./compile.ts";
import { type MetricConfig, metricRule } from "./metrics.ts";

/**
 * The training request of the task's own loss and metrics, all weights trained.
 *
 * Throws "codegen/no-head" for a spec that was expanded without a task, "metric/unknown".
 */
export function trainingRequest({ name, head }: ExpandedSpec): Extract<CompileRequest, { loss: unknown }> {
  if (!head) {
    throw new OnnxHubError("codegen/no-head", `The spec ${name} was expanded without a task, so there is nothing to train`, {
      remedy: "Expand it with a `task`.",
    });
  }
  const { loss, metrics, weighted_metrics } = head.compile;
  const labelled = (metric: Pick<MetricConfig, "name" | "config">, weighted: boolean): MetricConfig => {
    const given = metric.config.name;
    return { ...metric, label: typeof given === "string" ? given : metricRule(metric).label, weighted };
  };
  return {
    mode: "train",
    loss,
    metrics: [...metrics.map((metric) => labelled(metric, false)), ...weighted_metrics.map((metric) => labelled(metric, true))],
  };
}
