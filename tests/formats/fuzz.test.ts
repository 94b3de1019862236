/** Damaged weight files: each of thousands loads or is refused with the project's own error that says where. */

import assert from "node:assert/strict";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { openHdf5 } from "../../formats/hdf5.ts";
import { formatJson, readJson } from "../../formats/json.ts";
import { openSafetensors, writeSafetensors } from "../../formats/safetensors.ts";
import { readKerasOptimizer, readKerasWeights, wholeTaskGroups } from "../../presets/kerashub/weights.ts";
import { checkpoint, TINIEST, TINY, weightsOf } from "../presets/xlm_roberta_tables.ts";
import {
  type AnyJson,
  boundedMemory,
  damagedBytes,
  damagedJson,
  Draws,
  jsonText,
  loadOrRefuse,
  type Outcome,
  replaceFile,
} from "./mutations.ts";

const fixtures = fileURLToPath(new URL("../fixtures/", import.meta.url));
const HDF5_MUTATIONS = 2000;
const REFUSED_MUTATIONS = 500;
const SAFETENSORS_MUTATIONS = 3000;
const JSON_MUTATIONS = 2000;

let home: string;
let memory: number;
before(() => {
  home = fs.mkdtempSync(join(tmpdir(), "onnxhub-fuzz-"));
  memory = process.memoryUsage().rss;
});
after(() => {
  fs.rmSync(home, { recursive: true, force: true });
  boundedMemory(memory);
});

/** What the damage of one fixture must lead to: usually some files that load and some that don't, else it does nothing or everything. */
type Expectation = "some load" | "none need load";

/** Loads a file damaged in many ways. */
async function fuzz(
  name: string,
  times: number,
  damage: (draws: Draws) => Uint8Array,
  load: (path: string) => unknown,
  expected: Expectation = "some load",
): Promise<void> {
  const path = join(home, basename(name));
  const outcome: Outcome = { loaded: 0, codes: new Map() };
  for (let i = 0; i < times; i++) {
    replaceFile(path, damage(new Draws(name, i)));
    await loadOrRefuse(outcome, `${name}, mutation ${i}`, path, () => load(path));
  }
  const refused = [...outcome.codes.values()].reduce((a, b) => a + b, 0);
  assert.equal(outcome.loaded + refused, times);
  const some = outcome.loaded > times / 100 || expected === "none need load";
  assert.ok(some && refused > times / 20, `${name}: ${outcome.loaded} loaded, ${refused} refused`);
}

const read = (name: string): Uint8Array => new Uint8Array(fs.readFileSync(join(fixtures, name)));

/** Reads all datasets and attributes except those datasets, counting: what is read stays within what a file of that size can hold. */
function readAll(path: string, except: ReadonlySet<string>): void {
  const { size } = fs.statSync(path);
  const file = openHdf5(path);
  try {
    const names = file.datasets().filter((name) => !except.has(name));
    let elements = 0;
    for (const name of names) {
      const dataset = file.dataset(name);
      assert.ok(dataset.size <= size, `${name} has ${dataset.size} elements`);
      elements += dataset.size;
      dataset.read(new Float64Array(dataset.size));
      const parts = name.split("/");
      for (let i = 0; i <= parts.length; i++) file.attributes(parts.slice(0, i).join("/"));
    }
    assert.ok(elements <= 64 * size, `${elements} elements in ${names.length} datasets`);
  } finally {
    file.close();
  }
}

/** The datasets of an undamaged file that are refused as they are. */
function unsupported(path: string): Set<string> {
  const file = openHdf5(path);
  try {
    return new Set(
      file.datasets().filter((name) => {
        try {
          return !file.dataset(name);
        } catch {
          return true;
        }
      }),
    );
  } finally {
    file.close();
  }
}

describe("a damaged .weights.h5 loads or is refused", () => {
  const { groups, head_groups: head } = checkpoint;
  const whole = wholeTaskGroups(checkpoint);
  const files = [
    ["kerashub-formats/bf16.weights.h5", groups, weightsOf(groups, TINIEST)],
    ["kerashub-formats/full.weights.h5", whole, weightsOf(whole, TINIEST)],
    ["kerashub-formats/preset_legacy/model.weights.h5", groups, weightsOf(groups, TINIEST)],
    ["kerashub-formats/preset_sharded/task.weights.h5", head, weightsOf(head, TINIEST)],
    ["kerashub/xlm_roberta_tiny_after_adam/task.weights.h5", head, weightsOf(head, TINY)],
  ] as const;
  for (const [name, table, weights] of files) {
    it(`${name}, as weights`, async () => {
      const original = read(name);
      await fuzz(name, HDF5_MUTATIONS, (draws) => damagedBytes(original, draws), (path) => {
        readKerasWeights(path, table, weights);
        readKerasOptimizer(path, ({ variables }) => variables.forEach(({ size, read }) => read(new Float64Array(size))));
      });
    });
  }

  for (const name of ["hdf5/types.h5", "hdf5/chunked.h5", "hdf5/external_data.h5", "kerashub-formats/x.lora.h5"]) {
    it(`${name}, as anything that can be read of it`, async () => {
      const original = read(name);
      const refused = unsupported(join(fixtures, name));
      await fuzz(name, HDF5_MUTATIONS, (draws) => damagedBytes(original, draws), (path) => readAll(path, refused));
    });
  }

  // Layouts that are refused as they are: damage must not get them past the checks into something worse.
  for (const name of ["cycle", "external_link", "latest", "soft_link", "tracked"]) {
    it(`${name}.h5, which is refused undamaged`, async () => {
      const original = read(`hdf5/${name}.h5`);
      const load = (path: string): void => readAll(path, new Set());
      await fuzz(name, REFUSED_MUTATIONS, (draws) => damagedBytes(original, draws), load, "none need load");
    });
  }
});

/** The values of a safetensors file by name. */
function readTensors(path: string): void {
  const file = openSafetensors(path);
  try {
    for (const [name, { size }] of file.tensors) {
      assert.ok(size <= 8 * fs.statSync(path).size, `${name} has ${size} elements`);
      if (file.tensors.get(name)!.dtype) file.read(name, new Float64Array(size));
    }
  } finally {
    file.close();
  }
}

describe("a damaged .safetensors loads or is refused", () => {
  /** A file with every type of element, a scalar and an empty tensor. */
  async function everyType(): Promise<Uint8Array> {
    const path = join(home, "original.safetensors");
    const words = (length: number): Uint16Array => Uint16Array.from({ length }, (_, i) => 0x3c00 + i);
    await writeSafetensors(path, [
      { name: "roberta.embeddings.word_embeddings.weight", shape: [6, 4], dtype: "float32", data: new Float32Array(24).fill(0.25) },
      { name: "roberta.pooler.dense.weight", shape: [2, 3], dtype: "float16", data: words(6) },
      { name: "lm_head.bias", shape: [5], dtype: "bfloat16", data: words(5) },
      { name: "position_ids", shape: [1, 4], dtype: "int64", data: new BigInt64Array(4) },
      { name: "double", shape: [2], dtype: "float64", data: new Float64Array(2) },
      { name: "mask", shape: [3], dtype: "bool", data: new Uint8Array(3) },
      { name: "scalar", shape: [], dtype: "int8", data: new Int8Array(1) },
      { name: "empty", shape: [0, 3], dtype: "uint8", data: new Uint8Array(0) },
    ], { metadata: { format: "pt" } });
    return new Uint8Array(fs.readFileSync(path));
  }

  const files: readonly (readonly [string, () => Promise<Uint8Array>])[] = [
    ["every-type.safetensors", everyType],
    ["huggingface.safetensors", () => Promise.resolve(read("huggingface/xlm_roberta_masked_lm/model.safetensors"))],
  ];
  for (const [name, original] of files) {
    it(`${name}, its bytes`, async () => {
      const bytes = await original();
      const end = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
      await fuzz(
        name,
        SAFETENSORS_MUTATIONS,
        (draws) => damagedBytes(bytes, draws, draws.below(4) === 0 ? bytes.length : end),
        readTensors,
      );
    });

    it(`${name}, the values of its header`, async () => {
      const bytes = await original();
      const end = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
      const header: AnyJson = JSON.parse(new TextDecoder().decode(bytes.subarray(8, end)));
      const data = bytes.subarray(end);
      const damage = (draws: Draws): Uint8Array => {
        const text = new TextEncoder().encode(jsonText(damagedJson(header, draws)));
        const file = new Uint8Array(8 + text.length + data.length);
        new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
        file.set(text, 8);
        file.set(data, 8 + text.length);
        return file;
      };
      await fuzz(`values-${name}`, SAFETENSORS_MUTATIONS, damage, readTensors);
    });
  }
});

describe("a damaged JSON file loads or is refused", () => {
  for (const name of ["kerashub/xlm_roberta_tiny/task.json", "kerashub-formats/preset_sharded/model.weights.json"]) {
    it(`${name}, and what loads is written and read again as it is`, async () => {
      const original = read(name);
      await fuzz(name, JSON_MUTATIONS, (draws) => damagedBytes(original, draws), (path) => {
        const value = readJson(path, { keepFloats: true });
        replaceFile(path, formatJson(value));
        assert.deepEqual(readJson(path, { keepFloats: true }), value);
      });
    });
  }
});
