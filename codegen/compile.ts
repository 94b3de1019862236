/** The compiler: an expanded spec and a request in, a program out. Pure: same spec, same request, same bytes. */

import { OnnxHubError } from "../errors.ts";
import type { ConfigValue, ExpandedSpec } from "../spec/types.ts";
import { gradients } from "./autodiff.ts";
import type { GraphBuilder } from "./ir/builder.ts";
import { formatShape, sameShape } from "./ir/dims.ts";
import type { Graph, Shape, Value } from "./ir/types.ts";
import { type LossConfig, type LossReduction, type LossRule, lossRule, reduceLosses } from "./losses.ts";
import { type LoweredModel, lowerModel } from "./lowering/model.ts";
import { type MetricConfig, type MetricRule, metricRule } from "./metrics.ts";
import { encode } from "./onnx/encode.ts";
import type { Provider } from "./ops/rule.ts";
import type { Sizes } from "./cost.ts";
import { optimize } from "./passes/optimize.ts";
import { inHostsShapes } from "./passes/host_shapes.ts";
import { withRowsOutside } from "./passes/rows.ts";
import type { Program, ProgramInput, ProgramOutput } from "./program.ts";
import { cutIntoStages } from "./stages.ts";

/** What to compile. */
export type CompileRequest =
  | {
    /** Outputs from inputs, dropout off. */
    readonly mode: "infer";
    /** Which outputs; default the head's, or the backbone's where there is no head. */
    readonly part?: "model" | "backbone";
    /** What is to run it; default "cpu". */
    readonly provider?: Provider;
    /** Rows of weights are looked up by who runs the program: see {@linkcode withRowsOutside}. */
    readonly rowsOutside?: boolean;
    /** Cut into stages, as in training. */
    readonly stagesFor?: Sizes;
  }
  | {
    /** "train": loss, metric sums and gradients. "test": loss and metric sums, dropout off. */
    readonly mode: "train" | "test";
    readonly loss: LossConfig;
    readonly reduction?: LossReduction;
    readonly metrics?: readonly MetricConfig[];
    /** Paths of the weights to train; default all that the spec lets be trained. Ignored by "test". */
    readonly trainable?: readonly string[];
    /** Rows of weights are looked up by who runs the program, and gradients of such weights come in parts: see {@linkcode withRowsOutside}. */
    readonly rowsOutside?: boolean;
    /** What is to run it; default "cpu", which stages are always for. */
    readonly provider?: Provider;
    /** Cut into stages (see {@linkcode cutIntoStages}) that take little memory at these sizes of the symbols; default one stage. */
    readonly stagesFor?: Sizes;
  };

/** A program with the graph that it was encoded from. */
export interface Compiled {
  readonly program: Program;
  /** All of it, whatever the stages. */
  readonly graph: Graph;
  /** The stages' graphs, one for each stage; stages with the same model share theirs. */
  readonly stageGraphs: readonly Graph[];
}

/** Names of the inputs that are neither weights nor the model's own. */
export const LABELS = "labels";
/** See {@linkcode LABELS}. */
export const SAMPLE_WEIGHT = "sample_weight";
/** See {@linkcode LABELS}. */
export const LOSS_SCALE = "loss_scale";

/**
 * Compiles a model into a program.
 *
 * Throws "codegen/shape" for layers that don't fit together (with the layer's path and both shapes), "loss/unknown", "metric/unknown",
 * "codegen/no-head" for training without a task.
 */
export function compile(spec: ExpandedSpec, request: CompileRequest): Compiled {
  const model = lowerModel(spec, { training: request.mode === "train" });
  const { g } = model;
  const inputs: ProgramInput[] = [];
  const outputs: ProgramOutput[] = [];
  for (const [name, { value, spec: input }] of Object.entries(model.inputs)) {
    const { fill, min, max, below = null } = input;
    inputs.push({ name, dtype: value.dtype, shape: value.shape, role: "data", fill, min, max, below });
  }
  const output = (value: Value, binding: { name: string } & Omit<ProgramOutput, "dtype" | "shape">): void => {
    g.output(binding.name, value);
    outputs.push({ ...binding, dtype: value.dtype, shape: value.shape } as ProgramOutput);
  };

  if (request.mode === "infer") {
    const values = request.part === "backbone" ? model.backboneOutputs : model.outputs;
    for (const [name, value] of Object.entries(values)) output(value, { name, role: "output" });
  } else {
    const { loss, inputs: more } = buildLoss(spec, model, request, output);
    inputs.push(...more);
    if (request.mode === "train") {
      const scale = g.input(LOSS_SCALE, "float32", []);
      inputs.push({ name: LOSS_SCALE, dtype: "float32", shape: [], role: "loss_scale" });
      const wanted = request.trainable && new Set(request.trainable);
      const trainable = model.weights.list().filter((weight) => weight.trainable && (wanted?.has(weight.path) ?? true));
      const found = g.scoped("gradients", () => gradients(g, loss, scale, trainable.map(({ path }) => model.weights.value(path))));
      trainable.forEach(({ path }, i) => {
        const gradient = found[i];
        if (gradient) output(gradient, { name: `gradients/${path}`, role: "gradient", weight: path } as ProgramOutput);
      });
    }
  }
  model.dropouts.forEach(({ value, rate }, site) => {
    inputs.push({ name: value.name, dtype: value.dtype, shape: value.shape, role: "dropout", site, rate });
  });
  const weights = model.weights.list();
  for (const { path, shape } of weights) inputs.push({ name: path, dtype: "float32", shape, role: "weight", weight: path });

  const graph = optimize(g.finish());
  const used = new Set(graph.inputs.map((value) => value.name));
  const plain = { graph, inputs: inputs.filter(({ name }) => used.has(name)), outputs };
  const whole = request.rowsOutside ? inHostsShapes(withRowsOutside(plain)) : plain;
  const { stages, graphs } = request.stagesFor ? cutIntoStages(whole, spec, request.stagesFor) : {
    stages: [{
      name: graph.name,
      model: encode(whole.graph, { provider: request.provider }),
      inputs: whole.inputs,
      outputs: whole.outputs,
    }],
    graphs: [whole.graph],
  };
  return {
    program: { mode: request.mode, inputs: whole.inputs, stages, weights, limits: spec.limits },
    graph: whole.graph,
    stageGraphs: graphs,
  };
}

type LossRequest = Extract<CompileRequest, { mode: "train" | "test" }>;

/** Loss and metrics over the model's first output. */
function buildLoss(
  spec: ExpandedSpec,
  model: LoweredModel,
  request: LossRequest,
  output: (value: Value, binding: { name: string } & Omit<ProgramOutput, "dtype" | "shape">) => void,
): { loss: Value; inputs: ProgramInput[] } {
  const { g } = model;
  const { head } = spec;
  if (!head) {
    throw new OnnxHubError("codegen/no-head", `The spec ${spec.name} was expanded without a task, so there is nothing to train`, {
      remedy: "Expand it with a `task`.",
    });
  }
  const predictions = Object.values(model.outputs)[0];
  const metrics = request.metrics ?? [];
  const rule = lossRule(request.loss);
  const labelsLike = rule.labels;
  const slots: Shape = labelsLike === "index" ? head.labels.shape : predictions.shape.slice(0, -1);
  if (!sameShape(slots, predictions.shape.slice(0, -1))) {
    throw new OnnxHubError("codegen/shape", "The predictions have no class for every label", {
      path: `heads.${head.task}.labels`,
      expected: `predictions of shape ${formatShape([...slots, "classes"])}`,
      found: formatShape(predictions.shape),
    });
  }
  const classes = predictions.shape.at(-1);
  const index = labelsLike === "index";
  const shape = index ? slots : predictions.shape;
  const labels = g.input(LABELS, index ? "int32" : "float32", shape);
  const sampleWeight = g.input(SAMPLE_WEIGHT, "float32", slots);
  const inputs: ProgramInput[] = [
    {
      name: LABELS,
      dtype: labels.dtype,
      shape,
      role: "label",
      min: index ? 0 : null,
      max: index && typeof classes === "number" ? classes - 1 : null,
      ignored: index && typeof request.loss.config.ignore_class === "number" ? request.loss.config.ignore_class : null,
    },
    { name: SAMPLE_WEIGHT, dtype: "float32", shape: slots, role: "sample_weight" },
  ];
  const loss = g.scoped("loss", () => {
    const config = withDefaults(rule.defaults, request.loss.config);
    const losses = rule.build(g, labels, predictions, config);
    return reduceLosses(g, losses, sampleWeight, request.reduction ?? "sum_over_batch_size", rule.valid?.(g, labels, config) ?? null);
  });
  output(loss, { name: "loss", role: "loss" });
  for (const metric of metrics) {
    g.scoped(`metrics/${metric.label}`, () => {
      const { build, defaults, labels: wanted } = metricRule(metric);
      const y = labelsFor(g, wanted, labels, labelsLike, predictions, metric);
      const weights = metric.weighted ? sampleWeight : onesLike(g, sampleWeight);
      const sums = build(g, y, predictions, weights, withDefaults(defaults, metric.config));
      for (const part of ["total", "count"] as const) {
        output(sums[part], { name: `metrics/${metric.label}/${part}`, role: "metric", metric: metric.label, part } as ProgramOutput);
      }
    });
  }
  return { loss, inputs };
}

/** Labels in the form that a metric wants them. */
function labelsFor(
  g: GraphBuilder,
  wanted: MetricRule["labels"],
  labels: Value,
  given: LossRule["labels"],
  predictions: Value,
  metric: MetricConfig,
): Value {
  if (wanted === given) return labels;
  if (wanted === "index") return g.argMax(labels);
  throw new OnnxHubError("metric/labels", `The metric ${metric.label} doesn't fit the loss: it needs labels of the predictions' shape`, {
    path: "compile.metrics",
    expected: `labels of shape ${formatShape(predictions.shape)}`,
    found: "class indices, which the loss wants",
  });
}

/** Ones of a value's shape, known only when it runs. */
function onesLike(g: GraphBuilder, x: Value): Value {
  return g.cast(g.greaterOrEqual(g.abs(x), 0), "float32");
}

function withDefaults(
  defaults: Readonly<Record<string, ConfigValue>>,
  given: Readonly<Record<string, ConfigValue>>,
): Record<string, ConfigValue> {
  return { ...defaults, ...given };
}
