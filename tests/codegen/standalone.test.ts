/** Models as graphs that others run: their inputs, what is computed inside, float16, and the file in pieces. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { GraphBuilder } from "../../codegen/ir/builder.ts";
import { verify } from "../../codegen/ir/verify.ts";
import { encode, encodePieces } from "../../codegen/onnx/encode.ts";
import { readModel } from "../../codegen/onnx/protobuf.ts";
import { toFloat16 } from "../../codegen/passes/float16.ts";
import { standalone } from "../../codegen/standalone.ts";
import { architectureNames, type ConfigValue, derive, expand, type ExpandedSpec, load } from "../../spec/index.ts";
import { refused } from "../models/refused.ts";
import { runOnnx } from "./run_onnx.ts";

const INPUTS = { token_ids: "input_ids", padding_mask: "attention_mask", segment_ids: "token_type_ids" };

const SMALL: Readonly<Record<string, ConfigValue>> = {
  vocabulary_size: 30,
  num_layers: 2,
  num_heads: 2,
  num_query_heads: 4,
  num_key_value_heads: 2,
  hidden_dim: 16,
  intermediate_dim: 24,
};

async function small(name: string, task?: string): Promise<ExpandedSpec> {
  const spec = await load(name);
  const config = Object.fromEntries(Object.entries(SMALL).filter(([key]) => key in spec.source.config));
  return expand(spec, { config, task, taskConfig: task === "text_classifier" ? { num_classes: 3 } : {} });
}

const masked = await small("xlm_roberta", "masked_lm");

describe("a standalone graph", () => {
  it("is valid for every task of every built-in spec, in either dtype, with nobody else's inputs than those named", async () => {
    for (const name of architectureNames) {
      const { heads = {} } = (await load(name)).source;
      for (const task of [undefined, ...Object.keys(heads)]) {
        const spec = await small(name, task);
        for (const dtype of ["float32", "float16"] as const) {
          const { graph, weights } = standalone(spec, { inputs: INPUTS, dtype });
          verify(graph);
          const paths = new Set(weights.map(({ path }) => path));
          for (const { name, dtype } of graph.inputs) {
            assert.ok(paths.has(name) || (Object.values(INPUTS).includes(name) && dtype === "int64"), name);
          }
          assert.ok(graph.outputs.every(({ value }) => value.dtype === "float32"));
        }
      }
    }
  });

  it("has a masked language model's logits at every position, gathering nothing", () => {
    const { graph } = standalone(masked, { inputs: INPUTS, dtype: "float32" });
    assert.deepEqual(graph.outputs.map(({ name, value }) => [name, value.shape]), [["logits", ["batch", "sequence", 30]]]);
    assert.deepEqual(graph.nodes.filter(({ op }) => op === "GatherElements"), []);
  });

  it("leaves out weights that the head doesn't read", async () => {
    const bert = await small("bert", "masked_lm");
    const paths = standalone(bert, { inputs: INPUTS, dtype: "float32" }).weights.map(({ path }) => path);
    assert.ok(paths.includes("token_embedding/embeddings"));
    assert.deepEqual(paths.filter((path) => path.startsWith("pooled_dense")), []);
  });

  it("fills an input that has no name there with what it is filled with otherwise", async () => {
    const { segment_ids: _, ...inputs } = INPUTS;
    const { graph } = standalone(await small("bert", "text_classifier"), { inputs, dtype: "float32" });
    assert.deepEqual(graph.inputs.filter(({ dtype }) => dtype === "int64").map(({ name }) => name), ["input_ids", "attention_mask"]);
    verify(graph);
  });

  it("is refused where a required input has no name there", () =>
    refused(
      () => standalone(masked, { inputs: { padding_mask: "attention_mask" }, dtype: "float32" }),
      "codegen/input",
      /inputs\.token_ids/,
    ));
});

describe("a float16 graph", () => {
  const { graph, weights } = standalone(masked, { inputs: INPUTS, dtype: "float16" });

  it("holds all weights in float16 but the norms', and computes products in it", () => {
    const wide = weights.filter(({ dtype }) => dtype === "float32").map(({ path }) => path);
    assert.ok(wide.length > 0 && wide.every((path) => /_norm\/(gamma|beta)$/.test(path)), wide.join());
    assert.ok(weights.some(({ path, dtype }) => path === "embeddings/token_embedding/embeddings" && dtype === "float16"));
    for (const { op, inputs } of graph.nodes) {
      if (op === "MatMul") assert.ok(inputs.every(({ dtype }) => dtype === "float16"));
      if (op === "Softmax" || op === "LayerNorm") assert.ok(inputs.every(({ dtype }) => dtype === "float32"));
    }
  });

  it("holds no constant beyond float16", () => {
    const constants = graph.nodes.flatMap((node) =>
      node.op === "Constant" && node.attributes.dtype === "float16" ? node.attributes.data : []
    );
    assert.ok(constants.includes(-3e4));
    assert.ok(constants.every((x) => Math.abs(x) <= 65504));
  });

  it("computes a root mean square of large numbers without overflow, and rows that are all masked without NaN", async () => {
    const g = new GraphBuilder("large");
    const x = g.input("x", "float32", [1, 2]);
    const mask = g.input("mask", "bool", [1, 2]);
    const same = g.matmul(x, g.input("identity", "float32", [2, 2]));
    g.output("rms", g.sqrt(g.add(g.mean(g.square(same), [1]), 1e-6)));
    g.output("masked", g.where(mask, g.softmax(g.add(same, g.where(mask, g.constant(0), -1e9))), 0));
    const half = toFloat16(g.finish(), new Set(["identity"]));
    verify(half);
    const feeds = { x: { shape: [1, 2], data: Float64Array.of(600, 800) }, mask: { shape: [1, 2], data: Float64Array.of(0, 0) } };
    const initializers = new Map([["identity", { location: "weights", offset: 0, length: 8 }]]);
    const { rms, masked } = await runOnnx(encode(half, { initializers }), half, feeds, {
      externalData: [{ path: "weights", data: new Uint8Array(Uint16Array.of(0x3c00, 0, 0, 0x3c00).buffer) }],
    });
    assert.ok(Math.abs(rms.data[0] - Math.sqrt(500000)) < 1, `${rms.data[0]}`);
    assert.deepEqual([...masked.data], [0, 0]);
  });
});

describe("a model in pieces", () => {
  it("is the model with the weights' bytes inside, of the length it says", () => {
    const { graph, weights } = standalone(masked, { inputs: INPUTS, dtype: "float16" });
    const sizes = weights.map(({ dtype, shape }) => shape.reduce((a, b) => a * b, 1) * (dtype === "float16" ? 2 : 4));
    const deferred = new Map(weights.map(({ path }, i) => [path, { deferred: sizes[i] }]));
    const pieces = encodePieces(graph, { initializers: deferred });
    const bytes = pieces.flatMap((piece) => {
      if (piece instanceof Uint8Array) return [...piece];
      const at = weights.findIndex(({ path }) => path === piece.name);
      return Array.from({ length: sizes[at] }, () => at);
    });
    const { graph: read, opset } = readModel(Uint8Array.from(bytes));
    assert.equal(opset, 20);
    const inside = new Map(read.initializers.map((one) => [one.name, one]));
    weights.forEach(({ path, dtype, shape }, at) => {
      const { data, ...type } = inside.get(path)!;
      assert.deepEqual(type, { name: path, dtype, shape });
      assert.deepEqual(data, new Uint8Array(sizes[at]).fill(at));
    });
    const external = new Map(weights.map(({ path }, i) => [path, { location: "weights", offset: 0, length: sizes[i] }]));
    const { graph: beside } = readModel(encode(graph, { initializers: external }));
    assert.deepEqual(read.nodes, beside.nodes);
    assert.deepEqual([read.inputs, read.outputs], [beside.inputs, beside.outputs]);
    assert.deepEqual(read.inputs.map(({ name }) => name), ["input_ids", "attention_mask"]);
  });
});

describe("a variant that uses chosen positions otherwise", () => {
  it("counts them instead", async () => {
    const place = { layer: "embedding", name: "place", in: "mask_positions", vocabulary_size: 512, dim: "{{ hidden_dim }}" } as const;
    const spec = derive(await load("xlm_roberta"), {
      layers: [{ at: "blocks/masked_lm_head/gather", after: [place, { layer: "add", name: "placed", in: ["gather", "place"] }] }],
    });
    const { num_query_heads: _, num_key_value_heads: __, ...config } = SMALL;
    const { graph } = standalone(expand(spec, { config, task: "masked_lm" }), { inputs: INPUTS, dtype: "float32" });
    verify(graph);
    assert.deepEqual(graph.outputs[0].value.shape, ["batch", "sequence", 30]);
    assert.ok(graph.inputs.some(({ name }) => name === "mlm_head/place/embeddings"));
  });
});
