/** Presets from the Hugging Face Hub: its protocol, its cache, its refusals. */

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import process from "node:process";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { models, OnnxHubError, presets } from "../../mod.ts";
import type { Seen } from "./hub_server.ts";
import { content, environment, filesOf, gitHash, quiet, send, sha256, tree } from "./hub_server.ts";
import { type Hub, sent, serveHub, status, TOKEN } from "./hub_huggingface_server.ts";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const OTHER = "89abcdef0123456789abcdef0123456789abcdef";
const tiny = fileURLToPath(new URL("../fixtures/kerashub/xlm_roberta_tiny", import.meta.url));
const checkpoint = fileURLToPath(new URL("../fixtures/huggingface/xlm_roberta_masked_lm", import.meta.url));
const big = content(3_000_000);
const small = new TextEncoder().encode('{"a": 1}');

let hub: Hub;
let place: ReturnType<typeof environment>;

before(async () => {
  const files = new Map([["config.json", small], ["weights.bin", big], ["empty.txt", new Uint8Array(0)], ["sub/deep/file.txt", small]]);
  hub = await serveHub({
    "org/tiny": { files, commit: COMMIT, large: ["weights.bin"], revisions: ["v1.0", "refs/pr/1"] },
    "org/private": { files, commit: COMMIT, private: true },
    "org/gated": { files, commit: COMMIT, gated: true },
    "org/checkpoint": { files: filesOf(checkpoint), commit: OTHER, large: ["model.safetensors"] },
    "org/preset": { files: filesOf(tiny), commit: OTHER, large: ["model.weights.h5", "task.weights.h5"] },
  });
});
after(() => hub.close());
beforeEach(() => {
  place = environment();
  place.set({ HF_ENDPOINT: hub.hub.url });
  hub.hub.seen.length =
    hub.store.seen.length =
    hub.hubTricks.length =
    hub.storeTricks.length =
      0;
});
afterEach(() => place.restore());

const cache = (): string => join(place.home, ".cache", "huggingface", "hub", "models--org--tiny");
const refused = (promise: Promise<unknown>, code: string, ...parts: RegExp[]): Promise<void> =>
  assert.rejects(promise, (error) => {
    assert.ok(error instanceof OnnxHubError, String(error));
    assert.equal(error.code, code, String(error));
    for (const part of parts) assert.match(error.message, part);
    return true;
  });
const fetchFile = async (file: string, preset = "hf://org/tiny", settings = quiet()): Promise<string | undefined> =>
  await (await presets.openPreset(preset, settings)).file(file);
const read = (path: string | undefined): Uint8Array => new Uint8Array(fs.readFileSync(path!));

describe("a file of the Hub", () => {
  it("lies in the cache as Python's client puts it there", async () => {
    const source = await presets.openPreset("hf://org/tiny", quiet());
    assert.equal(source.name, "hf://org/tiny");
    const config = await source.file("config.json");
    const weights = await source.file("weights.bin");
    assert.equal(await source.file("task.json"), undefined);
    assert.deepEqual(read(config), small);
    assert.deepEqual(read(weights), big);
    const { [`blobs/${sha256(big)}`]: blob, ...rest } = tree(cache());
    assert.ok(blob);
    assert.deepEqual(rest, {
      "refs/main": COMMIT,
      [`blobs/${gitHash(small)}`]: '{"a": 1}',
      [`snapshots/${COMMIT}/config.json`]: `-> ../../blobs/${gitHash(small)}`,
      [`snapshots/${COMMIT}/weights.bin`]: `-> ../../blobs/${sha256(big)}`,
      [`.no_exist/${COMMIT}/task.json`]: "",
    });
    assert.deepEqual(await source.list(), ["config.json", "weights.bin"]);
  });

  it("is asked for once: by commit from then on, and not at all when it is there or known to be missing", async () => {
    const source = await presets.openPreset("hf://org/tiny", quiet());
    for (const file of ["config.json", "task.json", "weights.bin"]) await source.file(file);
    const revisions = hub.hub.seen.map(({ path }) => path.split("/")[4]);
    assert.equal(revisions[0], "main");
    assert.deepEqual([...new Set(revisions.slice(1))], [COMMIT]);
    const asked = hub.hub.seen.length;
    for (const file of ["config.json", "task.json", "weights.bin"]) await source.file(file);
    assert.equal(hub.hub.seen.length, asked);
    assert.equal(hub.store.seen.length, 1);
    await fetchFile("weights.bin", `hf://org/tiny@${COMMIT}`);
    assert.equal(hub.hub.seen.length, asked, "a commit in the cache needs no request");
  });

  it("may be empty, or deep in directories", async () => {
    assert.equal(read(await fetchFile("empty.txt")).length, 0);
    const deep = await fetchFile("sub/deep/file.txt");
    assert.deepEqual(read(deep), small);
    assert.equal(fs.readlinkSync(deep!), `../../../../blobs/${gitHash(small)}`);
  });

  it("is taken at a tag, or at a branch with slashes", async () => {
    await fetchFile("config.json", "hf://org/tiny@v1.0");
    await fetchFile("config.json", "hf://org/tiny@refs/pr/1");
    assert.equal(fs.readFileSync(join(cache(), "refs", "v1.0"), "utf8"), COMMIT);
    assert.equal(fs.readFileSync(join(cache(), "refs", "refs", "pr", "1"), "utf8"), COMMIT);
    assert.ok(hub.hub.seen.some(({ path }) => path.includes("/resolve/refs%2Fpr%2F1/")));
  });

  it("is found under a repository's old name", async () => {
    assert.deepEqual(read(await fetchFile("config.json", "hf://org/old-name")), small);
  });

  it("is taken from the cache of HF_HUB_CACHE, HF_HOME or XDG_CACHE_HOME", async () => {
    const folder = (...parts: string[]) => join(place.home, ...parts, "models--org--tiny", "snapshots", COMMIT, "config.json");
    place.set({ XDG_CACHE_HOME: join(place.home, "xdg") });
    assert.equal(await fetchFile("config.json"), folder("xdg", "huggingface", "hub"));
    place.set({ HF_HOME: join(place.home, "hf") });
    assert.equal(await fetchFile("config.json"), folder("hf", "hub"));
    place.set({ HF_HUB_CACHE: "~/cache" });
    assert.equal(await fetchFile("config.json"), folder("cache"));
  });

  it("has a name that stays in its directory", async () => {
    for (const name of ["../x", "/etc/passwd", "a/../../b", "a\\b", "c:x", ""]) await refused(fetchFile(name), "preset/file-name");
    assert.equal(hub.hub.seen.length, 0);
  });
});

describe("the token", () => {
  const sentTokens = (seen: readonly Seen[]) => [...new Set(seen.map(({ headers }) => headers.authorization))];

  it("goes to the Hub and not to the host that it redirects to", async () => {
    place.set({ HF_TOKEN: TOKEN });
    await fetchFile("weights.bin", "hf://org/tiny");
    assert.deepEqual(sentTokens(hub.hub.seen), [`Bearer ${TOKEN}`]);
    assert.deepEqual(sentTokens(hub.store.seen), [undefined]);
    assert.equal(hub.store.seen.length, 1);
  });

  it("comes from HF_TOKEN, its old name, HF_TOKEN_PATH or the file in HF_HOME", async () => {
    const from = async (values: Record<string, string>): Promise<void> => {
      place.restore();
      place = environment();
      for (const [name, text] of Object.entries({ "a-token": TOKEN, ".cache/huggingface/token": `${TOKEN}\n` })) {
        if (!(name in values)) continue;
        fs.mkdirSync(join(place.home, name, ".."), { recursive: true });
        fs.writeFileSync(join(place.home, name), text);
      }
      place.set({ HF_ENDPOINT: hub.hub.url, ...Object.fromEntries(Object.entries(values).filter(([name]) => name.startsWith("H"))) });
      assert.deepEqual(read(await fetchFile("config.json", "hf://org/private")), small);
    };
    await from({ HF_TOKEN: ` ${TOKEN}\n` });
    await from({ HUGGING_FACE_HUB_TOKEN: TOKEN });
    await from({ "a-token": "", HF_TOKEN_PATH: "~/a-token" });
    await from({ ".cache/huggingface/token": "" });
  });
});

describe("what the Hub refuses", () => {
  it("is a repository that it does not have", async () => {
    await refused(fetchFile("config.json", "hf://org/nothing"), "preset/repository", /hf:\/\/org\/nothing/, /set HF_TOKEN/);
    place.set({ HF_TOKEN: TOKEN });
    await refused(fetchFile("config.json", "hf://org/nothing"), "preset/repository", /what the token may read/);
  });

  it("is a private one without a token", () => refused(fetchFile("config.json", "hf://org/private"), "preset/repository", /private/));

  it("is a gated one, with the page where its terms are", async () => {
    await refused(fetchFile("config.json", "hf://org/gated"), "preset/gated", new RegExp(`${hub.hub.url}/org/gated`), /HF_TOKEN/);
    place.set({ HF_TOKEN: TOKEN });
    await refused(fetchFile("config.json", "hf://org/gated"), "preset/gated", /with the account of your token/);
  });

  it("is a revision that there isn't", () => refused(fetchFile("config.json", "hf://org/tiny@v9"), "preset/revision", /v9/));

  it("is a token that it does not know", async () => {
    place.set({ HF_TOKEN: "hf_wrong" });
    await refused(fetchFile("config.json"), "preset/token", /HF_TOKEN_PATH/);
  });

  it("is too many requests; it is asked again when it says, at most five times", async () => {
    const settings = quiet();
    hub.hubTricks.push(status(429, { "retry-after": "7" }), status(503), status(500));
    assert.deepEqual(read(await fetchFile("config.json", "hf://org/tiny", settings)), small);
    assert.deepEqual(settings.waits, [7000, 2000, 4000]);
    assert.deepEqual(settings.printed, [
      "127.0.0.1:PORT limits how often it is asked; trying again in 7 seconds.\n".replace("127.0.0.1:PORT", new URL(hub.hub.url).host),
    ]);
    const patient = quiet();
    for (let i = 0; i < 5; i++) hub.hubTricks.push(status(429));
    await refused(fetchFile("task.json", "hf://org/tiny", patient), "preset/rate-limited", /HTTP 429: not now/);
    assert.deepEqual(patient.waits, [1000, 2000, 4000, 8000]);
  });

  it("is too many requests for an hour: that is not waited for", async () => {
    const settings = quiet();
    hub.hubTricks.push(status(429, { "retry-after": "3600" }));
    await refused(fetchFile("config.json", "hf://org/tiny", settings), "preset/rate-limited", /in 3600 seconds/);
    assert.deepEqual(settings.waits, []);
  });

  it("is everything while it is out of service", async () => {
    for (let i = 0; i < 5; i++) hub.hubTricks.push(status(503));
    await refused(fetchFile("config.json"), "preset/unavailable", /HTTP 503/);
  });

  it("is told from a server that is no Hub", async () => {
    hub.hubTricks.push((request, response) => send(request, response, small, {}));
    await refused(fetchFile("config.json"), "preset/http", /ETag/, /HF_ENDPOINT/);
    hub.hubTricks.push((request, response) => send(request, response, small, { etag: "x" }));
    await refused(fetchFile("config.json"), "preset/http", /X-Repo-Commit/);
  });

  it("is named as such where nothing listens", async () => {
    const closed = await serveHub({});
    await closed.close();
    place.set({ HF_ENDPOINT: closed.hub.url });
    await refused(fetchFile("config.json"), "preset/connection", /127\.0\.0\.1/);
  });

  it("is told apart from what the store of large files refuses", async () => {
    hub.storeTricks.push(status(403));
    await refused(fetchFile("weights.bin"), "preset/http", /localhost.*403/);
  });
});

describe("a download that goes wrong", () => {
  it("goes on where the connection was cut", async () => {
    const settings = quiet();
    hub.storeTricks.push(sent({ until: 1_000_000, then: "cut" }), sent({ until: 500_000, then: "cut" }));
    assert.deepEqual(read(await fetchFile("weights.bin", "hf://org/tiny", settings)), big);
    assert.equal(hub.store.seen.length, 3);
    assert.equal(hub.store.seen[0].headers.range, undefined);
    for (const { headers } of hub.store.seen.slice(1)) assert.match(headers.range!, /^bytes=[1-9]\d*-$/);
    assert.deepEqual(settings.waits, [1000, 1000]);
  });

  it("begins anew where the store does not know ranges", async () => {
    hub.storeTricks.push(sent({ until: 1_000_000, then: "cut" }), sent({ ranges: false }));
    assert.deepEqual(read(await fetchFile("weights.bin")), big);
    assert.equal(hub.store.seen.length, 2);
  });

  it("is given up after four more tries that gain nothing, and goes on from what there is the next time", async () => {
    hub.storeTricks.push(sent({ until: 1_000_000, then: "cut" }));
    for (let i = 0; i < 4; i++) hub.storeTricks.push(sent({ until: 0, then: "cut" }));
    await refused(fetchFile("weights.bin"), "preset/connection", /what was received is kept/);
    assert.equal(await fetchFile("config.json") !== undefined, true);
    const tries = hub.store.seen.length;
    assert.deepEqual(read(await fetchFile("weights.bin")), big);
    assert.equal(hub.store.seen.length, tries + 1);
    assert.match(hub.store.seen[tries].headers.range!, /^bytes=[1-9]\d*-$/);
    assert.deepEqual(fs.readdirSync(join(cache(), "blobs")).sort(), [gitHash(small), sha256(big)].sort());
  });

  it("is given up when nothing comes for longer than HF_HUB_DOWNLOAD_TIMEOUT", async () => {
    place.set({ HF_HUB_DOWNLOAD_TIMEOUT: "0.2" });
    for (let i = 0; i < 5; i++) hub.storeTricks.push(sent({ until: 0, then: "stall" }));
    await refused(fetchFile("weights.bin"), "preset/stalled", /0\.2 seconds/);
  });

  it("waits for a slow one", async () => {
    place.set({ HF_HUB_DOWNLOAD_TIMEOUT: "2" });
    hub.storeTricks.push((_request, response, content) => {
      response.writeHead(200, { "content-length": String(content.length) });
      let at = 0;
      const drip = setInterval(() => {
        response.write(content.subarray(at, at + 500_000));
        if ((at += 500_000) < content.length) return;
        clearInterval(drip);
        response.end();
      }, 450);
    });
    assert.deepEqual(read(await fetchFile("weights.bin")), big);
    assert.equal(hub.store.seen.length, 1);
  });

  it("is refused where the length is another than the Hub's", async () => {
    hub.storeTricks.push((request, response) => send(request, response, big.subarray(0, 1000)));
    await refused(fetchFile("weights.bin"), "preset/size", /3000000 bytes, found 1000/);
    hub.storeTricks.push((_request, response) => {
      response.writeHead(200);
      response.write(big);
      response.end("more");
    });
    await refused(fetchFile("weights.bin"), "preset/size", /more/);
    assert.deepEqual(read(await fetchFile("weights.bin")), big);
  });

  it("is tried again where the body ends early without having said its length", async () => {
    hub.storeTricks.push(sent({ until: 1000, then: "end" }));
    assert.deepEqual(read(await fetchFile("weights.bin")), big);
    assert.equal(hub.store.seen[1].headers.range, "bytes=1000-");
  });

  it("is refused where the content is another than the Hub's, and leaves nothing of it", async () => {
    const wrong = big.slice();
    wrong[17] ^= 1;
    hub.storeTricks.push((request, response) => send(request, response, wrong));
    await refused(fetchFile("weights.bin"), "preset/hash", new RegExp(`sha256 ${sha256(big)}, found ${sha256(wrong)}`));
    assert.equal(fs.existsSync(join(cache(), "blobs", sha256(big))), false);
    assert.equal(fs.existsSync(join(cache(), "snapshots", COMMIT, "weights.bin")), false);
    hub.hubTricks.push(null, (request, response) => send(request, response, new TextEncoder().encode('{"a": 2}'), {}));
    await refused(fetchFile("config.json"), "preset/hash", /git/);
    assert.deepEqual(read(await fetchFile("weights.bin")), big);
  });

  it("begins anew, once, where what was there before is of something else", async () => {
    const incomplete = join(cache(), "blobs", `${sha256(big)}.onnxhub.incomplete`);
    fs.mkdirSync(join(incomplete, ".."), { recursive: true });
    fs.writeFileSync(incomplete, content(1000, 2));
    assert.deepEqual(read(await fetchFile("weights.bin")), big);
    assert.deepEqual(hub.store.seen.map(({ headers }) => headers.range), ["bytes=1000-", undefined]);
  });

  it("takes what is whole already without asking for it", async () => {
    const incomplete = join(cache(), "blobs", `${sha256(big)}.onnxhub.incomplete`);
    fs.mkdirSync(join(incomplete, ".."), { recursive: true });
    fs.writeFileSync(incomplete, big);
    assert.deepEqual(read(await fetchFile("weights.bin")), big);
    assert.equal(hub.store.seen.length, 0);
  });

  it("stays in the cache whatever its etag is", async () => {
    const evil = (request: Seen, response: ServerResponse) =>
      send(request, response, small, { etag: "../../../evil", headers: { "x-repo-commit": COMMIT } });
    hub.hubTricks.push(evil, evil);
    const path = await fetchFile("config.json");
    assert.deepEqual(read(path), small);
    assert.equal(fs.readlinkSync(path!), `../../blobs/${sha256(new TextEncoder().encode("../../../evil"))}`);
  });

  it("is not led in circles, to other protocols, or away from https", async () => {
    const to = (location: string) => (_request: Seen, response: ServerResponse) => {
      response.writeHead(302, { location });
      response.end();
    };
    hub.hubTricks.push(null, to("file:///etc/passwd"));
    await refused(fetchFile("config.json"), "preset/redirect", /file:\/\/\/etc\/passwd/);
    hub.hubTricks.push(null, ...Array.from({ length: 12 }, () => to("/again")));
    await refused(fetchFile("config.json"), "preset/redirect", /more than 10/);
  });

  it("is refused by the disk in the project's own words", async () => {
    fs.writeFileSync(join(place.home, "file"), "");
    place.set({ HF_HUB_CACHE: join(place.home, "file", "cache") });
    await refused(fetchFile("config.json"), "preset/disk", /HF_HUB_CACHE/);
  });
});

describe("offline mode", () => {
  it("takes what is in the cache and asks nobody", async () => {
    await fetchFile("config.json");
    await fetchFile("task.json");
    const asked = hub.hub.seen.length;
    for (const name of ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"]) {
      place.set({ HF_HUB_OFFLINE: "0", TRANSFORMERS_OFFLINE: "0", [name]: "1" });
      const settings = quiet();
      assert.deepEqual(read(await fetchFile("config.json", "hf://org/tiny", settings)), small);
      assert.equal(await fetchFile("task.json", "hf://org/tiny", settings), undefined);
      assert.deepEqual(settings.printed, []);
      assert.equal(await fetchFile("weights.bin", "hf://org/tiny", settings), undefined);
      assert.match(settings.printed.join(), /cache, which has no weights\.bin/);
    }
    assert.equal(hub.hub.seen.length, asked);
  });

  it("is an error with nothing in the cache", async () => {
    place.set({ HF_HUB_OFFLINE: "1" });
    await refused(fetchFile("config.json"), "preset/offline", /HF_HUB_OFFLINE/, /models--org--tiny/);
  });

  it("is what a Hub out of reach comes to, with a warning, if the preset is in the cache", async () => {
    await fetchFile("config.json");
    for (let i = 0; i < 2; i++) hub.hubTricks.push(status(503));
    const settings = quiet();
    const source = await presets.openPreset("hf://org/tiny", settings);
    assert.deepEqual(read(await source.file("config.json")), small);
    assert.match(settings.printed.join(), /out of service; hf:\/\/org\/tiny is taken from the cache/);
    const asked = hub.hub.seen.length;
    assert.equal(await source.file("weights.bin"), undefined);
    assert.equal(hub.hub.seen.length, asked);
  });
});

/** Runs the program that fetches a file; under Deno with the permissions given. */
function child(file: string, permissions: readonly string[] = ["-A"]): { readonly process: ChildProcess; readonly ended: Promise<string> } {
  const script = fileURLToPath(new URL("./hub_child.ts", import.meta.url));
  const deno = "Deno" in globalThis;
  const args = [...(deno ? ["run", "--no-prompt", "--no-check", ...permissions] : []), script, "hf://org/tiny", file];
  // The runtime's own cache is below the home that was.
  const env = { ...process.env, HOME: place.homeBefore, HF_HOME: join(place.home, ".cache", "huggingface") };
  const running = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"], env });
  let output = "";
  running.stdout.on("data", (data) => output += data);
  const ended = new Promise<string>((resolve) => running.on("close", (code, signal) => resolve(signal ?? `${code} ${output}`)));
  return { process: running, ended };
}

describe("several processes", () => {
  it("that want one file at once fetch it once", async () => {
    hub.storeTricks.push((_request, response, content) => {
      response.writeHead(200, { "content-length": String(content.length) });
      response.write(content.subarray(0, 1_000_000));
      setTimeout(() => response.end(content.subarray(1_000_000)), 1500);
    });
    const results = await Promise.all([child("weights.bin").ended, child("weights.bin").ended, fetchFile("weights.bin")]);
    const path = join(cache(), "snapshots", COMMIT, "weights.bin");
    assert.deepEqual(results, [`0 ${path}\n`, `0 ${path}\n`, path]);
    assert.deepEqual(read(path), big);
    assert.equal(hub.store.seen.length, 1);
    assert.deepEqual(fs.readdirSync(join(cache(), "blobs")), [sha256(big)]);
  });

  it("go on where one was killed in the middle", async () => {
    let reached = () => {};
    const middle = new Promise<void>((resolve) => reached = resolve);
    hub.storeTricks.push((request, response, content) => {
      send(request, response, content, { until: 2_000_000, then: "stall" });
      reached();
    });
    const first = child("weights.bin");
    await middle;
    const incomplete = join(cache(), "blobs", `${sha256(big)}.onnxhub.incomplete`);
    for (let i = 0; i < 1200 && !(fs.existsSync(incomplete) && fs.statSync(incomplete).size === 2_000_000); i++) {
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    first.process.kill("SIGKILL");
    assert.equal(await first.ended, "SIGKILL");
    assert.equal(fs.existsSync(join(cache(), "blobs", sha256(big))), false);
    assert.deepEqual(read(await fetchFile("weights.bin")), big);
    assert.deepEqual(hub.store.seen.map(({ headers }) => headers.range), [undefined, "bytes=2000000-"]);
    assert.deepEqual(fs.readdirSync(join(cache(), "blobs")), [sha256(big)]);
  });

  it("in one process are no different", async () => {
    const source = await presets.openPreset("hf://org/tiny", quiet());
    const paths = await Promise.all(Array.from({ length: 4 }, () => source.file("weights.bin")));
    assert.equal(new Set(paths).size, 1);
    assert.equal(hub.store.seen.length, 1);
  });
});

describe("a program that may write to the cache alone", () => {
  it("fetches a file", async () => {
    const home = join(place.home, ".cache", "huggingface");
    const result = await child("weights.bin", ["--allow-env", "--allow-net", "--allow-read", `--allow-write=${home}`]).ended;
    const path = join(cache(), "snapshots", COMMIT, "weights.bin");
    assert.equal(result, `0 ${path}\n`);
    assert.deepEqual(read(path), big);
    assert.deepEqual(read(await fetchFile("weights.bin")), big);
    assert.equal(hub.store.seen.length, 1);
  });
});

describe("a preset on the Hub", () => {
  it("loads as the same directory does", async () => {
    const texts = ["All human <mask> are born"];
    const here = await models.MaskedLM.fromPreset(tiny);
    const there = await models.MaskedLM.fromPreset("hf://org/preset");
    assert.equal(there.constructor.name, here.constructor.name);
    assert.deepEqual(await there.fillMask(texts), await here.fillMask(texts));
    const asked = hub.hub.seen.map(({ path }) => path.split("/").slice(5).join("/"));
    assert.ok(asked.includes("task.weights.h5"));
    assert.ok(!asked.some((file) => /golden|text\.json|README/.test(file)), "only what is needed is asked for");
    await here.dispose();
    await there.dispose();
    place.set({ HF_HUB_OFFLINE: "1" });
    const count = hub.hub.seen.length;
    const again = await models.XLMRobertaTokenizer.fromPreset("hf://org/preset");
    assert.equal(again.vocabularySize, here.preprocessor!.tokenizer.vocabularySize);
    assert.equal(hub.hub.seen.length, count);
  });

  it("may be a checkpoint of transformers", async () => {
    const x = { token_ids: [[0, 5, 6, 2]], padding_mask: [[1, 1, 1, 1]], mask_positions: [[1, 2]] };
    const here = await models.MaskedLM.fromPreset(checkpoint);
    const there = await models.MaskedLM.fromPreset("hf://org/checkpoint");
    assert.deepEqual(await there.call(x), await here.call(x));
    assert.equal(hub.store.seen.length, 1);
    await here.dispose();
    await there.dispose();
  });
});
