/** Tests canonical JSON and its hash. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { canonical, hash } from "../../spec/index.ts";
import { sha256 } from "../../spec/sha256.ts";
import { throwsError } from "./expecting.ts";

describe("canonical", () => {
  it("sorts keys and leaves out what is undefined", () =>
    assert.equal(canonical({ b: [1, { d: null, c: "x" }], a: undefined }), '{"b":[1,{"c":"x","d":null}]}'));
  it("refuses what JSON cannot say", () => {
    throwsError(() => canonical({ a: NaN }), { code: "spec/value", says: ["NaN"] });
    throwsError(() => canonical([() => 0]), { code: "spec/value", says: ["function"] });
  });
});

describe("hash", () => {
  it("is SHA-256 in hexadecimal", () => assert.equal(hash({}), "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"));
  it("does not depend on the order of keys", () => assert.equal(hash({ a: 1, b: { c: 2, d: 3 } }), hash({ b: { d: 3, c: 2 }, a: 1 })));
  it("tells values apart", () => assert.notEqual(hash({ a: 1 }), hash({ a: "1" })));
});

describe("sha256", () => {
  it("is what the system computes, for every length around a block and for long ones", () => {
    for (const length of [...Array(200).keys(), 4095, 4096, 100_003]) {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 167 + length) % 256);
      assert.equal(sha256(bytes), createHash("sha256").update(bytes).digest("hex"), `${length} bytes`);
    }
  });
});
