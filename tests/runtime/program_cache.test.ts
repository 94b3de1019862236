/** Compiled programs are shared by whoever wants the same one, and by nobody else. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { compile, type CompileRequest } from "../../codegen/compile.ts";
import { programKey } from "../../codegen/program_key.ts";
import { trainingRequest } from "../../codegen/training_request.ts";
import { models } from "../../mod.ts";
import { cachedCompile } from "../../runtime/program_cache.ts";
import { expand, load } from "../../spec/index.ts";
import type { ExpandedSpec } from "../../spec/types.ts";

const spec = await load("xlm_roberta");
const SIZES = { vocabulary_size: 20, num_layers: 1, num_heads: 2, hidden_dim: 8, intermediate_dim: 8, max_sequence_length: 8 };

function model(config: Record<string, number> = {}): ExpandedSpec {
  return expand(spec, { config: { ...SIZES, ...config }, task: "masked_lm" });
}

const INFER: CompileRequest = { mode: "infer" };

describe("a program", () => {
  it("is compiled once for equal specs and requests", () => {
    const first = cachedCompile(model(), INFER);
    assert.equal(cachedCompile(model(), { mode: "infer" }), first);
    const request = trainingRequest(model());
    const training = cachedCompile(model(), request);
    assert.equal(cachedCompile(model(), { ...request, reduction: undefined }), training);
    assert.notEqual(training, first);
  });

  it("is another for every other hyperparameter, loss, metric and set of weights", () => {
    const request = trainingRequest(model());
    const requests: CompileRequest[] = [
      request,
      { ...request, mode: "test" },
      { ...request, metrics: [] },
      { ...request, reduction: "sum" },
      { ...request, trainable: ["embeddings/token_embedding/embeddings"] },
      INFER,
      { mode: "infer", part: "backbone" },
    ];
    const programs = requests.map((one) => cachedCompile(model(), one));
    programs.push(cachedCompile(model({ layer_norm_epsilon: 1e-6 }), INFER), cachedCompile(model({ num_layers: 2 }), INFER));
    assert.equal(new Set(programs).size, programs.length);
    requests.forEach((one, i) => assert.deepEqual(programs[i].program.stages[0].model, compile(model(), one).program.stages[0].model));
  });

  it("is the right one after many others, however often it was forgotten", () => {
    const sizes = Array.from({ length: 20 }, (_, i) => 8 + i);
    for (let round = 0; round < 2; round++) {
      for (const intermediate_dim of sizes) {
        const { program } = cachedCompile(model({ intermediate_dim }), INFER);
        const bias = program.weights.find(({ path }) => path.endsWith("feedforward_intermediate_dense/bias"));
        assert.deepEqual(bias?.shape, [intermediate_dim]);
      }
    }
  });

  it("serves two models, whichever is disposed of first", async () => {
    const make = (seed: number) =>
      new models.XLMRobertaBackbone({
        vocabularySize: 20,
        numLayers: 1,
        numHeads: 2,
        hiddenDim: 8,
        intermediateDim: 8,
        maxSequenceLength: 8,
        seed,
      });
    const x = { token_ids: [[0, 5, 6, 2]], padding_mask: [[1, 1, 1, 1]] };
    const [one, other] = [make(1), make(2)];
    const before = await other.predict(x);
    assert.notDeepEqual((await one.predict(x)).sequence_output.data, before.sequence_output.data);
    await one.dispose();
    assert.deepEqual(await other.predict(x), before);
    await other.dispose();
  });
});

describe("a program's key", () => {
  it("does not depend on the order of keys, nor on what is undefined", () => {
    const { name, ...rest } = model();
    assert.equal(programKey({ ...rest, name }, { part: undefined, mode: "infer" }), programKey(model(), INFER));
    assert.match(programKey(model(), INFER), /^[0-9a-f]{64}$/);
  });
});
