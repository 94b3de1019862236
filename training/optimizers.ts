/** The optimizers with their learning-rate schedules, as `optimizers` and `optimizers.schedules`. */

export {
  Adadelta,
  Adafactor,
  Adagrad,
  Adam,
  Adamax,
  AdamW,
  Ftrl,
  getOptimizer,
  Lamb,
  Lion,
  Muon,
  Nadam,
  Optimizer,
  type OptimizerArgument,
  RMSprop,
  SGD,
} from "../runtime/optimizer/config.ts";
export type { LearningRateSchedule, OptimizerBaseOptions, OptimizerOptions } from "../runtime/optimizer/options.ts";
export * as schedules from "./schedules.ts";
