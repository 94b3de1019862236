/** The data of `fit`, `evaluate` and `predict`: from what users pass to epochs of batches. */

import { OnnxHubError } from "../errors.ts";
import type { ClassWeight } from "./data/class_weight.ts";
import { type Rows, takeRows } from "./data/rows.ts";
import { arraySource, type Batches, type BatchSource, isBatches, iterableSource } from "./data/source.ts";
import { type BatchLike, type RawBatch, readRows, unpack } from "./data/unpack.ts";
import type { Tensor } from "../runtime/tensor.ts";

export { checkClassWeight, classSampleWeight, type ClassWeight } from "./data/class_weight.ts";
export { Epochs } from "./data/epochs.ts";
export { type InputInfo, type Preparation, prepare, type Preprocess, type PreprocessCall } from "./data/prepare.ts";
export { type Column, type Columns, flatColumns, isSegments, isTexts, type Rows, type TextRows } from "./data/rows.ts";
export { arraySource, type Batches, type BatchSource, isBatches, iterableSource, type LazyBatch } from "./data/source.ts";
export { type BatchLike, type LabelledRows, type RawBatch, readRows, unpack } from "./data/unpack.ts";

/** What validation runs on: rows as `[x, y]`, `[x, y, sampleWeight]` or a record of them, or an iterable of batches. */
export type ValidationData = BatchLike | Batches;

/** What of `fit`'s options says where the data come from. */
export interface DataOptions {
  readonly x: Rows | Batches;
  readonly y?: Rows;
  readonly sampleWeight?: Rows;
  readonly batchSize?: number;
  readonly classWeight?: ClassWeight;
}

/** The source for data as users pass them. `seed` null keeps the order; `steps` sets the batch size where none is given, as Keras does. */
export function dataSource(options: DataOptions, seed: number | null, steps: number | null, path = ""): BatchSource {
  const at = (name: string): string => path === "" ? name : `${path}.${name}`;
  if (isBatches(options.x)) {
    for (const name of ["y", "sampleWeight", "batchSize"] as const) {
      if (options[name] === undefined || options[name] === null) continue;
      throw new OnnxHubError("data/iterable", `When \`x\` is an iterable of batches, please do not provide \`${name}\``, {
        path: at(name),
        remedy: name === "batchSize" ? "The iterable decides on the size of its batches." : "Yield `[x, y]` or `[x, y, sampleWeight]`.",
      });
    }
    return iterableSource(options.x, at("x"));
  }
  const rows = readRows({ x: options.x as Rows, y: options.y, sampleWeight: options.sampleWeight }, path);
  if (options.classWeight && rows.sampleWeight) {
    throw new OnnxHubError("data/class-weight", "You cannot use `classWeight` and `sampleWeight` at the same time", {
      path: at("classWeight"),
      remedy: "Drop one of the two.",
    });
  }
  return arraySource(rows, options.batchSize ?? (steps ? Math.ceil(rows.rows / steps) : 32), seed);
}

/** The source for `validationData`. */
export function validationSource(data: ValidationData, batchSize: number | undefined, steps: number | null): BatchSource {
  if (isBatches(data)) return iterableSource(data, "validationData");
  return dataSource({ ...unpack(data, "validationData"), batchSize }, null, steps, "validationData");
}

/** `fit`'s data with the last fraction split off for validation, before any shuffling. */
export function splitSources(
  options: DataOptions,
  split: number,
  seed: number | null,
  steps: { train: number | null; validation: number | null; validationBatchSize: number | undefined },
): { train: BatchSource; validation: BatchSource } {
  if (isBatches(options.x)) {
    throw new OnnxHubError("data/validation-split", "Argument `validationSplit` is only supported for arrays and lists of texts", {
      path: "validationSplit",
      found: "an iterable of batches",
      remedy: "Pass `validationData`.",
    });
  }
  const all = readRows({ x: options.x as Rows, y: options.y, sampleWeight: options.sampleWeight }, "");
  const at = Math.floor(all.rows * (1 - split));
  if (at === 0 || at === all.rows) {
    throw new OnnxHubError(
      "data/validation-split",
      `Training data contains ${all.rows} samples, which is not sufficient to split it into a validation and training set as specified by ` +
        `\`validationSplit=${split}\``,
      { path: "validationSplit", remedy: "Either provide more data, or a different value for the `validationSplit` argument." },
    );
  }
  const part = (from: number, to: number): RawBatch & { rows: number } => ({
    x: takeRows(all.x, from, to),
    y: all.y && takeRows(all.y, from, to),
    sampleWeight: all.sampleWeight && takeRows(all.sampleWeight, from, to) as Tensor,
    rows: to - from,
  });
  const size = (rows: number, wanted: number | undefined, count: number | null): number => wanted ?? (count ? Math.ceil(rows / count) : 32);
  return {
    train: arraySource(part(0, at), size(at, options.batchSize, steps.train), seed),
    validation: arraySource(
      part(at, all.rows),
      size(all.rows - at, steps.validationBatchSize ?? options.batchSize, steps.validation),
      null,
    ),
  };
}
