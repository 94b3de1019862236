/** The command `explain`: its numbers against formulas by hand, its table against the layers. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { runCli, specFile, TINY } from "./run_cli.ts";

const BASE = { vocabulary_size: 250002, num_layers: 12, num_heads: 12, hidden_dim: 768, intermediate_dim: 3072 };
const flags = (config: object): string[] => Object.entries(config).flatMap(([name, value]) => ["--config", `${name}=${value}`]);

async function json(...args: string[]) {
  const { code, out, error } = await runCli("explain", ...args, "--json");
  assert.equal(code, 0, error);
  return JSON.parse(out);
}

/** Matrix products of one forward pass: two operations for every multiply-add. */
function encoderFlops({ batch, sequence }: { batch: number; sequence: number }): number {
  const { num_layers, hidden_dim, intermediate_dim } = BASE;
  const tokens = batch * sequence;
  const projections = 4 * 2 * tokens * hidden_dim * hidden_dim;
  const attention = 2 * 2 * batch * sequence * sequence * hidden_dim;
  const feedForward = 2 * 2 * tokens * hidden_dim * intermediate_dim;
  return num_layers * (projections + attention + feedForward);
}

function headFlops(rows: number): number {
  const { vocabulary_size, hidden_dim } = BASE;
  return 2 * rows * hidden_dim * (hidden_dim + vocabulary_size);
}

describe("explain of XLM-RoBERTa base", () => {
  it("counts the parameters of backbone and task", async () => {
    assert.equal((await json("xlm_roberta", ...flags(BASE))).parameters, 277_450_752);
    const task = await json("xlm_roberta", ...flags(BASE), "--task", "masked_lm");
    assert.equal(task.parameters, 278_292_882);
    const ofLayers = task.layers.reduce((sum: number, { parameters }: { parameters: number }) => sum + parameters, 0);
    assert.equal(ofLayers, task.parameters);
  });

  it("counts FLOPs as the formulas do", async () => {
    const sizes = { batch: 4, sequence: 96 };
    const args = ["--batch", "4", "--sequence", "96", "--size", "masks=20"];
    const { flops, layers } = await json("xlm_roberta", ...flags(BASE), "--task", "masked_lm", ...args);
    assert.equal(flops.inference, encoderFlops(sizes) + headFlops(4 * 20));
    assert.equal(layers.reduce((sum: number, layer: { flops: number }) => sum + layer.flops, 0), flops.inference);
    // Each product has two gradients of its own cost, and none by the token ids is lost: every product's operands both lead to weights.
    assert.equal(flops.training, 3 * flops.inference);
  });

  it("counts memory: weights, gradients and slots in bytes, activations beside them", async () => {
    const { memory, parameters, optimizer } = await json("xlm_roberta", ...flags(BASE), "--task", "masked_lm");
    assert.equal(optimizer, "Adam");
    assert.equal(memory.weights, 4 * parameters);
    assert.equal(memory.gradients, 4 * parameters);
    assert.equal(memory.slots, 2 * 4 * parameters);
    assert.ok(memory.activations > 0 && memory.trainingActivations > memory.activations);
    assert.equal(memory.inference, memory.weights + memory.activations);
    assert.equal(memory.training, memory.weights + memory.trainingActivations + memory.gradients + memory.slots);
    const sgd = await json("xlm_roberta", ...flags(BASE), "--task", "masked_lm", "--optimizer", "sgd");
    assert.equal(sgd.memory.slots, 0);
  });

  it("has activations that grow with the batch, weights that don't", async () => {
    const [one, eight] = await Promise.all(["1", "8"].map((batch) => json("xlm_roberta", ...flags(BASE), "--batch", batch)));
    assert.equal(eight.memory.weights, one.memory.weights);
    const ratio = eight.memory.activations / one.memory.activations; // all but a few constants
    assert.ok(Math.abs(ratio - 8) < 1e-3, String(ratio));
  });

  it("shows a repeated block once, with how often it comes", async () => {
    const { code, out } = await runCli("explain", "xlm_roberta", ...flags(BASE), "--task", "masked_lm");
    assert.equal(code, 0);
    assert.match(out, /^transformer_layer_\{0…11\}\/self_attention_layer\/query +12 +dense +\[batch, sequence, 12, 64\] +590,592 +151 M$/m);
    assert.match(out, /^Parameters +278,292,882 \(backbone 277,450,752, head 842,130\)$/m);
    assert.match(out, /^weights +1\.04 GiB +1\.04 GiB$/m);
    assert.match(out, /masked_lm; batch 1, sequence 128, masks 1$/m);
  });

  it("shows every block with --full", async () => {
    const { out } = await runCli("explain", "xlm_roberta", ...flags(BASE), "--full");
    for (let i = 0; i < 12; i++) assert.match(out, new RegExp(`^transformer_layer_${i}/self_attention_layer/query +dense`, "m"));
  });
});

describe("explain", () => {
  it("aligns its columns", async () => {
    const { out } = await runCli("explain", await specFile(TINY), "--config", "vocabulary_size=10");
    const lines = out.split("\n");
    const at = lines[0].indexOf("Type");
    assert.ok(at > 0);
    const table = lines.slice(2, lines.indexOf(""));
    assert.equal(table.length, 6);
    for (const line of table) assert.match(line.slice(at - 2, at + 1), /^ {2}\S$/);
  });

  it("counts weights shared by layers once, and shows where", async () => {
    const config = { ...BASE, vocabulary_size: 100, num_layers: 3, share_layers: true };
    const { parameters, layers } = await json("xlm_roberta", ...flags(config));
    const alone = await json("xlm_roberta", ...flags({ ...config, num_layers: 1 }));
    assert.equal(parameters, alone.parameters);
    const queries = layers.filter(({ path }: { path: string }) => path.endsWith("/query"));
    assert.deepEqual(queries.map(({ parameters }: { parameters: number }) => parameters > 0), [true, false, false]);
  });

  it("gives exit code 1 for what the spec doesn't take", async () => {
    const path = await specFile(TINY);
    const missing = await runCli("explain", path);
    assert.equal(missing.code, 1);
    assert.match(missing.error, /lacks `vocabulary_size`.*--config name=value/);
    const task = await runCli("explain", path, "--config", "vocabulary_size=9", "--task", "text_classifier");
    assert.equal(task.code, 1);
    assert.match(task.error, /lacks `num_classes`.*--task-config name=value/);
    const bounds = await runCli("explain", path, "--config", "vocabulary_size=9", "--config", "dropout=2");
    assert.equal(bounds.code, 1);
    assert.match(bounds.error, /config\.dropout\): expected a number from 0 to 1, found 2/);
    const long = await runCli("explain", path, "--config", "vocabulary_size=9", "--sequence", "33");
    assert.equal(long.code, 1);
    assert.match(long.error, /`sequence`.*expected a whole number from 1 to 32, found 33/);
    const symbol = await runCli("explain", path, "--config", "vocabulary_size=9", "--size", "masks=2");
    assert.equal(symbol.code, 1);
    assert.match(symbol.error, /no dimension `masks`.*expected one of batch, sequence/);
  });
});
