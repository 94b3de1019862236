/** The README's examples run as they stand, each runtime its own. */

import assert from "node:assert/strict";
import { execFile, type ExecFileException } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { ROOT } from "./sources.ts";

const RUNTIME = "Bun" in globalThis ? "bun" : "deno";

/** A fenced block; `<!-- test -->` before it says that it is to be run. */
interface Block {
  language: string;
  text: string;
  tested: boolean;
}

const readme = readFileSync(new URL("README.md", ROOT), "utf8");
const blocks: Block[] = [...readme.matchAll(/(<!-- test -->\s*)?^```(\w+)\n([^]*?)^```$/gm)]
  .map(([, mark, language, text]) => ({ language, text, tested: mark !== undefined }));
const programs = blocks.filter(({ language, tested }) => tested && language === "ts").map(({ text }) => text);
const commands = blocks.filter(({ language, tested }) => tested && language === "sh").flatMap(({ text }) => text.split("\n"));

/** Runs a command in the repository's root, `input` on its stdin; rejects, with all it printed, unless it exits with 0. */
function execute(command: string, args: readonly string[], input = "", path = ""): Promise<string> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, NO_COLOR: "1", PATH: `${path}${delimiter}${process.env.PATH}` };
    const done = (error: ExecFileException | null, stdout: string, stderr: string): void => {
      if (error) reject(new Error(`${command} ${args.join(" ")}\n${stdout}${stderr}`));
      else resolve(stdout);
    };
    execFile(command, args, { cwd: fileURLToPath(ROOT), env }, done).stdin!.end(input);
  });
}

/** Runs a shell line in which the runtime's name stands for the runtime that runs this test. */
async function shell(line: string): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), "onnxhub-readme-"));
  try {
    symlinkSync(process.execPath, join(directory, RUNTIME));
    return await execute("sh", ["-c", line], "", directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

describe("the README", () => {
  it("opens with a sentence and the two commands that do all the set-up", () => {
    const [title, sentence, block] = readme.split("\n\n");
    assert.match(title, /^# OnnxHub$/);
    assert.match(sentence, /^[^.]+\.$/);
    assert.deepEqual(block.split("\n").map((line) => line.replace(/ +#.*/, "")), [
      "```sh",
      "npx --yes deno task demo",
      "npx --yes deno task test",
      "```",
    ]);
  });

  it("names only paths that are there", () => {
    const tree = readme.match(/^ {4}\w+\/[^]*?(?=\n\n)/m)![0];
    const named = [...tree.matchAll(/(?<=^ {4}| {3})([a-z]+\/)/gm)].map(([path]) => path);
    assert.ok(named.length >= 11, named.join(" "));
    for (const path of named) assert.ok(existsSync(new URL(path, ROOT)), path);
  });

  it("has a program and a one-liner for each runtime to run", () => {
    assert.ok(programs.length > 0);
    for (const runtime of ["deno", "bun"]) assert.ok(commands.some((line) => line.startsWith(`${runtime} `)), runtime);
  });

  programs.forEach((program, index) => {
    it(`has a program that runs, under Deno with no more than --allow-read (${index + 1})`, async () => {
      const flags = RUNTIME === "deno" ? ["--no-prompt", "--allow-read", "--ext=ts"] : [];
      assert.match(await execute(process.execPath, ["run", ...flags, "-"], program), /\S/);
    });
  });

  it("has one-liners that run and print", async () => {
    for (const line of commands.filter((line) => line.startsWith(`${RUNTIME} `))) assert.match(await shell(line), /\S/, line);
  });
});
