/** The manifest of compiled files: what each graph takes and gives, so that any runtime can feed it. Names are in snake case: it is data. */

import type { Graph, Value } from "../codegen/ir/types.ts";
import { NEXT, scalarsOf, slotsOf, type StepSettings, type StepWeight } from "../codegen/optimizers/step.ts";
import type { Program, ProgramInput, ProgramOutput, WeightInfo } from "../codegen/program.ts";
import type { ConfigValue, ExpandedSpec } from "../spec/index.ts";
import type { ExternalData } from "../codegen/onnx/encode.ts";

/** What a graph takes or gives under one name; what more there is depends on the role. */
export interface ManifestTensor {
  readonly name: string;
  readonly dtype: string;
  /** Numbers, and symbols: `["batch", "sequence"]`. */
  readonly shape: readonly (number | string)[];
  readonly role: string;
  readonly [detail: string]: unknown;
}

/** One ONNX file. */
export interface ManifestGraph {
  readonly inputs: readonly ManifestTensor[];
  readonly outputs: readonly ManifestTensor[];
}

/** A weight: its initial values' place in `weights.bin` if they are there. */
export interface ManifestWeight {
  readonly path: string;
  readonly dtype: "float32";
  readonly shape: readonly number[];
  readonly part: "backbone" | "head";
  readonly trainable: boolean;
  readonly initializer: WeightInfo["initializer"];
  readonly offset?: number;
  readonly length?: number;
}

/** `manifest.json`. */
export interface Manifest {
  readonly format: typeof FORMAT;
  readonly spec: { readonly name: string; readonly task: string | null; readonly hash: string };
  readonly config: Readonly<Record<string, ConfigValue>>;
  readonly task_config: Readonly<Record<string, ConfigValue>>;
  /** The greatest sizes of symbolic dimensions. */
  readonly limits: Readonly<Record<string, number>>;
  /** The seed of the initial weights; null where there are none. */
  readonly seed: number | null;
  readonly weights_file: string | null;
  readonly weights: readonly ManifestWeight[];
  readonly loss: { readonly name: string; readonly config: Readonly<Record<string, ConfigValue>>; readonly reduction: string } | null;
  readonly optimizer: ManifestOptimizer | null;
  readonly files: Readonly<Record<string, ManifestGraph>>;
}

/** The optimizer's settings, by Keras' names. */
export interface ManifestOptimizer {
  readonly name: string;
  readonly config: Readonly<Record<string, unknown>>;
}

/** What tells our manifests from other files of that name. */
export const FORMAT = "onnxhub/compiled-1";

/** A program's graph; `external` names the inputs that lie in a file instead. */
export function describeProgram({ stages: [{ inputs, outputs }] }: Program, external: ReadonlySet<string>): ManifestGraph {
  return { inputs: inputs.filter(({ name }) => !external.has(name)).map(tensorOf), outputs: outputs.map(tensorOf) };
}

function tensorOf({ name, dtype, shape, role, ...details }: ProgramInput | ProgramOutput): ManifestTensor {
  return { name, dtype, shape, role, ...details };
}

/** The optimizer's graph: every input and output with what it is and, for what is kept, its initial value. */
export function describeOptimizer(
  graph: Graph,
  settings: StepSettings,
  learningRate: number,
  weights: readonly StepWeight[],
): ManifestGraph {
  const roles = new Map<string, Readonly<Record<string, unknown>> & { readonly role: string }>([
    ["lr", { role: "learning_rate", initial: learningRate }],
    ["t", { role: "step", initial: 1 }],
  ]);
  for (const { name, initial } of scalarsOf(settings)) roles.set(name, { role: "scalar", initial });
  for (const weight of weights) {
    roles.set(`${weight.path}/w`, { role: "weight", weight: weight.path });
    roles.set(`${weight.path}/g`, { role: "gradient", weight: weight.path });
    for (const { name, initial } of slotsOf(settings, weight)) {
      roles.set(`${weight.path}/${name}`, { role: "slot", weight: weight.path, slot: name, initial });
    }
  }
  const input = ({ name, dtype, shape }: Value): ManifestTensor => ({ name, dtype, shape, ...roles.get(name)! });
  return {
    inputs: graph.inputs.map(input),
    outputs: graph.outputs.map(({ name, value: { dtype, shape } }) => {
      const replaces = name.slice(NEXT.length);
      const { initial: _, ...role } = roles.get(replaces)!;
      return { name, dtype, shape, ...role, replaces };
    }),
  };
}

/** The weights with their places. */
export function describeWeights(weights: readonly WeightInfo[], places: ReadonlyMap<string, ExternalData>): ManifestWeight[] {
  return weights.map(({ path, shape, part, trainable, initializer }) => {
    const place = places.get(path);
    return { path, dtype: "float32", shape, part, trainable, initializer, ...(place && { offset: place.offset, length: place.length }) };
  });
}

/** Bare values of a configuration. */
export function bareValues(entries: ExpandedSpec["config"]): Record<string, ConfigValue> {
  return Object.fromEntries(Object.entries(entries).map(([name, { value }]) => [name, value]));
}

/** JSON in which whatever fits on a line stands on one. */
export function jsonText(value: unknown, indent: string = ""): string {
  const flat = JSON.stringify(value);
  if (typeof value !== "object" || value === null || indent.length + flat.length <= 140) return flat;
  const inner = `${indent}  `;
  const [open, close, parts] = Array.isArray(value)
    ? ["[", "]", value.map((item) => jsonText(item, inner))]
    : ["{", "}", Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${jsonText(item, inner)}`)];
  return `${open}\n${parts.map((part) => `${inner}${part}`).join(",\n")}\n${indent}${close}`;
}
