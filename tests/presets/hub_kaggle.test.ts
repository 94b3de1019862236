/** Presets from Kaggle: both generations of its interface, its credentials, its cache, its archives. */

import assert from "node:assert/strict";
import * as fs from "node:fs";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { models, OnnxHubError, presets } from "../../mod.ts";
import { extractOnly } from "../../presets/hub/zip.ts";
import { content, environment, filesOf, googleHash, json, quiet, send, tree } from "./hub_server.ts";
import { BASIC, BEARER, type Kaggle, serveKaggle, zip } from "./hub_kaggle_server.ts";

const tiny = fileURLToPath(new URL("../fixtures/kerashub/xlm_roberta_tiny", import.meta.url));
const big = content(2_000_000);
const small = new TextEncoder().encode('{"a": 1}');
const table = new TextEncoder().encode("a,b\n".repeat(10_000));
const HANDLE = "kaggle://org/model/keras/small";

let kaggle: Kaggle;
let place: ReturnType<typeof environment>;

before(async () => {
  const files = new Map([["config.json", small], ["weights.bin", big], ["assets/table.csv", table]]);
  kaggle = await serveKaggle({
    "org/model/keras/small": { versions: [new Map([["config.json", table]]), files], zipped: ["assets/table.csv"] },
    "org/gated/keras/small": { versions: [files], gated: true },
    "org/preset/keras/tiny": { versions: [filesOf(tiny)], zipped: ["assets/tokenizer/vocabulary.spm"] },
  });
});
after(() => kaggle.close());
beforeEach(() => {
  place = environment();
  place.set({ KAGGLE_API_ENDPOINT: kaggle.api.url });
  kaggle.generation = "calls";
  kaggle.api.seen.length =
    kaggle.store.seen.length =
    kaggle.apiTricks.length =
    kaggle.storeTricks.length =
      0;
});
afterEach(() => place.restore());

const cache = (): string => join(place.home, ".cache", "kagglehub", "models", "org", "model", "keras", "small");
const refused = (promise: Promise<unknown>, code: string, ...parts: RegExp[]): Promise<void> =>
  assert.rejects(promise, (error) => {
    assert.ok(error instanceof OnnxHubError, String(error));
    assert.equal(error.code, code, String(error));
    for (const part of parts) assert.match(error.message, part);
    return true;
  });
const fetchFile = async (file: string, preset = HANDLE, settings = quiet()): Promise<string | undefined> =>
  await (await presets.openPreset(preset, settings)).file(file);
const read = (path: string | undefined): Uint8Array => new Uint8Array(fs.readFileSync(path!));
const paths = (): string[] => kaggle.api.seen.map(({ method, path }) => `${method} ${path}`);

describe("a file of Kaggle", () => {
  for (const generation of ["calls", "paths"] as const) {
    it(`lies in the cache as Python's client puts it there, asked for by ${generation}`, async () => {
      kaggle.generation = generation;
      const source = await presets.openPreset(HANDLE, quiet());
      assert.deepEqual(read(await source.file("config.json")), small);
      assert.deepEqual(read(await source.file("weights.bin")), big);
      assert.equal(await source.file("task.json"), undefined);
      const { "2/weights.bin": weights, ...rest } = tree(cache());
      assert.ok(weights);
      assert.deepEqual(rest, {
        "2/config.json": '{"a": 1}',
        ".complete/2/config.json.complete": "",
        ".complete/2/weights.bin.complete": "",
        ".complete/2/task.json.missing": "",
      });
      assert.deepEqual(await source.list(), ["config.json", "weights.bin"]);
      const asked = kaggle.api.seen.length;
      for (const file of ["config.json", "weights.bin", "task.json"]) await source.file(file);
      assert.equal(kaggle.api.seen.length, asked);
    });
  }

  it("is asked for by calls first, with names in camel case; paths are taken once calls are unknown", async () => {
    await fetchFile("config.json");
    assert.deepEqual(JSON.parse(kaggle.api.seen[1].body), {
      ownerSlug: "org",
      modelSlug: "model",
      framework: "MODEL_FRAMEWORK_KERAS",
      instanceSlug: "small",
      versionNumber: 2,
      path: "config.json",
    });
    kaggle.api.seen.length = 0;
    kaggle.generation = "paths";
    await fetchFile("weights.bin");
    assert.deepEqual(paths(), [
      "POST /api/v1/models.ModelApiService/GetModelInstance",
      "GET /api/v1/models/org/model/keras/small/get",
      "GET /api/v1/models/org/model/keras/small/2/download/weights.bin",
    ]);
  });

  it("is of the version that the handle names, without asking for the newest", async () => {
    assert.deepEqual(read(await fetchFile("config.json", `${HANDLE}/1`)), table);
    assert.deepEqual(paths(), ["POST /api/v1/models.ModelApiService/DownloadModelInstanceVersion"]);
    kaggle.generation = "paths";
    assert.deepEqual(read(await fetchFile("config.json", `${HANDLE}/2`)), small);
    assert.deepEqual(paths().slice(1), [
      "POST /api/v1/models.ModelApiService/DownloadModelInstanceVersion",
      "GET /api/v1/models/org/model/keras/small/2/download/config.json",
    ]);
  });

  it("is unpacked where Kaggle compressed it", async () => {
    const path = await fetchFile("assets/table.csv");
    assert.deepEqual(read(path), table);
    assert.equal(path, join(cache(), "2", "assets", "table.csv"));
    assert.deepEqual(fs.readdirSync(join(cache(), "2", "assets")), ["table.csv"]);
  });

  it("that another client left unfinished is fetched anew", async () => {
    fs.mkdirSync(join(cache(), "2"), { recursive: true });
    fs.writeFileSync(join(cache(), "2", "config.json"), "{");
    assert.deepEqual(read(await fetchFile("config.json")), small);
  });

  it("that another client fetched, alone or with all others, is taken", async () => {
    fs.mkdirSync(join(cache(), "2"), { recursive: true });
    fs.writeFileSync(join(cache(), "2", "config.json"), "theirs");
    fs.writeFileSync(join(cache(), "2.complete"), "");
    assert.equal(fs.readFileSync((await fetchFile("config.json"))!, "utf8"), "theirs");
  });

  it("goes on where the connection was cut, and is checked as a whole", async () => {
    const hash = { "x-goog-hash": googleHash(big) };
    kaggle.storeTricks.push((request, response, bytes) => send(request, response, bytes, { headers: hash, until: 700_000, then: "cut" }));
    assert.deepEqual(read(await fetchFile("weights.bin")), big);
    assert.match(kaggle.store.seen[1].headers.range!, /^bytes=[1-9]\d*-$/);
  });

  it("with another content than the header says is refused", async () => {
    const wrong = big.slice();
    wrong[1000] ^= 1;
    kaggle.storeTricks.push((request, response) => send(request, response, wrong, { headers: { "x-goog-hash": googleHash(big) } }));
    await refused(fetchFile("weights.bin"), "preset/hash", /md5/);
    assert.equal(fs.existsSync(join(cache(), "2", "weights.bin")), false);
    assert.deepEqual(read(await fetchFile("weights.bin")), big);
  });

  it("is in the directory KAGGLEHUB_CACHE", async () => {
    place.set({ KAGGLEHUB_CACHE: join(place.home, "k") });
    assert.equal(await fetchFile("config.json"), join(place.home, "k", "models", "org", "model", "keras", "small", "2", "config.json"));
  });

  it("is taken from the newest version in the cache while Kaggle is out of reach", async () => {
    await fetchFile("config.json", `${HANDLE}/1`);
    await fetchFile("config.json", `${HANDLE}/2`);
    const unavailable = (_: unknown, response: ServerResponse) => json(response, 503, { message: "down" });
    kaggle.apiTricks.push(unavailable, unavailable);
    const settings = quiet();
    assert.deepEqual(read(await fetchFile("config.json", HANDLE, settings)), small);
    assert.match(settings.printed.join(), /taken from the cache, version 2/);
  });
});

describe("the credentials for Kaggle", () => {
  const used = async (files: Record<string, string>, values: Record<string, string>): Promise<string | undefined> => {
    place.restore();
    place = environment();
    for (const [name, text] of Object.entries(files)) {
      fs.mkdirSync(join(place.home, name, ".."), { recursive: true });
      fs.writeFileSync(join(place.home, name), text);
    }
    place.set({ KAGGLE_API_ENDPOINT: kaggle.api.url, ...values });
    kaggle.api.seen.length = 0;
    await fetchFile("config.json");
    assert.equal(new Set(kaggle.api.seen.map(({ headers }) => headers.authorization)).size, 1);
    return kaggle.api.seen[0].headers.authorization;
  };
  const file = JSON.stringify({ username: "ann", key: "key" });

  it("are a token, then a file with one, then a name and a key, then a file with these, then none", async () => {
    const all = { ".kaggle/access_token": "right\n", ".kaggle/kaggle.json": file };
    const names = { KAGGLE_USERNAME: "ann", KAGGLE_KEY: "key" };
    assert.equal(await used(all, { ...names, KAGGLE_API_TOKEN: "right" }), BEARER);
    assert.equal(await used({ "a-token": "right\n" }, { KAGGLE_API_TOKEN: "~/a-token" }), BEARER);
    assert.equal(await used(all, names), BEARER);
    assert.equal(await used({ ".kaggle/access_token.txt": "right" }, names), BEARER);
    assert.equal(await used({ ".kaggle/kaggle.json": "{}" }, names), BASIC);
    assert.equal(await used({ ".kaggle/kaggle.json": file }, {}), BASIC);
    assert.equal(await used({ "conf/kaggle.json": file }, { KAGGLE_CONFIG_DIR: "~/conf" }), BASIC);
    assert.equal(await used({}, {}), undefined);
  });

  it("don't go to the storage", async () => {
    place.set({ KAGGLE_API_TOKEN: "right" });
    kaggle.storeTricks.push((request, response, bytes) => send(request, response, bytes, { until: 1000, then: "cut" }));
    await fetchFile("weights.bin");
    assert.equal(kaggle.store.seen.length, 2);
    for (const { headers } of kaggle.store.seen) assert.equal(headers.authorization, undefined);
  });

  it("in a file that is broken are an error with its path", async () => {
    fs.mkdirSync(join(place.home, ".kaggle"));
    fs.writeFileSync(join(place.home, ".kaggle", "kaggle.json"), "{");
    await refused(fetchFile("config.json"), "preset/setting", /kaggle\.json/);
  });
});

describe("what Kaggle refuses", () => {
  it("is a model that it does not have, of the newest version or of one that is named", async () => {
    await refused(fetchFile("config.json", "kaggle://org/none/keras/small"), "preset/repository", /kaggle:\/\/org\/none\/keras\/small/);
    await refused(fetchFile("config.json", "kaggle://org/none/keras/small/1"), "preset/repository");
    kaggle.generation = "paths";
    await refused(fetchFile("config.json", "kaggle://org/none/keras/small"), "preset/repository");
  });

  it("is a version that there isn't", () => refused(fetchFile("config.json", `${HANDLE}/9`), "preset/revision", /1 to 2, found 9/));

  it("is a gated model, with the page where its terms are", async () => {
    const page = new RegExp(`${kaggle.api.url}/models/org/gated`);
    await refused(fetchFile("config.json", "kaggle://org/gated/keras/small"), "preset/gated", page, /KAGGLE_API_TOKEN/);
    await refused(fetchFile("config.json", "kaggle://org/gated/keras/small/1"), "preset/gated", /Permission/);
  });

  it("is a token that it does not know", async () => {
    place.set({ KAGGLE_API_TOKEN: "wrong" });
    await refused(fetchFile("config.json"), "preset/token", /KAGGLE_API_TOKEN/);
  });

  it("is too many requests", async () => {
    const settings = quiet();
    const limited = (_: unknown, response: ServerResponse) => json(response, 429, { message: "Too many requests" });
    kaggle.apiTricks.push(limited, limited);
    assert.deepEqual(read(await fetchFile("config.json", HANDLE, settings)), small);
    assert.deepEqual(settings.waits, [1000, 2000]);
    kaggle.apiTricks.push(limited, limited, limited, limited, limited);
    await refused(fetchFile("weights.bin", `${HANDLE}/2`), "preset/rate-limited", /Too many requests/);
  });

  it("may come with the status of a success", async () => {
    kaggle.apiTricks.push((_, response) => json(response, 200, { code: 403, message: "no consent" }));
    await refused(fetchFile("config.json"), "preset/gated", /no consent/);
  });

  it("is told from a server that is no Kaggle", async () => {
    kaggle.apiTricks.push((_, response) => json(response, 200, { version: 1 }));
    await refused(fetchFile("config.json"), "preset/http", /versionNumber/, /KAGGLE_API_ENDPOINT/);
  });

  it("is an environment that is none", async () => {
    place.set({ KAGGLE_API_ENVIRONMENT: "MARS" });
    await refused(fetchFile("config.json"), "preset/setting", /PROD, LOCALHOST/);
  });
});

describe("an archive of one file", () => {
  const extract = async (bytes: Uint8Array, name = "a.csv"): Promise<Uint8Array> => {
    const archive = join(place.home, "a.zip");
    fs.writeFileSync(archive, bytes);
    await extractOnly(archive, name, join(place.home, "out"));
    return read(join(place.home, "out"));
  };

  it("gives its file, deflated or stored, empty or not", async () => {
    assert.deepEqual(await extract(zip("a.csv", table)), table);
    assert.deepEqual(await extract(zip("a.csv", table, { method: 0 })), table);
    assert.deepEqual(await extract(zip("a.csv", new Uint8Array(0))), new Uint8Array(0));
    assert.deepEqual(await extract(zip("a.csv", new Uint8Array(0), { method: 0 })), new Uint8Array(0));
  });

  it("is refused when it has another name, leads elsewhere, or has several files", async () => {
    for (const name of ["b.csv", "../a.csv", "/a.csv", "x/a.csv"]) await refused(extract(zip(name, table)), "preset/archive", /a\.csv/);
    await refused(extract(zip("a.csv", table, { count: 2 })), "preset/archive", /one file/);
  });

  it("is refused when it is a bomb, encrypted, of an unknown method, or not what it says", async () => {
    await refused(extract(zip("a.csv", table, { size: 0xfffffff0 })), "preset/archive", /can be/);
    await refused(extract(zip("a.csv", new Uint8Array(5_000_000), { size: 1000 })), "preset/archive", /1000 bytes/);
    await refused(extract(zip("a.csv", table, { size: table.length + 1 })), "preset/archive");
    await refused(extract(zip("a.csv", table, { crc: 1 })), "preset/archive", /CRC-32/);
    await refused(extract(zip("a.csv", table, { flags: 1 })), "preset/archive", /encrypted/);
    await refused(extract(zip("a.csv", table, { method: 12 })), "preset/archive", /method 12/);
    await refused(extract(zip("a.csv", table, { offset: 1 })), "preset/archive");
    await refused(extract(zip("a.csv", table, { offset: 0xfffffff0 })), "preset/archive");
    await refused(extract(zip("a.csv", table, { size: 0xffffffff })), "preset/archive", /ZIP64/);
  });

  it("is refused wherever it is cut or changed, or gives the file as it was", async () => {
    const whole = zip("a.csv", table);
    for (let length = 0; length < whole.length; length++) await refused(extract(whole.subarray(0, length)), "preset/archive");
    for (let at = 0; at < whole.length; at++) {
      const changed = whole.slice();
      changed[at] ^= 1 << (at % 8);
      const found = await extract(changed).catch((error) => {
        assert.ok(error instanceof OnnxHubError && error.code === "preset/archive", `byte ${at}: ${error}`);
        return table;
      });
      assert.deepEqual(found, table);
    }
  });
});

describe("a preset on Kaggle", () => {
  it("loads as the same directory does", async () => {
    const texts = ["All human <mask> are born"];
    const here = await models.MaskedLM.fromPreset(tiny);
    const there = await models.MaskedLM.fromPreset("kaggle://org/preset/keras/tiny");
    assert.deepEqual(await there.fillMask(texts), await here.fillMask(texts));
    assert.ok(!kaggle.store.seen.some(({ path }) => path.includes("golden")));
    await here.dispose();
    await there.dispose();
  });
});
