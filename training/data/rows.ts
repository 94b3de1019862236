/** Rows of data as users hand them over, read into columns: tensors and lists of texts. */

import { OnnxHubError } from "../../errors.ts";
import { isTensor, type Tensor, tensor, type TensorDType, type TensorLike } from "../../runtime/tensor.ts";

/** Texts: one a row or, with several segments a row, one list of texts for each segment. */
export type TextRows = readonly string[] | readonly (readonly string[])[];

/** Rows of one input, or of several inputs by name. */
export type Rows = TensorLike | TextRows | Readonly<Record<string, TensorLike | readonly string[]>>;

/** Rows that were read: a tensor whose first axis is the rows, or a list of texts. */
export type Column = Tensor | readonly string[];

/** The columns of one input, of several segments of text, or of several inputs by name. */
export type Columns = Column | readonly (readonly string[])[] | Readonly<Record<string, Column>>;

/** Whether a column is text. */
export function isTexts(column: Columns): column is readonly string[] {
  return Array.isArray(column) && (column.length === 0 || typeof column[0] === "string");
}

/** Whether columns are segments of text. */
export function isSegments(columns: Columns): columns is readonly (readonly string[])[] {
  return Array.isArray(columns) && Array.isArray(columns[0]);
}

/** All columns of a structure, in order. */
export function flatColumns(columns: Columns): readonly Column[] {
  if (isTensor(columns) || isTexts(columns)) return [columns];
  return isSegments(columns) ? columns : Object.values(columns as Record<string, Column>);
}

/** The number of rows of a column. */
export function rowCount(column: Column): number {
  return isTexts(column) ? column.length : (column as Tensor).shape[0];
}

/**
 * Reads `x` or `y`.
 *
 * Throws "data/rank" for what has no batch axis, "data/empty" for no rows, "data/ragged", "data/element", "data/size" and "data/integer" as
 * `tensor` does.
 */
export function readColumns(value: unknown, path: string): Columns {
  if (isStringArray(value)) return readColumn(value, path) as readonly string[];
  if (Array.isArray(value) && value.length > 0 && value.every((item) => isStringArray(item))) {
    return value.map((segment, i) => readColumn(segment, `${path}[${i}]`) as readonly string[]);
  }
  if (!isRecord(value)) return readColumn(value, path);
  const names = Object.keys(value);
  if (names.length === 0) throw empty(path, "an input");
  return Object.fromEntries(names.map((name) => [name, readColumn(value[name], `${path}.${name}`)]));
}

/** Reads one column; `dtype` where it isn't to be taken from the data. */
export function readColumn(value: unknown, path: string, dtype?: TensorDType): Column {
  if (value === null || (typeof value !== "object" && typeof value !== "undefined")) throw noBatchAxis(path, value);
  if (isStringArray(value)) {
    const odd = value.findIndex((text) => typeof text !== "string");
    if (odd >= 0) {
      throw new OnnxHubError("data/element", "Not a text among texts", {
        path: `${path}[${odd}]`,
        expected: "a string, as the first row is",
        found: value[odd] === null ? "null" : typeof value[odd],
      });
    }
    return value;
  }
  if (Array.isArray(value) && value.length === 0) throw empty(path);
  const read = tensor(value as TensorLike, dtype ?? dtypeOf(value), path);
  if (read.shape.length === 0) throw noBatchAxis(path, value);
  if (read.shape[0] === 0) throw empty(path);
  return read;
}

/** The rows `from` to `to` in an order (by default their own), as new columns. */
export function takeRows(columns: Columns, from: number, to: number, order: Uint32Array | null = null): Columns {
  if (isTensor(columns) || isTexts(columns)) return takeColumn(columns, from, to, order);
  if (isSegments(columns)) return columns.map((segment) => takeColumn(segment, from, to, order) as readonly string[]);
  const named = Object.entries(columns as Record<string, Column>);
  return Object.fromEntries(named.map(([name, column]) => [name, takeColumn(column, from, to, order)]));
}

/** {@linkcode takeRows} of one column. */
export function takeColumn(column: Column, from: number, to: number, order: Uint32Array | null = null): Column {
  if (isTexts(column)) return order ? Array.from(order.subarray(from, to), (row) => column[row]) : column.slice(from, to);
  const { dtype, shape, data } = column as Tensor;
  const width = shape.slice(1).reduce((a, b) => a * b, 1);
  const picked: [number, ...number[]] = [to - from, ...shape.slice(1)];
  if (!order) return { dtype, shape: picked, data: data.slice(from * width, to * width) };
  const taken = data.slice(0, (to - from) * width);
  for (let i = from; i < to; i++) taken.set(data.subarray(order[i] * width, (order[i] + 1) * width), (i - from) * width);
  return { dtype, shape: picked, data: taken };
}

/** Throws Keras' "Data cardinality is ambiguous" unless all columns have the same number of rows, which is returned. */
export function commonRowCount(parts: Readonly<Record<string, Columns | undefined>>): number {
  const sizes = Object.entries(parts).flatMap(([label, columns]) =>
    columns === undefined ? [] : [{ label, rows: flatColumns(columns).map(rowCount) }]
  );
  const all = new Set(sizes.flatMap(({ rows }) => rows));
  if (all.size > 1) {
    throw new OnnxHubError("data/rows", "Data cardinality is ambiguous", {
      expected: "the same number of samples in all arrays",
      found: sizes.map(({ label, rows }) => `'${label}' sizes: ${rows.join(", ")}`).join("; "),
      remedy: "Make sure all arrays contain the same number of samples.",
    });
  }
  return [...all][0];
}

/** Whether a value is a plain record: named inputs. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value) && !isTensor(value) &&
    !(Symbol.iterator in value) && !(Symbol.asyncIterator in value);
}

function isStringArray(value: unknown): value is readonly string[] {
  return Array.isArray(value) && typeof value[0] === "string";
}

/** What numbers become where nobody said: integers int32, booleans bool, all others float32. */
function dtypeOf(value: unknown): TensorDType {
  if (isTensor(value)) {
    if (value.dtype === "float32" || value.dtype === "int32" || value.dtype === "bool") return value.dtype;
    return dtypeOf((value as { data: unknown }).data);
  }
  if (value instanceof Float32Array || value instanceof Float64Array) return "float32";
  if (ArrayBuffer.isView(value)) return "int32";
  const kinds = new Set<TensorDType>();
  collectKinds(value, kinds);
  if (kinds.has("float32")) return "float32";
  return kinds.size === 1 && kinds.has("bool") ? "bool" : "int32";
}

function collectKinds(value: unknown, kinds: Set<TensorDType>): void {
  if (typeof value === "number") kinds.add(Number.isInteger(value) && value === (value | 0) ? "int32" : "float32");
  else if (typeof value === "boolean") kinds.add("bool");
  else if (ArrayBuffer.isView(value)) kinds.add(dtypeOf(value));
  else if (Array.isArray(value)) { for (const item of value) collectKinds(item, kinds); }
}

function noBatchAxis(path: string, value: unknown): OnnxHubError {
  return new OnnxHubError(
    "data/rank",
    "`x`, `y`, and `sampleWeight` must have a batch dimension when calling `fit()`, `evaluate()`, and `predict()`. Received an input with rank 0",
    {
      path,
      expected: "rows",
      found: value === null ? "null" : isTensor(value) ? "a tensor of shape []" : `a ${typeof value}`,
      remedy: "Please add an outer dimension to your input, e.g., wrap it in a list.",
    },
  );
}

function empty(path: string, what = "a row"): OnnxHubError {
  return new OnnxHubError("data/empty", "There are no data", { path, expected: `at least ${what}`, found: "none" });
}
