/** The command `check`: broken specs are told apart from good ones, and each problem is said once, with its place. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { architectureNames } from "../../spec/index.ts";
import { runCli, specFile, TINY, tinyWith } from "./run_cli.ts";

describe("check of a good spec", () => {
  it("says ok, what it assumed, and each task's facts", async () => {
    const path = await specFile(TINY);
    const { code, out, error } = await runCli("check", path, "--config", "vocabulary_size=10");
    assert.equal(code, 0, error);
    assert.equal(error, "");
    assert.match(out, /^Assumed text_classifier\.num_classes=2\.$/m);
    assert.ok(out.includes(`${path}: ok`));
    const backbone = 10 * 8 + 3 * (8 * 8 + 8) + 16;
    assert.match(out, new RegExp(`\\(backbone\\) +9 +${backbone} +\\d+ +out \\[batch, sequence, 8\\]`));
    assert.match(out, new RegExp(`text_classifier +11 +${backbone + 8 * 2 + 2} +\\d+ +logits \\[batch, 2\\]`));
  });

  it("assumes nothing that is given", async () => {
    const path = await specFile(TINY);
    const args = ["--task", "text_classifier", "--config", "vocabulary_size=10", "--task-config", "num_classes=7"];
    const { code, out } = await runCli("check", path, ...args);
    assert.equal(code, 0);
    assert.doesNotMatch(out, /Assumed/);
    assert.match(out, /logits \[batch, 7\]/);
  });

  it("assumes widths that the given number of heads divides", async () => {
    const { code, out, error } = await runCli("check", "bert", "--config", "num_heads=12");
    assert.equal(code, 0, error);
    const width = Number(/hidden_dim=(\d+)/.exec(out)![1]);
    assert.equal(width % 12, 0);
  });

  it("says ok of every built-in spec, with no value given", async () => {
    for (const name of architectureNames) {
      const { code, out, error } = await runCli("check", name);
      assert.equal(code, 0, error);
      assert.ok(out.includes(`${name}: ok`), out);
    }
  });
});

describe("check of a broken spec", () => {
  const cases: readonly [what: string, path: string, value: unknown, place: string, ...expected: RegExp[]][] = [
    ["an unknown key", "backbon", {}, "backbon", /Unknown key `backbon`/, /Did you mean `backbone`\?/],
    ["a wrong type", "backbone.layers.0.dim", "wide", "backbone.layers[0].dim", /expected a number, found "wide"/],
    ["a wrong default", "config.hidden_dim", { type: "int", default: 2.5 }, "config.hidden_dim.default", /expected an integer, found 2\.5/],
    ["a dangling reference", "blocks.mixer.layers.3.in", ["previous", "y"], "blocks.mixer.layers[3].in[1]", /There is no value `y`/],
    ["a block inside itself", "blocks.mixer.layers.0", { block: "mixer", name: "again" }, "blocks.mixer.layers[0]", /mixer → mixer/],
    [
      "an unknown name in an expression",
      "blocks.mixer.layers.0.units",
      "{{ hiden_dim }}",
      "blocks.mixer.layers[0].units",
      /Unknown name `hiden_dim`/,
      /Did you mean `hidden_dim`\?/,
    ],
    [
      "shapes that don't fit",
      "blocks.mixer.layers.0.units",
      "{{ hidden_dim * 2 }}",
      "layer_0/residual",
      /expected shapes that broadcast together, found \[batch, sequence, 16\] and \[batch, sequence, 8\]/,
    ],
    [
      "labels that the predictions don't fit",
      "heads.text_classifier.labels.shape",
      ["batch", "sequence"],
      "heads.text_classifier.labels",
      /expected predictions of shape \[batch, sequence, classes\], found \[batch, 2\]/,
    ],
    [
      "an unknown loss",
      "heads.text_classifier.compile.loss.name",
      "SparseCategoricalCrossEntrop",
      "heads.text_classifier.compile.loss",
      /found SparseCategoricalCrossEntrop/,
      /Did you mean `SparseCategoricalCrossentropy`\?/,
    ],
    [
      "an unknown metric",
      "heads.text_classifier.compile.metrics",
      [{ name: "SparseCategoricalAccuracie" }],
      "heads.text_classifier.compile.metrics[0]",
      /Did you mean `SparseCategoricalAccuracy`\?/,
    ],
    [
      "an unknown optimizer",
      "heads.text_classifier.compile.optimizer.name",
      "Adm",
      "heads.text_classifier.compile.optimizer",
      /Did you mean "adam"\?/,
    ],
  ];
  for (const [what, at, value, place, ...expected] of cases) {
    it(`gives exit code 1, the file, the place and what is right: ${what}`, async () => {
      const path = await specFile(tinyWith(at, value));
      const { code, out, error } = await runCli("check", path);
      assert.equal(code, 1);
      assert.doesNotMatch(out, /: ok/);
      assert.equal(error.split("\n").length, 1, error);
      assert.ok(error.includes(`(at ${path}: ${place})`), error);
      for (const pattern of expected) assert.match(error, pattern);
    });
  }

  it("says all that is wrong with independent parts, each once", async () => {
    const spec = tinyWith("heads.text_classifier.compile.optimizer.name", "Adm") as typeof TINY;
    const other = structuredClone(TINY.heads.text_classifier);
    other.compile.loss.name = "Crossentropy";
    const heads = { ...spec.heads, second: other, third: structuredClone(TINY.heads.text_classifier) };
    const { code, error } = await runCli("check", await specFile({ ...spec, heads }));
    assert.equal(code, 1);
    const problems = error.split("\n");
    assert.equal(problems.length, 2, error);
    assert.match(problems[0], /heads\.text_classifier\.compile\.optimizer/);
    assert.match(problems[1], /heads\.second\.compile\.loss/);
  });

  it("says that a file is no JSON, or isn't there", async () => {
    const path = await specFile("{ nope");
    const broken = await runCli("check", path);
    assert.equal(broken.code, 1);
    assert.ok(broken.error.includes(`(at ${path})`), broken.error);
    const missing = await runCli("check", "xlm_robert");
    assert.equal(missing.code, 1);
    assert.match(missing.error, /Did you mean `xlm_roberta`\?/);
  });
});
