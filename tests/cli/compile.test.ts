/** The command `compile`: its files run in onnxruntime by what the manifest says alone, are the same every time, and replace only their own. */

import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import * as ort from "onnxruntime-web";
import type { Manifest, ManifestTensor } from "../../cli/manifest.ts";
import { runCli, specFile, temporaryDirectory, TINY } from "./run_cli.ts";

ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";

const CONFIG = {
  vocabulary_size: 50,
  num_layers: 2,
  num_heads: 2,
  hidden_dim: 8,
  intermediate_dim: 16,
  dropout: 0,
  max_sequence_length: 16,
};
const SIZES: Readonly<Record<string, number>> = { batch: 3, sequence: 6, masks: 2 };

/** Runs `compile` on a small XLM-RoBERTa with a masked-LM head. */
async function compile(out: string, config: object, ...more: string[]): Promise<Manifest> {
  const values = Object.entries(config).flatMap(([name, value]) => ["--config", `${name}=${value}`]);
  const { code, error } = await runCli("compile", "xlm_roberta", "--task", "masked_lm", ...values, "--out", out, ...more);
  assert.equal(code, 0, error);
  return JSON.parse(await readFile(join(out, "manifest.json"), "utf8"));
}

type Feeds = Record<string, ort.Tensor>;

const shapeOf = ({ shape }: ManifestTensor): number[] => shape.map((dim) => typeof dim === "number" ? dim : SIZES[dim]);
const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Ids, masks and labels of one fixed batch, by the roles in the manifest. */
function feed(input: ManifestTensor): ort.Tensor {
  const shape = shapeOf(input);
  const size = sizeOf(shape);
  const int = (value: (i: number) => number) => new ort.Tensor("int32", Int32Array.from({ length: size }, (_, i) => value(i)), shape);
  switch (input.role) {
    case "data":
      if (input.fill === "ones") return int(() => 1);
      if (input.fill === "positions") return int((i) => i % shape.at(-1)!);
      return int((i) => (i * 7 + 3) % (shape.at(-1) === SIZES.masks ? SIZES.sequence : CONFIG.vocabulary_size));
    case "label":
      return int((i) => (i * 11 + 5) % CONFIG.vocabulary_size);
    case "sample_weight":
    case "loss_scale":
      return new ort.Tensor("float32", new Float32Array(size).fill(1), shape);
    case "dropout":
      return new ort.Tensor("bool", new Uint8Array(size).fill(1), shape);
    default:
      throw new RangeError(`nothing to feed ${input.name} with`);
  }
}

/** A weight's values in `weights.bin`. */
function weightsOf({ weights }: Manifest, file: Uint8Array): Map<string, ort.Tensor> {
  return new Map(weights.map(({ path, shape, offset, length }) => {
    const data = new Float32Array(Uint8Array.from(file.subarray(offset!, offset! + length!)).buffer);
    return [path, new ort.Tensor("float32", data, [...shape])];
  }));
}

describe("compile's files", () => {
  it("run: inference with the weights beside it, training by an optimizer's step to a lower loss", async () => {
    const out = await temporaryDirectory();
    const manifest = await compile(out, CONFIG);
    const read = (name: string): Promise<Uint8Array> => readFile(join(out, name));
    const weightsFile = await read("weights.bin");

    const inference = await ort.InferenceSession.create(await read("inference.onnx"), {
      externalData: [{ path: manifest.weights_file!, data: weightsFile }],
    });
    const description = manifest.files["inference.onnx"];
    assert.deepEqual(inference.inputNames, description.inputs.map(({ name }) => name));
    assert.deepEqual(inference.outputNames, description.outputs.map(({ name }) => name));
    const results = await inference.run(Object.fromEntries(description.inputs.map((input) => [input.name, feed(input)])));
    assert.deepEqual(results.logits.dims, [3, 2, CONFIG.vocabulary_size]);
    assert.ok((results.logits.data as Float32Array).every(Number.isFinite));

    const training = await ort.InferenceSession.create(await read("training.onnx"));
    const optimizer = await ort.InferenceSession.create(await read("optimizer.onnx"));
    const trained = manifest.files["training.onnx"];
    const update = manifest.files["optimizer.onnx"];
    assert.deepEqual(training.inputNames.toSorted(), trained.inputs.map(({ name }) => name).toSorted());
    assert.deepEqual(training.outputNames, trained.outputs.map(({ name }) => name));
    assert.deepEqual(optimizer.inputNames.toSorted(), update.inputs.map(({ name }) => name).toSorted());
    assert.deepEqual(optimizer.outputNames, update.outputs.map(({ name }) => name));

    const weights = weightsOf(manifest, weightsFile);
    const runTraining = () => {
      const feeds: Feeds = {};
      for (const input of trained.inputs) feeds[input.name] = input.role === "weight" ? weights.get(String(input.weight))! : feed(input);
      return training.run(feeds);
    };
    const state = new Map<string, ort.Tensor>();
    for (const input of update.inputs) {
      if (typeof input.initial !== "number") continue;
      const shape = shapeOf(input);
      state.set(input.name, new ort.Tensor("float32", new Float32Array(sizeOf(shape)).fill(input.initial), shape));
    }
    assert.equal(Math.fround(5e-5), state.get("lr")!.data[0]);
    state.set("lr", new ort.Tensor("float32", Float32Array.of(0.005), []));
    const losses: number[] = [];
    for (let step = 1; step <= 3; step++) {
      const outputs = await runTraining();
      losses.push(Number(outputs.loss.data[0]));
      state.set("t", new ort.Tensor("float32", Float32Array.of(step), []));
      const feeds: Feeds = {};
      for (const { name, role, weight } of update.inputs) {
        if (role === "weight") feeds[name] = weights.get(String(weight))!;
        else if (role === "gradient") {
          feeds[name] = outputs[trained.outputs.find((output) => output.role === role && output.weight === weight)!.name];
        } else feeds[name] = state.get(name)!;
      }
      const next = await optimizer.run(feeds);
      for (const { name, role, weight, replaces } of update.outputs) {
        if (role === "weight") weights.set(String(weight), next[name] as ort.Tensor);
        else state.set(String(replaces), next[name] as ort.Tensor);
      }
    }
    assert.ok(Math.abs(losses[0] - Math.log(CONFIG.vocabulary_size)) < 0.1, `${losses}`); // small weights: all tokens alike
    assert.ok(losses[1] < losses[0] && losses[2] < losses[1], `${losses}`);
    await Promise.all([inference.release(), training.release(), optimizer.release()]);
  });

  it("are the same bytes for the same seed, other weights and nothing else for another", async () => {
    const [one, two, other] = await Promise.all([0, 1, 2].map(temporaryDirectory));
    await compile(one, { ...CONFIG, dropout: 0.1 });
    await compile(two, { ...CONFIG, dropout: 0.1 }, "--seed", "0");
    await compile(other, { ...CONFIG, dropout: 0.1 }, "--seed", "1");
    const names = (await readdir(one)).sort();
    assert.deepEqual(names, ["inference.onnx", "manifest.json", "optimizer.onnx", "training.onnx", "weights.bin"]);
    assert.deepEqual((await readdir(two)).sort(), names);
    for (const name of names) {
      const bytes = await readFile(join(one, name));
      assert.ok(bytes.equals(await readFile(join(two, name))), name);
      assert.equal(bytes.equals(await readFile(join(other, name))), name.endsWith(".onnx"), name);
    }
  });
});

describe("compile's manifest", () => {
  it("says what the spec, its values and the optimizer are", async () => {
    const manifest = await compile(await temporaryDirectory(), { ...CONFIG, dropout: 0.25 }, "--optimizer", "adamw", "--seed", "3");
    assert.equal(manifest.spec.name, "xlm_roberta");
    assert.equal(manifest.spec.task, "masked_lm");
    assert.match(manifest.spec.hash, /^[0-9a-f]{64}$/);
    assert.equal(manifest.config.num_layers, 2);
    assert.equal(manifest.config.dropout, 0.25);
    assert.deepEqual(manifest.limits, { sequence: 16 });
    assert.equal(manifest.seed, 3);
    assert.equal(manifest.loss!.name, "SparseCategoricalCrossentropy");
    assert.equal(manifest.optimizer!.name, "AdamW");
    assert.equal(manifest.optimizer!.config.beta_1, 0.9);
    assert.equal(manifest.optimizer!.config.weight_decay, 0.004);

    const training = manifest.files["training.onnx"];
    const dropouts = training.inputs.filter(({ role }) => role === "dropout");
    assert.equal(dropouts.length, 1 + 2 * 3);
    for (const { rate, dtype } of dropouts) assert.deepEqual([rate, dtype], [0.25, "float32"]);
    assert.deepEqual(training.inputs.find(({ name }) => name === "token_ids")!.shape, ["batch", "sequence"]);
    const gradients = training.outputs.filter(({ role }) => role === "gradient").map(({ weight }) => weight);
    assert.deepEqual(gradients, manifest.weights.filter(({ trainable }) => trainable).map(({ path }) => path));

    const slots = manifest.files["optimizer.onnx"].inputs.filter(({ role }) => role === "slot");
    assert.equal(slots.length, 2 * gradients.length);
    for (const { slot, initial, weight, shape } of slots) {
      assert.match(String(slot), /^(momentum|velocity)$/);
      assert.equal(initial, 0);
      assert.deepEqual(shape, manifest.weights.find(({ path }) => path === weight)!.shape);
    }
  });

  it("places every weight in weights.bin, one after the other", async () => {
    const out = await temporaryDirectory();
    const { weights } = await compile(out, CONFIG);
    let end = 0;
    for (const { offset, length, shape } of weights) {
      assert.equal(offset, end);
      assert.equal(length, 4 * sizeOf(shape));
      end += length!;
    }
    assert.equal((await readFile(join(out, "weights.bin"))).length, end);
  });
});

describe("compile", () => {
  it("leaves the weights as inputs with --no-weights, and takes an earlier weights.bin away", async () => {
    const out = await temporaryDirectory();
    await compile(out, CONFIG);
    await writeFile(join(out, "notes.txt"), "mine");
    const manifest = await compile(out, CONFIG, "--no-weights");
    assert.deepEqual((await readdir(out)).sort(), ["inference.onnx", "manifest.json", "notes.txt", "optimizer.onnx", "training.onnx"]);
    assert.equal(manifest.weights_file, null);
    assert.equal(manifest.seed, null);
    assert.ok(manifest.weights.every((weight) => !("offset" in weight)));
    const inputs = manifest.files["inference.onnx"].inputs.filter(({ role }) => role === "weight").map(({ weight }) => weight);
    assert.deepEqual(inputs, manifest.weights.map(({ path }) => path));
    const session = await ort.InferenceSession.create(await readFile(join(out, "inference.onnx")) as Uint8Array);
    assert.ok(session.inputNames.includes("embeddings/token_embedding/embeddings"));
    await session.release();
  });

  it("of a backbone alone writes what there is to infer, and says so", async () => {
    const out = await temporaryDirectory();
    const { code, out: text } = await runCli("compile", await specFile(TINY), "--config", "vocabulary_size=9", "--out", join(out, "new"));
    assert.equal(code, 0);
    assert.match(text, /nothing to train/);
    assert.deepEqual((await readdir(join(out, "new"))).sort(), ["inference.onnx", "manifest.json", "weights.bin"]);
  });

  it("leaves a directory with somebody else's manifest alone", async () => {
    const out = await temporaryDirectory();
    await writeFile(join(out, "manifest.json"), '{"name":"mine"}');
    const { code, error } = await runCli("compile", await specFile(TINY), "--config", "vocabulary_size=9", "--out", out);
    assert.equal(code, 1, error);
    assert.match(error, /manifest of something else.*Choose another directory/);
    assert.deepEqual(await readdir(out), ["manifest.json"]);
    assert.equal(await readFile(join(out, "manifest.json"), "utf8"), '{"name":"mine"}');
  });

  it("gives exit code 1 for a place that can't be written", async () => {
    const file = await specFile(TINY);
    const { code, error } = await runCli("compile", file, "--config", "vocabulary_size=9", "--out", file);
    assert.equal(code, 1, error);
    assert.ok(error.includes(file), error);
  });
});
