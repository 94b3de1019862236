/** The tokenizers of Hugging Face's folders that the tests read and write: specs, fixtures, and JSON that is changed a little. */

import { readFileSync } from "node:fs";
import type { ExpandedTokenizer } from "../../spec/types.ts";

/** A file of tests/fixtures/tokenizer. */
export const fixture = (name: string): Uint8Array => readFileSync(new URL(`../fixtures/tokenizer/${name}`, import.meta.url));

/** JSON out of bytes. */
// deno-lint-ignore no-explicit-any -- tests reach into files of every shape.
export const json = (bytes: Uint8Array): any => JSON.parse(new TextDecoder().decode(bytes));

/** JSON as bytes. */
export const bytes = (value: unknown): Uint8Array => new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));

const roberta = { start: "<s>", end: "</s>", pad: "<pad>", mask: "<mask>", unknown: "<unk>" };
const bert = { start: "[CLS]", end: "[SEP]", pad: "[PAD]", mask: "[MASK]", unknown: "[UNK]" };

/** By kind; of SentencePiece's the one that shifts its ids as XLM-RoBERTa. */
export const SPECS: Readonly<Record<"fairseq" | "camembert" | "plain" | "wordpiece" | "bpe", ExpandedTokenizer>> = {
  fairseq: { type: "sentencepiece", remap: "fairseq", special_tokens: roberta, separators: 2, asset: "vocabulary.spm" },
  camembert: { type: "sentencepiece", remap: "fairseq_unused", special_tokens: roberta, separators: 2, asset: "vocabulary.spm" },
  plain: {
    type: "sentencepiece",
    remap: "none",
    special_tokens: { start: "<s>", end: "</s>", pad: "<unk>", unknown: "<unk>" },
    separators: 1,
    asset: "vocabulary.spm",
  },
  wordpiece: { type: "wordpiece", remap: "none", special_tokens: bert, separators: 1, asset: "vocabulary.txt" },
  bpe: { type: "bpe", remap: "none", special_tokens: roberta, separators: 2, asset: "vocabulary.json" },
};

/** 862 texts with the ids of sentencepiece 0.2.2. */
export const CASES: readonly { text: string; spm: number[]; xlm_roberta: number[] }[] = json(fixture("cases.json"));

/** The texts alone. */
export const TEXTS: readonly string[] = CASES.map(({ text }) => text);

/** Texts that name a special token, of which `tokenizer.json` makes that token, and a `.spm` pieces. */
export const SPECIAL_TEXTS: ReadonlySet<string> = new Set(TEXTS.filter((text) => /<(s|\/s|pad|unk|mask)>/.test(text)));
