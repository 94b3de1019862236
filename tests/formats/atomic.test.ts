/** Atomic writes: what is at the path after a success, a failure and a kill. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import process from "node:process";
import { afterEach, beforeEach, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { OnnxHubError } from "../../errors.ts";
import { recoverDirectory, writeDirectoryAtomic, writeFileAtomic } from "../../formats/atomic.ts";

let home: string;
beforeEach(() => {
  home = fs.mkdtempSync(join(tmpdir(), "onnxhub-atomic-"));
});
afterEach(() => fs.rmSync(home, { recursive: true, force: true }));

function put(directory: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    fs.mkdirSync(join(directory, name, ".."), { recursive: true });
    fs.writeFileSync(join(directory, name), text);
  }
}

/** All files under a directory with their text. */
function tree(directory: string, prefix = ""): Record<string, string> {
  const found: Record<string, string> = {};
  for (const entry of fs.readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) Object.assign(found, tree(path, `${prefix}${entry.name}/`));
    else found[prefix + entry.name] = fs.readFileSync(path, "utf8");
  }
  return found;
}

/** Starts a save in another process, waits until it is in the middle, kills it for good. */
async function killedSave(kind: "directory" | "file", path: string): Promise<void> {
  const script = fileURLToPath(new URL("./atomic_child.ts", import.meta.url));
  const deno = "Deno" in globalThis;
  const child = spawn(process.execPath, [...(deno ? ["run", "-A"] : []), script, kind, path], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise<NodeJS.Signals | null>((resolve) => child.on("exit", (_code, signal) => resolve(signal)));
  await new Promise<void>((resolve, reject) => {
    child.stdout.on("data", (data) => String(data).includes("writing") && resolve());
    child.on("exit", () => reject(new Error("the save ended by itself")));
  });
  child.kill("SIGKILL");
  assert.equal(await ended, "SIGKILL");
}

const code = (expected: string) => (error: unknown): boolean => error instanceof OnnxHubError && error.code === expected;

describe("writeFileAtomic", () => {
  it("writes text, bytes, and what a function writes, and leaves nothing beside it", async () => {
    const path = join(home, "a");
    await writeFileAtomic(path, "text");
    assert.equal(fs.readFileSync(path, "utf8"), "text");
    await writeFileAtomic(path, new Uint8Array([104, 105]));
    assert.equal(fs.readFileSync(path, "utf8"), "hi");
    await writeFileAtomic(path, (temporary) => fs.writeFileSync(temporary, "made"));
    assert.deepEqual(tree(home), { a: "made" });
  });

  it("keeps the old file when the writing fails", async () => {
    const path = join(home, "a");
    fs.writeFileSync(path, "old");
    await assert.rejects(
      writeFileAtomic(path, (temporary) => {
        fs.writeFileSync(temporary, "half");
        throw new Error("no more");
      }),
      /no more/,
    );
    assert.deepEqual(tree(home), { a: "old" });
  });

  it("keeps the old file when the process is killed, and the next save clears up", async () => {
    const path = join(home, "a");
    fs.writeFileSync(path, "old");
    await killedSave("file", path);
    assert.equal(fs.readFileSync(path, "utf8"), "old");
    assert.equal(fs.readdirSync(home).length, 2);
    await writeFileAtomic(path, "new");
    assert.deepEqual(tree(home), { a: "new" });
  });

  it("says that the directory isn't there, before anything is written", async () => {
    fs.writeFileSync(join(home, "file"), "");
    for (const [directory, found] of [["none", "nothing"], ["file", "a file"]]) {
      const path = join(home, directory, "a");
      await assert.rejects(writeFileAtomic(path, () => assert.fail("too late")), (error: OnnxHubError) => {
        assert.deepEqual([error.code, error.path, error.found], ["format/write", path, found]);
        assert.match(error.message, /no directory .* expected a directory .*(none|file), found .* Make the directory first\.$/);
        return true;
      });
    }
  });

  it("names the file in errors as the caller does, never what is beside it", async () => {
    const fails = async (path: string, content: (temporary: string) => void, says: RegExp): Promise<void> => {
      await assert.rejects(writeFileAtomic(path, content), (error: OnnxHubError) => {
        assert.ok(error instanceof OnnxHubError);
        assert.match(error.message, says);
        assert.doesNotMatch(`${error.message} ${error.path} ${error.found}`, /\.saving/);
        return true;
      });
      assert.deepEqual(fs.readdirSync(home).filter((name) => name.endsWith(".saving")), []);
    };
    const path = relative(process.cwd(), join(home, "a"));
    await fails(path, (temporary) => {
      throw new OnnxHubError("format/hdf5-write", "No", { path: `${temporary}, layers`, found: `open '${temporary}'`, remedy: "Stop." });
    }, new RegExp(`^No \\(at ${path}, layers\\): found open '${path}'\\. Stop\\.$`));
    fs.mkdirSync(join(home, "taken"));
    await fails(join(home, "taken"), (temporary) => fs.writeFileSync(temporary, "text"), /taken\): found .*taken/);
    const other = new OnnxHubError("format/hdf5-write", "No", { path: "elsewhere" });
    await assert.rejects(writeFileAtomic(path, () => Promise.reject(other)), (error) => error === other);
  });

  it("follows a link and leaves it a link", async () => {
    fs.writeFileSync(join(home, "real"), "old");
    fs.symlinkSync("real", join(home, "link"));
    await writeFileAtomic(join(home, "link"), "new");
    assert.ok(fs.lstatSync(join(home, "link")).isSymbolicLink());
    assert.equal(fs.readFileSync(join(home, "real"), "utf8"), "new");
  });
});

describe("writeDirectoryAtomic", () => {
  const files = { "config.json": "new", "assets/vocabulary": "v2" };

  it("makes a directory and its parents", async () => {
    const path = join(home, "x", "y", "model");
    await writeDirectoryAtomic(path, (temporary) => put(temporary, files));
    assert.deepEqual(tree(home), { "x/y/model/config.json": "new", "x/y/model/assets/vocabulary": "v2" });
  });

  it("replaces files, keeps foreign ones, drops obsolete ones", async () => {
    const path = join(home, "model");
    put(path, {
      "config.json": "old",
      "task.json": "old",
      "notes.md": "mine",
      "assets/vocabulary": "v1",
      "assets/other": "o",
      "stale/x": "x",
    });
    fs.chmodSync(join(path, "notes.md"), 0o444);
    await writeDirectoryAtomic(path, (temporary) => put(temporary, files), {
      obsolete: (name) => name === "task.json" || name.startsWith("stale/"),
    });
    assert.deepEqual(tree(home), {
      "model/config.json": "new",
      "model/notes.md": "mine",
      "model/assets/vocabulary": "v2",
      "model/assets/other": "o",
    });
    assert.deepEqual(fs.readdirSync(home), ["model"]);
    assert.deepEqual(fs.readdirSync(path).sort(), ["assets", "config.json", "notes.md"]);
  });

  it("keeps the old directory when the building fails", async () => {
    const path = join(home, "model");
    put(path, { "config.json": "old" });
    await assert.rejects(
      writeDirectoryAtomic(path, (temporary) => {
        put(temporary, files);
        throw new Error("no more");
      }),
      /no more/,
    );
    assert.deepEqual(tree(home), { "model/config.json": "old" });
  });

  it("refuses a directory that is not accepted, or a file", async () => {
    const path = join(home, "model");
    put(path, { "letter.txt": "dear" });
    const accept = (names: readonly string[]): boolean => names.includes("config.json");
    await assert.rejects(writeDirectoryAtomic(path, (temporary) => put(temporary, files), { accept }), code("format/directory-foreign"));
    await assert.rejects(writeDirectoryAtomic(join(path, "letter.txt"), () => {}), code("format/not-a-directory"));
    assert.deepEqual(tree(home), { "model/letter.txt": "dear" });
    fs.mkdirSync(join(home, "empty"));
    await writeDirectoryAtomic(join(home, "empty"), (temporary) => put(temporary, files), { accept });
    assert.equal(tree(home)["empty/config.json"], "new");
  });

  it("leaves the old directory when the process is killed, and the next save clears up", async () => {
    const path = join(home, "model");
    put(path, { "config.json": "old" });
    await killedSave("directory", path);
    assert.deepEqual(tree(path), { "config.json": "old" });
    const [leftover] = fs.readdirSync(home).filter((name) => name.endsWith(".saving"));
    assert.equal(fs.readFileSync(join(home, leftover, "weights"), "utf8"), "half");
    await writeDirectoryAtomic(path, (temporary) => put(temporary, { "config.json": "new" }));
    assert.deepEqual(tree(home), { "model/config.json": "new" });
  });

  it("leaves nothing at the path when a first save is killed", async () => {
    const path = join(home, "model");
    await killedSave("directory", path);
    recoverDirectory(path);
    assert.equal(fs.existsSync(path), false);
  });

  // A process number that no process has: above every system's limit.
  const dead = "4194999-0123456789ab";

  it("finishes an exchange that was killed between its two renames", () => {
    put(join(home, `.model.${dead}.replaced`), { "config.json": "old" });
    put(join(home, `.model.${dead}.saving`), { "config.json": "new" });
    recoverDirectory(join(home, "model"));
    assert.deepEqual(tree(join(home, "model")), { "config.json": "new" });
  });

  it("puts the old directory back where the new one is gone", () => {
    put(join(home, `.model.${dead}.replaced`), { "config.json": "old" });
    recoverDirectory(join(home, "model"));
    assert.deepEqual(tree(home), { "model/config.json": "old" });
  });

  it("never takes an unfinished directory for a finished one, nor another's leftovers for its own", () => {
    put(join(home, `.model.${dead}.saving`), { "config.json": "half" });
    put(join(home, `.other.${dead}.replaced`), { "config.json": "old" });
    recoverDirectory(join(home, "model"));
    assert.equal(fs.existsSync(join(home, "model")), false);
  });

  it("leaves alone what a living process is writing", async () => {
    const own = join(home, `.model.${process.ppid}-0123456789ab.saving`);
    put(own, { "config.json": "half" });
    await writeDirectoryAtomic(join(home, "model"), (temporary) => put(temporary, files));
    assert.ok(fs.existsSync(own));
  });

  it("lets two saves of one process to one path both end whole", async () => {
    const path = join(home, "model");
    const save = (text: string): Promise<void> =>
      writeDirectoryAtomic(path, async (temporary) => {
        put(temporary, { a: text });
        await Promise.resolve();
        put(temporary, { b: text });
      });
    await Promise.all([save("1"), save("2")]);
    const { a, b } = tree(path);
    assert.equal(a, b);
    assert.deepEqual(fs.readdirSync(home), ["model"]);
  });
});
