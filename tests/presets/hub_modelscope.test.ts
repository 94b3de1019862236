/** Presets from ModelScope: its protocol and its cache. */

import assert from "node:assert/strict";
import * as fs from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { models, OnnxHubError, presets } from "../../mod.ts";
import { content, environment, filesOf, json, quiet, send, serve, type Server, sha256 } from "./hub_server.ts";

const tiny = fileURLToPath(new URL("../fixtures/kerashub/xlm_roberta_tiny", import.meta.url));
const big = content(2_000_000);
const small = new TextEncoder().encode('{"a": 1}');

let server: Server;
let place: ReturnType<typeof environment>;
let repositories: Record<string, Map<string, Uint8Array>>;
/** A content that is sent in another's place. */
let instead: Uint8Array | undefined;
let down = false;

before(async () => {
  server = await serve((request, response) => {
    if (down) return json(response, 503, { Code: 503, Message: "down" });
    const { authorization } = request.headers;
    if (authorization !== undefined && authorization !== "Bearer right") return json(response, 401, { Code: 401, Message: "bad token" });
    const url = new URL(request.path, server.url);
    const [, name, list] = /^\/api\/v1\/models\/([^/]+\/[^/]+)\/repo(\/files)?$/.exec(url.pathname) ?? [];
    if (name === "org/gated" && !authorization) return json(response, 403, { Code: 403, Message: "no access" });
    const files = repositories[name === "org/gated" ? "org/tiny.model" : name];
    if (!files || url.searchParams.get("Revision") !== "master") return json(response, 404, { Code: 10010205001, Message: "not found" });
    if (list) {
      const Files: unknown[] = [...files].map(([Path, bytes]) => ({ Path, Size: bytes.length, Type: "blob", Sha256: sha256(bytes) }));
      return json(response, 200, { Code: 200, Data: { Files: [{ Path: "assets", Type: "tree", Size: 0 }, ...Files] } });
    }
    const bytes = files.get(url.searchParams.get("FilePath")!);
    if (!bytes) return json(response, 404, { Code: 10010205001, Message: "not found" });
    send(request, response, instead ?? bytes);
  });
});
after(() => server.close());
beforeEach(() => {
  place = environment();
  place.set({ MODELSCOPE_DOMAIN: server.url });
  repositories = {
    "org/tiny.model": new Map([["config.json", small], ["weights.bin", big], ["assets/a b+c.txt", small]]),
    "org/preset": filesOf(tiny),
  };
  server.seen.length = 0;
  instead = undefined;
  down = false;
});
afterEach(() => place.restore());

const refused = (promise: Promise<unknown>, code: string, ...parts: RegExp[]): Promise<void> =>
  assert.rejects(promise, (error) => {
    assert.ok(error instanceof OnnxHubError, String(error));
    assert.equal(error.code, code, String(error));
    for (const part of parts) assert.match(error.message, part);
    return true;
  });
const fetchFile = async (file: string, preset = "modelscope://org/tiny.model", settings = quiet()): Promise<string | undefined> =>
  await (await presets.openPreset(preset, settings)).file(file);
const read = (path: string | undefined): Uint8Array => new Uint8Array(fs.readFileSync(path!));
const folder = (): string => join(place.home, ".cache", "modelscope", "hub", "models", "org", "tiny___model");

describe("a file of ModelScope", () => {
  it("lies where its Python client puts it", async () => {
    const source = await presets.openPreset("modelscope://org/tiny.model", quiet());
    for (const [name, bytes] of repositories["org/tiny.model"]) {
      const path = await source.file(name);
      assert.equal(path, join(folder(), name));
      assert.deepEqual(read(path), bytes);
    }
    assert.equal(await source.file("task.json"), undefined);
    assert.equal(await source.file("assets"), undefined);
    assert.deepEqual(await source.list(), ["assets/a b+c.txt", "config.json", "weights.bin"]);
    assert.equal(server.seen.length, 4, "one list and three files");
  });

  it("is asked for again only when it has changed, there or here", async () => {
    await fetchFile("config.json");
    server.seen.length = 0;
    await fetchFile("config.json");
    assert.deepEqual(server.seen.map(({ path }) => path.includes("/files?")), [true]);
    repositories["org/tiny.model"].set("config.json", new TextEncoder().encode('{"a": 2}'));
    assert.equal(fs.readFileSync((await fetchFile("config.json"))!, "utf8"), '{"a": 2}');
    fs.writeFileSync(join(folder(), "config.json"), "edited!!");
    assert.equal(fs.readFileSync((await fetchFile("config.json"))!, "utf8"), '{"a": 2}');
  });

  it("is refused with another length or another content than the list says", async () => {
    instead = big.subarray(1);
    await refused(fetchFile("weights.bin"), "preset/size", /2000000/);
    instead = content(2_000_000, 5);
    await refused(fetchFile("weights.bin"), "preset/hash", /sha256/);
    assert.equal(fs.existsSync(join(folder(), "weights.bin")), false);
  });

  it("is in MODELSCOPE_CACHE", async () => {
    place.set({ MODELSCOPE_CACHE: join(place.home, "m") });
    assert.equal(await fetchFile("config.json"), join(place.home, "m", "models", "org", "tiny___model", "config.json"));
  });

  it("is taken from the cache, with a warning, while ModelScope is out of reach", async () => {
    await fetchFile("config.json");
    down = true;
    const settings = quiet();
    const source = await presets.openPreset("modelscope://org/tiny.model", settings);
    assert.deepEqual(read(await source.file("config.json")), small);
    assert.equal(await source.file("task.json"), undefined);
    assert.match(settings.printed.join(), /taken from the cache/);
    await refused(fetchFile("config.json", "modelscope://org/preset"), "preset/unavailable", /down/);
  });
});

describe("what ModelScope refuses", () => {
  it("is a model that it does not have", () =>
    refused(fetchFile("config.json", "modelscope://org/none"), "preset/repository", /org\/none/));

  it("is one that needs a token, or another one", async () => {
    await refused(fetchFile("config.json", "modelscope://org/gated"), "preset/gated", /MODELSCOPE_API_TOKEN/);
    place.set({ MODELSCOPE_API_TOKEN: "wrong" });
    await refused(fetchFile("config.json", "modelscope://org/gated"), "preset/token", /MODELSCOPE_API_TOKEN/);
    place.set({ MODELSCOPE_API_TOKEN: "right" });
    assert.deepEqual(read(await fetchFile("config.json", "modelscope://org/gated")), small);
    assert.equal(server.seen.at(-1)!.headers.cookie, "m_session_id=right");
  });

  it("is told from a server that is no ModelScope", async () => {
    const other = await serve((_request, response) => json(response, 200, { Data: null }));
    place.set({ MODELSCOPE_DOMAIN: other.url });
    await refused(fetchFile("config.json"), "preset/http", /Data\.Files/, /MODELSCOPE_DOMAIN/);
    await other.close();
  });
});

describe("a preset on ModelScope", () => {
  it("loads as the same directory does", async () => {
    const texts = ["All human beings are born free"];
    const here = await models.Tokenizer.fromPreset(tiny);
    const there = await models.Tokenizer.fromPreset("modelscope://org/preset");
    assert.deepEqual(there.tokenize(texts), here.tokenize(texts));
  });
});
