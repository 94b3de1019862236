/** The command line as a process: the smallest permissions, exit codes, where it prints. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import type { CliResult } from "./run_cli.ts";
import { specFile, temporaryDirectory, TINY } from "./run_cli.ts";

const CLI = fileURLToPath(new URL("../../cli.ts", import.meta.url));

const PRESET = fileURLToPath(new URL("../fixtures/kerashub/xlm_roberta_tiny", import.meta.url));
const MODULES = fileURLToPath(new URL("../../node_modules", import.meta.url));

/** The runtime that runs the test, under another name: Deno adds its own permissions to what is started by its own. */
let runtime: string;
before(async () => {
  runtime = join(await temporaryDirectory(), "runtime");
  await symlink(process.execPath, runtime);
});

/** Runs cli.ts on the runtime that runs the test, with nothing on its standard input; under Deno with these permissions and no others. */
function cli(permissions: readonly string[], ...args: string[]): Promise<CliResult> {
  const command = "deno" in process.versions ? ["run", "--no-prompt", ...permissions, CLI] : [CLI];
  return new Promise((resolve) => {
    const child = execFile(runtime, [...command, ...args], { env: { ...process.env, NO_COLOR: "1" } }, (failure, out, error) => {
      resolve({ code: failure ? Number(failure.code) : 0, out, error });
    });
    child.stdin?.end();
  });
}

describe("cli.ts as a process", () => {
  it("checks and explains a built-in spec with no permission at all", async () => {
    const check = await cli([], "check", "xlm_roberta");
    assert.equal(check.code, 0, check.error);
    assert.match(check.out, /xlm_roberta: ok/);
    assert.equal(check.error, "");
  });

  it("explains a file with permission to read it", async () => {
    const path = await specFile(TINY);
    const explain = await cli([`--allow-read=${path}`], "explain", path, "--config", "vocabulary_size=9");
    assert.equal(explain.code, 0, explain.error);
    assert.match(explain.out, /^Parameters +304$/m);
  });

  it("compiles with permission for its directory", async () => {
    const out = join(await temporaryDirectory(), "out");
    const values = ["vocabulary_size=9", "num_layers=1", "num_heads=1", "hidden_dim=4", "intermediate_dim=4"].flatMap((
      value,
    ) => ["--config", value]);
    for (let twice = 0; twice < 2; twice++) {
      const permissions = [`--allow-read=${out}`, `--allow-write=${out}`];
      const { code, error } = await cli(permissions, "compile", "xlm_roberta", "--task", "masked_lm", ...values, "--out", out);
      assert.equal(code, 0, error);
    }
    assert.deepEqual((await readdir(out)).sort(), ["inference.onnx", "manifest.json", "optimizer.onnx", "training.onnx", "weights.bin"]);
  });

  it("fills masks and summarizes with permission to read the preset and the runtime", async () => {
    const summary = await cli([`--allow-read=${PRESET}`], "summary", PRESET);
    assert.equal(summary.code, 0, summary.error);
    assert.match(summary.out, /Total params: 47,510 /);
    const { code, out, error } = await cli([`--allow-read=${PRESET},${MODULES}`], "fill-mask", PRESET, "born <mask>", "--top-k", "2");
    assert.equal(code, 0, error);
    assert.deepEqual([out.split("\n").length, error], [6, ""]);
  });

  it("exports with permission to write beside the directory", async () => {
    const parent = await temporaryDirectory();
    const permissions = [`--allow-read=${PRESET},${parent}`, `--allow-write=${parent}`];
    for (const format of ["kerashub", "huggingface", "onnx"]) {
      // The library that writes HDF5 asks for the environment.
      const all = format === "kerashub" ? [...permissions, "--allow-env"] : permissions;
      const { code, error } = await cli(all, "export", PRESET, "--format", format, "--out", join(parent, format));
      assert.deepEqual([code, error], [0, ""]);
    }
  });

  it("lists presets with no permission at all, and says on one line which one is missing elsewhere", async () => {
    const { code, out } = await cli([], "presets", "--json");
    assert.equal(code, 0);
    assert.ok(JSON.parse(out).length > 30);
    if (!("deno" in process.versions)) return;
    const refused = await cli([], "summary", PRESET);
    assert.deepEqual([refused.code, refused.out], [1, ""]);
    assert.match(refused.error, /^error: Deno was not allowed to do this: Requires read access to .*--allow-read.*\n$/);
  });

  it("reads texts from standard input to its end", async () => {
    const { code, out, error } = await cli([`--allow-read=${PRESET},${MODULES}`], "fill-mask", PRESET, "--json");
    assert.deepEqual([code, out, error], [0, "", ""]);
  });

  it("prints an error as one line on standard error, with exit code 1 for a bad spec and 2 for bad arguments", async () => {
    const path = await specFile("[]");
    const broken = await cli([`--allow-read=${path}`], "check", path);
    assert.deepEqual([broken.code, broken.out], [1, ""]);
    assert.match(broken.error, /^error: A spec must be an object .*\n$/);
    const unknown = await cli([], "explain", path, "--jsn");
    assert.deepEqual([unknown.code, unknown.out], [2, ""]);
    assert.match(unknown.error, /^error: Unknown option --jsn: .*Did you mean --json\?\n$/);
  });
});
