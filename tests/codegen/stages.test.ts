/** Training programs in stages, with rows looked up outside: the same losses and gradients as one graph, in less memory, one graph for all instances. */

import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import * as codegen from "../../codegen/index.ts";
import { residentBytes } from "../../codegen/cost.ts";
import { openBackend } from "../../runtime/backends.ts";
import { Parameters } from "../../runtime/parameters.ts";
import type { RunInputs } from "../../runtime/feeds.ts";
import { ProgramRunner, type RunResult } from "../../runtime/runner.ts";
import { expand, type ExpandedSpec, load } from "../../spec/index.ts";
import type { ConfigValue } from "../../spec/types.ts";

const SIZES = { batch: 2, sequence: 6, masks: 3 };

async function model(name: string, task: string, config: Readonly<Record<string, ConfigValue>>): Promise<ExpandedSpec> {
  const taskConfig: Record<string, ConfigValue> = task === "text_classifier" ? { num_classes: 3 } : {};
  return expand(await load(name), { config, task, taskConfig });
}

const encoder = { vocabulary_size: 50, num_layers: 3, num_heads: 2, hidden_dim: 16, intermediate_dim: 24 };
const decoder = { ...encoder, num_query_heads: 4, num_key_value_heads: 2 } as Record<string, ConfigValue>;
delete decoder.num_heads;

const MODELS: readonly (readonly [string, ExpandedSpec])[] = [
  ["a masked language model, tied to its embedding", await model("xlm_roberta", "masked_lm", encoder)],
  ["a classifier", await model("bert", "text_classifier", encoder)],
  ["a decoder", await model("llama", "causal_lm", decoder)],
  // A table of over 2^23 elements, whose gradient comes in factors.
  ["a large vocabulary", await model("xlm_roberta", "masked_lm", { ...encoder, vocabulary_size: 66_000, hidden_dim: 128, num_layers: 2 })],
];

/** Ids, labels and masks for any of the models: every input and label within its bounds. */
function batchOf(program: codegen.Program): { x: Record<string, unknown>; labels: unknown } {
  const sizeOf = (dim: number | string) => typeof dim === "number" ? dim : SIZES[dim as keyof typeof SIZES];
  const values = (shape: codegen.Shape, top: number) => {
    const sizes = shape.map(sizeOf);
    const data = Int32Array.from({ length: sizes.reduce((a, b) => a * b, 1) }, (_, i) => (i * 7919 + 3) % (top + 1));
    return { dtype: "int32", shape: sizes, data };
  };
  const x: Record<string, unknown> = {};
  let labels: unknown;
  for (const input of program.inputs) {
    if (input.role === "label") labels = values(input.shape, input.max ?? 1);
    if (input.role === "data" && input.fill === "required") {
      x[input.name] = values(input.shape, input.below ? SIZES[input.below as keyof typeof SIZES] - 1 : input.max ?? 1);
    }
  }
  return { x, labels };
}

async function run(
  spec: ExpandedSpec,
  parameters: Parameters,
  request: Partial<codegen.CompileRequest>,
): Promise<RunResult & codegen.Compiled> {
  const compiled = codegen.compile(spec, { ...codegen.trainingRequest(spec), ...request } as codegen.CompileRequest);
  parameters.ensure(compiled.program.weights);
  const runner = new ProgramRunner(compiled.program, () => openBackend("wasm"), parameters);
  const inputs = { ...batchOf(compiled.program), lossScale: 1, dropout: { seed: 1, step: 2 } };
  const result = await runner.run(inputs as RunInputs);
  await runner.dispose();
  return { ...result, ...compiled };
}

describe("a training program", () => {
  const all: Parameters[] = [];
  after(() => all.forEach((parameters) => parameters.dispose()));
  for (const [name, spec] of MODELS) {
    it(`of ${name} gives in stages what it gives as one graph`, async () => {
      const parameters = new Parameters(5);
      all.push(parameters);
      const one = await run(spec, parameters, {});
      for (const request of [{ rowsOutside: true }, { stagesFor: SIZES }, { rowsOutside: true, stagesFor: SIZES }]) {
        const other = await run(spec, parameters, request);
        other.stageGraphs.forEach(codegen.verify);
        assert.equal(other.loss, one.loss);
        assert.deepEqual(other.metrics, one.metrics);
        assert.deepEqual([...other.gradients.keys()].sort(), [...one.gradients.keys()].sort());
        for (const [path, expected] of one.gradients) {
          const found = other.gradients.get(path)!;
          assert.equal(found.length, expected.length, path);
          const worst = found.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i])), 0);
          assert.ok(worst <= 1e-6, `${path}: differs by ${worst}`);
        }
      }
    });
  }
});

describe("stages", () => {
  const [[, masked], , , [, large]] = MODELS;
  const compiled = (spec: ExpandedSpec, request: Partial<codegen.CompileRequest> = {}) =>
    codegen.compile(spec, { ...codegen.trainingRequest(spec), rowsOutside: true, stagesFor: SIZES, ...request } as codegen.CompileRequest);

  it("are one an instance of a repeated block, forward and backward, and instances share their graph", async () => {
    const { stages } = compiled(await model("xlm_roberta", "masked_lm", { ...encoder, num_layers: 8 })).program;
    const named = (text: string) => stages.filter(({ name }) => name.endsWith(`/${text}`));
    for (const direction of ["", "gradient of "]) {
      const graphs = Array.from({ length: 8 }, (_, i) => {
        const [stage, ...others] = named(`${direction}transformer_layer_${i}`);
        assert.equal(others.length, 0);
        return stage.model;
      });
      assert.equal(new Set(graphs.slice(1, -1)).size, 1, direction);
    }
    assert.equal(stages.length, 2 * 8 + 3); // embeddings, head and loss, embeddings' gradients
  });

  it("are fed with what the program is fed with and with what earlier ones stashed, and with nothing else", () => {
    for (const [, spec] of MODELS) {
      const { program } = compiled(spec);
      const known = new Set(program.inputs.map(({ name }) => name));
      for (const { inputs, outputs } of program.stages) {
        for (const { name } of inputs) assert.ok(known.has(name), name);
        for (const { name, role } of outputs) if (role === "stash") known.add(name);
      }
    }
  });

  it("take a fraction of one graph's memory where there are many", async () => {
    const sizes = { ...SIZES, batch: 8, sequence: 64 };
    const deep = await model("xlm_roberta", "masked_lm", { ...encoder, num_layers: 12 });
    const most = ({ stageGraphs }: codegen.Compiled) => Math.max(...stageGraphs.map((graph) => residentBytes(graph, sizes)));
    const one = most(compiled(deep, { stagesFor: undefined }));
    const staged = most(compiled(deep, { stagesFor: sizes }));
    assert.ok(staged < 0.4 * one, `${staged} of ${one} bytes`);
  });

  it("have no copy of a table that only looks rows up, and no gradient of its size", () => {
    const { program } = compiled(MODELS[1][1]);
    const table = "token_embedding/embeddings";
    const roles = program.stages.flatMap(({ inputs, outputs }) => [...inputs, ...outputs])
      .filter((tensor) => "weight" in tensor && tensor.weight.endsWith(table)).map(({ role }) => role);
    assert.deepEqual(roles, ["rows", "gradient_rows"]);
  });

  it("hand out a large table's gradient as factors and rows", () => {
    const outputs = compiled(large).program.stages.flatMap((stage) => stage.outputs);
    const parts = outputs.filter((output) => "weight" in output && output.weight === "embeddings/token_embedding/embeddings");
    assert.deepEqual(parts.map(({ role }) => role).sort(), ["gradient_factor", "gradient_factor", "gradient_rows"]);
  });

  it("leave no backward stage of a frozen backbone", () => {
    const head = compiled(masked).program.weights.filter(({ part }) => part === "head").map(({ path }) => path);
    const { stages } = compiled(masked, { trainable: head }).program;
    assert.ok(stages.some(({ name }) => name.endsWith("/transformer_layer_2")));
    assert.deepEqual(stages.filter(({ name }) => name.includes("gradient of")), []);
  });
});
