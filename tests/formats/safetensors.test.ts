/** safetensors: what is written reads back, and broken files are refused with a reason. */

import assert from "node:assert/strict";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { OnnxHubError } from "../../errors.ts";
import { openSafetensors, type SafetensorsEntry, writeSafetensors } from "../../formats/safetensors.ts";

let home: string;
let path: string;
beforeEach(() => {
  home = fs.mkdtempSync(join(tmpdir(), "onnxhub-safetensors-"));
  path = join(home, "a.safetensors");
});
afterEach(() => fs.rmSync(home, { recursive: true, force: true }));

const ENTRIES: SafetensorsEntry[] = [
  { name: "b", shape: [2, 2], dtype: "float32", data: new Float32Array([1, 2, 3, 4]) },
  { name: "half", shape: [3], dtype: "float16", data: new Uint16Array([0x3c00, 0x4000, 0xc000]) },
  { name: "brain", shape: [2], dtype: "bfloat16", data: () => new Uint16Array([0x3f80, 0xbf80]) },
  { name: "n", shape: [], dtype: "int64", data: () => Promise.resolve(new BigInt64Array([2n ** 40n])) },
  { name: "i", shape: [2], dtype: "int32", data: new Int32Array([-1, 7]) },
  { name: "none", shape: [0, 3], dtype: "float32", data: new Float32Array(0) },
  { name: "flag", shape: [1], dtype: "bool", data: new Uint8Array([1]) },
];

/** A file by hand: any header over any data. */
function put(header: unknown, data = new Uint8Array(0), length?: bigint): void {
  const text = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(data, 8 + text.length);
  fs.writeFileSync(path, bytes);
}

function refused(code: string, message: RegExp = /./): void {
  assert.throws(() => openSafetensors(path), (error) => {
    assert.ok(error instanceof OnnxHubError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    assert.ok(error.message.includes(path));
    return true;
  });
}

describe("safetensors", () => {
  it("reads back what it writes, of every type, whole and in parts", async () => {
    await writeSafetensors(path, ENTRIES, { metadata: { format: "onnxhub" } });
    const file = openSafetensors(path);
    assert.deepEqual({ ...file.metadata }, { format: "onnxhub" });
    const read = (name: string): number[] => {
      const into = new Float64Array(file.tensors.get(name)!.size);
      file.read(name, into);
      return [...into];
    };
    assert.deepEqual(read("b"), [1, 2, 3, 4]);
    assert.deepEqual(read("half"), [1, 2, -2]);
    assert.deepEqual(read("brain"), [1, -1]);
    assert.deepEqual(read("n"), [2 ** 40]);
    assert.deepEqual(read("i"), [-1, 7]);
    assert.deepEqual(read("none"), []);
    assert.deepEqual(read("flag"), [1]);
    const part = new Float32Array(4);
    file.read("b", part, 1, 2);
    assert.deepEqual([...part], [2, 3, 0, 0]);
    assert.deepEqual(file.tensors.get("b")!.shape, [2, 2]);
    assert.equal(file.tensors.get("brain")!.dtype, "bfloat16");
    file.close();
    assert.throws(() => file.read("b", part), (error) => error instanceof OnnxHubError && error.code === "format/closed");
  });

  it("reads more than one buffer of converted elements", async () => {
    const bits = Uint16Array.from({ length: 1_300_001 }, (_, i) => 0x3f80 + (i % 7));
    await writeSafetensors(path, [{ name: "w", shape: [bits.length], dtype: "bfloat16", data: bits }]);
    const file = openSafetensors(path);
    const into = new Float32Array(bits.length);
    file.read("w", into);
    file.close();
    assert.ok(into.every((value, i) => value === 1 + (i % 7) / 128));
  });

  it("puts larger elements first, begins the data at a multiple of 8, and keeps a given order when asked", async () => {
    await writeSafetensors(path, ENTRIES);
    let file = openSafetensors(path);
    assert.deepEqual([...file.tensors.keys()], ["n", "b", "i", "none", "brain", "half", "flag"]);
    file.close();
    assert.equal(fs.readFileSync(path).readBigUInt64LE(0) % 8n, 0n);
    await writeSafetensors(path, ENTRIES.slice(0, 3), { order: "given" });
    file = openSafetensors(path);
    assert.deepEqual([...file.tensors.keys()], ["b", "half", "brain"]);
    file.close();
  });

  it("refuses to write data that don't fit, or a name twice", async () => {
    const one = { name: "a", shape: [2], dtype: "float32", data: new Float32Array(2) } as const;
    const bad = (entries: SafetensorsEntry[]): Promise<void> =>
      assert.rejects(
        writeSafetensors(path, entries),
        (error) => error instanceof OnnxHubError && error.code === "format/safetensors-entry",
      );
    await bad([{ ...one, shape: [3] }]);
    await bad([{ ...one, dtype: "int64" }]);
    await bad([{ ...one, shape: [-1] }]);
    await bad([one, one]);
  });

  it("names the nearest tensor for one that is missing", async () => {
    await writeSafetensors(path, ENTRIES);
    const file = openSafetensors(path);
    assert.throws(() => file.read("brian", new Float32Array(2)), /Did you mean brain/);
    assert.throws(() => file.read("b", new Float32Array(2)), /4 elements/);
    assert.throws(() => file.read("b", new Float32Array(9), 3, 2), /within 4 elements/);
    file.close();
  });

  it("refuses a missing, empty or truncated file", async () => {
    refused("format/missing-file");
    fs.writeFileSync(path, "");
    refused("format/safetensors-truncated", /8 bytes/);
    await writeSafetensors(path, ENTRIES);
    const whole = fs.readFileSync(path);
    fs.writeFileSync(path, whole.subarray(0, whole.length - 1));
    refused("format/safetensors-truncated", new RegExp(`${whole.length} bytes, found ${whole.length - 1} bytes`));
    fs.writeFileSync(path, whole.subarray(0, 40));
    refused("format/safetensors-truncated");
  });

  it("refuses garbage and impossible header lengths without reading them", () => {
    fs.writeFileSync(path, "This is not a safetensors file at all");
    refused("format/safetensors-header", /at most 100000000 bytes/);
    put({}, undefined, 2n ** 63n);
    refused("format/safetensors-header");
    put("[1, 2");
    refused("format/json-syntax", /header:1:6/);
    put("[]");
    refused("format/safetensors-header");
    put("[".repeat(1000));
    refused("format/json-depth");
  });

  it("refuses bad entries", () => {
    const data = new Uint8Array(8);
    const entry = { dtype: "F32", shape: [2], data_offsets: [0, 8] };
    put({ w: 1 }, data);
    refused("format/safetensors-header", /header\.w/);
    put({ w: { ...entry, shape: [2 ** 40, 2 ** 40] } }, data);
    refused("format/safetensors-header", /header\.w\.shape/);
    put({ w: { ...entry, shape: [-2] } }, data);
    refused("format/safetensors-header", /shape/);
    put({ w: { ...entry, data_offsets: [8, 0] } }, data);
    refused("format/safetensors-header", /data_offsets/);
    put({ w: { ...entry, shape: [3] } }, data);
    refused("format/safetensors-offsets", /12 bytes for \[3\] of F32, found 8/);
    put({ w: entry, __metadata__: { a: 1 } }, data);
    refused("format/safetensors-header", /__metadata__/);
  });

  it("refuses holes, overlaps and bytes that no tensor claims", () => {
    const one = { dtype: "F32", shape: [1], data_offsets: [0, 4] };
    put({ a: one, b: { ...one, data_offsets: [8, 12] } }, new Uint8Array(12));
    refused("format/safetensors-offsets", /from 4 on, found from 8 on/);
    put({ a: one, b: one }, new Uint8Array(4));
    refused("format/safetensors-offsets");
    put({ a: one }, new Uint8Array(12));
    refused("format/safetensors-offsets", /end/);
  });

  it("lists a tensor of an unknown type but does not read it", () => {
    put({ w: { dtype: "F8_E4M3", shape: [4], data_offsets: [0, 4] } }, new Uint8Array(4));
    const file = openSafetensors(path);
    assert.equal(file.tensors.get("w")!.dtype, undefined);
    assert.throws(() => file.read("w", new Float32Array(4)), /F8_E4M3/);
    file.close();
  });
});
