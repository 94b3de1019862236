/** Whether data are read as meant, and bad data get one error that says what is wrong. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Tensor } from "../../runtime/tensor.ts";
import { prepare, type Preprocess, type RawBatch, readRows, unpack } from "../../training/data.ts";
import { evaluate } from "../../training/evaluate.ts";
import { fit } from "../../training/fit.ts";
import { predict } from "../../training/predict.ts";
import { linearData } from "./linear_engine.ts";
import { context, failure } from "./run.ts";

const { x, y } = linearData(6);
const nested = [[1, 2, 3], [4, 5, 6]];

/** What a preprocessor would get of the first batch. */
async function raw(options: Record<string, unknown>): Promise<RawBatch> {
  let seen: RawBatch | undefined;
  const preprocess: Preprocess = (batch) => {
    seen ??= batch;
    return { x: { x }, y };
  };
  await fit(context({ preprocess }), { verbose: 0, shuffle: false, ...options } as never);
  return seen!;
}

describe("data", () => {
  it("may be nested arrays, typed arrays, tensors or records of them, each with its element type", async () => {
    const { x } = await raw({
      x: {
        ids: [[1, 2], [3, 4]],
        mask: [[true], [false]],
        values: [0.5, 1],
        bytes: Uint8Array.of(1, 2),
        rows: [Int32Array.of(7), Int32Array.of(8)],
      },
    });
    const tensors = x as Record<string, Tensor>;
    assert.deepEqual(tensors, {
      ids: { dtype: "int32", shape: [2, 2], data: Int32Array.of(1, 2, 3, 4) },
      mask: { dtype: "bool", shape: [2, 1], data: Uint8Array.of(1, 0) },
      values: { dtype: "float32", shape: [2], data: Float32Array.of(0.5, 1) },
      bytes: { dtype: "int32", shape: [2], data: Int32Array.of(1, 2) },
      rows: { dtype: "int32", shape: [2, 1], data: Int32Array.of(7, 8) },
    });
  });

  it("may be texts, segments of texts, or records with texts", async () => {
    assert.deepEqual((await raw({ x: ["a", "b", "c"], batchSize: 2 })).x, ["a", "b"]);
    assert.deepEqual((await raw({ x: [["a", "b", "c"], ["d", "e", "f"]], batchSize: 2 })).x, [["a", "b"], ["d", "e"]]);
    assert.deepEqual((await raw({ x: { prompts: ["a", "b"], responses: ["c", "d"] }, batchSize: 1 })).x, {
      prompts: ["a"],
      responses: ["c"],
    });
  });

  it("bring labels and weights along, cut alike", async () => {
    const batch = await raw({ x: ["a", "b", "c"], y: [0, 1, 2], sampleWeight: [1, 0, 1], batchSize: 2 });
    assert.deepEqual(batch.y, { dtype: "int32", shape: [2], data: Int32Array.of(0, 1) });
    assert.deepEqual(batch.sampleWeight, { dtype: "float32", shape: [2], data: Float32Array.of(1, 0) });
  });

  it("take the parts of a batch apart as Keras does", () => {
    assert.deepEqual(unpack(["a", "b"], ""), { x: ["a", "b"] });
    assert.deepEqual(unpack([["a", "b"], [0, 1]], ""), { x: ["a", "b"], y: [0, 1], sampleWeight: undefined });
    assert.deepEqual(unpack([x], ""), { x, y: undefined, sampleWeight: undefined });
    assert.deepEqual(unpack({ x, y }, ""), { x, y });
    assert.deepEqual(unpack({ token_ids: x, x }, ""), { x: { token_ids: x, x } });
    assert.deepEqual(unpack(x, ""), { x });
    assert.throws(() => unpack([x, x, x, x], "batch 0"), failure("data/batch", /an array of 4 arrays/));
  });

  const bad: [string, Record<string, unknown>, string, ...RegExp[]][] = [
    ["a text without a list", { x: "a" }, "data/rank", /must have a batch dimension when calling `fit\(\)`.*rank 0/, /wrap it in a list/],
    ["a number", { x: 3, y: 1 }, "data/rank", /rank 0/],
    ["a tensor without axes", { x: { dtype: "float32", shape: [], data: Float32Array.of(1) }, y: [1] }, "data/rank"],
    ["nothing", { x: undefined, y: [1] }, "data/missing"],
    ["an empty array", { x: [], y: [] }, "data/empty", /\(at x\)/],
    ["an empty tensor", { x: { dtype: "float32", shape: [0, 3], data: new Float32Array() }, y: [] }, "data/empty"],
    ["an empty record", { x: {}, y: [1] }, "data/empty"],
    ["an empty generator", { x: [][Symbol.iterator]() }, "data/empty", /must yield at least one batch/],
    ["ragged rows", { x: [[1, 2, 3], [4, 5]], y: [1, 2] }, "data/ragged", /x\[1\]/],
    ["an element that is no number", { x: [[1, 2, null]], y: [1] }, "data/element"],
    ["a number among texts", { x: ["a", 1] }, "data/element", /x\[1\]/],
    ["a shape that the data don't fill", { x: { shape: [2, 3], data: [1, 2] }, y: [1, 2] }, "data/size"],
    ["x and y of different lengths", { x, y: [1, 2] }, "data/rows", /Data cardinality is ambiguous.*'x' sizes: 6; 'y' sizes: 2/],
    ["inputs of different lengths", { x: { x, z: nested }, y }, "data/rows", /'x' sizes: 6, 2/],
    ["weights of another length", { x, y, sampleWeight: [1] }, "data/rows", /'sampleWeight' sizes: 1/],
    ["weights that are texts", { x, y, sampleWeight: ["a"] }, "data/element"],
    ["texts without a preprocessor", { x: ["a", "b"], y: [0, 1] }, "data/text", /Give the model a `preprocessor`/],
    ["labels that are texts", { x: nested, y: ["a", "b"] }, "data/text", /batch 0\.y/],
    ["an unknown input", { x: { y: x }, y }, "data/inputs", /Unknown input `y`/, /Did you mean `x`/],
    ["y beside an iterable", { x: new Set(), y }, "data/iterable", /please do not provide `y`/],
    ["batchSize beside an iterable", { x: new Set(), batchSize: 2 }, "data/iterable", /please do not provide `batchSize`/],
    ["a split of an iterable", { x: new Set(), validationSplit: 0.5 }, "data/validation-split"],
    [
      "a split of too few rows",
      { x: nested, y: [1, 2], validationSplit: 0.6 },
      "data/validation-split",
      /Training data contains 2 samples, which is not sufficient/,
    ],
    [
      "an endless iterable without steps",
      { x: { length: Infinity, [Symbol.iterator]: () => [][Symbol.iterator]() } },
      "data/endless",
      /`stepsPerEpoch`/,
    ],
    ["a function that gives no iterable", { x: () => 5 }, "data/iterable"],
    ["a batch whose parts differ", { x: [[x, [1]]][Symbol.iterator]() }, "data/rows", /batch 0\.y/],
    ["classWeight with sampleWeight", { x, y, sampleWeight: y, classWeight: { 0: 1 } }, "data/class-weight", /at the same time/],
    [
      "classWeight with labels of many classes a row",
      { x: nested, y: [[[0, 1]], [[1, 0]]], classWeight: { 0: 1 } },
      "data/class-weight",
      /one-hot/,
    ],
    [
      "classWeight with labels that are not one-hot",
      { x: nested, y: [[3, 4], [5, 6]], classWeight: { 0: 1 } },
      "data/class-weight",
      /sum to 1/,
    ],
    ["classWeight that is no mapping", { x, y, classWeight: [1, 2] }, "data/class-weight", /mapping/],
  ];
  for (const [what, options, code, ...says] of bad) {
    it(`get one error: ${what}`, async () => {
      const run = context();
      await assert.rejects(fit(run, { verbose: 0, ...options } as never), failure(code, ...says));
      assert.deepEqual(run.engine.calls, []);
    });
  }

  it("say when a generator is over before the second epoch", async () => {
    const run = context();
    const once = [[x, y]] as const;
    await assert.rejects(
      fit(run, { x: once[Symbol.iterator](), epochs: 2, verbose: 0 }),
      failure("data/exhausted", /a function that makes it/),
    );
    assert.deepEqual(run.engine.calls, ["train 6"]);
  });

  it("say which input is missing, and that bare arrays need a single input", async () => {
    const inputs = [{ name: "token_ids", required: true }, { name: "segment_ids", required: true }, { name: "positions", required: false }];
    const run = context({ inputs });
    await assert.rejects(evaluate(run, { x: { token_ids: x }, y, verbose: 0 }), failure("data/inputs", /Missing input `segment_ids`/));
    await assert.rejects(evaluate(run, { x, y, verbose: 0 }), failure("data/inputs", /a record of token_ids, segment_ids, positions/));
    const one = await prepare(readRows({ x }, ""), { mode: "predict", epoch: 0, step: 0 }, { inputs: inputs.slice(1) }, "batch");
    assert.deepEqual(Object.keys(one.x), ["segment_ids"]);
  });

  it("check what a preprocessor makes", async () => {
    const preprocess: Preprocess = () => ({ x: { x }, y: { dtype: "int32", shape: [2], data: new Int32Array(2) } });
    await assert.rejects(fit(context({ preprocess }), { x: ["a"], verbose: 0 }), failure("data/rows", /batch 0\.y.*6 rows, as in x\.x/));
  });

  it("weigh one-hot labels and labels of one column", async () => {
    const weights = async (labels: number[][]): Promise<number[]> => {
      const batch = await prepare(readRows({ x: nested, y: labels }, ""), { mode: "train", epoch: 0, step: 0 }, {
        classWeight: { 1: 3 },
        inputs: [{ name: "x", required: true }],
      }, "");
      return [...batch.sampleWeight!.data];
    };
    assert.deepEqual(await weights([[0, 1], [1, 0]]), [3, 1]);
    assert.deepEqual(await weights([[1], [0]]), [3, 1]);
  });

  it("know the number of batches from an iterable's length", async () => {
    const batches = {
      length: 2,
      *[Symbol.iterator]() {
        yield [x, y] as const;
        yield [x, y] as const;
      },
    };
    assert.equal((await fit(context(), { x: batches, verbose: 0 })).params!.steps, 2);
    await assert.rejects(fit(context(), { x: { ...batches, length: 1.5 }, verbose: 0 }), failure("data/iterable", /number of batches/));
  });

  it("may be an iterable for predict and evaluate too", async () => {
    const run = context();
    assert.deepEqual((await predict(run, { x: [[x] as const, x][Symbol.iterator](), verbose: 0 }) as Tensor).shape, [12, 1]);
    const whole = await evaluate(run, { x, y, verbose: 0 });
    assert.equal((await evaluate(run, { x: new Set([{ x, y }]), verbose: 0 })).loss, whole.loss);
  });
});
