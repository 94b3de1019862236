/** The compiler's public face, the namespace `codegen`: an expanded spec in, ONNX graphs out, and what they consist of and cost. */

export { compile, type Compiled, type CompileRequest } from "./compile.ts";
export { bytesOf, flopsOf, peakBytes, type Sizes } from "./cost.ts";
export { explain, type ExplainedLayer, type ExplainOptions, type Explanation } from "./explain.ts";
export { GraphBuilder, type Operand } from "./ir/builder.ts";
export { printGraph } from "./ir/print.ts";
export type { Dim, DType, Graph, Node, NodeOf, OpAttributes, OpName, Shape, TensorType, Value } from "./ir/types.ts";
export { verify } from "./ir/verify.ts";
export type { LossConfig, LossReduction } from "./losses.ts";
export type { MetricConfig } from "./metrics.ts";
export { encode, type EncodeOptions, type ExternalData } from "./onnx/encode.ts";
export { optimizerNames } from "./optimizers/rules.ts";
export {
  accumulateGraph,
  averageGraph,
  type Clip,
  optimizerGraph,
  scalarGraph,
  scalarsOf,
  slotsOf,
  squaredNormGraph,
  type StepSettings,
  type StepWeight,
  updateGraph,
} from "./optimizers/step.ts";
export type { OptimizedWeight, OptimizerHyperparameters, OptimizerName, Slot } from "./optimizers/types.ts";
export type { Program, ProgramInput, ProgramOutput, Stage, StageTensor, WeightInfo } from "./program.ts";
export { trainingRequest } from "./training_request.ts";
