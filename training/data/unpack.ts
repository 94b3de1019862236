/** What stands for a batch or for a whole set of data: `x` alone, `[x, y]`, `[x, y, sampleWeight]` or a record of the three. */

import { OnnxHubError } from "../../errors.ts";
import { isTensor, type Tensor, type TensorLike } from "../../runtime/tensor.ts";
import { type Columns, commonRowCount, isRecord, readColumn, readColumns, type Rows } from "./rows.ts";

/** Rows with their labels and the weights of the labels. */
export interface LabelledRows {
  readonly x: Rows;
  readonly y?: Rows;
  readonly sampleWeight?: Rows;
}

/**
 * What an iterable of batches may yield, and what `validationData` may be: a record of the parts, a tuple of them, or `x` alone as a tensor, as
 * texts or as named inputs. An array of arrays is always a tuple, as in Keras: segments of text go into `{ x: [first, second] }`.
 */
export type BatchLike =
  | LabelledRows
  | readonly [x: Rows, y?: Rows, sampleWeight?: Rows]
  | Tensor
  | readonly string[]
  | Readonly<Record<string, TensorLike | readonly string[]>>;

/** Rows that were read, before preprocessing. */
export interface RawBatch {
  readonly x: Columns;
  readonly y?: Columns;
  readonly sampleWeight?: Tensor;
}

const PARTS = ["x", "y", "sampleWeight"];

/** Takes the three parts apart, without reading them. */
export function unpack(value: unknown, path: string): LabelledRows {
  if (Array.isArray(value) && typeof value[0] === "object") {
    if (value.length > 3) {
      throw new OnnxHubError("data/batch", "Data is expected to be in format `[x]`, `[x, y]`, or `[x, y, sampleWeight]`", {
        path,
        found: `an array of ${value.length} arrays`,
        remedy: "Put rows into a record, `{ x: rows }`.",
      });
    }
    const [x, y, sampleWeight] = value as Rows[];
    return { x, y, sampleWeight };
  }
  if (isRecord(value) && "x" in value && Object.keys(value).every((key) => PARTS.includes(key))) return value as unknown as LabelledRows;
  return { x: value as Rows };
}

/** Reads the three parts and checks that they have the same number of rows. */
export function readRows(rows: LabelledRows, path: string): RawBatch & { readonly rows: number } {
  if (rows.x === undefined || rows.x === null) {
    throw new OnnxHubError("data/missing", "There is no `x`", { path, expected: "rows, or an iterable of batches" });
  }
  const at = (part: string): string => path === "" ? part : `${path}.${part}`;
  const x = readColumns(rows.x, at("x"));
  const y = rows.y === undefined || rows.y === null ? undefined : readColumns(rows.y, at("y"));
  const weights = rows.sampleWeight;
  const sampleWeight = weights === undefined || weights === null ? undefined : readWeights(weights, at("sampleWeight"));
  return { x, y, sampleWeight, rows: commonRowCount({ [at("x")]: x, [at("y")]: y, [at("sampleWeight")]: sampleWeight }) };
}

function readWeights(value: Rows, path: string): Tensor {
  const column = readColumn(value, path, "float32");
  if (isTensor(column)) return column;
  throw new OnnxHubError("data/element", "Weights of samples are numbers", { path, expected: "numbers", found: "texts" });
}
