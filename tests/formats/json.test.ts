/** JSON: Keras' files come out byte for byte, and bad text is refused with its place. */

import assert from "node:assert/strict";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { OnnxHubError } from "../../errors.ts";
import { formatFloat, formatJson, JsonFloat, parseJson, readJson } from "../../formats/json.ts";

const fixtures = fileURLToPath(new URL("../fixtures/kerashub/", import.meta.url));

const throws = (text: string, code: string, message: RegExp): void =>
  assert.throws(
    () => parseJson(text, "f.json"),
    (error) => error instanceof OnnxHubError && error.code === code && message.test(error.message),
  );

describe("formatJson", () => {
  it("gives every JSON file of every KerasHub preset back byte for byte", () => {
    let count = 0;
    for (const preset of fs.readdirSync(fixtures)) {
      for (const name of ["config.json", "task.json", "tokenizer.json", "preprocessor.json", "metadata.json"]) {
        const path = join(fixtures, preset, name);
        if (!fs.existsSync(path)) continue;
        assert.equal(formatJson(readJson(path, { keepFloats: true })), fs.readFileSync(path, "utf8"), path);
        count++;
      }
    }
    assert.ok(count >= 20, `${count}`);
  });

  it("writes floats as Python's repr", () => {
    const floats: [number, string][] = [
      [0, "0.0"],
      [-0, "-0.0"],
      [1, "1.0"],
      [0.1, "0.1"],
      [1e-4, "0.0001"],
      [1.2e-4, "0.00012"],
      [1e-5, "1e-05"],
      [1e-6, "1e-06"],
      [-2.5e-7, "-2.5e-07"],
      [1e-12, "1e-12"],
      [1e15, "1000000000000000.0"],
      [9999999999999998, "9999999999999998.0"],
      [1e16, "1e+16"],
      [123456789012345680, "1.2345678901234568e+17"],
      [1e22, "1e+22"],
      [1.5e300, "1.5e+300"],
      [5e-324, "5e-324"],
      [NaN, "NaN"],
      [-Infinity, "-Infinity"],
    ];
    for (const [value, text] of floats) assert.equal(formatFloat(value), text);
    assert.equal(
      formatJson({ a: new JsonFloat(0), b: 0, c: 0.5, d: 1e21 }),
      '{\n    "a": 0.0,\n    "b": 0,\n    "c": 0.5,\n    "d": 1000000000000000000000\n}',
    );
  });

  it("writes ASCII only, as Python does", () => {
    assert.equal(formatJson('é\u2028😀\x7f\n"\\/\b\u0001'), '"\\u00e9\\u2028\\ud83d\\ude00\\u007f\\n\\"\\\\/\\b\\u0001"');
  });

  it("writes empty arrays and objects in one line and leaves undefined members out", () => {
    assert.equal(formatJson({ a: [], b: {}, c: undefined, d: [1] }), '{\n    "a": [],\n    "b": {},\n    "d": [\n        1\n    ]\n}');
    assert.equal(formatJson({ c: undefined }), "{}");
  });
});

describe("parseJson", () => {
  it("reads what JSON.parse reads, and Python's NaN and infinities", () => {
    const text = '\ufeff {"a": [1, -2.5e-3, true, false, null], "b": "\\ud83d\\ude00\\n\\/", "": {}}\n';
    assert.deepEqual(parseJson(text, "f"), JSON.parse(text.slice(1)));
    assert.deepEqual(parseJson("[NaN, Infinity, -Infinity]", "f"), [NaN, Infinity, -Infinity]);
  });

  it("keeps floats apart when asked", () => {
    assert.deepEqual(parseJson("[1, 1.0, 1e3]", "f", { keepFloats: true }), [1, new JsonFloat(1), new JsonFloat(1000)]);
    assert.deepEqual(parseJson("[1, 1.0]", "f"), [1, 1]);
  });

  it("makes __proto__ a member like any other", () => {
    const value = parseJson('{"__proto__": {"polluted": 1}}', "f") as Record<string, unknown>;
    assert.equal(Object.getPrototypeOf(value), Object.prototype);
    assert.deepEqual(Object.keys(value), ["__proto__"]);
    assert.equal(value.polluted, undefined);
  });

  it("says line, column, and what it expected", () => {
    throws('{\n  "a": 1,\n}', "format/json-syntax", /f\.json:3:1.*a key in quotes.*"}"/);
    throws("[1 2]", "format/json-syntax", /f\.json:1:4.*`,` or `\]`/);
    throws('{"a" 1}', "format/json-syntax", /`:`/);
    throws('["abc', "format/json-syntax", /end of the string.*the end of the file/);
    throws('"a\nb"', "format/json-syntax", /end of the string/);
    throws('"\\x"', "format/json-syntax", /an escape/);
    throws('"\\u12g4"', "format/json-syntax", /hexadecimal/);
    throws("01", "format/json-syntax", /end of the file, found "1"/);
    throws("tru", "format/json-syntax", /a value/);
    throws("", "format/json-syntax", /a value, found the end of the file/);
    throws('{"a": 1, "a": 2}', "format/json-syntax", /f\.json:1:10.*each key once/);
  });

  it("stops at the depth limit, however deep the text", () => {
    throws("[".repeat(1_000_000), "format/json-depth", /at most 64 levels/);
    throws('{"a":'.repeat(1_000_000), "format/json-depth", /at most 64 levels/);
    assert.ok(parseJson("[".repeat(64) + "]".repeat(64), "f"));
  });
});

describe("readJson", () => {
  it("refuses a file that is missing, too large, or no UTF-8", () => {
    const home = fs.mkdtempSync(join(tmpdir(), "onnxhub-json-"));
    try {
      const path = join(home, "a.json");
      const code = (expected: string) => (error: unknown): boolean => error instanceof OnnxHubError && error.code === expected;
      assert.throws(() => readJson(path), code("format/missing-file"));
      assert.throws(() => readJson(home), code("format/not-a-file"));
      fs.writeFileSync(path, "[1, 2, 3]");
      assert.throws(() => readJson(path, { maximumBytes: 8 }), code("format/json-size"));
      fs.writeFileSync(path, new Uint8Array([0x22, 0xff, 0x22]));
      assert.throws(() => readJson(path), code("format/json-encoding"));
    } finally {
      fs.rmSync(home, { recursive: true });
    }
  });
});
