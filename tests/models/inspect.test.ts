/** How consoles show models and tokenizers, and what making them without files or tokenizers gets. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import { models } from "../../mod.ts";
import { refused } from "./refused.ts";

const CONFIG = { vocabularySize: 8002, numLayers: 1, numHeads: 2, hiddenDim: 8, intermediateDim: 16, maxSequenceLength: 6 };
const SPEC_CONFIG = { vocabulary_size: 10, num_layers: 1, num_heads: 1, hidden_dim: 4, intermediate_dim: 4 };

describe("a console", () => {
  it("shows a model as its class, name and size", () => {
    const backbone = new models.XLMRobertaBackbone({ ...CONFIG, name: "small" });
    const count = backbone.countParams().toLocaleString("en-US");
    assert.equal(inspect(backbone), `XLMRobertaBackbone "small" (${count} parameters)`);
    assert.match(
      inspect({ model: new models.MaskedLM({ backbone }) }),
      /^\{ model: MaskedLM "xlm_roberta_masked_lm\w*" \([\d,]+ parameters\) \}$/,
    );
  });
  it("shows a tokenizer as its class and the size of its vocabulary", () => {
    const tokenizer = new models.XLMRobertaTokenizer({ proto: "examples/data/udhr-8k.spm" });
    assert.equal(inspect(tokenizer), "XLMRobertaTokenizer (8,002 tokens)");
  });
});

describe("making models and tokenizers", () => {
  it("refuses a preprocessor's options without a tokenizer", () =>
    refused(
      () => models.fromSpec("xlm_roberta", { task: "masked_lm", config: SPEC_CONFIG, preprocessor: { sequenceLength: 8 } }),
      "model/no-tokenizer",
      /fromSpec\.tokenizer/,
    ));
  it("refuses the path of a vocabulary that can't be read, and names it", async () => {
    await refused(() => new models.BertTokenizer({ vocabulary: "absent.txt" }), "text/unreadable", /tokenizer\.vocabulary/, /absent\.txt/);
    await refused(
      () => new models.RobertaTokenizer({ vocabulary: {}, merges: "absent.txt" }),
      "text/unreadable",
      /tokenizer\.merges/,
      /absent\.txt/,
    );
  });
});
