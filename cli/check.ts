/** The command `check`: what is wrong with a spec, or what it is. */

import { compile } from "../codegen/compile.ts";
import { formatShape } from "../codegen/ir/dims.ts";
import { verify } from "../codegen/ir/verify.ts";
import { lossRule } from "../codegen/losses.ts";
import { metricRule } from "../codegen/metrics.ts";
import { trainingRequest } from "../codegen/training_request.ts";
import { OnnxHubError } from "../errors.ts";
import { type ConfigValue, expand, type ExpandedSpec } from "../spec/index.ts";
import { assumedValues } from "./assumed_values.ts";
import { command, SPEC } from "./command.ts";
import { optimizerOf } from "./compile.ts";
import { loadModel, modelOptions } from "./model.ts";
import { table } from "./table.ts";
import { count } from "./units.ts";

/** The command. */
export const check = command({
  name: "check",
  about: "Says what is wrong with a spec, and where",
  details: [
    "Checks the file, expands it and compiles the backbone and every task (or the one of --task), for inference and for training.",
    "Values that the spec requires and --config doesn't give are assumed, small, and named in the output.",
  ],
  permissions: "--allow-read=SPEC",
  example: "SPEC",
  positionals: SPEC,
  options: modelOptions,
  async run([file], values, console) {
    const { spec, config, taskConfig } = await loadModel(file, values);
    const heads = spec.source.heads ?? {};
    const assumed = assumedValues(spec.source.config, config);
    const assumptions = Object.entries(assumed).map(([name, value]) => `${name}=${value}`);
    const tasks = values.task !== undefined ? [values.task] : Object.keys(heads);
    const problems = new Set<string>();
    const rows: string[][] = [];
    for (const task of [undefined, ...tasks]) {
      const more = task === undefined ? {} : assumedValues(heads[task].config ?? {}, taskConfig);
      if (task !== undefined) assumptions.push(...Object.entries(more).map(([name, value]) => `${task}.${name}=${value}`));
      const all: Record<string, ConfigValue> = { ...assumed, ...config };
      try {
        rows.push(facts(expand(spec, { config: all, task, taskConfig: task === undefined ? {} : { ...more, ...taskConfig } })));
      } catch (error) {
        if (!(error instanceof OnnxHubError)) throw error;
        problems.add(inFile(spec.file, error));
      }
    }
    if (assumptions.length > 0) console.out(`Assumed ${assumptions.join(", ")}.`);
    for (const problem of problems) console.error(`error: ${problem}`);
    if (problems.size > 0) return 1;
    console.out(`${spec.file}: ok`);
    for (const line of table(COLUMNS, rows)) console.out(`  ${line}`);
    return 0;
  },
});

/** A message that says the file too. */
function inFile(file: string, { code, what, path, expected, found, remedy, message }: OnnxHubError): string {
  if (path?.startsWith(file)) return message;
  return new OnnxHubError(code, what, { path: path ? `${file}: ${path}` : file, expected, found, remedy }).message;
}

const COLUMNS = [
  { heading: "Task", align: "left" },
  { heading: "Weights", align: "right" },
  { heading: "Parameters", align: "right" },
  { heading: "Nodes", align: "right" },
  { heading: "Outputs", align: "left" },
] as const;

/** Compiles an expanded spec in every way it can be, and says what came of it. */
function facts(spec: ExpandedSpec): string[] {
  const { program, graph } = compile(spec, { mode: "infer" });
  verify(graph);
  const { head } = spec;
  if (head) {
    const compileAt = `heads.${head.task}.compile`;
    within(`${compileAt}.loss`, () => lossRule(head.compile.loss));
    head.compile.metrics.forEach((metric, i) => within(`${compileAt}.metrics[${i}]`, () => metricRule(metric)));
    head.compile.weighted_metrics.forEach((metric, i) => within(`${compileAt}.weighted_metrics[${i}]`, () => metricRule(metric)));
    within(`${compileAt}.optimizer`, () => optimizerOf(head, undefined));
    verify(compile(spec, trainingRequest(spec)).graph);
  }
  const { weights, stages: [{ outputs }] } = program;
  const parameters = weights.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  return [
    head?.task ?? "(backbone)",
    count(weights.length),
    count(parameters),
    count(graph.nodes.length),
    outputs.map(({ name, shape }) => `${name} ${formatShape(shape)}`).join(", "),
  ];
}

/** Errors from inside get the JSON path of what they are about. */
function within(path: string, body: () => unknown): void {
  try {
    body();
  } catch (error) {
    if (!(error instanceof OnnxHubError)) throw error;
    const { code, what, expected, found, remedy } = error;
    throw new OnnxHubError(code, what, { path, expected, found, remedy, cause: error });
  }
}
