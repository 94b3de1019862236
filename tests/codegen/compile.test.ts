/** The compiler as a whole: built-in specs to programs, what these bind, what they leave out, what they cost. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as codegen from "../../codegen/index.ts";
import { OnnxHubError } from "../../errors.ts";
import { architectureNames, type ConfigValue, expand, type ExpandedSpec, load } from "../../spec/index.ts";

/** Small values for whatever a built-in spec requires. */
const SMALL: Readonly<Record<string, ConfigValue>> = {
  vocabulary_size: 30,
  num_layers: 2,
  num_heads: 2,
  num_query_heads: 4,
  num_key_value_heads: 2,
  hidden_dim: 16,
  intermediate_dim: 24,
  dropout: 0.1,
};

async function small(name: string, task?: string): Promise<ExpandedSpec> {
  const spec = await load(name);
  const config = Object.fromEntries(Object.entries(SMALL).filter(([key]) => key in spec.source.config));
  const taskConfig: Record<string, ConfigValue> = task === "text_classifier" ? { num_classes: 3 } : {};
  return expand(spec, { config, task, taskConfig });
}

const masked = await small("xlm_roberta", "masked_lm");
const train = codegen.trainingRequest(masked);
const names = (tensors: readonly { name: string; role: string }[], role: string): string[] =>
  tensors.filter((tensor) => tensor.role === role).map(({ name }) => name);

describe("compile", () => {
  it("gives a valid graph for every task of every built-in spec, in every mode", async () => {
    for (const name of architectureNames) {
      const { heads = {} } = (await load(name)).source;
      for (const task of [undefined, ...Object.keys(heads)]) {
        const spec = await small(name, task);
        codegen.verify(codegen.compile(spec, { mode: "infer" }).graph);
        codegen.verify(codegen.compile(spec, { mode: "infer", part: "backbone" }).graph);
        if (task === undefined) continue;
        const request = codegen.trainingRequest(spec);
        codegen.verify(codegen.compile(spec, request).graph);
        codegen.verify(codegen.compile(spec, { ...request, mode: "test" }).graph);
      }
    }
  });

  it("gives the same bytes for the same spec and request, read from JSON again", () => {
    const again = JSON.parse(JSON.stringify(masked)) as ExpandedSpec;
    for (const request of [train, { ...train, mode: "test" }, { mode: "infer" }] as const) {
      const [one, two] = [masked, again].map((spec) => codegen.compile(spec, request).program.stages[0].model);
      assert.ok(one.length > 1000);
      assert.deepEqual(one, two);
    }
  });

  it("binds a training program's inputs and outputs by their roles", () => {
    const { program } = codegen.compile(masked, train);
    const { inputs, outputs } = program.stages[0];
    assert.deepEqual(names(inputs, "data"), ["token_ids", "padding_mask", "positions", "mask_positions"]);
    assert.deepEqual(names(inputs, "label"), ["labels"]);
    assert.deepEqual(names(inputs, "sample_weight"), ["sample_weight"]);
    assert.deepEqual(names(inputs, "loss_scale"), ["loss_scale"]);
    assert.deepEqual(names(inputs, "weight"), program.weights.map(({ path }) => path));
    const dropouts = inputs.filter((input) => input.role === "dropout");
    assert.equal(dropouts.length, 1 + 2 * 3);
    assert.deepEqual(dropouts.map(({ site }) => site), dropouts.map((_, i) => i));
    assert.deepEqual(names(outputs, "loss"), ["loss"]);
    assert.deepEqual(names(outputs, "gradient"), program.weights.map(({ path }) => `gradients/${path}`));
    for (const output of outputs) {
      if (output.role === "gradient") assert.deepEqual(output.shape, program.weights.find(({ path }) => path === output.weight)!.shape);
    }
    const parts = outputs.filter((output) => output.role === "metric").map(({ name }) => name);
    assert.deepEqual(parts, train.metrics!.flatMap(({ label }) => [`metrics/${label}/total`, `metrics/${label}/count`]));
    assert.deepEqual(program.limits, { sequence: 512 });
  });

  it("leaves dropout, gradients and the loss scale out of testing and inference", () => {
    const test = codegen.compile(masked, { ...train, mode: "test" }).program.stages[0];
    const infer = codegen.compile(masked, { mode: "infer" }).program.stages[0];
    for (const { inputs, outputs } of [test, infer]) {
      assert.deepEqual([...names(inputs, "dropout"), ...names(inputs, "loss_scale"), ...names(outputs, "gradient")], []);
    }
    assert.deepEqual(names(test.outputs, "loss"), ["loss"]);
    assert.deepEqual(names(infer.outputs, "output"), ["logits"]);
  });

  it("leaves no backward nodes of a frozen backbone", () => {
    const whole = codegen.compile(masked, train);
    const head = whole.program.weights.filter(({ part }) => part === "head").map(({ path }) => path);
    const frozen = codegen.compile(masked, { ...train, trainable: head });
    const backward = ({ graph }: codegen.Compiled) =>
      graph.nodes.map(({ scope }) => scope).filter((scope) => scope.startsWith("gradient of "));
    assert.ok(backward(whole).some((scope) => scope.includes("transformer_layer_0")));
    assert.ok(backward(frozen).length > 0);
    assert.deepEqual(backward(frozen).filter((scope) => /transformer_layer|embeddings/.test(scope)), []);
    assert.deepEqual(names(frozen.program.stages[0].outputs, "gradient"), head.map((path) => `gradients/${path}`));
  });

  it("has no backward nodes where nothing is trained", () => {
    const { graph, program } = codegen.compile(masked, { ...train, trainable: [] });
    assert.deepEqual(names(program.stages[0].outputs, "gradient"), []);
    assert.ok(!graph.nodes.some(({ scope }) => scope.startsWith("gradient")));
  });
});

describe("compile of what can't be", () => {
  /** The error that compiling throws. */
  const errorOf = (spec: ExpandedSpec, request: codegen.CompileRequest): OnnxHubError => {
    try {
      codegen.compile(spec, request);
    } catch (error) {
      assert.ok(error instanceof OnnxHubError);
      return error;
    }
    assert.fail("compiled");
  };

  it("names the layer and both shapes of a mismatch", () => {
    const blocks = Object.fromEntries(
      Object.entries(masked.blocks).map(([name, block]) => {
        const layers = block.layers.map((node) => node.name === "feedforward_output_dense" ? { ...node, units: [12] } : node);
        return [name, { ...block, layers }];
      }),
    );
    const { code, path, expected, found } = errorOf({ ...masked, blocks }, { mode: "infer" });
    assert.equal(code, "codegen/shape");
    assert.equal(path, "transformer_layer_0/feedforward_residual");
    assert.ok(expected);
    assert.match(found!, /\[batch, sequence, 12\].*\[batch, sequence, 16\]/);
  });

  it("says that there is nothing to train without a task", async () => {
    const backbone = await small("xlm_roberta");
    assert.equal(errorOf(backbone, train).code, "codegen/no-head");
    assert.throws(() => codegen.trainingRequest(backbone), { code: "codegen/no-head" });
  });

  it("knows no loss or metric but its own, and suggests the nearest", () => {
    const loss = errorOf(masked, { ...train, loss: { name: "MeanSquareError", config: {} } });
    assert.deepEqual([loss.code, loss.found, loss.remedy], ["loss/unknown", "MeanSquareError", "Did you mean `MeanSquaredError`?"]);
    const metric = errorOf(masked, { ...train, metrics: [{ name: "Perplexty", config: {}, label: "p", weighted: true }] });
    assert.deepEqual([metric.code, metric.remedy], ["metric/unknown", "Did you mean `Perplexity`?"]);
  });
});

describe("cost", () => {
  const g = new codegen.GraphBuilder("cost");
  const x = g.input("x", "float32", ["batch", 4]);
  const w = g.input("w", "float32", [4, 2]);
  const product = g.matmul(x, w); // [batch, 2]
  const positive = g.relu(product); // [batch, 2]
  const flat = g.reshape(positive, ["2*batch"]); // no copy
  g.output("sum", g.sum(g.mul(flat, flat)));
  const graph = g.finish();

  it("counts two operations for every multiply-add of a product", () => {
    assert.equal(codegen.flopsOf(graph.nodes, { batch: 5 }), 2 * 5 * 4 * 2);
  });

  it("finds the most bytes alive at a time, reshapes for free, inputs not counted", () => {
    assert.equal(codegen.peakBytes(graph, { batch: 5 }), 2 * 5 * 2 * 4); // product and positive, then positive and its square
  });

  it("of a model sums the layers', and of training takes in every gradient", () => {
    const { memory, layers, flops, weights, parameters } = codegen.explain(masked, { sizes: { batch: 2, sequence: 8, masks: 3 } });
    assert.equal(layers.reduce((sum, layer) => sum + layer.flops, 0), flops.inference);
    assert.equal(flops.training, 3 * flops.inference);
    assert.equal(parameters, weights.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0));
    assert.equal(memory.gradients, 4 * parameters);
    assert.equal(memory.slots, 8 * parameters);
    assert.ok(memory.training! > 4 * memory.weights);
  });
});
