/** Where batches come from: arrays cut into batches, or an iterable of the caller's. */

import { OnnxHubError } from "../../errors.ts";
import { RandomStream } from "../../random.ts";
import type { Tensor } from "../../runtime/tensor.ts";
import { takeRows } from "./rows.ts";
import { type BatchLike, type RawBatch, readRows, unpack } from "./unpack.ts";

/** Batches that the caller makes: an iterable, or a function that starts one anew for each epoch. */
export type Batches = Iterable<BatchLike> | AsyncIterable<BatchLike> | ((epoch: number) => Iterable<BatchLike> | AsyncIterable<BatchLike>);

/** Reads the batch when it is wanted, so that skipping one costs nothing. */
export type LazyBatch = () => RawBatch;

/** Something that yields batches, pass by pass. */
export interface BatchSource {
  /** Batches in a pass, or null where only reading tells. */
  readonly batches: number | null;
  /** Starts a pass. */
  open(pass: number): Pass;
}

/** One pass over a source. */
export interface Pass {
  /** The next batch, or null after the last. */
  next(): Promise<LazyBatch | null>;
  /** Gives the iterator up, unless it is the caller's own and may go on elsewhere. */
  close(): Promise<void>;
}

/** Rows in memory as batches, the last one perhaps smaller; shuffled by the seed and the pass, or in order with a seed of null. */
export function arraySource(data: RawBatch & { readonly rows: number }, batchSize: number, seed: number | null): BatchSource {
  const { x, y, sampleWeight, rows } = data;
  const batches = Math.ceil(rows / batchSize);
  return {
    batches,
    open(pass: number): Pass {
      const order = seed === null ? null : new RandomStream(seed, "shuffle", pass).permutation(rows);
      let done = 0;
      return {
        next(): Promise<LazyBatch | null> {
          if (done === batches) return Promise.resolve(null);
          const from = batchSize * done++;
          const to = Math.min(rows, from + batchSize);
          return Promise.resolve(() => ({
            x: takeRows(x, from, to, order),
            y: y && takeRows(y, from, to, order),
            sampleWeight: sampleWeight && takeRows(sampleWeight, from, to, order) as Tensor,
          }));
        },
        close: () => Promise.resolve(),
      };
    },
  };
}

/** The caller's batches. A numeric `length` says how many a pass has; `Infinity` that it has no end. */
export function iterableSource(batches: Batches, path: string): BatchSource {
  return {
    batches: knownLength(batches, path),
    open(pass: number): Pass {
      const iterable = typeof batches === "function" ? batches(pass) : batches;
      const iterator = iteratorOf(iterable, path);
      const callers = typeof batches !== "function" && (iterator as unknown) === iterable;
      let count = 0;
      return {
        async next(): Promise<LazyBatch | null> {
          const { done, value } = await iterator.next();
          if (done) return null;
          const at = `${path}: batch ${count++}`;
          return () => readRows(unpack(value, at), at);
        },
        async close(): Promise<void> {
          if (!callers) await iterator.return?.();
        },
      };
    },
  };
}

/** Whether a value is an iterable of batches, not rows. */
export function isBatches(value: unknown): value is Batches {
  if (typeof value === "function") return true;
  return typeof value === "object" && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value) &&
    (Symbol.asyncIterator in value || Symbol.iterator in value);
}

function iteratorOf(
  iterable: Iterable<BatchLike> | AsyncIterable<BatchLike>,
  path: string,
): Iterator<BatchLike> | AsyncIterator<BatchLike> {
  if (typeof iterable === "object" && iterable !== null) {
    if (Symbol.asyncIterator in iterable) return iterable[Symbol.asyncIterator]();
    if (Symbol.iterator in iterable) return iterable[Symbol.iterator]();
  }
  throw new OnnxHubError("data/iterable", "The function gave nothing to iterate over", {
    path,
    expected: "an iterable or an async iterable of batches",
    found: iterable === null ? "null" : typeof iterable,
  });
}

/** The length that an iterable claims. (A function's `length` counts its parameters.) */
function knownLength(batches: Batches, path: string): number | null {
  if (typeof batches === "function" || !("length" in batches)) return null;
  const { length } = batches;
  if (length === Infinity) return Infinity;
  if (typeof length === "number" && Number.isInteger(length) && length >= 0) return length;
  throw new OnnxHubError("data/iterable", "The length of an iterable of batches is its number of batches", {
    path: `${path}.length`,
    expected: "a whole number, or Infinity",
    found: String(length),
  });
}
