/** SentencePiece's normalizer. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { Normalizer } from "../../text/charsmap.ts";
import { type NormalizerSpec, readSentencePieceModel } from "../../text/sentencepiece_model.ts";

const fixture = (name: string): Uint8Array => readFileSync(new URL(`../fixtures/tokenizer/${name}`, import.meta.url));
const nfkc = readSentencePieceModel(fixture("udhr-8k.spm")).normalizer;
const none: NormalizerSpec = { ...nfkc, name: "identity", precompiledCharsmap: new Uint8Array(0) };

describe("Normalizer", () => {
  const normalizer = new Normalizer(nfkc);
  const cases: [what: string, text: string, normalized: string][] = [
    ["puts one space in front", "a b", "▁a▁b"],
    ["trims and collapses spaces", "  a   b ", "▁a▁b"],
    ["gives nothing for spaces alone", "   ", ""],
    ["gives nothing for nothing", "", ""],
    ["applies compatibility forms", "ﬁ Ｆｕｌｌ ㍿ ½", "▁fi▁Full▁株式会社▁1⁄2"],
    ["composes", "e\u0301", "▁é"],
    ["takes the longest rule", "ｶﾞ", "▁ガ"],
    ["drops control characters", "a\u0001\u0007b", "▁ab"],
    ["gives nothing for control characters alone", "\u0001", ""],
    ["makes spaces of tabs, line ends and other spaces", "a\tb\nc\u00a0d\u3000e\u200bf", "▁a▁b▁c▁d▁e▁f"],
    ["makes a space of U+FFFD, so of a lone surrogate", "a\ud800b\ufffdc", "▁a▁b▁c"],
    ["leaves characters beyond the plane alone", "🙂𐍈", "▁🙂𐍈"],
  ];
  for (const [what, text, normalized] of cases) it(what, () => assert.equal(normalizer.normalize(text), normalized));

  it("keeps a byte order mark in its output when there are no rules", () => {
    assert.equal(new Normalizer(none).normalize("\ufeffa"), "▁\ufeffa");
  });

  it("keeps extra spaces, adds no prefix and escapes nothing when told so", () => {
    const spec = { ...none, addDummyPrefix: false, removeExtraWhitespaces: false, escapeWhitespaces: false };
    assert.equal(new Normalizer(spec).normalize("  a  b "), "  a  b ");
    assert.equal(new Normalizer({ ...spec, escapeWhitespaces: true }).normalize("  a  b "), "▁▁a▁▁b▁");
    assert.equal(new Normalizer({ ...spec, addDummyPrefix: true }).normalize(" a"), "  a");
  });

  it("puts the space behind when the model wants it there", () => {
    assert.equal(new Normalizer(none, { treatWhitespaceAsSuffix: true }).normalize(" a b "), "a▁b▁");
  });

  it("leaves user-defined pieces as they are", () => {
    assert.equal(new Normalizer(nfkc, { userDefined: ["ﬁ", "ﬁn"] }).normalize("ﬁ ﬂ ﬁn"), "▁ﬁ▁fl▁ﬁn");
  });

  it("gives the same for a text after any other", () => {
    const long = "ｆｕｌｌ ".repeat(3000);
    assert.equal(normalizer.normalize(long), "▁full".repeat(3000));
    assert.equal(normalizer.normalize("a"), "▁a");
  });

  const damaged: Record<string, Uint8Array> = {
    "too short": Uint8Array.of(1, 2, 3),
    "a trie larger than the rules": Uint8Array.of(255, 255, 0, 0, 0, 0, 0, 0, 0),
    "a trie of broken units": Uint8Array.of(5, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    "replacements without an end": Uint8Array.of(4, 0, 0, 0, 0, 0, 0, 0, 65),
  };
  for (const [what, precompiledCharsmap] of Object.entries(damaged)) {
    it(`refuses rules that are damaged: ${what}`, () => {
      assert.throws(() => new Normalizer({ ...nfkc, precompiledCharsmap }, { path: "x.spm" }), {
        code: "text/charsmap",
        path: "x.spm: normalizer_spec.precompiled_charsmap",
      });
    });
  }

  it("ends on any text with rules whose trie is noise", () => {
    const noise = nfkc.precompiledCharsmap.slice();
    let random = 7;
    for (let i = 4; i < noise.length - 1; i += 3) noise[i] = (random = (random * 48271) % 2147483647) & 255;
    const broken = new Normalizer({ ...nfkc, precompiledCharsmap: noise });
    for (const text of ["abc", "人人生而自由", "🙂 é \u0000"]) assert.equal(typeof broken.normalize(text), "string");
  });
});
