/** Tests variants: patches by path, glob and instance, grids, errors. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { lowerModel } from "../../codegen/lowering/model.ts";
import { derive, expand, hash, load, parseSpec, type Patch, variants } from "../../spec/index.ts";
import { type Expectation, type Loose, throwsError, tinySpec } from "./expecting.ts";

const tiny = parseSpec(tinySpec(), "tiny.json");
const config = { vocabulary_size: 50 };
const derived = (patch: Patch): Loose => expand(derive(tiny, patch), { config });
const names = (nodes: Loose[]): string[] => nodes.map((node) => node.name);

describe("derive", () => {
  it("sets another default", () => assert.equal(derived({ config: { width: 32 } }).config.width.value, 32));
  it("adds a config entry", () => {
    const expanded = derived({ config: { rank: { type: "int", default: 4 } }, merge: { let: { inner: "{{ width * rank }}" } } });
    assert.deepEqual(expanded.blocks.feedforward.layers[1].units, [32]);
  });
  it("sets a task's default", () => {
    const spec = derive(tiny, { taskConfig: { tagger: { num_tags: 5 } } });
    assert.equal(expand(spec, { config, task: "tagger" }).head?.config.num_tags.value, 5);
  });
  it("leaves the spec as it was", () => {
    const before = hash(tiny);
    derive(tiny, { config: { width: 32 }, layers: [{ at: "blocks/feedforward/*", set: { name: "x", when: false } }] });
    assert.equal(hash(tiny), before);
  });
  it("sets options by path", () => {
    const [norm] = derived({ layers: [{ at: "blocks/feedforward/norm", set: { kind: "rms", epsilon: 1e-6 } }] }).blocks.feedforward.layers;
    assert.deepEqual([norm.kind, norm.epsilon], ["rms", 1e-6]);
  });
  it("takes an option away with null", () => {
    const layer = derived({ layers: [{ at: "backbone/drop", set: { name: null } }] }).backbone.layers[1];
    assert.equal(layer.name, "dropout");
  });
  it("sets options by glob, over conditional twins too", async () => {
    const roberta = await load("roberta");
    const sizes = { vocabulary_size: 50, num_layers: 1, num_heads: 2, hidden_dim: 8, intermediate_dim: 16 };
    for (const normalize_first of [false, true]) {
      const spec = derive(roberta, { config: { normalize_first }, layers: [{ at: "blocks/encoder/*norm*", set: { kind: "rms" } }] });
      const list = (expand(spec, { config: sizes }).blocks.encoder.layers as Loose[]).filter(({ layer }) => layer === "norm");
      assert.deepEqual(list.map(({ kind }) => kind), ["rms", "rms"]);
    }
  });
  it("matches any depth with **", () => {
    const expanded = derived({ layers: [{ at: "**/drop", set: { rate: 0.5 } }] });
    assert.equal(expanded.backbone.layers[1].rate, 0.5);
  });
  it("changes one instance only, by a path through it", () => {
    const expanded = derived({ layers: [{ at: "backbone/layer_1/norm", set: { kind: "rms" } }] });
    assert.deepEqual(expanded.backbone.layers.slice(2).map(({ name, block, in: { x } }: Loose) => [name, block, x]), [
      ["layer_0", "feedforward", "drop"],
      ["layer_1", "feedforward_variant_1", "layer_0"],
    ]);
    assert.equal(expanded.blocks.feedforward.layers[0].kind, "layer");
    assert.equal(expanded.blocks.feedforward_variant_1.layers[0].kind, "rms");
  });
  it("changes two instances, one after the other", () => {
    const expanded = derived({
      config: { num_layers: 3 },
      layers: [{ at: "backbone/layer_2/norm", set: { kind: "rms" } }, { at: "backbone/layer_0/norm", set: { epsilon: 0.5 } }],
    });
    const norms = expanded.backbone.layers.slice(2).map(({ block }: Loose) => expanded.blocks[block].layers[0]);
    assert.deepEqual(norms.map(({ kind, epsilon }: Loose) => [kind, epsilon]), [["layer", 0.5], ["layer", 1e-3], ["rms", 1e-3]]);
  });
  it("changes all instances of a list by a glob through them", () => {
    const expanded = derived({ layers: [{ at: "backbone/layer_*/act", set: { function: "tanh" } }] });
    assert.deepEqual(Object.keys(expanded.blocks), ["feedforward_variant_1"]);
    assert.equal(expanded.blocks.feedforward_variant_1.layers[2].function, "tanh");
  });

  it("puts a layer after another: all that used the value use the new one", () => {
    const { layers, outputs } =
      derived({ layers: [{ at: "blocks/feedforward/up", after: { layer: "dropout", name: "wet", rate: 0.2 } }] }).blocks.feedforward;
    assert.deepEqual(names(layers), ["norm", "up", "wet", "act", "down", "sum"]);
    assert.deepEqual(layers[3].in, { x: "wet" });
    assert.deepEqual(outputs, { out: "sum" });
  });
  it("puts a layer after one that is used by name", () => {
    const spec = tinySpec();
    spec.backbone.layers.push({ layer: "add", name: "again", in: ["previous", "tokens"] });
    const patch: Patch = { layers: [{ at: "backbone/tokens", after: { layer: "norm", name: "fresh" } }] };
    const { layers } = (expand(derive(parseSpec(spec, "tiny.json"), patch), { config }) as Loose).backbone;
    assert.deepEqual(layers.at(-1).in, ["layer_1", "fresh"]);
    assert.deepEqual(layers[1].in, { x: "tokens" });
  });
  it("puts a layer before another, over its main input", () => {
    const { layers } =
      derived({ layers: [{ at: "blocks/feedforward/sum", before: { layer: "dropout", name: "wet", rate: 0.2 } }] }).blocks.feedforward;
    assert.deepEqual(layers.slice(-2), [
      { layer: "dropout", name: "wet", in: { x: "down" }, rate: 0.2 },
      { layer: "add", name: "sum", in: ["wet", "x"] },
    ]);
  });
  it("replaces a layer, which keeps its name and place", () => {
    const { layers } = derived({ layers: [{ at: "blocks/feedforward/act", replace: { layer: "scale", factor: 2 } }] }).blocks.feedforward;
    assert.deepEqual(layers[2], { layer: "scale", name: "act", in: { x: "up" }, factor: 2 });
  });
  it("replaces a layer by several", () => {
    const { layers } = derived({
      layers: [{
        at: "blocks/feedforward/act",
        replace: [{ layer: "scale", name: "s", factor: 2 }, { layer: "activation", name: "t", function: "tanh" }],
      }],
    }).blocks.feedforward;
    assert.deepEqual(names(layers), ["norm", "up", "s", "t", "down", "sum"]);
    assert.deepEqual(layers[4].in, { x: "t" });
  });
  it("replaces a repeated block, instance by instance", () => {
    const expanded = derived({
      merge: { blocks: { plain: { inputs: ["x"], layers: [{ layer: "dense", name: "only", units: "{{ width }}" }] } } },
      layers: [{ at: "backbone/layer_*", replace: { block: "plain" } }],
    });
    assert.deepEqual(expanded.backbone.layers.slice(2).map(({ name, block }: Loose) => [name, block]), [["layer_0", "plain"], [
      "layer_1",
      "plain",
    ]]);
  });
  it("removes a layer, and what used it uses its input", () => {
    const { layers } = derived({ layers: [{ at: "blocks/feedforward/norm", remove: true }] }).blocks.feedforward;
    assert.deepEqual(layers[0].in, { x: "x" });
    const expanded = derived({ layers: [{ at: "backbone/drop", remove: true }] });
    assert.deepEqual(expanded.backbone.layers[1].in, { x: "tokens" });
  });
  it("removes a layer that others use by name", async () => {
    const roberta = await load("roberta");
    const spec = derive(roberta, { layers: [{ at: "blocks/encoder/self_attention_layer_norm", remove: true }] });
    const sizes = { vocabulary_size: 50, num_layers: 1, num_heads: 2, hidden_dim: 8, intermediate_dim: 16 };
    const { layers } = expand(spec, { config: sizes }).blocks.encoder as Loose;
    assert.deepEqual(layers.find(({ name }: Loose) => name === "feedforward_intermediate_dense").in, { x: "self_attention_residual" });
    assert.deepEqual(layers.find(({ name }: Loose) => name === "feedforward_residual").in, [
      "feedforward_dropout",
      "self_attention_residual",
    ]);
  });

  const bad: [string, Loose, Expectation][] = [
    ["a path that matches nothing", { layers: [{ at: "blocks/feedforward/nrom", remove: true }] }, {
      code: "spec/no-match",
      path: "patch: layers[0].at",
      says: ["Did you mean `blocks/feedforward/norm`?"],
    }],
    ["a path through no instance", { layers: [{ at: "backbone/layer_9x/nothing", remove: true }] }, { code: "spec/no-match" }],
    ["an unknown config entry", { config: { widht: 3 } }, { code: "spec/no-match", path: "config.widht", says: ["Did you mean `width`?"] }],
    ["an unknown task", { taskConfig: { taggr: { num_tags: 3 } } }, { code: "spec/no-match", path: "taskConfig.taggr" }],
    ["an unknown key", { layer: [] }, { code: "spec/unknown-key", says: ["Did you mean `layers`?"] }],
    ["an unknown change", { layers: [{ at: "backbone/drop", insert: {} }] }, { code: "spec/unknown-key", path: "layers[0].insert" }],
    ["an unknown option", { layers: [{ at: "backbone/drop", set: { rat: 0.5 } }] }, {
      code: "spec/unknown-key",
      path: "tiny.json + patch: backbone.layers[1].rat",
    }],
    ["a default that the entry refuses", { config: { dropout: 2 } }, {
      code: "spec/config-value",
      path: "tiny.json + patch: config.dropout",
    }],
    ["a new layer that is none", { layers: [{ at: "backbone/drop", after: { layer: "dense" } }] }, {
      code: "spec/missing-key",
      path: "layers[0].after",
    }],
    ["a new block that is not there", { layers: [{ at: "backbone/drop", after: { block: "none", name: "x" } }] }, {
      code: "spec/dangling",
      says: ["feedforward"],
    }],
  ];
  for (const [what, patch, expected] of bad) {
    it(`refuses ${what}`, () => throwsError(() => derive(tiny, patch), expected));
  }
});

describe("variants", () => {
  it("gives every combination, the last axis fastest", () => {
    const list = variants(tiny, {
      num_layers: [1, 2],
      norm: { layer: {}, rms: { layers: [{ at: "blocks/feedforward/norm", set: { kind: "rms" } }] } },
    });
    assert.deepEqual(list.map(({ name }) => name), [
      "num_layers=1, norm=layer",
      "num_layers=1, norm=rms",
      "num_layers=2, norm=layer",
      "num_layers=2, norm=rms",
    ]);
    assert.deepEqual(list[3].config, { num_layers: 2 });
    const expanded = expand(list[1].spec, { config: { ...config, ...list[1].config } }) as Loose;
    assert.equal(expanded.backbone.layers.length, 3);
    assert.equal(expanded.blocks.feedforward.layers[0].kind, "rms");
    assert.equal(new Set(list.map(({ spec }) => hash(spec.source))).size, 4);
  });
  it("gives the spec itself for no axes", () => assert.deepEqual(variants(tiny, {}), [{ name: "", spec: tiny, config: {} }]));
  it("refuses an axis without choices", () =>
    throwsError(() => variants(tiny, { num_layers: [] }), { code: "spec/grid", says: ["`num_layers`"] }));
  it("refuses an axis of values that is no config entry", () =>
    throwsError(() => variants(tiny, { depth: [1] }), { code: "spec/no-match" }));
  it("gives encoders that compile: pre-norm, other activations, shared layers", async () => {
    const list = variants(await load("xlm_roberta"), {
      normalize_first: [false, true],
      activation: ["gelu", "silu"],
      share_layers: [false, true],
    });
    const sizes = { vocabulary_size: 50, num_layers: 2, num_heads: 2, hidden_dim: 8, intermediate_dim: 16, max_sequence_length: 8 };
    const counts = list.map(({ spec, config }) =>
      lowerModel(expand(spec, { config: { ...sizes, ...config }, task: "masked_lm" }), { training: true }).weights.list().length
    );
    assert.deepEqual(counts, [41, 25, 41, 25, 41, 25, 41, 25]);
  });
});
