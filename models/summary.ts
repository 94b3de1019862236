/** Keras' `summary()` of backbones and tasks: one row a layer or block of the spec's top level, a task's backbone as one row. */

import { type LoweredModel, lowerModel } from "../codegen/lowering/model.ts";
import type { WeightInfo } from "../codegen/program.ts";
import type { ExpandedNode } from "../spec/types.ts";
import { type ModelSummary, summary, type SummaryOptions as TableOptions, type SummaryRow } from "../training/summary.ts";
import type { Backbone } from "./backbone.ts";
import { checkOptions } from "./options.ts";
import type { Task } from "./task.ts";

/** What `summary` takes. */
export interface SummaryOptions extends TableOptions {
  /** Whether it is printed; default true. */
  print?: boolean;
}

const SUMMARY_OPTIONS = ["print", "lineLength", "positions", "showTrainable"];

function sizeOf(weights: readonly WeightInfo[]): number {
  return weights.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
}

/** A shape with null for what isn't fixed. */
function shapeOf(model: LoweredModel, name: string): (number | null)[] {
  return model.values.get(name)!.shape.map((dim) => typeof dim === "number" ? dim : null);
}

function inputRow(model: LoweredModel, name: string): SummaryRow {
  return { name, type: "InputLayer", outputShapes: [shapeOf(model, name)], params: 0, connectedTo: [] };
}

/** The names that an entry takes its inputs from. */
function sources({ in: from }: ExpandedNode): readonly string[] {
  return Array.isArray(from) ? from : Object.values(from as Readonly<Record<string, string>>);
}

/** A row of the top level. `alias` says which row a value belongs to where that isn't its own name. */
function nodeRow(model: LoweredModel, node: ExpandedNode, trained: ReadonlySet<string>, alias: (name: string) => string): SummaryRow {
  const inside = model.layers.filter(({ path }) => path === node.name || path.startsWith(`${node.name}/`));
  const paths = new Set(inside.flatMap(({ weights }) => weights));
  const weights = model.weights.list().filter(({ path }) => paths.has(path));
  return {
    name: node.name,
    type: "layer" in node ? node.layer : node.block,
    outputShapes: [model.values.has(node.name) ? shapeOf(model, node.name) : []],
    params: sizeOf(weights),
    connectedTo: [...new Set(sources(node).map((name) => alias(name.split(".")[0])))].map((name) => [name, 0, 0]),
    trainable: weights.length === 0 ? null : weights.some(({ path }) => trained.has(path)),
  };
}

function print(model: ModelSummary, { print = true, ...options }: SummaryOptions): string {
  const text = summary(model, options);
  if (print) console.log(text);
  return text;
}

function counts(all: readonly WeightInfo[], trained: readonly WeightInfo[]): Pick<ModelSummary, "trainable" | "nonTrainable"> {
  return { trainable: { params: sizeOf(trained) }, nonTrainable: { params: sizeOf(all) - sizeOf(trained) } };
}

/** The summary of a backbone. */
export function backboneSummary(backbone: Backbone, options: SummaryOptions): string {
  checkOptions("summary", options, SUMMARY_OPTIONS);
  const { expanded } = backbone;
  const model = lowerModel(expanded, { training: false });
  const trained = new Set(backbone.trainableWeights.map(({ path }) => path));
  const rows = [
    ...Object.keys(expanded.inputs).map((name) => inputRow(model, name)),
    ...expanded.backbone.layers.map((node) => nodeRow(model, node, trained, (name) => name)),
  ];
  return print({ name: backbone.name, rows, ...counts(backbone.weights, backbone.trainableWeights) }, options);
}

/** The summary of a task, its preprocessor first. */
export function taskSummary(task: Task, options: SummaryOptions): string {
  checkOptions("summary", options, SUMMARY_OPTIONS);
  const { expanded, backbone, preprocessor } = task;
  const head = expanded.head!;
  const model = lowerModel(expanded, { training: false });
  const trained = new Set(task.trainableWeights.map(({ path }) => path));
  const outputs = Object.keys(expanded.backbone.outputs);
  const own = new Set([...Object.keys(expanded.inputs), ...Object.keys(head.inputs), ...head.layers.map(({ name }) => name)]);
  const rows: SummaryRow[] = [
    ...Object.keys(expanded.inputs).map((name) => inputRow(model, name)),
    {
      name: backbone.name,
      type: expanded.checkpoints.kerashub?.backbone.class_name ?? "Backbone",
      outputShapes: outputs.map((name) => shapeOf(model, name)),
      params: backbone.countParams(),
      connectedTo: Object.keys(expanded.inputs).map((name) => [name, 0, 0]),
      trainable: backbone.trainable,
    },
    ...Object.keys(head.inputs).map((name) => inputRow(model, name)),
    ...head.layers.map((node) => nodeRow(model, node, trained, (name) => own.has(name) ? name : backbone.name)),
  ];
  const state = task.optimizerState;
  const slots = state ? state.variables.reduce((sum, { data }) => sum + data.length, 0) : null;
  return print({
    name: task.name,
    rows,
    ...counts(task.weights, task.trainableWeights),
    optimizer: slots === null ? null : { params: slots },
    preprocessor: preprocessor && {
      name: preprocessor.kerasName,
      layers: [{
        name: preprocessor.tokenizer.kerasName,
        type: preprocessor.tokenizer.spec.source.checkpoints?.kerashub?.tokenizer?.class_name ?? "Tokenizer",
        vocabularySize: preprocessor.tokenizer.vocabularySize,
      }],
    },
  }, options);
}
