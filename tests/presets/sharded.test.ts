/** Presets with their weights in several files: split as KerasHub splits them, back in as the same weights, old files gone. */

import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { models } from "../../mod.ts";
import type { SaveOptions } from "../../models/preset_saving.ts";
import { parseSize, sizeInBytes } from "../../models/shard_size.ts";
import { weightBytes, writeShardedKerasWeights } from "../../presets/kerashub/sharded_writing.ts";
import { runCli, temporaryDirectory } from "../cli/run_cli.ts";
import { fixture } from "../golden/goldens.ts";
import { filesOf, hdf5Tree } from "../models/preset_files.ts";
import { refused } from "../models/refused.ts";

/** KerasHub wrote it with `max_shard_size=1e-6`: gigabytes of 2^30, so 1073 bytes. */
const SHARDED = fixture("kerashub-formats/preset_sharded");
const WEIGHTS = /^model.*\.weights\./;

let home: string;
let count = 0;
before(() => void (home = mkdtempSync(join(tmpdir(), "onnxhub-sharded-"))));
after(() => rmSync(home, { recursive: true, force: true }));
const target = (): string => join(home, `saved-${count++}`);

const weightFiles = (directory: string): string[] => readdirSync(directory).filter((name) => WEIGHTS.test(name)).sort();
const indexOf = (directory: string): string => readFileSync(join(directory, "model.weights.json"), "utf8");

function valuesOf(model: models.Task | models.Backbone): Map<string, Float32Array> {
  return new Map(model.weights.map(({ path }) => [path, model.parameters.get(path).slice()]));
}

async function saved(options: SaveOptions, directory = target()): Promise<string> {
  const model = await models.MaskedLM.fromPreset(SHARDED);
  await model.saveToPreset(directory, options);
  await model.dispose();
  return directory;
}

describe("a preset that is saved in shards", () => {
  it("is the one that KerasHub saved: the names of its files, the index to the byte, the tree of every shard", async () => {
    const directory = await saved({ maxShardSize: 1e-6 });
    assert.deepEqual(filesOf(directory), filesOf(SHARDED));
    assert.equal(indexOf(directory), indexOf(SHARDED));
    for (const name of weightFiles(SHARDED).filter((name) => name.endsWith(".h5"))) {
      const [own, theirs] = [directory, SHARDED].map((place) => hdf5Tree(join(place, name)));
      assert.deepEqual(own, theirs, name);
    }
  });

  it("splits a layer's weights over two shards where KerasHub does", async () => {
    const directory = await saved({ maxShardSize: "0.24KB" });
    assert.equal(indexOf(directory), readFileSync(fixture("kerashub_shards/preset_sharded_240.json"), "utf8"));
    const place = "layers/layer_normalization/vars";
    const [first, second] = ["model_00001.weights.h5", "model_00002.weights.h5"].map((name) => hdf5Tree(join(directory, name)));
    assert.equal(first[place], 'group [["name","embeddings_layer_norm"]]');
    assert.equal(second[place], "group []");
    assert.deepEqual([`${place}/0` in first, `${place}/1` in first, `${place}/0` in second, `${place}/1` in second], [
      true,
      false,
      false,
      true,
    ]);
  });

  it("takes the layers of a model in KerasHub's order, whatever the table's", async () => {
    for (const name of readdirSync(fixture("kerashub_shards"))) {
      const [, preset, bytes] = /^(.+)_([0-9]+)\.json$/.exec(name)!;
      const backbone = await models.Backbone.fromPreset(preset === "preset_sharded" ? SHARDED : fixture(`kerashub/${preset}`));
      const directory = target();
      await backbone.saveToPreset(directory, { maxShardSize: Number(bytes) / 2 ** 30 });
      assert.equal(indexOf(directory), readFileSync(fixture(`kerashub_shards/${name}`), "utf8"), name);
      await backbone.dispose();
    }
  });

  for (const maxShardSize of ["0.224KB", "0.3KB", "1KiB", "1.7KB"]) {
    it(`loads again as the same weights, bit by bit: ${maxShardSize}`, async () => {
      const model = await models.MaskedLM.fromPreset(SHARDED);
      // Bits that a detour through another type would lose.
      model.parameters.get("embeddings_layer_norm/beta").set([-0, 1e-45, -Infinity, 1 / 3]);
      model.parameters.touch();
      const directory = target();
      await model.saveToPreset(directory, { maxShardSize });
      assert.ok(weightFiles(directory).length > 2);
      const again = await models.MaskedLM.fromPreset(directory);
      assert.deepEqual(valuesOf(again), valuesOf(model));
      await model.dispose();
      await again.dispose();
    });
  }

  it("no shard holds more than it may, all together the whole", async () => {
    const directory = await saved({ maxShardSize: "0.5KB" });
    const sizes = weightFiles(directory).filter((name) => name.endsWith(".h5")).map((name) =>
      Object.values(hdf5Tree(join(directory, name)))
        .flatMap((text) => /^float32 \[([0-9,]+)\]/.exec(text)?.[1] ?? [])
        .reduce((sum, shape) => sum + shape.split(",").reduce((a, b) => a * Number(b), 4), 0)
    );
    assert.ok(sizes.every((size) => size <= 500 && size > 0), sizes.join());
    assert.equal(sizes.reduce((a, b) => a + b), 1712);
  });

  it("a backbone alone is split the same way", async () => {
    const backbone = await models.Backbone.fromPreset(SHARDED);
    const directory = target();
    await backbone.saveToPreset(directory, { maxShardSize: 1e-6 });
    assert.equal(indexOf(directory), indexOf(SHARDED));
    const again = await models.Backbone.fromPreset(directory);
    assert.deepEqual(valuesOf(again), valuesOf(backbone));
    await backbone.dispose();
    await again.dispose();
  });
});

describe("which files a save leaves", () => {
  it("one where the weights are no more than the limit, by default and for null", async () => {
    for (const options of [{}, { maxShardSize: undefined }, { maxShardSize: null }, { maxShardSize: 10 }, { maxShardSize: "1.712KB" }]) {
      assert.deepEqual(weightFiles(await saved(options)), ["model.weights.h5"], JSON.stringify(options));
    }
    assert.deepEqual(weightFiles(await saved({ maxShardSize: "1.711KB" })), [
      "model.weights.json",
      "model_00000.weights.h5",
      "model_00001.weights.h5",
    ]);
  });

  it("shards take the place of one file, fewer shards of more, one file of shards; notes stay", async () => {
    const directory = await saved({});
    writeFileSync(join(directory, "notes.txt"), "mine");
    await saved({ maxShardSize: "0.3KB" }, directory);
    assert.equal(weightFiles(directory).length, 9);
    assert.ok(!weightFiles(directory).includes("model.weights.h5"));
    await saved({ maxShardSize: "1KiB" }, directory);
    assert.deepEqual(weightFiles(directory), ["model.weights.json", "model_00000.weights.h5", "model_00001.weights.h5"]);
    await saved({ maxShardSize: null }, directory);
    assert.deepEqual(weightFiles(directory), ["model.weights.h5"]);
    assert.equal(readFileSync(join(directory, "notes.txt"), "utf8"), "mine");
  });
});

describe("what a shard size is", () => {
  it("a number of the option's unit, or text with its own", () => {
    assert.equal(sizeInBytes("x", 10, "gigabytes"), 10 * 2 ** 30);
    assert.equal(sizeInBytes("x", 10, "bytes"), 10);
    for (const unit of ["bytes", "gigabytes"] as const) {
      assert.deepEqual(["5GB", "200 mb", "1.5KiB", "0.24KB"].map((text) => sizeInBytes("x", text, unit)), [5e9, 2e8, 1536, 240]);
    }
    assert.deepEqual(["5", "GB", "5B", "-1GB", "5GB!", ""].map(parseSize), Array(6).fill(NaN));
  });

  it("what is none, is refused before anything is written", async () => {
    const directory = target();
    const model = await models.MaskedLM.fromPreset(SHARDED);
    const save = (maxShardSize: number | string) => () => model.saveToPreset(directory, { maxShardSize });
    await refused(save("ten"), "model/option", /saveToPreset\.maxShardSize/, /a number of gigabytes.*"5GB".*found "ten"/);
    for (const size of [0, -1, NaN, Infinity, 1e-10, "0.0001KB"]) await refused(save(size), "model/option", /maxShardSize/);
    await refused(save("0.223KB"), "preset/shard-size", /token_embedding/, /at most 223 bytes, found 224 bytes/, /of 224 bytes or more/);
    assert.deepEqual(readdirSync(home).filter((name) => join(home, name) === directory || name.includes(".saving")), []);
    await model.dispose();
  });

  it("weights that the table lacks are refused, as in one file", async () => {
    const path = join(home, "x.weights.json");
    const table = [{ group: "", name: "x", vars: ["a"], legacy: [] }];
    const weights = [{ path: "a", shape: [2] }, { path: "b", shape: [] }];
    const data = ({ shape }: { shape: readonly number[] }): Float32Array => new Float32Array(shape.reduce((a, b) => a * b, 1));
    await refused(() => writeShardedKerasWeights(path, table, weights, data, 8), "preset/weights-unmapped", /found b/);
    await refused(() => writeShardedKerasWeights(path, table, [], data, 8), "preset/weights-missing", /expected a/);
    assert.equal(weightBytes(weights), 12);
    await writeShardedKerasWeights(path, table, weights.slice(0, 1), data, 8);
    assert.deepEqual(JSON.parse(readFileSync(path, "utf8")).weight_map, { "/vars": "x_00000.weights.h5" });
  });
});

describe("export --max-shard-size", () => {
  const run = async (format: string, size: string): Promise<{ out: string; code: number; error: string }> => {
    const out = join(await temporaryDirectory(), format);
    const { code, error } = await runCli("export", SHARDED, "--format", format, "--max-shard-size", size, "--out", out);
    return { out, code, error };
  };

  it("spreads the weights of both formats over files", async () => {
    const kerashub = await run("kerashub", "1.073KB");
    assert.equal(kerashub.code, 0, kerashub.error);
    assert.equal(indexOf(kerashub.out), indexOf(SHARDED));
    const huggingface = await run("huggingface", "1.073KB");
    assert.equal(huggingface.code, 0, huggingface.error);
    assert.ok(readdirSync(huggingface.out).includes("model.safetensors.index.json"));
  });

  it("takes a number only with its unit, and none for ONNX", async () => {
    for (
      const [format, size, says] of [["kerashub", "10", /10 is no size.*5GB/], [
        "onnx",
        "5GB",
        /--format onnx takes no --max-shard-size/,
      ]] as const
    ) {
      const { code, error } = await run(format, size);
      assert.equal(code, 2);
      assert.match(error, says);
    }
  });
});
