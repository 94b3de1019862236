/** The npm package: built, packed, installed beside its dependencies, and used in Node and Bun. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import ts from "typescript";
import { buildNpm } from "../../tools/build_npm.ts";
import { installNative, PROJECT } from "../native/install.ts";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const FIXTURES = join(ROOT, "tests", "fixtures");
const BUN = join(ROOT, "node_modules", ".bin", process.platform === "win32" ? "bun.exe" : "bun");
const SPM = join(FIXTURES, "tokenizer", "udhr-8k.spm");

/** Trains for one step, then fills a mask. */
const PROGRAM = `
import { models } from "onnxhub";
const tokenizer = new models.XLMRobertaTokenizer({ proto: ${JSON.stringify(SPM)} });
const preprocessor = new models.XLMRobertaMaskedLMPreprocessor({ tokenizer, sequenceLength: 16, maskSelectionLength: 4 });
const backbone = new models.XLMRobertaBackbone({
  vocabularySize: tokenizer.vocabularySize, numLayers: 1, numHeads: 2, hiddenDim: 8, intermediateDim: 16, maxSequenceLength: 16,
  backend: process.argv[2],
});
const maskedLM = new models.XLMRobertaMaskedLM({ backbone, preprocessor });
const { history } = await maskedLM.fit({ x: ["All human beings are born free.", "Everyone has the right to life."], batchSize: 2, verbose: 0 });
const filled = await maskedLM.fillMask("All human beings are <mask> free.");
await maskedLM.dispose();
console.log(JSON.stringify({ losses: history.loss, filled }));
process.exit();
`;

/** Every line is right but the last two. */
const TYPED = `
import { losses, models, OnnxHubError, optimizers, type Tensor } from "onnxhub";
export async function train(texts: string[]): Promise<number> {
  const maskedLM = await models.XLMRobertaMaskedLM.fromPreset("somewhere", { loadWeights: false });
  maskedLM.compile({ optimizer: new optimizers.Adam(5e-5), loss: new losses.SparseCategoricalCrossentropy({ fromLogits: true }) });
  const { history } = await maskedLM.fit({ x: texts, batchSize: 2 });
  const first: Tensor<"float32"> = (await maskedLM.getWeights())[0];
  const filled: { score: number; token: string }[] = await maskedLM.fillMask("<mask>", { topK: 3 });
  if (filled.length === 0) throw new OnnxHubError("model/no-mask", "nothing");
  return history.loss[0] + first.data[0];
}
export const wrong: string = new optimizers.Adam(5e-5);
new models.XLMRobertaBackbone({ vocabulary_size: 4 });
`;

let directory = "";
let installed = "";

/** Runs a file of the project in a runtime; gives what it printed. */
async function execute(command: string, ...args: string[]): Promise<string> {
  const { stdout } = await run(command, args, { cwd: directory, env: { ...process.env, NO_COLOR: "1" } });
  return stdout;
}

/** What the type checker says of a file that uses the package, and of the package's declarations. */
function diagnose(file: string): string[] {
  const program = ts.createProgram([file], {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ES2023,
    strict: true,
    noEmit: true,
    types: [],
  });
  return ts.getPreEmitDiagnostics(program)
    .filter((one) => !one.file || one.file.fileName === file || one.file.fileName.startsWith(installed))
    .map((one) => {
      const line = one.file && one.start !== undefined ? one.file.getLineAndCharacterOfPosition(one.start).line : -1;
      const where = one.file?.fileName === file ? "" : `${one.file?.fileName}: `;
      return `${where}${line}: TS${one.code}`;
    });
}

before(async () => {
  directory = mkdtempSync(join(tmpdir(), "onnxhub-npm-"));
  const built = join(directory, "built");
  buildNpm(built);
  await run("npm", ["pack", "--pack-destination", directory, "--loglevel=error"], { cwd: built, shell: process.platform === "win32" });
  const [tarball] = readdirSync(directory).filter((name) => name.endsWith(".tgz"));
  await run("tar", ["-xzf", tarball], { cwd: directory });
  installed = join(directory, "node_modules", "onnxhub");
  mkdirSync(dirname(installed));
  renameSync(join(directory, "package"), installed);
  const { dependencies } = JSON.parse(readFileSync(join(installed, "package.json"), "utf8")) as { dependencies: Record<string, string> };
  for (const name of Object.keys(dependencies)) {
    const link = join(directory, "node_modules", name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(ROOT, "node_modules", name), link, "junction");
  }
  writeFileSync(join(directory, "program.mjs"), PROGRAM);
  writeFileSync(join(directory, "typed.mts"), TYPED);
});

after(() => rmSync(directory, { recursive: true, force: true }));

describe("the packed npm package", () => {
  it("holds JavaScript, declarations and data, and no TypeScript source", () => {
    const files = readdirSync(installed, { recursive: true, encoding: "utf8" }).map((path) => path.replaceAll("\\", "/"));
    for (const path of ["mod.js", "mod.d.ts", "cli.js", "README.md", "LICENSE", "spec/spec.schema.json"]) {
      assert.ok(files.includes(path), path);
    }
    assert.deepEqual(files.filter((path) => /(?<!\.d)\.ts$/.test(path) || /^(tests|bench|examples|tools)\b/.test(path)), []);
    for (const name of readdirSync(join(ROOT, "spec", "architectures")).filter((name) => name.endsWith(".json"))) {
      const read = (root: string): unknown => JSON.parse(readFileSync(join(root, "spec", "architectures", name), "utf8"));
      assert.deepEqual(read(installed), read(ROOT));
    }
    const manifest = JSON.parse(readFileSync(join(installed, "package.json"), "utf8")) as Record<string, Record<string, string>>;
    assert.deepEqual(manifest.dependencies, JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")).dependencies);
    for (const path of Object.values(manifest.bin)) assert.ok(existsSync(join(installed, path)));
  });

  it("trains a step and fills a mask in Node, with the same numbers as in Bun", async () => {
    compare(await execute("node", "program.mjs"), await execute(BUN, "program.mjs"));
  });

  it("does so on onnxruntime-node, whose addon Node calls and whose library Bun calls", async () => {
    await installNative();
    for (const name of readdirSync(join(PROJECT, "node_modules"))) {
      const link = join(directory, "node_modules", name);
      if (!existsSync(link)) symlinkSync(join(PROJECT, "node_modules", name), link, "junction");
    }
    compare(await execute("node", "program.mjs", "native"), await execute(BUN, "program.mjs", "native"));
  });

  function compare(...printed: readonly [inNode: string, inBun: string]): void {
    interface Printed {
      losses: number[];
      filled: { score: number; token: string }[];
    }
    const [inNode, inBun] = printed.map((text) => JSON.parse(text) as Printed);
    assert.equal(inNode.losses.length, 1);
    assert.ok(Math.abs(inNode.losses[0] - inBun.losses[0]) < 1e-5 && inNode.losses[0] > 0, `${inNode.losses[0]} and ${inBun.losses[0]}`);
    assert.deepEqual(inNode.filled.map(({ token }) => token), inBun.filled.map(({ token }) => token));
    assert.equal(inNode.filled.length, 5);
    inNode.filled.forEach(({ score }, i) => assert.ok(Math.abs(score - inBun.filled[i].score) < 1e-6));
  }

  it("has a command line for Node and Bun", async () => {
    const config = ["vocabulary_size=100", "num_layers=1", "num_heads=2", "hidden_dim=8", "intermediate_dim=16"];
    const args = [join(installed, "cli.js"), "explain", "xlm_roberta", ...config.flatMap((entry) => ["--config", entry])];
    const inNode = await execute("node", ...args);
    assert.match(inNode, /transformer_layer_0/);
    assert.equal(await execute(BUN, "run", ...args), inNode);
  });

  it("has declarations that know what is right and what is wrong", () => {
    const lines = TYPED.split("\n");
    assert.deepEqual(diagnose(join(directory, "typed.mts")), [
      `${lines.findIndex((line) => line.includes("wrong"))}: TS2322`,
      `${lines.findIndex((line) => line.includes("vocabulary_size"))}: TS2561`,
    ]);
  });
});
