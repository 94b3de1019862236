/** Tests expansion: typed values, defaults, repetitions, specialised blocks, shared weights, configurations, errors. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { lowerModel } from "../../codegen/lowering/model.ts";
import { architectureNames, expand, type ExpandedSpec, load, parseSpec, weightPaths } from "../../spec/index.ts";
import { type Expectation, type Loose, throwsError, tinySpec } from "./expecting.ts";

const root = new URL("../../", import.meta.url);
const tiny = (change: (spec: Loose) => void = () => {}) => {
  const spec = tinySpec();
  change(spec);
  return parseSpec(spec, "tiny.json");
};
const config = { vocabulary_size: 50 };

describe("expand", () => {
  const expanded = expand(tiny(), { config, task: "tagger", taskConfig: { num_tags: 3 } }) as Loose;

  it("gives the expressions' own types", () => {
    assert.equal(expanded.inputs.token_ids.max, 49);
    assert.deepEqual(expanded.blocks.feedforward.layers[1].units, [16]);
    assert.equal(expanded.limits.sequence, 16);
  });
  it("fills in every default", () => {
    assert.deepEqual(expanded.blocks.feedforward.layers[1], {
      layer: "dense",
      name: "up",
      in: { x: "norm" },
      units: [16],
      contract: 1,
      use_bias: true,
      kernel_initializer: { type: "glorot_uniform" },
      bias_initializer: { type: "zeros" },
    });
    assert.deepEqual(expanded.config.width, { type: "int", nullable: false, value: 8, default: 8, min: 1, kerashub: true });
  });
  it("keeps a repeated block as one definition", () => {
    assert.deepEqual(Object.keys(expanded.blocks), ["feedforward"]);
    assert.deepEqual(expanded.backbone.layers.slice(2), [
      { block: "feedforward", name: "layer_0", in: { x: "drop" } },
      { block: "feedforward", name: "layer_1", in: { x: "layer_0" } },
    ]);
    assert.deepEqual(expanded.backbone.outputs, { sequence_output: "layer_1" });
  });
  it("puts the head over the backbone's outputs", () => {
    assert.deepEqual(expanded.head.layers[0].in, { x: "sequence_output" });
    assert.equal(expanded.head.labels.max, 2);
    assert.deepEqual(expanded.head.compile.metrics, []);
  });
  it("gives a backbone alone without a task", () => assert.equal(expand(tiny(), { config }).head, null));
  it("is plain JSON", () => assert.deepEqual(JSON.parse(JSON.stringify(expanded)), expanded));
  it("changes nothing the second time", () => {
    assert.deepEqual(expand(expanded), expanded);
    assert.deepEqual(expand(JSON.parse(JSON.stringify(expanded)), { config, task: "tagger", taskConfig: { num_tags: 3 } }), expanded);
  });
  it("refuses to expand an expansion for something else", () => {
    throwsError(() => expand(expanded, { config: { width: 9 } }), { code: "spec/already-expanded", says: ["`width`"] });
    throwsError(() => expand(expanded, { task: "other" }), { code: "spec/already-expanded", says: ["`task`"] });
  });
  it("gives the same text for the same input", () => {
    assert.equal(JSON.stringify(expand(tiny(), { config })), JSON.stringify(expand(tiny(), { config })));
  });
  it("lists the weights", () => {
    assert.deepEqual(weightPaths(expanded).slice(0, 3), ["tokens/embeddings", "layer_0/norm/gamma", "layer_0/norm/beta"]);
  });
});

describe("the grammar", () => {
  const layersOf = (change: (spec: Loose) => void) => expand(tiny(change), { config }) as ExpandedSpec & Loose;

  it("makes a definition for each set of parameters", () => {
    const expanded = layersOf((s) => s.backbone.layers[2].with = { inner: "{{ width * (i + 1) }}" });
    assert.deepEqual(expanded.backbone.layers.slice(2).map((node: Loose) => node.block), ["feedforward", "feedforward__2"]);
    assert.deepEqual(expanded.blocks.feedforward__2.layers[1].units, [16]);
    assert.deepEqual(expanded.blocks.feedforward.layers[1].units, [8]);
  });
  it("drops an entry whose condition is false, and the chain goes on around it", () => {
    const expanded = layersOf((s) => s.backbone.layers[1].when = "{{ dropout > 0.5 }}");
    assert.deepEqual(expanded.backbone.layers[1].in, { x: "tokens" });
  });
  it("repeats over a list, and repeats groups", () => {
    const expanded = layersOf((s) =>
      s.backbone.layers[2] = {
        repeat: ["a", "b"],
        as: "letter",
        layers: [{ block: "feedforward", name: "{{ letter }}_1" }, { layer: "dropout", name: "{{ letter }}_2", rate: 0 }],
      }
    );
    assert.deepEqual(expanded.backbone.layers.slice(2).map((node: Loose) => node.name), ["a_1", "a_2", "b_1", "b_2"]);
  });
  it("repeats nothing for 0", () => assert.equal(expand(tiny(), { config: { ...config, num_layers: 0 } }).backbone.layers.length, 2));
  it("names a value anew with `out`", () => {
    const expanded = layersOf((s) => {
      s.backbone.layers[1].out = "x";
      s.backbone.layers.push({ layer: "add", in: ["x", "tokens"] });
    });
    assert.deepEqual(expanded.backbone.layers.at(-1), { layer: "add", name: "add", in: ["drop", "tokens"] });
  });
  it("takes an entry that only names a value", () => {
    const expanded = layersOf((s) => s.backbone.layers[1] = { in: "tokens", out: "drop" });
    assert.deepEqual(expanded.backbone.layers[1].in, { x: "tokens" });
  });
  it("numbers layers without a name", () => {
    const expanded = layersOf((s) => s.backbone.layers.push({ layer: "dropout", rate: 0 }, { layer: "dropout", rate: 0 }));
    assert.deepEqual(expanded.backbone.layers.slice(-2).map((node: Loose) => node.name), ["dropout", "dropout_2"]);
  });
  it("shares weights by `weights`", () => {
    const expanded = layersOf((s) => s.backbone.layers[2].weights = "shared");
    assert.deepEqual(weightPaths(expanded).filter((path) => path.startsWith("shared")).length, 6);
    assert.ok(!weightPaths(expanded).some((path) => path.startsWith("layer_")));
  });
  it("takes weight expressions and declared weights", () => {
    const expanded = layersOf((s) => {
      s.blocks.feedforward.weights = [{ name: "a", shape: ["{{ width }}", 2] }, {
        name: "b",
        shape: [2, "{{ inner }}"],
        initializer: "zeros",
      }];
      s.blocks.feedforward.layers[1].kernel = { matmul: [{ ref: "./a" }, { multiply: [{ ref: "./b" }, "{{ 1 / 2 }}"] }] };
    });
    assert.deepEqual(expanded.blocks.feedforward.weights[1], {
      name: "b",
      shape: [2, 16],
      initializer: { type: "zeros" },
      trainable: true,
    });
    assert.deepEqual(expanded.blocks.feedforward.layers[1].kernel, { matmul: [{ ref: "./a" }, { multiply: [{ ref: "./b" }, 0.5] }] });
    assert.ok(weightPaths(expanded).includes("layer_1/a"));
    assert.ok(!weightPaths(expanded).includes("layer_1/up/kernel"));
  });
  it("takes blocks with several outputs", () => {
    const expanded = layersOf((s) => {
      s.blocks.feedforward.outputs = { out: "previous", middle: "up" };
      s.backbone.layers[2] = { block: "feedforward", name: "one" };
      s.backbone.outputs = { sequence_output: "one.out", middle: "one.middle" };
    });
    assert.deepEqual(expanded.backbone.outputs, { sequence_output: "one.out", middle: "one.middle" });
  });
});

/** A change to the tiny spec that only shows when it is expanded. */
const bad: [string, (spec: Loose) => void, Expectation][] = [
  ["a size that is no integer", (s) => s.blocks.feedforward.layers[1].units = "{{ width / 3 }}", {
    code: "spec/value",
    path: "tiny.json: blocks.feedforward.layers[1].units",
    says: ["integer", "2.66"],
  }],
  ["a size below 1", (s) => s.blocks.feedforward.layers[1].units = "{{ width - 8 }}", {
    code: "spec/value",
    says: ["at least 1", "found 0"],
  }],
  ["a value of the wrong type", (s) => s.backbone.layers[1].rate = "{{ activation }}", {
    code: "spec/value",
    path: "backbone.layers[1].rate",
    says: ["a number"],
  }],
  ["a condition that is no condition", (s) => s.backbone.layers[1].when = "{{ width }}", {
    code: "spec/value",
    path: "when",
    says: ["true or false"],
  }],
  ["a number of repetitions that is none", (s) => s.backbone.layers[2].repeat = "{{ dropout }}", {
    code: "spec/value",
    path: "repeat",
    says: ["0.1"],
  }],
  ["a repetition without names of its own", (s) => s.backbone.layers[2].name = "same", {
    code: "spec/duplicate-name",
    path: "backbone.layers[2]",
  }],
  ["a name that an input has", (s) => s.backbone.layers[1].name = "token_ids", { code: "spec/duplicate-name", path: "backbone.layers[1]" }],
  ["a name that is no name", (s) => s.backbone.layers[2].name = "layer {{ i }}", { code: "spec/value", path: "backbone.layers[2].name" }],
  ["a value used before it is made", (s) => s.backbone.layers[1].in = "layer_{{ 0 }}", {
    code: "spec/unknown-value",
    path: "backbone.layers[1].in",
  }],
  ["no previous value", (s) => delete s.backbone.layers[0].in, {
    code: "spec/unknown-value",
    path: "backbone.layers[0].in",
    says: ["token_ids"],
  }],
  ["one of several outputs not said", (s) => {
    s.blocks.feedforward.outputs = { out: "previous", middle: "up" };
    s.backbone.layers.push({ layer: "dropout", rate: 0, in: "layer_1" });
  }, { code: "spec/unknown-value", says: ["layer_1.out, layer_1.middle"] }],
  [
    "causal attention without positions",
    (s) => s.backbone.layers[1] = { layer: "attention", in: { query: "tokens", key: "tokens", value: "tokens" }, causal: true },
    {
      code: "spec/missing-key",
      says: ["positions"],
    },
  ],
  ["a missing input", (s) => s.backbone.layers[1] = { layer: "gather", in: { x: "tokens" } }, {
    code: "spec/missing-key",
    says: ["`indices`"],
  }],
  ["a reference to no weight", (s) => s.blocks.feedforward.layers[1].kernel = { ref: "tokens/embedding" }, {
    code: "spec/dangling",
    path: "backbone/layer_0/up",
    says: ["Did you mean `tokens/embeddings`?"],
  }],
  ["a list where one value goes", (s) => s.backbone.layers[1].in = ["tokens", "tokens"], {
    code: "spec/value",
    path: "backbone.layers[1].in",
  }],
  ["one value where a list goes", (s) => s.blocks.feedforward.layers[4].in = "x", {
    code: "spec/value",
    path: "blocks.feedforward.layers[4].in",
  }],
];

describe("an expansion with", () => {
  for (const [what, change, expected] of bad) {
    it(`${what} is refused`, () => throwsError(() => expand(tiny(change), { config }), { path: "tiny.json", ...expected }));
  }
});

describe("a configuration with", () => {
  const cases: [string, Loose, Expectation][] = [
    ["an unknown key", { widht: 3 }, { code: "spec/unknown-config", path: "tiny.json: config.widht", says: ["Did you mean `width`?"] }],
    ["a key in camel case", { numLayers: 3 }, { code: "spec/unknown-config", says: ["Did you mean `num_layers`?"] }],
    ["a wrong type", { width: "8" }, { code: "spec/config-value", path: "config.width", says: ["an integer of at least 1", '"8"'] }],
    ["a fraction for an integer", { width: 8.5 }, { code: "spec/config-value" }],
    ["a value out of bounds", { dropout: 1.5 }, { code: "spec/config-value", says: ["from 0 to 1", "1.5"] }],
    ["NaN", { dropout: NaN }, { code: "spec/config-value" }],
    ["null where it cannot be", { width: null }, { code: "spec/config-value", says: ["null"] }],
    ["a value that is no choice", { activation: "tanh" }, { code: "spec/config-value", says: ["one of gelu, relu"] }],
  ];
  for (const [what, extra, expected] of cases) {
    it(`${what} is refused`, () => throwsError(() => expand(tiny(), { config: { ...config, ...extra } }), expected));
  }
  it("a value missing is refused", () => throwsError(() => expand(tiny()), { code: "spec/missing-config", says: ["`vocabulary_size`"] }));
  it("a task's value missing is refused", () =>
    throwsError(() => expand(tiny(), { config, task: "tagger" }), {
      code: "spec/missing-config",
      path: "heads.tagger.config",
      says: ["`num_tags`"],
    }));
  it("an unknown task is refused", () =>
    throwsError(() => expand(tiny(), { config, task: "taggr" }), { code: "spec/unknown-task", says: ["Did you mean `tagger`?"] }));
  it("a task's values and no task is refused", () =>
    throwsError(() => expand(tiny(), { config, taskConfig: { num_tags: 2 } }), { code: "spec/unknown-task" }));
});

interface Tree {
  readonly spec: string;
  readonly task: string;
  readonly config: Loose;
  readonly task_config: Loose;
  readonly weights: [string, number[]][];
  readonly groups: [string, string][];
  readonly head_groups: [string, string][];
}

describe("the architectures", () => {
  const trees = JSON.parse(readFileSync(new URL("tests/fixtures/spec/kerashub_trees.json", root), "utf8")) as Tree[];
  for (const tree of trees) {
    const name = `${tree.spec.replace(/.*\/|\.json/g, "")} as ${tree.task}${tree.config.tie_word_embeddings ? ", tied" : ""}${
      tree.config.num_inner_repetitions ? ", repeated inside" : ""
    }`;
    it(`${name}: weights, shapes, order and groups are KerasHub's`, async () => {
      const source = tree.spec.endsWith(".json") ? fileURLToPath(new URL(tree.spec, root)) : tree.spec;
      const expanded = expand(await load(source), { config: tree.config, task: tree.task, taskConfig: tree.task_config });
      const weights = lowerModel(expanded, { training: false }).weights.list();
      assert.deepEqual(weights.map(({ path, shape }) => [path, shape]), tree.weights);
      const { groups, head_groups } = expanded.checkpoints.kerashub!;
      const byName = (pairs: readonly (readonly [string, string])[]) => [...pairs].sort(([a], [b]) => a < b ? -1 : 1);
      assert.deepEqual(byName(groups.map(({ group, name }) => [group, name])), byName(tree.groups));
      assert.deepEqual(byName(head_groups.map(({ group, name }) => [group, name])), byName(tree.head_groups));
      assert.deepEqual([...groups, ...head_groups].flatMap(({ vars }) => vars).sort(), tree.weights.map(([path]) => path).sort());
    });
  }
  for (const name of architectureNames) {
    it(`${name}: expanding twice changes nothing`, async () => {
      // CamemBERT, which KerasHub doesn't have, is RoBERTa.
      const { config, task, task_config } = [name, "roberta"].flatMap((one) => trees.filter(({ spec }) => spec === one))[0];
      const expanded = expand(await load(name), { config, task, taskConfig: task_config });
      assert.deepEqual(expand(JSON.parse(JSON.stringify(expanded))), expanded);
    });
  }
});
