/** BERT's tokenizer out of a `tokenizer.json`. */

import type { ExpandedTokenizer } from "../../spec/types.ts";
import { type WordNormalization, wordNormalized } from "../basic_tokens.ts";
import { WordPieceTokenizer } from "../wordpiece.ts";
import { type AddedToken, AddedTokensTokenizer, withAddedTokens } from "./added_tokens.ts";
import type { Field } from "./fields.ts";
import { readTokens } from "./vocabulary.ts";
import STEPS from "./wordpiece_steps.json" with { type: "json" };

/** Reads the model "WordPiece" behind `BertNormalizer`, or none, and `BertPreTokenizer`. */
export function readWordPiece(root: Field, added: readonly AddedToken[], spec: ExpandedTokenizer): AddedTokensTokenizer {
  const model = root.get("model");
  model.get("unk_token").only(spec.special_tokens.unknown);
  model.get("continuing_subword_prefix").only("##");
  model.get("max_input_chars_per_word").only(100);
  root.get("pre_tokenizer").get("type").only(STEPS.pre_tokenizer, null);
  const normalization = readNormalization(root.get("normalizer"));
  const tokens = readTokens(model.get("vocab"));
  const late = added.findIndex(({ id, single_word }) => single_word && id >= tokens.length);
  // The trie of whole words would find such a token where it is a part of a word, too.
  if (late >= 0) throw root.get("added_tokens").items()[late].get("single_word").error("false");
  const inner = new WordPieceTokenizer({
    vocabulary: withAddedTokens(tokens, added, root.get("added_tokens")),
    ...normalization,
    specialTokens: spec.special_tokens,
    asset: spec.asset,
    path: root.path,
  });
  return new AddedTokensTokenizer({ inner, tokens: added, normalize: (text) => wordNormalized(text, normalization) });
}

function readNormalization(field: Field): WordNormalization {
  if (field.absent) return { lowercase: false, stripAccents: false, cleanText: false, splitIdeographs: false };
  field.get("type").only(STEPS.normalizer, null);
  const lowercase = field.get("lowercase").boolean(true);
  return {
    lowercase,
    stripAccents: field.get("strip_accents").boolean(lowercase),
    cleanText: field.get("clean_text").boolean(true),
    splitIdeographs: field.get("handle_chinese_chars").boolean(true),
  };
}
