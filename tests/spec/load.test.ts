/** Tests loading: built-in names, files, `extends`, and one error for each kind of bad input. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { architectures } from "../../spec/architectures/index.ts";
import { architectureNames, load, parseSpec } from "../../spec/index.ts";
import { OnnxHubError } from "../../errors.ts";
import { type Expectation, type Loose, throwsError, tinySpec } from "./expecting.ts";

const folder = mkdtempSync(join(tmpdir(), "onnxhub-spec-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, content: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

async function rejects(promise: Promise<unknown>, { code, path, says = [] }: Expectation): Promise<void> {
  const error = await promise.then(() => null, (thrown) => thrown);
  assert.ok(error instanceof OnnxHubError, String(error));
  throwsError(() => {
    throw error;
  }, { code, path, says });
}

describe("load", () => {
  for (const name of architectureNames) {
    it(`reads ${name} by name`, async () => assert.equal((await load(name)).source.name, name));
    it(`takes ${name} as it is, which is what the checks of any other spec give`, async () =>
      assert.deepEqual((await load(name)).source, parseSpec(architectures[name], name).source));
  }
  for (const name of ["gpt2", "albert"]) {
    it(`reads ${name} from a file`, async () => {
      const path = fileURLToPath(new URL(`../fixtures/architectures/${name}.json`, import.meta.url));
      assert.equal((await load(path)).source.name, name);
      assert.equal((await load(pathToFileURL(path))).source.name, name);
    });
  }
  it("gives everybody an own copy of a built-in spec", async () => {
    const { source } = await load("roberta") as { source: Loose };
    source.config.num_layers.default = 7;
    source.blocks = {};
    const again = await load("roberta") as { source: Loose };
    assert.notEqual(again.source.config.num_layers.default, 7);
    assert.ok(Object.keys(again.source.blocks).length > 0);
  });
  it("reads an object", async () => assert.equal((await load(tinySpec())).source.name, "tiny"));
  it("suggests a built-in name", () => rejects(load("robert"), { code: "spec/unreadable", says: ["Did you mean `roberta`?"] }));
  it("refuses a file that is no JSON", () => rejects(load(file("broken.json", "{")), { code: "spec/json", path: "broken.json" }));
  it("refuses JSON that is no object", () => rejects(load(file("list.json", [])), { code: "spec/value", says: ["a JSON object"] }));
  it("names the file in errors", () => rejects(load(file("no_name.json", {})), { code: "spec/missing-key", path: "no_name.json" }));
});

describe("extends", () => {
  it("merges objects, replaces lists, takes away what is null", async () => {
    file("base.json", { ...tinySpec(), description: "base" });
    const path = file("child.json", {
      extends: "./base.json",
      name: "child",
      description: null,
      config: { width: { type: "int", default: 32 } },
    });
    const { source } = await load(path) as { source: Loose };
    assert.equal(source.name, "child");
    assert.equal(source.config.width.default, 32);
    assert.equal(source.config.width.min, 1);
    assert.equal(source.description, undefined);
    assert.deepEqual(source.backbone, tinySpec().backbone);
  });
  it("keeps the parent's order of config entries", async () => {
    const [roberta, xlm] = [await load("roberta"), await load("xlm_roberta")];
    assert.deepEqual(Object.keys(xlm.source.config), Object.keys(roberta.source.config));
  });
  it("takes a built-in name", () => assert.equal(parseSpec({ extends: "roberta", name: "mine" }, "mine.json").source.name, "mine"));
  it("refuses a circle", () => {
    file("one.json", { extends: "two.json", name: "one" });
    file("two.json", { extends: "one.json", name: "two" });
    return rejects(load(join(folder, "one.json")), { code: "spec/cycle", says: ["→"] });
  });
  it("refuses a spec that extends itself", () =>
    rejects(load(file("self.json", { extends: "self.json", name: "self" })), { code: "spec/cycle" }));
  it("refuses what is not there", () =>
    throwsError(() => parseSpec({ extends: "robertta", name: "x" }, "x.json"), {
      code: "spec/unreadable",
      path: "extends",
      says: ["Did you mean `roberta`?"],
    }));
});

/** A change to the tiny spec, and the error that it must give. */
const bad: [string, (spec: Loose) => void, Expectation][] = [
  ["an unknown key", (s) => s.confg = {}, { code: "spec/unknown-key", path: "tiny.json: confg", says: ["Did you mean `config`?"] }],
  ["an unknown option", (s) => s.backbone.layers[1].rat = 0.5, {
    code: "spec/unknown-key",
    path: "backbone.layers[1].rat",
    says: ["Did you mean `rate`?"],
  }],
  ["a missing key", (s) => delete s.backbone, { code: "spec/missing-key", says: ["`backbone`"] }],
  ["a missing option", (s) => delete s.backbone.layers[1].rate, { code: "spec/missing-key", path: "backbone.layers[1]", says: ["`rate`"] }],
  ["a wrong type", (s) => s.backbone.layers[1].rate = "half", {
    code: "spec/value",
    path: "backbone.layers[1].rate",
    says: ["a number", '"half"'],
  }],
  ["a rate out of bounds", (s) => s.backbone.layers[1].rate = 2, {
    code: "spec/value",
    path: "backbone.layers[1].rate",
    says: ["from 0 to 1"],
  }],
  ["a unit that is no integer", (s) => s.blocks.feedforward.layers[1].units = 1.5, {
    code: "spec/value",
    path: "units",
    says: ["integer", "1.5"],
  }],
  ["an unknown layer", (s) => s.backbone.layers[1].layer = "dropuot", {
    code: "spec/value",
    path: "backbone.layers[1].layer",
    says: ["Did you mean `dropout`?"],
  }],
  ["an entry that is nothing", (s) => s.backbone.layers[1] = { name: "x" }, {
    code: "spec/value",
    path: "backbone.layers[1]",
    says: ["`block`"],
  }],
  ["an unknown initializer", (s) => s.blocks.feedforward.layers[1].kernel_initializer = "glorot", {
    code: "spec/value",
    path: "kernel_initializer",
  }],
  ["an unknown name in an expression", (s) => s.blocks.feedforward.layers[1].units = "{{ widht }}", {
    code: "spec/unknown-name",
    path: "blocks.feedforward.layers[1].units",
    says: ["Did you mean `width`?"],
  }],
  ["an unknown name in a list", (s) => s.blocks.feedforward.layers[1].units = ["{{ heads }}", 2], {
    code: "spec/unknown-name",
    path: "units[0]",
  }],
  ["a count outside its repetition", (s) => s.backbone.layers[1].rate = "{{ i }}", {
    code: "spec/unknown-name",
    path: "backbone.layers[1].rate",
  }],
  ["a value of `let` before its definition", (s) => s.let = { first: "{{ second }}", second: 1 }, {
    code: "spec/unknown-name",
    path: "let.first",
  }],
  ["a syntax error", (s) => s.limits.sequence = "{{ 1 + }}", { code: "spec/expression", path: "limits.sequence" }],
  ["an unknown block", (s) => s.backbone.layers[2].block = "feedforwad", {
    code: "spec/dangling",
    path: "backbone.layers[2].block",
    says: ["Did you mean `feedforward`?"],
  }],
  ["an unknown value", (s) => s.backbone.layers[0].in = "token_id", {
    code: "spec/dangling",
    path: "backbone.layers[0].in",
    says: ["Did you mean `token_ids`?"],
  }],
  ["an unknown input of a layer", (s) => s.backbone.layers[0].in = { idss: "token_ids" }, {
    code: "spec/dangling",
    says: ["Did you mean `ids`?"],
  }],
  ["an unknown input of a block", (s) => s.backbone.layers[2].in = { y: "drop" }, {
    code: "spec/dangling",
    path: "backbone.layers[2].in",
    says: ["one of x"],
  }],
  ["an unknown parameter", (s) => s.backbone.layers[2].with = { iner: 3 }, { code: "spec/dangling", says: ["Did you mean `inner`?"] }],
  ["a missing parameter", (s) => s.blocks.feedforward.parameters.inner = null, {
    code: "spec/missing-key",
    path: "backbone.layers[2]",
    says: ["`inner`"],
  }],
  ["an output that nothing makes", (s) => s.backbone.outputs.sequence_output = "drp", {
    code: "spec/dangling",
    path: "backbone.outputs.sequence_output",
  }],
  ["a block that uses itself", (s) => s.blocks.feedforward.layers.push({ block: "feedforward", name: "again" }), {
    code: "spec/cycle",
    path: "blocks.feedforward.layers[5]",
    says: ["feedforward → feedforward"],
  }],
  ["two blocks that use each other", (s) => {
    s.blocks.other = { inputs: ["x"], layers: [{ block: "feedforward", name: "inner" }] };
    s.blocks.feedforward.layers.push({ block: "other", name: "outer" });
  }, { code: "spec/cycle", says: ["→"] }],
  ["a name given twice", (s) => s.backbone.layers[1].name = "tokens", { code: "spec/duplicate-name", path: "backbone.layers[1].name" }],
  ["a layer with weights and no name", (s) => delete s.backbone.layers[0].name, {
    code: "spec/missing-key",
    path: "backbone.layers[0]",
    says: ["`name`"],
  }],
  ["a reserved name", (s) => s.config.range = "int", { code: "spec/duplicate-name", path: "config.range", says: ["reserved"] }],
  ["a `let` that hides a config entry", (s) => s.let.width = 3, { code: "spec/duplicate-name", path: "let.width" }],
  ["a default of the wrong type", (s) => s.config.width.default = "wide", {
    code: "spec/config-value",
    path: "config.width.default",
    says: ["an integer"],
  }],
  ["a default that is no choice", (s) => s.config.activation.default = "silu", { code: "spec/config-value", says: ["gelu, relu"] }],
  ["bounds the wrong way round", (s) => s.config.width.max = 0, { code: "spec/config-value", path: "config.width" }],
  ["a limit of an unknown symbol", (s) => s.limits = { length: 3 }, { code: "spec/dangling", path: "limits", says: ["sequence"] }],
  ["an input below an unknown symbol", (s) => s.inputs.token_ids.below = "vocabulary", {
    code: "spec/dangling",
    path: "inputs.token_ids.below",
  }],
  [
    "checkpoints of an unknown task",
    (s) =>
      s.checkpoints = {
        kerashub: { backbone: { class_name: "X", module: "x" }, groups: [], tasks: { taggr: { class_name: "Y", module: "y" } } },
      },
    {
      code: "spec/dangling",
      path: "checkpoints.kerashub.tasks",
      says: ["Did you mean `tagger`?"],
    },
  ],
  [
    "a checkpoint's unknown config entry",
    (s) => s.checkpoints = { huggingface: { model_type: "tiny", config: { hidden: "widht" }, weights: [] } },
    {
      code: "spec/dangling",
      path: "checkpoints.huggingface.config.hidden",
      says: ["Did you mean `width`?"],
    },
  ],
  [
    "an unknown name in a checkpoint",
    (s) => s.checkpoints = { kerashub: { backbone: { class_name: "X", module: "x" }, groups: [{ group: "{{ j }}", name: "n" }] } },
    {
      code: "spec/unknown-name",
      path: "checkpoints.kerashub.groups[0].group",
    },
  ],
];

describe("a spec with", () => {
  for (const [what, change, expected] of bad) {
    it(`${what} is refused`, () => {
      const spec = tinySpec();
      change(spec);
      throwsError(() => parseSpec(spec, "tiny.json"), { path: "tiny.json", ...expected });
    });
  }
  it("nothing wrong is taken", () => assert.equal(parseSpec(tinySpec(), "tiny.json").file, "tiny.json"));
});
