/** UTF-16 to UTF-8 and back, as TextEncoder and TextDecoder have it. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RandomStream } from "../../random.ts";
import { decodeUtf8, encodeUtf8 } from "../../text/utf.ts";

const random = new RandomStream(5, "utf");
let next = 0;
const of = <T>(list: readonly T[]): T => list[Math.floor(random.uniform(next++) * list.length)];

const unitsOf = (text: string): Uint16Array => Uint16Array.from({ length: text.length }, (_, i) => text.charCodeAt(i));

describe("encodeUtf8", () => {
  it("equals TextEncoder, lone surrogates and all", () => {
    const parts = [
      "a",
      "\0",
      "\x7f",
      "\x80",
      "é",
      "\u07ff",
      "\u0800",
      "人",
      "\ud7ff",
      "\ue000",
      "\uffff",
      "👩",
      "\u{10ffff}",
      "\ud83d",
      "\udc69",
      "\udfff",
    ];
    for (let i = 0; i < 3000; i++) {
      const text = Array.from({ length: i % 9 }, () => of(parts)).join("");
      const bytes = new Uint8Array(3 * text.length);
      const size = encodeUtf8(unitsOf(text), 0, text.length, bytes);
      assert.deepEqual(bytes.subarray(0, size), new TextEncoder().encode(text), JSON.stringify(text));
    }
  });
});

describe("decodeUtf8", () => {
  const decode = (bytes: Uint8Array): string => {
    const units = new Uint16Array(bytes.length);
    return String.fromCharCode(...units.subarray(0, decodeUtf8(bytes, bytes.length, units)));
  };

  it("equals TextDecoder on UTF-8", () => {
    const parts = ["a", "\0", "é", "\u07ff", "\u0800", "\ufeff", "人", "\ud7ff", "\ue000", "\uffff", "👩", "\u{10000}", "\u{10ffff}"];
    for (let i = 0; i < 3000; i++) {
      const text = Array.from({ length: i % 9 }, () => of(parts)).join("");
      assert.equal(decode(new TextEncoder().encode(text)), text);
    }
  });

  it("has U+FFFD for what is none, and finds its way after it", () => {
    const bytes = [
      0x61,
      0x80,
      0xbf,
      0xc0,
      0xc1,
      0xc3,
      0xa9,
      0xe0,
      0xa0,
      0xe2,
      0x96,
      0x81,
      0xed,
      0xf0,
      0x9f,
      0x91,
      0xa9,
      0xf4,
      0x90,
      0xf8,
      0xff,
    ];
    for (let i = 0; i < 5000; i++) {
      const damaged = Uint8Array.from({ length: i % 8 }, () => of(bytes));
      const text = decode(damaged);
      assert.ok(text.length <= damaged.length && text.isWellFormed(), damaged.join());
      const plain = new TextDecoder("utf-8", { ignoreBOM: true }).decode(damaged);
      assert.equal(text.replaceAll("\ufffd", ""), plain.replaceAll("\ufffd", ""), damaged.join());
    }
  });
});
