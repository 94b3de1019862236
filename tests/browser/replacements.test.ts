/** What stands for Node's modules in a page does what they do, and lacks nothing that the library uses. */

import assert from "node:assert/strict";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { after, describe, it } from "node:test";
import * as memory from "../../browser/node/fs.ts";
import * as memoryPath from "../../browser/node/path.ts";
import { REPLACED } from "../../browser/replaced.ts";
import { readSources } from "../project/sources.ts";

const bytes = (...values: number[]) => Uint8Array.from(values);
const names = ["a", "a/b", "a/b/c.txt", "/a/../b/", "./x//y/", "../up", "/", "", "a/..", "file.tar.gz"];

describe("node:path in a page", () => {
  it("gives what Node's gives", () => {
    for (const one of names) {
      assert.equal(memoryPath.basename(one), path.posix.basename(one), one);
      assert.equal(memoryPath.basename(one, ".txt"), path.posix.basename(one, ".txt"), one);
      assert.equal(memoryPath.dirname(one), path.posix.dirname(one), one);
      assert.equal(memoryPath.resolve("/w", one), path.posix.resolve("/w", one).replace(/(?<=.)\/$/, ""), one);
      for (const other of names) {
        assert.equal(memoryPath.join(one, other), path.posix.join(one, other).replace(/(?<=.)\/$/, ""), `${one} and ${other}`);
        assert.equal(memoryPath.relative(`/${one}`, `/${other}`), path.posix.relative(`/${one}`, `/${other}`), `${one} to ${other}`);
      }
    }
  });
});

/** What of Node's file system is asked for here: what both have. */
type Files = typeof memory;

/** Programs over a folder; what they give, or the code of what they throw, must be the same on a disk and in memory. */
const PROGRAMS: Readonly<Record<string, (fs: Files, root: string) => unknown>> = {
  "read a file that isn't there": (fs, root) => fs.readFileSync(`${root}/none`),
  "stat what isn't there": (fs, root) => fs.statSync(`${root}/none`),
  "open what isn't there": (fs, root) => fs.openSync(`${root}/none`, "r"),
  "look into a folder that isn't there": (fs, root) => fs.readdirSync(`${root}/none`),
  "read a folder": (fs, root) => fs.readFileSync(root),
  "look into a file": (fs, root) => {
    fs.writeFileSync(`${root}/file`, "x");
    return fs.readdirSync(`${root}/file`);
  },
  "write where there is no folder": (fs, root) => fs.writeFileSync(`${root}/none/file`, "x"),
  "write, read, write less, read": (fs, root) => {
    fs.writeFileSync(`${root}/file`, "Menschenwürde");
    const first = fs.readFileSync(`${root}/file`, "utf8");
    fs.writeFileSync(`${root}/file`, bytes(1, 2, 3));
    return [first, [...fs.readFileSync(`${root}/file`)], fs.statSync(`${root}/file`).size];
  },
  "append": (fs, root) => {
    fs.appendFileSync(`${root}/log`, "a\n");
    fs.appendFileSync(`${root}/log`, bytes(98, 10));
    return fs.readFileSync(`${root}/log`, "utf8");
  },
  "write through a descriptor, at positions and without": (fs, root) => {
    const file = fs.openSync(`${root}/file`, "w");
    const counts = [
      fs.writeSync(file, bytes(1, 2, 3, 4)),
      fs.writeSync(file, bytes(7, 8, 9), 1, 2, 10),
      fs.writeSync(file, bytes(5)),
      fs.writeSync(file, "äb"),
    ];
    fs.fsyncSync(file);
    const size = fs.fstatSync(file).size;
    fs.ftruncateSync(file, 11);
    fs.closeSync(file);
    return [counts, size, [...fs.readFileSync(`${root}/file`)]];
  },
  "read through a descriptor, at positions and without, beyond the end too": (fs, root) => {
    fs.writeFileSync(`${root}/file`, bytes(1, 2, 3, 4, 5, 6));
    const file = fs.openSync(`${root}/file`, "r");
    const into = new Uint8Array(8);
    const counts = [
      fs.readSync(file, into, 0, 2, null),
      fs.readSync(file, into, 2, 2, 4),
      fs.readSync(file, into, 4, 4, 5),
      fs.readSync(file, into, 6, 2, null),
      fs.readSync(file, into, 0, 4, 100),
    ];
    fs.closeSync(file);
    return [counts, [...into]];
  },
  "use a descriptor that was closed": (fs, root) => {
    fs.writeFileSync(`${root}/file`, "x");
    const file = fs.openSync(`${root}/file`, "r");
    fs.closeSync(file);
    return fs.fstatSync(file);
  },
  "read a folder through a descriptor": (fs, root) => fs.readSync(fs.openSync(root, "r"), bytes(0), 0, 1, 0),
  "change in place": (fs, root) => {
    fs.writeFileSync(`${root}/file`, bytes(1, 2, 3));
    const file = fs.openSync(`${root}/file`, "r+");
    fs.writeSync(file, bytes(9), 0, 1, 1);
    fs.closeSync(file);
    return [...fs.readFileSync(`${root}/file`)];
  },
  "refuse to replace": (fs, root) => {
    fs.writeFileSync(`${root}/file`, "x");
    return fs.openSync(`${root}/file`, "wx");
  },
  "make folders": (fs, root) => {
    fs.mkdirSync(`${root}/a/b/c`, { recursive: true });
    fs.mkdirSync(`${root}/a/b`, { recursive: true });
    fs.writeFileSync(`${root}/a/one`, "1");
    fs.writeFileSync(`${root}/a/b/two`, "2");
    const kinds = fs.readdirSync(`${root}/a`, { withFileTypes: true }).map((entry) => [entry.name, entry.isDirectory(), entry.isFile()]);
    return [fs.readdirSync(root, { recursive: true }).sort(), kinds.sort()];
  },
  "make a folder twice": (fs, root) => {
    fs.mkdirSync(`${root}/a`);
    fs.mkdirSync(`${root}/a`);
  },
  "make a folder without the one above": (fs, root) => fs.mkdirSync(`${root}/a/b`),
  "make a folder where a file is": (fs, root) => {
    fs.writeFileSync(`${root}/a`, "x");
    fs.mkdirSync(`${root}/a`, { recursive: true });
  },
  "rename a file onto another, and a folder": (fs, root) => {
    fs.writeFileSync(`${root}/a`, "a");
    fs.writeFileSync(`${root}/b`, "b");
    fs.renameSync(`${root}/a`, `${root}/b`);
    fs.mkdirSync(`${root}/c`);
    fs.renameSync(`${root}/b`, `${root}/c/d`);
    fs.renameSync(`${root}/c`, `${root}/e`);
    return [fs.readdirSync(root, { recursive: true }).sort(), fs.readFileSync(`${root}/e/d`, "utf8")];
  },
  "rename onto a folder with something in it": (fs, root) => {
    fs.mkdirSync(`${root}/a`);
    fs.mkdirSync(`${root}/b/c`, { recursive: true });
    fs.renameSync(`${root}/a`, `${root}/b`);
  },
  "rename what isn't there": (fs, root) => fs.renameSync(`${root}/a`, `${root}/b`),
  "remove": (fs, root) => {
    fs.mkdirSync(`${root}/a/b`, { recursive: true });
    fs.writeFileSync(`${root}/file`, "x");
    fs.rmSync(`${root}/none`, { force: true });
    fs.rmSync(`${root}/file`);
    fs.rmdirSync(`${root}/a/b`);
    fs.rmSync(`${root}/a`, { recursive: true });
    return fs.readdirSync(root);
  },
  "remove what isn't there": (fs, root) => fs.rmSync(`${root}/none`),
  "remove a folder as if it were empty": (fs, root) => {
    fs.mkdirSync(`${root}/a/b`, { recursive: true });
    fs.rmdirSync(`${root}/a`);
  },
  "link: one file, two names": (fs, root) => {
    fs.writeFileSync(`${root}/a`, "x");
    fs.linkSync(`${root}/a`, `${root}/b`);
    fs.appendFileSync(`${root}/a`, "y");
    fs.rmSync(`${root}/a`);
    return fs.readFileSync(`${root}/b`, "utf8");
  },
  "copy: two files": (fs, root) => {
    fs.writeFileSync(`${root}/a`, "x");
    fs.copyFileSync(`${root}/a`, `${root}/b`);
    fs.appendFileSync(`${root}/a`, "y");
    return fs.readFileSync(`${root}/b`, "utf8");
  },
  "ask whether something is there": (fs, root) => {
    fs.writeFileSync(`${root}/a`, "x");
    return [fs.existsSync(root), fs.existsSync(`${root}/a`), fs.existsSync(`${root}/a/b`), fs.existsSync(`${root}/b`)];
  },
};

describe("node:fs in a page", () => {
  const disk = fs.mkdtempSync(path.join(tmpdir(), "onnxhub-replacements-"));
  after(() => fs.rmSync(disk, { recursive: true }));

  const outcome = (files: Files, root: string, program: (fs: Files, root: string) => unknown): unknown => {
    files.mkdirSync(root, { recursive: true });
    try {
      return { gives: program(files, root) ?? null };
    } catch (error) {
      return { throws: (error as { code?: string }).code };
    }
  };
  for (const [i, [what, program]] of Object.entries(PROGRAMS).entries()) {
    it(`does as Node's does: ${what}`, () => {
      const expected = outcome(fs as unknown as Files, path.join(disk, String(i)), program);
      assert.deepEqual(outcome(memory, `/folder/${i}`, program), expected);
    });
  }
});

describe("every module that a page has another for", () => {
  const library = readSources().filter(({ path }) =>
    /^(codegen|formats|models|presets|runtime|spec|text|training|[^/]+\.ts$)/.test(path) && !/^cli|generate/.test(path) && !REPLACED[path]
    // What only modules import that a page has others for.
  ).filter(({ path }) => !/^(presets\/hub|runtime\/native)\//.test(path));

  it("has all that the library takes from it", async () => {
    const lacking: string[] = [];
    for (const { path, code } of library) {
      for (const [, imports, module] of code.matchAll(/^import ([^;"]*?) from "(node:[a-z/]+)";/gm)) {
        if (!REPLACED[module]) {
          lacking.push(`${path}: ${module}`);
          continue;
        }
        const replacement = await import(new URL(`../../${REPLACED[module]}`, import.meta.url).href) as Record<string, unknown>;
        const whole = /^\* as (\w+)$/.exec(imports)?.[1] ?? (/^\w+$/.test(imports) ? imports : undefined);
        const exports = /^\w+$/.test(imports) ? replacement.default as Record<string, unknown> : replacement;
        const used = whole
          ? [...code.matchAll(new RegExp(`(?<![\\w.])${whole}\\.(\\w+)`, "g"))].map((match) => match[1])
          : imports.replace(/[{}]/g, "").split(",").map((name) => name.trim()).filter((name) => name && !name.startsWith("type "));
        for (const name of new Set(used)) if (!(name in exports)) lacking.push(`${path}: ${name} of ${module}`);
      }
    }
    assert.deepEqual(lacking, []);
  });
});
