/** HDF5: what h5py wrote is read, what is written reads back, and nothing in a hostile file does harm. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { OnnxHubError } from "../../errors.ts";
import { createHdf5, type Hdf5Writer, openHdf5 } from "../../formats/hdf5.ts";
import { RandomStream } from "../../random.ts";

const fixtures = fileURLToPath(new URL("../fixtures/", import.meta.url));
const h5py = (name: string): string => join(fixtures, "hdf5", name);

let home: string;
let path: string;
beforeEach(() => {
  home = fs.mkdtempSync(join(tmpdir(), "onnxhub-hdf5-"));
  path = join(home, "a.h5");
});
afterEach(() => fs.rmSync(home, { recursive: true, force: true }));

const isError = (code: string, ...messages: (string | RegExp)[]) => (error: unknown): boolean => {
  assert.ok(error instanceof OnnxHubError, String(error));
  assert.equal(error.code, code, error.message);
  for (const message of messages) {
    if (typeof message === "string") assert.ok(error.message.includes(message), error.message);
    else assert.match(error.message, message);
  }
  return true;
};

/** All of a dataset as numbers. */
function read(file: string, dataset: string): number[] {
  const reader = openHdf5(file);
  try {
    const { size } = reader.dataset(dataset);
    const into = new Float64Array(size);
    reader.dataset(dataset).read(into);
    return [...into];
  } finally {
    reader.close();
  }
}

async function write(fill: (file: Hdf5Writer) => void): Promise<void> {
  const file = await createHdf5(path);
  fill(file);
  file.close();
}

/** Reads all there is in a file. */
function readAll(file: string): void {
  const reader = openHdf5(file);
  try {
    for (const name of reader.datasets()) {
      const dataset = reader.dataset(name);
      dataset.read(new Float32Array(dataset.size));
      reader.attributes(name);
      reader.attributes(name.slice(0, Math.max(0, name.lastIndexOf("/"))));
    }
  } finally {
    reader.close();
  }
}

describe("openHdf5", () => {
  it("reads every type of number that h5py writes", () => {
    const reader = openHdf5(h5py("types.h5"));
    const types = { f2: "float16", f4: "float32", f8: "float64", i1: "int8", u1: "uint8", i2: "int16", u2: "uint16" };
    for (const [name, dtype] of Object.entries({ ...types, i4: "int32", u4: "uint32", i8: "int64", u8: "uint64" })) {
      assert.equal(reader.dataset(name).dtype, dtype);
      assert.deepEqual(read(h5py("types.h5"), name), [1, 2, 100]);
    }
    assert.deepEqual(reader.dataset("i8_big").shape, []);
    assert.deepEqual(read(h5py("types.h5"), "i8_big"), [2 ** 40]);
    assert.deepEqual(reader.dataset("zero").shape, [0, 3]);
    assert.deepEqual(read(h5py("types.h5"), "zero"), []);
    reader.close();
  });

  it("reads attributes that hold one string, of fixed or variable length, and passes over others", () => {
    const reader = openHdf5(h5py("types.h5"));
    assert.deepEqual({ ...reader.attributes("") }, { fixed: "fixed text", variable: "väriable", void: "" });
    reader.close();
  });

  it("reads Keras' bfloat16", () => {
    const reader = openHdf5(join(fixtures, "kerashub-formats/bf16.weights.h5"));
    const dataset = reader.dataset("layers/layer_normalization/vars/0");
    assert.equal(dataset.dtype, "bfloat16");
    assert.equal(reader.attributes("layers/layer_normalization/vars/0").dtype, "bfloat16");
    const into = new Float32Array(4);
    dataset.read(into);
    assert.deepEqual([...into], [1, 1, 1, 1]);
    reader.close();
  });

  it("reads parts, and refuses parts that are not there", () => {
    const reader = openHdf5(h5py("cycle.h5"));
    const dataset = reader.dataset("w");
    const into = new Float32Array(4);
    dataset.read(into, 1, 2);
    assert.deepEqual([...into], [1, 2, 0, 0]);
    assert.throws(() => dataset.read(into, 2, 2), isError("format/hdf5-range", "within 3 elements"));
    assert.throws(() => dataset.read(into, -1, 1), isError("format/hdf5-range"));
    assert.throws(() => dataset.read(new Float32Array(2)), isError("format/read-size", "3 elements, found 2"));
    reader.close();
    assert.throws(() => dataset.read(into, 0, 1), isError("format/closed"));
  });

  it("tells groups, datasets and nothing apart", () => {
    const reader = openHdf5(join(fixtures, "kerashub/xlm_roberta_tiny/task.weights.h5"));
    assert.deepEqual(reader.keys(""), ["layers", "optimizer", "preprocessor", "vars"]);
    assert.equal(reader.kind("optimizer/vars"), "group");
    assert.equal(reader.kind("/optimizer/vars/0"), "dataset");
    assert.equal(reader.kind("optimizer/vars/7"), undefined);
    assert.equal(reader.has("optimizer/vars/0/x"), false);
    assert.equal(reader.datasets("optimizer").join(), "optimizer/vars/0,optimizer/vars/1");
    const where = "task.weights.h5, optimizer/var/0";
    assert.throws(() => reader.dataset("optimizer/var/0"), isError("format/hdf5-missing", where, "perhaps vars"));
    assert.throws(() => reader.dataset("optimizer"), isError("format/hdf5-missing", "found a group"));
    assert.throws(() => reader.keys("optimizer/vars/0"), isError("format/hdf5-missing", "found a dataset"));
    reader.close();
  });

  it("refuses what it does not know, and says what", () => {
    const cases: [string, string, string][] = [
      ["types.h5", "be", "Big-endian"],
      ["types.h5", "complex", "datatype class 6"],
      ["types.h5", "text", "datatype class 9"],
      ["types.h5", "opaque", "opaque data of 2 bytes"],
      ["types.h5", "empty", "An empty dataspace"],
      ["chunked.h5", "w", "chunked data"],
      ["chunked.h5", "z", "Compressed data"],
      ["external_data.h5", "w", "Data in another file"],
      ["soft_link.h5", "s", "A soft link"],
    ];
    for (const [file, dataset, message] of cases) {
      assert.throws(() => read(h5py(file), dataset), isError("format/hdf5-unsupported", `${file}, ${dataset}`, message));
    }
    for (const file of ["latest.h5", "tracked.h5", "external_link.h5"]) {
      assert.throws(() => read(h5py(file), "w"), isError("format/hdf5-unsupported", file, "A newer HDF5 layout"));
    }
    assert.throws(() => read(h5py("types.h5"), "unwritten"), isError("format/hdf5-damaged", "never written"));
  });

  it("stops at a group that contains itself", () => {
    const reader = openHdf5(h5py("cycle.h5"));
    assert.throws(() => reader.datasets(), isError("format/hdf5-damaged", "A group that contains itself", "a/b"));
    assert.equal(reader.kind(Array.from({ length: 20 }, () => "a/b").join("/")), "group");
    assert.equal(reader.has(Array.from({ length: 1000 }, () => "a/b").join("/")), false);
    reader.close();
  });

  it("refuses groups nested deeper than any model's", async () => {
    await write((file) => file.group(Array.from({ length: 80 }, (_, i) => `g${i}`).join("/")));
    assert.throws(() => readAll(path), isError("format/hdf5-damaged", "nested too deep"));
  });

  it("refuses missing files, directories, empty files and garbage", () => {
    assert.throws(() => openHdf5(path), isError("format/missing-file", path));
    assert.throws(() => openHdf5(home), isError("format/not-a-file", home));
    for (const bytes of ["", "abc", "x".repeat(5000)]) {
      fs.writeFileSync(path, bytes);
      assert.throws(() => openHdf5(path), isError("format/hdf5-signature", path));
    }
  });

  it("refuses a file cut off anywhere", () => {
    const whole = fs.readFileSync(join(fixtures, "kerashub-formats/full.weights.h5"));
    for (let length = 9; length < whole.length; length += 997) {
      fs.writeFileSync(path, whole.subarray(0, length));
      assert.throws(() => openHdf5(path), isError("format/hdf5-truncated", path, `found ${length} bytes`));
    }
  });

  it("refuses sizes beyond the file before anything is allocated", async () => {
    await write((file) => file.dataset("w", [3, 5, 7], new Float32Array(105)));
    const bytes = fs.readFileSync(path);
    const shape = Buffer.alloc(24);
    [3n, 5n, 7n].forEach((size, i) => shape.writeBigUInt64LE(size, 8 * i));
    const at = bytes.indexOf(shape);
    assert.ok(at > 0);
    const patched = (sizes: readonly bigint[]): void => {
      const copy = Buffer.from(bytes);
      sizes.forEach((size, i) => copy.writeBigUInt64LE(size, at + 8 * i));
      fs.writeFileSync(path, copy);
    };
    patched([3n, 5n, 8n]);
    assert.throws(() => read(path, "w"), isError("format/hdf5-damaged", "480 bytes for [3, 5, 8] of float32", "420 bytes"));
    patched([2n ** 30n, 2n ** 20n, 7n]);
    assert.throws(() => read(path, "w"), isError("format/hdf5-damaged", "An impossible shape"));
    patched([2n ** 40n, 1n, 1n]);
    assert.throws(() => read(path, "w"), isError("format/hdf5-damaged", "420 bytes"));
    patched([2n ** 63n, 0n, 1n]);
    assert.throws(() => read(path, "w"), isError("format/hdf5-damaged", "An impossible size"));
  });

  it("meets any damage with an error of its own, or none", () => {
    const whole = fs.readFileSync(join(fixtures, "kerashub-formats/full.weights.h5"));
    const random = new RandomStream(7, "damage");
    let draws = 0;
    const below = (n: number): number => Math.floor(random.uniform(draws++) * n);
    const outcomes = new Set<string>();
    for (let i = 0; i < 600; i++) {
      const bytes = Buffer.from(whole);
      for (let changes = 1 + below(6); changes > 0; changes--) {
        if (below(2)) bytes[below(bytes.length)] = below(2) ? 255 : below(256);
        else bytes.writeUInt32LE(random.uint32(draws++), below(bytes.length - 4));
      }
      fs.writeFileSync(path, bytes);
      try {
        readAll(path);
        outcomes.add("read");
      } catch (error) {
        assert.ok(error instanceof OnnxHubError, String(error));
        outcomes.add(error.code);
      }
    }
    for (const outcome of ["read", "format/hdf5-damaged", "format/hdf5-truncated", "format/hdf5-unsupported"]) {
      assert.ok(outcomes.has(outcome), outcome);
    }
  });
});

describe("createHdf5", () => {
  it("writes numbers of every type, scalars, empty arrays and attributes, which read back", async () => {
    await write((file) => {
      file.group("vars", { name: "wurzel_ü" });
      file.group("a/b", { name: "", other: "x" });
      file.dataset("a/f4", [2, 3], new Float32Array([1, 2, 3, 4, 5, -0.5]));
      file.dataset("a/f8", [1], new Float64Array([1e300]));
      file.dataset("a/i4", [], new Int32Array([-7]));
      file.dataset("a/u4", [1], new Uint32Array([2 ** 32 - 1]));
      file.dataset("a/i8", [], new BigInt64Array([-(2n ** 40n)]));
      file.dataset("a/none", [0, 3], new Float32Array(0));
    });
    const reader = openHdf5(path);
    assert.deepEqual(reader.keys(""), ["a", "vars"]);
    assert.deepEqual({ ...reader.attributes("vars") }, { name: "wurzel_ü" });
    assert.deepEqual({ ...reader.attributes("a/b") }, { name: "", other: "x" });
    assert.deepEqual(reader.datasets().map((name) => [name, reader.dataset(name).dtype, reader.dataset(name).shape]), [
      ["a/f4", "float32", [2, 3]],
      ["a/f8", "float64", [1]],
      ["a/i4", "int32", []],
      ["a/i8", "int64", []],
      ["a/none", "float32", [0, 3]],
      ["a/u4", "uint32", [1]],
    ]);
    reader.close();
    assert.deepEqual(read(path, "a/f4"), [1, 2, 3, 4, 5, -0.5]);
    assert.deepEqual(read(path, "a/f8"), [1e300]);
    assert.deepEqual(read(path, "a/i4"), [-7]);
    assert.deepEqual(read(path, "a/u4"), [2 ** 32 - 1]);
    assert.deepEqual(read(path, "a/i8"), [-(2 ** 40)]);
  });

  it("writes superblock 0, as Keras does", async () => {
    await write((file) => file.dataset("w", [1], new Float32Array(1)));
    assert.deepEqual([...fs.readFileSync(path).subarray(0, 9)], [...fs.readFileSync(h5py("types.h5")).subarray(0, 8), 0]);
  });

  it("writes data larger than its buffer, whichever axis is long", async () => {
    const size = 3 * 700_001;
    const data = Float32Array.from({ length: size }, (_, i) => i % 1_000_003);
    const shapes = [[size], [3, 700_001], [700_001, 3], [1, 3, 1, 700_001], [7, 100_000, 3]];
    for (const shape of shapes) {
      const count = shape.reduce((a, b) => a * b, 1);
      await write((file) => file.dataset("w", shape, data.subarray(0, count)));
      const reader = openHdf5(path);
      const back = new Float32Array(count);
      reader.dataset("w").read(back);
      reader.close();
      assert.ok(back.every((value, i) => value === data[i]), shape.join());
    }
  });

  it("writes more groups than one node of the tree holds", async () => {
    await write((file) => {
      for (let i = 0; i < 700; i++) file.group(`layers/g${i}/vars`, { name: `n${i}` });
    });
    const reader = openHdf5(path);
    assert.equal(reader.keys("layers").length, 700);
    for (let i = 0; i < 700; i++) assert.equal(reader.attributes(`layers/g${i}/vars`).name, `n${i}`);
    reader.close();
  });

  it("writes two files at the same time", async () => {
    const other = join(home, "b.h5");
    const files = await Promise.all([createHdf5(path), createHdf5(other)]);
    files.forEach((file, i) => file.dataset("w", [1], new Float32Array([i])));
    files.forEach((file) => file.close());
    assert.deepEqual([read(path, "w"), read(other, "w")], [[0], [1]]);
  });

  it("says what it can't write", async () => {
    await assert.rejects(createHdf5(join(home, "none", "a.h5")), isError("format/hdf5-write", join(home, "none"), "ENOENT"));
    const file = await createHdf5(path);
    assert.throws(() => file.dataset("w", [3], new Float32Array(2)), isError("format/hdf5-shape", "3 elements for [3], found 2"));
    file.dataset("w", [1], new Float32Array(1));
    assert.throws(() => file.dataset("w", [1], new Float32Array(1)), isError("format/hdf5-twice", "w"));
    assert.throws(() => file.group("w/x"), isError("format/hdf5-twice", "a.h5, w"));
    file.close();
    assert.deepEqual(read(path, "w"), [0]);
  });
});
