/** The examples in the doc comments type-check and run, each runtime its own; all of them in one process. */

import assert from "node:assert/strict";
import { execFile, type ExecFileException } from "node:child_process";
import process from "node:process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { readSources, ROOT } from "./sources.ts";

const IMPORT = /^import \{ ([^}]+) \} from "([^"]+)";\n/gm;

/** The examples by place: `spec/load.ts 1`. */
const examples = readSources().filter(({ path }) => !path.startsWith("tests/")).flatMap(({ path, text }) =>
  [...text.matchAll(/^ *\* ```ts\n([^]*?)^ *\* ```$/gm)].map(([, block], i) => ({
    place: `${path} ${i + 1}`,
    code: block.replace(/^ *\* ?/gm, ""),
  }))
);

/** One program: what the examples import, once, then each of them in a block. */
function program(): string {
  const imports = new Map<string, Set<string>>();
  for (const { code } of examples) {
    for (const [, names, from] of code.matchAll(IMPORT)) {
      const known = imports.get(from) ?? imports.set(from, new Set()).get(from)!;
      for (const name of names.split(", ")) known.add(name);
    }
  }
  return [
    ...[...imports].map(([from, names]) => `import { ${[...names].join(", ")} } from "${from}";`),
    ...examples.map(({ place, code }) => `console.log(${JSON.stringify(`== ${place}`)});\n{\n${code.replace(IMPORT, "")}}`),
  ].join("\n");
}

/** What the program prints; rejects, with all of it, unless it exits with 0. */
function run(source: string): Promise<string> {
  const flags = "Bun" in globalThis
    ? []
    : ["--no-prompt", "--check", "--allow-read", "--allow-env", "--allow-write=examples/out", "--ext=ts"];
  return new Promise((resolve, reject) => {
    const done = (error: ExecFileException | null, stdout: string, stderr: string): void => {
      if (error) reject(new Error(`${stdout}${stderr}`));
      else resolve(stdout);
    };
    const env = { ...process.env, NO_COLOR: "1" };
    execFile(process.execPath, ["run", ...flags, "-"], { cwd: fileURLToPath(ROOT), env }, done).stdin!.end(source);
  });
}

describe("the examples in doc comments", () => {
  it("import from onnxhub, as users do", () => {
    assert.ok(examples.length > 40, String(examples.length));
    for (const { place, code } of examples) assert.match(code, /^import \{ [^}]+ \} from "onnxhub";$/m, place);
  });

  it("type-check, under Deno, and run to the end", async () => {
    const printed = await run(program());
    assert.deepEqual([...printed.matchAll(/^== (.+)$/gm)].map(([, place]) => place), examples.map(({ place }) => place));
  });
});
