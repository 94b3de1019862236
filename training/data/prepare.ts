/** From raw rows to the batch that the engine takes: preprocessing, input names, class weights, checks. */

import { nearest, OnnxHubError } from "../../errors.ts";
import { isTensor, type Tensor } from "../../runtime/tensor.ts";
import type { Batch } from "../engine.ts";
import { classSampleWeight, type ClassWeight } from "./class_weight.ts";
import { type Column, type Columns, flatColumns, isSegments, isTexts } from "./rows.ts";
import type { RawBatch } from "./unpack.ts";

/** What a batch is for, and which one it is: random preprocessing draws by it, so that a run can be repeated and resumed. */
export interface PreprocessCall {
  readonly mode: "train" | "validation" | "test" | "predict";
  /** `fit`'s epoch, 0 elsewhere. */
  readonly epoch: number;
  /** The batch in the epoch. */
  readonly step: number;
}

/** Turns raw rows (texts, mostly) into named inputs, labels and weights. */
export type Preprocess = (raw: RawBatch, call: PreprocessCall) => Batch | Promise<Batch>;

/** An input of the model. */
export interface InputInfo {
  readonly name: string;
  /** Whether a batch must have it. */
  readonly required: boolean;
}

/** What preparing needs. */
export interface Preparation {
  readonly preprocess?: Preprocess | null;
  /** The model's inputs; unknown and missing ones are errors. Without it names aren't checked, and bare tensors have no name to go by. */
  readonly inputs?: readonly InputInfo[];
  readonly classWeight?: ClassWeight | null;
}

/** Makes the batch. Errors name the place `path`. */
export async function prepare(raw: RawBatch, call: PreprocessCall, preparation: Preparation, path: string): Promise<Batch> {
  const { preprocess, inputs, classWeight } = preparation;
  const batch = preprocess ? await preprocess(raw, call) : unprocessed(raw, inputs, path);
  checkRows(batch, path);
  if (call.mode === "predict") return batch;
  if (!batch.y) {
    throw new OnnxHubError("data/labels", "The labels are missing", {
      path: `${path}.y`,
      expected: "labels to compute the loss with",
      found: "none",
      remedy: "Pass `y`, or yield `[x, y]`.",
    });
  }
  if (!classWeight) return batch;
  if (batch.sampleWeight) {
    throw new OnnxHubError("data/class-weight", "You cannot use `classWeight` and `sampleWeight` at the same time", {
      path: "classWeight",
      remedy: preprocess ? "The preprocessor weighs the samples already: drop `classWeight`." : "Drop one of the two.",
    });
  }
  return { ...batch, sampleWeight: classSampleWeight(batch.y, classWeight) };
}

/** Without preprocessing all columns are tensors, and a bare one is the model's only input. */
function unprocessed(raw: RawBatch, inputs: readonly InputInfo[] | undefined, path: string): Batch {
  const { x, y, sampleWeight } = raw;
  const text = flatColumns(x).findIndex((column) => !isTensor(column));
  if (text >= 0) throw needsNumbers(`${path}.x`);
  if (y !== undefined && !isTensor(y)) {
    throw isTexts(y) || isSegments(y) ? needsNumbers(`${path}.y`) : new OnnxHubError("data/labels", "The labels are one array", {
      path: `${path}.y`,
      expected: "an array",
      found: `a record of ${Object.keys(y).join(", ")}`,
    });
  }
  return { x: named(x, inputs, `${path}.x`), y, sampleWeight };
}

function named(x: Columns, inputs: readonly InputInfo[] | undefined, path: string): Record<string, Tensor> {
  if (isTensor(x)) {
    const required = inputs?.filter((input) => input.required) ?? [];
    const only = required.length > 0 ? required : inputs ?? [];
    if (only.length === 1) return { [only[0].name]: x };
    throw new OnnxHubError("data/inputs", "The model's inputs go by names", {
      path,
      expected: inputs ? `a record of ${inputs.map(({ name }) => name).join(", ")}` : "a record of named inputs",
      found: `one array of shape [${x.shape.join(", ")}]`,
    });
  }
  const columns = x as Readonly<Record<string, Column>>;
  if (!inputs) return columns as Record<string, Tensor>;
  const names = inputs.map(({ name }) => name);
  for (const name of Object.keys(columns)) {
    if (names.includes(name)) continue;
    const suggestion = nearest(name, names);
    throw new OnnxHubError("data/inputs", `Unknown input \`${name}\``, {
      path: `${path}.${name}`,
      expected: `one of ${names.join(", ")}`,
      remedy: suggestion ? `Did you mean \`${suggestion}\`?` : undefined,
    });
  }
  for (const { name, required } of inputs) {
    if (required && !Object.hasOwn(columns, name)) {
      throw new OnnxHubError("data/inputs", `Missing input \`${name}\``, {
        path,
        expected: names.join(", "),
        found: Object.keys(columns).join(", "),
      });
    }
  }
  return columns as Record<string, Tensor>;
}

/** All of a batch has the same number of rows. */
function checkRows(batch: Batch, path: string): void {
  const parts: [string, Tensor][] = Object.entries(batch.x).map(([name, tensor]) => [`x.${name}`, tensor]);
  if (batch.y) parts.push(["y", batch.y]);
  if (batch.sampleWeight) parts.push(["sampleWeight", batch.sampleWeight]);
  const rows = parts[0]?.[1].shape[0];
  const odd = parts.find(([, tensor]) => tensor.shape[0] !== rows);
  if (odd) {
    throw new OnnxHubError("data/rows", "Data cardinality is ambiguous", {
      path: `${path}.${odd[0]}`,
      expected: `${rows} rows, as in ${parts[0][0]}`,
      found: String(odd[1].shape[0]),
    });
  }
}

function needsNumbers(path: string): OnnxHubError {
  if (path.endsWith(".y")) {
    return new OnnxHubError("data/text", "Labels are numbers", {
      path,
      expected: "arrays of numbers",
      found: "texts",
      remedy: "Give each class its index, from 0 on.",
    });
  }
  return new OnnxHubError("data/text", "Texts need a preprocessor, and this model has none", {
    path,
    expected: "arrays of numbers",
    found: "texts",
    remedy: "Give the model a `preprocessor`, or tokenize the texts first.",
  });
}
