/** The command `explain`: a model's layers, its size, and what running and training it will cost. */

import { explain, type Explanation } from "../codegen/explain.ts";
import { OnnxHubError } from "../errors.ts";
import type { ExpandedSpec } from "../spec/index.ts";
import { command, SPEC } from "./command.ts";
import { optimizerOf } from "./compile.ts";
import { layerTable } from "./layer_table.ts";
import { expandModel, modelOptions } from "./model.ts";
import { table } from "./table.ts";
import { bytes, count, quantity } from "./units.ts";
import { sizes as readSizes, wholeNumber } from "./values.ts";

/** Tokens in an example unless told otherwise. */
const SEQUENCE = 128;

/** The command. */
export const explainModel = command({
  name: "explain",
  about: "Prints a model's layers with shapes, parameters and FLOPs, and the memory that inference and training take",
  details: [
    "FLOPs are those of matrix products in one forward pass, two for every multiply-add. Memory counts every tensor once; activations are",
    "the most that is alive at a time. With --task there is training, by the task's optimizer.",
  ],
  permissions: "--allow-read=SPEC",
  example: "SPEC --task masked_lm --batch 8",
  positionals: SPEC,
  options: {
    ...modelOptions,
    batch: { type: "string", value: "NUMBER", about: "Examples in a batch; default 1" },
    sequence: { type: "string", value: "NUMBER", about: "Tokens in an example; default 128, or what the model can take" },
    size: { type: "string", value: "NAME=NUMBER", multiple: true, about: "Another symbolic dimension; default 1" },
    optimizer: { type: "string", value: "NAME", about: "The optimizer, by Keras' name; default the task's own" },
    full: { type: "boolean", about: "Show every block, not one of those that are equal" },
    json: { type: "boolean", about: "Print JSON: the same numbers, bytes and FLOPs unrounded" },
  },
  async run([file], values, console) {
    const { batch, sequence, optimizer, full, json } = values;
    if (optimizer !== undefined && values.task === undefined) {
      throw new OnnxHubError("cli/missing-option", "--optimizer is given without --task", {
        remedy: "Say what is to be trained: --task NAME.",
      });
    }
    const sizes: Record<string, number> = readSizes("size", values.size);
    if (batch !== undefined) sizes.batch = wholeNumber("batch", batch, 1);
    if (sequence !== undefined) sizes.sequence = wholeNumber("sequence", sequence, 1);
    const spec = await expandModel(file, values);
    if (hasSequence(spec)) sizes.sequence ??= Math.min(SEQUENCE, spec.limits.sequence ?? SEQUENCE);
    const used = spec.head ? optimizerOf(spec.head, optimizer) : null;
    const explanation = explain(spec, { sizes, optimizer: used?.settings });
    if (json) console.out(JSON.stringify({ ...explanation, optimizer: used?.className ?? null }, null, 2));
    else for (const line of lines(explanation, used?.className ?? null, full)) console.out(line);
    return 0;
  },
});

function hasSequence({ inputs, head }: ExpandedSpec): boolean {
  return [...Object.values(inputs), ...Object.values(head?.inputs ?? {})].some(({ shape }) => shape.includes("sequence"));
}

function lines(
  { name, task, layers, weights, parameters, sizes, flops, memory }: Explanation,
  optimizer: string | null,
  full: boolean,
): string[] {
  const ofBackbone = weights.filter(({ part }) => part === "backbone").reduce(
    (sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1),
    0,
  );
  const split = task === null ? "" : ` (backbone ${count(ofBackbone)}, head ${count(parameters - ofBackbone)})`;
  const cell = (value: number | null): string => value === null || value === 0 ? "" : bytes(value);
  const training = memory.training !== null;
  const rows = [
    ["weights", cell(memory.weights), cell(memory.weights)],
    ["activations", cell(memory.activations), cell(memory.trainingActivations)],
    ...(training ? [["gradients", "", cell(memory.gradients)], [`${optimizer}'s slots`, "", cell(memory.slots)]] : []),
    [],
    ["together", cell(memory.inference), cell(memory.training)],
  ];
  return [
    ...layerTable(layers, full),
    "",
    `${task === null ? name : `${name}, ${task}`}; ${Object.entries(sizes).map(([symbol, size]) => `${symbol} ${size}`).join(", ")}`,
    "",
    `Parameters  ${count(parameters)}${split}`,
    `FLOPs       inference ${quantity(flops.inference)}${flops.training === null ? "" : `, training step ${quantity(flops.training)}`}`,
    "",
    ...table(
      [
        { heading: "Memory", align: "left" },
        { heading: "Inference", align: "right" },
        ...(training ? [{ heading: "Training", align: "right" } as const] : []),
      ],
      rows,
    ),
  ];
}
