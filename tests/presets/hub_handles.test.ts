/** What identifiers of presets mean, what is refused before anything is fetched, and what a download shows. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { OnnxHubError, presets } from "../../mod.ts";
import { permissionFailure } from "../../presets/hub/failures.ts";
import { ProgressBar, progressLine } from "../../presets/hub/progress.ts";
import { content, environment, quiet, send, serve } from "./hub_server.ts";

const tiny = fileURLToPath(new URL("../fixtures/kerashub/xlm_roberta_tiny", import.meta.url));

const refused = (promise: Promise<unknown>, code: string, ...parts: RegExp[]): Promise<void> =>
  assert.rejects(promise, (error) => {
    assert.ok(error instanceof OnnxHubError, String(error));
    assert.equal(error.code, code, String(error));
    for (const part of parts) assert.match(error.message, part);
    return true;
  });

describe("a preset's identifier", () => {
  it("is a directory, or its URL", async () => {
    for (const identifier of [tiny, pathToFileURL(tiny).href, `${tiny}/`]) {
      const source = await presets.openPreset(identifier);
      assert.deepEqual(JSON.parse(fs.readFileSync((await source.file("config.json"))!, "utf8")).class_name, "XLMRobertaBackbone");
      assert.equal(await source.file("no.json"), undefined);
      assert.ok((await source.list()).includes("task.json"));
    }
  });

  it("is a built-in name before it is a directory of that name", async () => {
    const place = environment();
    const before = process.cwd();
    try {
      process.chdir(place.home);
      fs.mkdirSync("bert_base_en");
      assert.equal((await presets.openPreset("bert_base_en", quiet())).name, "kaggle://keras/bert/keras/bert_base_en/3");
      assert.equal((await presets.openPreset("./bert_base_en", quiet())).name, "./bert_base_en");
    } finally {
      process.chdir(before);
      place.restore();
    }
  });

  it("is a hub's handle, whose scheme may be in capitals", async () => {
    const place = environment();
    try {
      const names = {
        "kaggle://a/b/keras/c": "kaggle://a/b/keras/c",
        "Kaggle://a/b/keras/c-1.5/12": "kaggle://a/b/keras/c-1.5/12",
        "hf://org/name": "hf://org/name",
        "HF://name@v1.0": "hf://name@v1.0",
        "modelscope://org/name": "modelscope://org/name",
      };
      for (const [identifier, name] of Object.entries(names)) assert.equal((await presets.openPreset(identifier, quiet())).name, name);
    } finally {
      place.restore();
    }
  });

  it("is refused when it is malformed, with the form that it should have", async () => {
    for (
      const [identifier, form] of [
        ["kaggle://a/b/keras", /kaggle:\/\/\{org\}\/\{model\}/],
        ["kaggle://a/b/keras/c/1/2", /kaggle:\/\//],
        ["kaggle://a/b/keras/c/latest", /kaggle:\/\//],
        ["kaggle://a/b/keras/c/0", /kaggle:\/\//],
        ["kaggle://a/../keras/c", /kaggle:\/\//],
        ["hf://", /hf:\/\/\{org\}\/\{model\}/],
        ["hf://a/b/c", /hf:\/\//],
        ["hf://a/b--c", /hf:\/\//],
        ["hf://../b", /hf:\/\//],
        ["hf://a/b@", /hf:\/\//],
        ["hf://a/b@../../x", /hf:\/\//],
        ["hf://a/b?x=1", /hf:\/\//],
        ["modelscope://a", /modelscope:\/\/\{org\}\/\{model\}/],
        ["modelscope://a/..", /modelscope:\/\//],
        ["file://host/x y%", /file:\/\/\/path/],
      ] as const
    ) await refused(presets.openPreset(identifier, quiet()), "preset/handle", form);
  });

  it("is refused when it means nothing, with all forms and the nearest built-in name", async () => {
    const forms = [/kaggle:\/\//, /hf:\/\//, /modelscope:\/\//, /file: URL/, /a directory/];
    await refused(presets.openPreset("bert_base_em"), "preset/not-found", ...forms, /`bert_base_en`/);
    await refused(presets.openPreset("no/such/directory"), "preset/not-found", /no\/such\/directory/, ...forms);
    await refused(presets.openPreset("gs://bucket/preset"), "preset/not-found", /the scheme gs/, ...forms);
    await refused(presets.openPreset(join(tiny, "config.json")), "preset/not-found", /a file/);
    await refused(presets.openPreset(7 as never), "preset/identifier", /number/);
  });
});

describe("what Deno does not allow", () => {
  it("is an error that names the flag", () => {
    const error = new Error('Requires net access to "huggingface.co:443", run again with the --allow-net flag');
    error.name = "NotCapable";
    const failure = permissionFailure("hf://a/b", error)!;
    assert.equal(failure.code, "preset/permission");
    assert.match(failure.message, /huggingface\.co.*Run with --allow-net/);
    assert.equal(permissionFailure("hf://a/b", new Error("else")), undefined);
    if (!("Deno" in globalThis)) return;
    const script = fileURLToPath(new URL("./hub_child.ts", import.meta.url));
    const home = fs.mkdtempSync(join(tmpdir(), "onnxhub-hub-"));
    const tries: [flags: string[], flag: string][] = [
      [["--allow-read"], "--allow-env"],
      [["--allow-read", "--allow-env"], "--allow-net"],
      [["--allow-env", "--allow-net=127.0.0.1"], "--allow-read"],
    ];
    for (const [flags, flag] of tries) {
      const env = { ...process.env, NO_COLOR: "1", HF_ENDPOINT: "http://127.0.0.1:4545", HF_HOME: home };
      const { stderr } = spawnSync(process.execPath, ["run", "--no-prompt", "--no-check", ...flags, script, "hf://a/b", "config.json"], {
        env,
      });
      assert.match(String(stderr), new RegExp(`Deno was not allowed.*Run with ${flag};`), flags.join(" "));
    }
    fs.rmSync(home, { recursive: true });
  });
});

describe("a download's progress", () => {
  it("is a line with share, bar and sizes", () => {
    assert.equal(progressLine("model.safetensors", 500_000_000, 1_110_000_000), "model.safetensors:  45%|████      | 500MB/1.1GB");
    assert.equal(progressLine("a", 0, 999), "a:   0%|          | 0B/999B");
    assert.equal(progressLine("a", 999_600, 999_600), "a: 100%|██████████| 1.0MB/1.0MB");
    assert.equal(progressLine("a", 12_345_678, undefined), "a: 12MB");
    assert.equal(progressLine("a", 0, 0), "a: 100%|██████████| 0B/0B");
  });

  it("is written over itself on a terminal, and once where it can't be", () => {
    const printed = (dynamic: boolean, whole: boolean): string => {
      const settings = quiet(dynamic);
      const bar = new ProgressBar(settings.console, "a");
      bar.update(1_000_000, 2_000_000);
      bar.update(1_100_000, 2_000_000);
      bar.end(whole ? 2_000_000 : 1_100_000, whole);
      return settings.printed.join("");
    };
    const full = "a: 100%|██████████| 2.0MB/2.0MB\n";
    assert.equal(printed(true, true), `\ra:  50%|█████     | 1.0MB/2.0MB\r${full}`);
    assert.equal(printed(true, false), "\ra:  50%|█████     | 1.0MB/2.0MB\n");
    assert.equal(printed(false, true), full);
    assert.equal(printed(false, false), "");
  });

  it("is not shown for small files", () => {
    const settings = quiet(true);
    const bar = new ProgressBar(settings.console, "a");
    bar.update(10, 1000);
    bar.end(1000, true);
    assert.deepEqual(settings.printed, []);
  });

  it("goes to the console that a preset was opened with", async () => {
    const place = environment();
    const big = content(1_500_000);
    const server = await serve((request, response) =>
      send(request, response, big, { etag: "an-etag", headers: { "x-repo-commit": "a".repeat(40) } })
    );
    try {
      place.set({ HF_ENDPOINT: server.url });
      const settings = quiet();
      await (await presets.openPreset("hf://a/b", settings)).file("sub/w.bin");
      assert.deepEqual(settings.printed, ["w.bin: 100%|██████████| 1.5MB/1.5MB\n"]);
    } finally {
      await server.close();
      place.restore();
    }
  });
});
