/** Tries: what they find, and what they cost. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { OnnxHubError } from "../../errors.ts";
import { RandomStream } from "../../random.ts";
import { Trie } from "../../text/trie.ts";

const random = new RandomStream(3, "trie");
let next = 0;
const below = (limit: number): number => Math.floor(random.uniform(next++) * limit);

describe("Trie", () => {
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

  it("finds the longest key", () => {
    const trie = new Trie([[bytes("a"), 0], [bytes("abc"), 1], [bytes("b"), 2], [bytes(""), 3]]);
    assert.equal(trie.longest(bytes("abcd"), 0, 4), 3);
    assert.equal(trie.longest(bytes("abd"), 0, 3), 1);
    assert.equal(trie.longest(bytes("abc"), 0, 2), 1);
    assert.equal(trie.longest(bytes("xabc"), 1, 4), 3);
    assert.equal(trie.longest(bytes("x"), 0, 1), 0);
    assert.equal(trie.empty, false);
    assert.equal(new Trie([[bytes(""), 0]]).empty, true);
  });

  it("has the last value of a key that comes twice, and its score", () => {
    const trie = new Trie([[bytes("a"), 1], [bytes("a"), 0]], { scores: Float32Array.of(-5, -7) });
    const node = trie.next(0, 97);
    assert.equal(trie.value(node), 0);
    assert.equal(trie.scores[node + 3], -5);
  });

  for (const [width, keys] of [[256, 4000], [4, 300], [3000, 6000]] as const) {
    it(`finds each of ${keys} random keys, and nothing else, among ${width} symbols`, () => {
      const list = Array.from(
        { length: keys },
        () => Uint16Array.from({ length: 1 + below(6) }, () => below(below(3) ? Math.min(width, 20) : width)),
      );
      const trie = new Trie(list.map((key, i) => [key, i] as const), { width });
      const values = new Map(list.map((key, i) => [key.join(), i]));
      const prefixes = new Set(list.flatMap((key) => Array.from(key, (_, i) => key.slice(0, i + 1).join())));
      const lookUp = (key: Uint16Array): number => key.reduce((node, symbol) => node < 0 ? node : trie.next(node, symbol), 0);
      for (const key of list) assert.equal(trie.value(lookUp(key)), values.get(key.join()));
      for (let i = 0; i < keys; i++) {
        const key = Uint16Array.from({ length: 1 + below(4) }, () => below(width));
        const node = lookUp(key);
        assert.equal(node >= 0, prefixes.has(key.join()), key.join());
        if (node >= 0) assert.equal(trie.value(node), values.get(key.join()) ?? -1);
      }
    });
  }

  it("takes hardly more cells than nodes for words", () => {
    const words = Array.from(
      { length: 20_000 },
      () => Uint8Array.from({ length: 3 + below(6) }, () => 97 + Math.min(below(26), below(26))),
    );
    const nodes = new Set(words.flatMap((word) => Array.from(word, (_, i) => word.slice(0, i + 1).join()))).size;
    const trie = new Trie(words.map((word, i) => [word, i] as const));
    assert.ok(trie.cells.length / 4 < 1.2 * nodes + 512, `${trie.cells.length / 4} cells for ${nodes} nodes`);
  });

  it("takes bounded memory for keys that fit nowhere, or refuses them", () => {
    const width = 60_000;
    // Blocks of symbols at the top, one more each, below which a few have a child far off.
    const keys: Uint16Array[] = [];
    for (let node = 0; node < 400; node++) {
      for (let i = 0; i < 40; i++) keys.push(Uint16Array.of(node, i === 0 ? 1 : width - 1 - i * (1 + node % 7)));
    }
    let trie: Trie | undefined;
    try {
      trie = new Trie(keys.map((key, i) => [key, i] as const), { width });
    } catch (error) {
      assert.ok(error instanceof OnnxHubError && error.code === "text/vocabulary", String(error));
    }
    assert.ok(trie === undefined || trie.cells.length / 4 <= 16 * (keys.length + 400 + width) + 2 * width);
  });
});
