/** All callbacks. */

export { BackupAndRestore, type BackupAndRestoreOptions } from "./backup_and_restore.ts";
export {
  Callback,
  type CallbackModel,
  type CallbackParams,
  type HookResult,
  type Logs,
  type MetricDirections,
  type Position,
  type PredictLogs,
} from "./callback.ts";
export { CallbackList, type CallbackListOptions } from "./callback_list.ts";
export { CSVLogger, type CSVLoggerOptions } from "./csv_logger.ts";
export { EarlyStopping, type EarlyStoppingOptions } from "./early_stopping.ts";
export { History } from "./history.ts";
export { LambdaCallback, type LambdaCallbackOptions } from "./lambda_callback.ts";
export { LearningRateScheduler, type LearningRateSchedulerOptions } from "./learning_rate_scheduler.ts";
export { ModelCheckpoint, type ModelCheckpointOptions } from "./model_checkpoint.ts";
export { MonitorCallback, type MonitorMode, type MonitorOptions } from "./monitor_callback.ts";
export { ProgbarLogger } from "./progbar_logger.ts";
export { ReduceLROnPlateau, type ReduceLROnPlateauOptions } from "./reduce_lr_on_plateau.ts";
export { TerminateOnNaN, type TerminateOnNaNOptions } from "./terminate_on_nan.ts";
