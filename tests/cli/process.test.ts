/** The command line as a process: the smallest permissions, exit codes, where it prints. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import type { CliResult } from "./run_cli.ts";
import { specFile, temporaryDirectory, TINY } from "./run_cli.ts";

const CLI = fileURLToPath(new URL("../../cli.ts", import.meta.url));

/** Runs cli.ts on the runtime that runs the test; under Deno with these permissions and no others. */
function cli(permissions: readonly string[], ...args: string[]): Promise<CliResult> {
  const command = "deno" in process.versions ? ["run", "--no-prompt", ...permissions, CLI] : [CLI];
  return new Promise((resolve) => {
    execFile(process.execPath, [...command, ...args], { env: { ...process.env, NO_COLOR: "1" } }, (failure, out, error) => {
      resolve({ code: failure ? Number(failure.code) : 0, out, error });
    });
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
