/** Reads Hugging Face's `tokenizer.json`. */

import { OnnxHubError } from "../errors.ts";
import { parseJson } from "../formats/json.ts";
import type { ExpandedTokenizer } from "../spec/types.ts";
import type { TextTokenizer } from "./tokenizer.ts";
import { type AddedToken, type AddedTokensTokenizer, readAddedTokens } from "./tokenizer_json/added_tokens.ts";
import { readByteLevel } from "./tokenizer_json/byte_level.ts";
import { Field } from "./tokenizer_json/fields.ts";
import { readUnigram } from "./tokenizer_json/unigram.ts";
import { readWordPiece } from "./tokenizer_json/wordpiece.ts";

type Reader = (root: Field, added: readonly AddedToken[], spec: ExpandedTokenizer) => AddedTokensTokenizer;

/** For each kind of tokenizer the model that `tokenizer.json` has, how to tell it in old files that don't say, and what reads it. */
const READERS: Readonly<Record<ExpandedTokenizer["type"], { readonly model: string; readonly key: string; readonly read: Reader }>> = {
  sentencepiece: { model: "Unigram", key: "unk_id", read: readUnigram },
  wordpiece: { model: "WordPiece", key: "max_input_chars_per_word", read: readWordPiece },
  bpe: { model: "BPE", key: "merges", read: readByteLevel },
};

/**
 * The tokenizer in a `tokenizer.json`, for a model whose spec says which kind it has. Its added tokens are kept whole in a text, as Hugging Face's
 * tokenizers do; what the file says about padding, truncation and special tokens around a text is left to the preprocessors.
 *
 * A Unigram model's ids are SentencePiece's: Hugging Face's tokenizers normalize some rare character sequences otherwise.
 *
 * Throws "text/tokenizer-json", with the path in the file, for what is not as it should be or can't be done the same way; "format/json-syntax" and
 * "format/json-depth" for what is no JSON; and what the tokenizers throw.
 */
export function tokenizerFromJson(bytes: Uint8Array, spec: ExpandedTokenizer, path = "tokenizer.json"): TextTokenizer {
  const root = new Field(parseJson(decode(bytes, path), path), path);
  const model = root.get("model");
  const { model: expected, key, read } = READERS[spec.type];
  const type = model.get("type");
  if (type.absent) {
    if (model.get(key).absent) throw type.error(JSON.stringify(expected));
  } else type.only(expected);
  return read(root, readAddedTokens(root.get("added_tokens")), spec);
}

function decode(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new OnnxHubError("text/tokenizer-json", "This tokenizer.json can't be used", {
      path,
      expected: "UTF-8",
      found: "other bytes",
      cause,
    });
  }
}
