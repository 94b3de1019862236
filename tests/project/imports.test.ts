/** How the sources are laid out: who may import whom, what a file may be called, what it may name. */

import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { describe, it } from "node:test";
import { readSources, ROOT, scan, type Source } from "./sources.ts";

/** For each folder what it may import, folders above it; `errors.ts` and `random.ts` are open to all. */
const MAY_IMPORT: readonly [folder: string, others: readonly string[]][] = [
  ["formats", []],
  ["spec", []],
  ["text", ["formats", "spec"]],
  ["codegen", ["formats", "spec"]],
  ["runtime", ["formats", "spec", "codegen"]],
  ["training", ["formats", "spec", "codegen", "runtime"]],
  ["presets", ["formats", "spec", "text", "codegen", "runtime", "training"]],
  ["models", ["formats", "spec", "text", "codegen", "runtime", "training", "presets"]],
  ["mod.ts", ["formats", "spec", "text", "codegen", "runtime", "training", "presets", "models"]],
  ["browser", ["formats", "spec", "text", "codegen", "runtime", "training", "presets", "models", "mod.ts"]],
  ["cli", ["formats", "spec", "text", "codegen", "runtime", "training", "presets", "models", "mod.ts"]],
  ["cli.ts", ["cli"]],
];
const LEAVES: readonly string[] = ["errors.ts", "random.ts"];

/** Where each npm package may be imported. */
const PACKAGE_HOMES: Readonly<Record<string, readonly string[]>> = {
  "@bufbuild/protobuf": ["codegen", "formats", "text"],
  "@huggingface/hub": ["presets"],
  "@huggingface/jinja": ["spec", "text"],
  "h5wasm": ["browser", "formats"],
  "kitoken": ["text"],
  "onnxruntime-web": ["runtime"],
  "onnxruntime-node": ["runtime"],
  "valibot": ["spec"],
};

const sources = readSources();
const byPath = new Map(sources.map((source) => [source.path, source]));
/** The library itself. */
const library = sources.filter(({ path }) => !/^(tests|examples|bench|tools)\//.test(path));

const folderOf = (path: string): string => path.split("/")[0];
const isRelative = (specifier: string): boolean => /^\.{1,2}\//.test(specifier);
const resolve = (from: string, specifier: string): string => new URL(specifier, new URL(from, "file:///")).pathname.slice(1);

/** Every specifier of a bare import that is reached from a file by static imports, with the file that has it. */
function reached(start: Source): Map<string, string> {
  const found = new Map<string, string>();
  const seen = new Set<string>();
  const visit = (source: Source): void => {
    if (seen.has(source.path)) return;
    seen.add(source.path);
    for (const { specifier, static: isStatic } of source.imports) {
      if (!isStatic) continue;
      if (!isRelative(specifier)) found.set(specifier, source.path);
      else {
        const target = byPath.get(resolve(source.path, specifier));
        if (target) visit(target);
      }
    }
  };
  visit(start);
  return found;
}

describe("the sources' imports", () => {
  it("run one way", () => {
    const order = MAY_IMPORT.map(([folder]) => folder);
    const allowed = new Map(MAY_IMPORT);
    for (const [folder, others] of MAY_IMPORT) {
      for (const other of others) assert.ok(order.indexOf(other) < order.indexOf(folder), `${folder} and ${other} would be a circle`);
    }
    const wrong: string[] = [];
    for (const { path, imports } of library) {
      const home = folderOf(path);
      for (const { specifier } of imports.filter(({ specifier }) => isRelative(specifier))) {
        const target = folderOf(resolve(path, specifier));
        if (target === home || LEAVES.includes(target) || allowed.get(home)?.includes(target)) continue;
        wrong.push(`${path} imports ${specifier}`);
      }
    }
    assert.deepEqual(wrong, []);
  });

  it("name files that are there, with their extension", () => {
    const broken = sources.flatMap(({ path, imports }) =>
      imports.filter(({ specifier }) => isRelative(specifier) && !existsSync(new URL(resolve(path, specifier), ROOT)))
        .map(({ specifier }) => `${path} imports ${specifier}`)
    );
    assert.deepEqual(broken, []);
  });

  it("keep each npm package in its folder", () => {
    const wrong: string[] = [];
    for (const { path, imports } of library) {
      for (const { specifier } of imports) {
        if (isRelative(specifier) || specifier.startsWith("node:") || specifier === "onnxhub") continue;
        const name = specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1).join("/");
        if (!PACKAGE_HOMES[name]?.includes(folderOf(path))) wrong.push(`${path} imports ${specifier}`);
      }
    }
    assert.deepEqual(wrong, []);
  });

  it("never have onnxruntime-node, which is optional, statically", () => {
    const wrong = sources.filter(({ imports }) => imports.some((one) => one.static && one.specifier.startsWith("onnxruntime-node")));
    assert.deepEqual(wrong.map(({ path }) => path), []);
  });

  it("lead from spec/ and codegen/ to no file system, network, process or runtime, spec/load.ts and what is built on it aside", () => {
    const apart = ["spec/load.ts", "spec/index.ts", "spec/generate_schema.ts"];
    const wrong: string[] = [];
    for (const source of library.filter(({ path }) => /^(spec|codegen)\//.test(path) && !apart.includes(path))) {
      for (const [specifier, by] of reached(source)) {
        if (/^node:(?!crypto$)|^onnxruntime/.test(specifier)) wrong.push(`${source.path} reaches ${specifier} by ${by}`);
      }
    }
    assert.deepEqual(wrong, []);
  });

  it("are the public face's alone in the examples", () => {
    const wrong = sources.filter(({ path }) => path.startsWith("examples/")).flatMap(({ path, imports }) =>
      imports.filter(({ specifier }) => isRelative(specifier) && !resolve(path, specifier).startsWith("examples/"))
        .map(({ specifier }) => `${path} imports ${specifier}`)
    );
    assert.deepEqual(wrong, []);
  });
});

describe("every source file", () => {
  it("opens with a doc comment that says what it is", () => {
    const silent = sources.filter(({ text }) => !/^(#![^\n]*\n)?\/\*\*\s*(\*\s*)?\w/.test(text));
    assert.deepEqual(silent.map(({ path }) => path), []);
  });

  it("is named for what it does", () => {
    const vague = sources.filter(({ path }) => /(^|[/_.-])(utils?|helpers?|common|misc)([/_.-]|$)/i.test(path));
    assert.deepEqual(vague.map(({ path }) => path), []);
  });

  it("names no architecture, unless it is generated, a test, an example or a benchmark", () => {
    const names = ["xlm_roberta", "roberta", "bert", "llama", "gpt2", "albert"];
    for (const file of readdirSync(new URL("spec/architectures/", ROOT))) {
      if (file.endsWith(".json")) names.push(file.slice(0, -".json".length));
    }
    const patterns = [...new Set(names)].map((name) => {
      const words = name.split("_");
      const pascal = words.map((word) => word[0].toUpperCase() + word.slice(1)).join("");
      return new RegExp(
        `(?<![A-Za-z])${words.join("[_-]?")}(?![a-z])|${pascal}(?![a-z])|(?<![A-Z])${words.join("[_-]?").toUpperCase()}(?![A-Z])`,
      );
    });
    const wrong: string[] = [];
    for (
      const { path, code } of library.filter(({ path }) => !path.startsWith("models/generated/") && path !== "spec/architectures/index.ts")
    ) {
      code.split("\n").forEach((line, index) => {
        if (patterns.some((pattern) => pattern.test(line))) wrong.push(`${path}:${index + 1}: ${line.trim()}`);
      });
    }
    assert.deepEqual(wrong, []);
  });
});

describe("the scanner under these tests", () => {
  it("blanks comments, not what only looks like one", () => {
    const text = 'const a = "// no"; // yes\nconst b = /["`/*]/g; /* yes */ const c = `http://${d ? `{}` : "}"}`; // yes\n';
    const { code, bare } = scan(text);
    assert.equal(code.replace(/ +/g, " "), 'const a = "// no"; \nconst b = /["`/*]/g; const c = `http://${d ? `{}` : "}"}`; \n');
    assert.equal(bare.length, text.length);
    assert.doesNotMatch(bare, /yes|http| no"/);
    assert.match(bare, /\$\{d \?/);
  });

  it("finds static and dynamic imports over several lines, and none in a template", () => {
    const imports = byPath.get("tests/project/imports.test.ts")!.imports.map(({ specifier }) => specifier);
    assert.deepEqual(imports, ["node:assert/strict", "node:fs", "node:test", "./sources.ts"]);
  });
});
