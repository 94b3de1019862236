/** The command line's arguments: help, exit codes, suggestions. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { runCli, specFile, TINY } from "./run_cli.ts";

const path = await specFile(TINY);

describe("help", () => {
  it("lists the commands", async () => {
    const { code, out } = await runCli("--help");
    assert.equal(code, 0);
    for (const name of ["fill-mask", "summary", "presets", "download", "export", "compile", "check", "explain"]) {
      assert.match(out, new RegExp(`^  ${name} +[A-Z]`, "m"));
    }
  });

  it("of each command lists its options and the permissions that it needs", async () => {
    const options = {
      compile: ["--task", "--config", "--task-config", "--optimizer", "--seed", "--no-weights", "--out", "--help"],
      check: ["--task", "--config", "--task-config", "--help"],
      explain: ["--task", "--config", "--task-config", "--batch", "--sequence", "--size", "--optimizer", "--full", "--json", "--help"],
      "fill-mask": ["--top-k", "--quantize", "--json", "--help"],
      summary: ["--task", "--help"],
      presets: ["--architecture", "--task", "--search", "--json", "--help"],
      download: ["--help"],
      export: ["--format", "--task", "--dtype", "--max-shard-size", "--out", "--help"],
    };
    const permissions: Readonly<Record<string, RegExp>> = {
      "fill-mask": /deno run --allow-read=DIR,node_modules cli\.ts/,
      summary: /deno run --allow-read=DIR cli\.ts/,
      presets: /deno run cli\.ts/,
      download: /deno run --allow-read --allow-write --allow-net --allow-env cli\.ts/,
      export: /deno run --allow-read=DIR,PARENT --allow-write=PARENT cli\.ts/,
      compile: /deno run --allow-read=SPEC,DIR --allow-write=DIR cli\.ts/,
    };
    for (const [name, expected] of Object.entries(options)) {
      const { code, out } = await runCli(name, "--help");
      assert.equal(code, 0);
      assert.deepEqual([...out.matchAll(/^ {2}(--[a-z-]+)/gm)].map((match) => match[1]), expected);
      assert.match(out, permissions[name] ?? /deno run --allow-read=SPEC cli\.ts/);
    }
  });

  it("is printed as an error where there is no command", async () => {
    const { code, out, error } = await runCli();
    assert.equal(code, 2);
    assert.equal(out, "");
    assert.match(error, /cli\.ts COMMAND/);
  });
});

describe("arguments that aren't understood", () => {
  const cases: readonly [what: string, args: readonly string[], ...expected: RegExp[]][] = [
    ["an unknown command", ["chek", path], /Unknown command chek: expected one of .*compile, check, explain\. Did you mean `check`\?/],
    ["an unknown option", ["explain", path, "--bacth", "2"], /Unknown option --bacth: expected one of --task, .*Did you mean --batch\?/],
    ["a short option", ["explain", path, "-t", "x"], /Unknown option -t/],
    ["no spec", ["check"], /check takes one spec: .*found none/],
    ["two specs", ["check", path, "other"], /check takes one spec: .* other/],
    ["no value", ["explain", path, "--task"], /--task needs a value: expected --task NAME, found nothing/],
    ["an option in a value's place", ["explain", path, "--task", "--json"], /--task needs a value: .*found --json/],
    ["a value for a flag", ["explain", path, "--json=yes"], /--json takes no value: found yes/],
    ["an option given twice", ["explain", path, "--batch", "1", "--batch", "2"], /--batch is given twice: found 1 and 2/],
    ["no directory to write into", ["compile", path], /--out is missing: expected --out DIR/],
    ["a config value without a name", ["check", path, "--config", "4"], /expected --config name=value, found 4/],
    [
      "a config value that there isn't",
      ["check", path, "--config", "num_layer=4"],
      /--config has no `num_layer`: .*Did you mean `num_layers`\?/,
    ],
    [
      "text for a whole number",
      ["check", path, "--config", "num_layers=four"],
      /num_layers has the wrong type: expected a whole number, found four/,
    ],
    ["a fraction for a whole number", ["check", path, "--config", "num_layers=1.5"], /expected a whole number, found 1\.5/],
    ["text for a number", ["check", path, "--config", "cap=high"], /expected a number, or null, found high/],
    ["null where there is none", ["check", path, "--config", "dropout=null"], /expected a number, found null/],
    ["text for a boolean", ["check", path, "--config", "biased=yes"], /expected true or false, found yes/],
    [
      "a task that there isn't",
      ["check", path, "--task", "text_clasifier"],
      /tiny has no task text_clasifier: .*Did you mean --task text_classifier\?/,
    ],
    ["the head's values without a task", ["check", path, "--task-config", "num_classes=2"], /--task-config is given without --task/],
    ["an optimizer without a task", ["explain", path, "--optimizer", "adam"], /--optimizer is given without --task/],
    ["no batch at all", ["explain", path, "--batch", "0"], /--batch takes a whole number: expected 1 or more, found 0/],
    ["a negative seed", ["compile", path, "--out", "x", "--seed=-1"], /--seed takes a whole number: expected 0 or more, found -1/],
  ];
  for (const [what, args, ...expected] of cases) {
    it(`give exit code 2 and one line: ${what}`, async () => {
      const { code, out, error } = await runCli(...args);
      assert.equal(code, 2, error);
      assert.equal(out, "");
      assert.equal(error.split("\n").length, 1);
      for (const pattern of expected) assert.match(error, pattern);
    });
  }
});

describe("values by the spec's types", () => {
  it("come out as numbers, booleans, text and null", async () => {
    const given = ["vocabulary_size=12", "dropout=2.5e-1", "activation=tanh", "biased=false", "cap=null"];
    const { code, out, error } = await runCli("explain", path, "--json", ...given.flatMap((value) => ["--config", value]));
    assert.equal(code, 0, error);
    const { layers, parameters } = JSON.parse(out);
    assert.equal(parameters, 12 * 8 + 3 * 8 * 8 + 16);
    assert.equal(layers.length, 1 + 3 * 4 + 1);
  });
});
