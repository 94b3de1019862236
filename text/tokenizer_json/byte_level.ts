/** RoBERTa's and GPT-2's tokenizer out of a `tokenizer.json`. */

import type { ExpandedTokenizer } from "../../spec/types.ts";
import { BYTE_CHARACTERS, BytePairTokenizer } from "../bpe.ts";
import { assetNames } from "../tokenizer.ts";
import { type AddedToken, AddedTokensTokenizer, withAddedTokens } from "./added_tokens.ts";
import type { Field } from "./fields.ts";
import { readTokens } from "./vocabulary.ts";

/** Reads the model "BPE" behind the pre-tokenizer `ByteLevel`, with no normalizer. */
export function readByteLevel(root: Field, added: readonly AddedToken[], spec: ExpandedTokenizer): AddedTokensTokenizer {
  const model = root.get("model");
  if (!model.get("dropout").absent) model.get("dropout").only(0);
  for (const name of ["continuing_subword_prefix", "end_of_word_suffix"]) model.get(name).only("");
  for (const name of ["byte_fallback", "ignore_merges"]) model.get(name).only(false);
  if (!root.get("normalizer").absent) throw root.get("normalizer").error("null");
  const preTokenizer = only(root.get("pre_tokenizer"));
  preTokenizer.get("type").only("ByteLevel", null);
  preTokenizer.get("use_regex").only(true);
  const addPrefixSpace = preTokenizer.get("add_prefix_space").boolean(true);
  const vocab = model.get("vocab");
  const tokens = readTokens(vocab);
  // A byte that the vocabulary lacks is left out here.
  if (!model.get("unk_token").absent && [...BYTE_CHARACTERS.keys()].some((byte) => !Object.hasOwn(vocab.object(), byte))) {
    throw model.get("unk_token").error("null, or a vocabulary that has every byte");
  }
  const [vocabulary, merges] = assetNames(spec);
  const inner = new BytePairTokenizer({
    vocabulary: Object.fromEntries(withAddedTokens(tokens, added, root.get("added_tokens")).map((token, id) => [token, id])),
    merges: readMerges(model.get("merges"), new Set(tokens)),
    specialTokens: spec.special_tokens,
    assets: { vocabulary, merges },
    furtherTokens: added.map(({ content }) => content),
    specialTokensInText: false,
    paths: { vocabulary: `${root.path}: model.vocab`, merges: `${root.path}: model.merges` },
  });
  return new AddedTokensTokenizer({ inner, tokens: added, addPrefixSpace });
}

/** A sequence of one is that one. */
function only(field: Field): Field {
  if (field.absent || field.get("type").value !== "Sequence") return field;
  const list = field.get("pretokenizers");
  const items = list.items();
  if (items.length !== 1) throw list.error("one pre-tokenizer");
  return items[0];
}

/** Each merge as two tokens with a space between; in the file they are that or pairs. */
function readMerges(field: Field, vocabulary: ReadonlySet<string>): string[] {
  return field.array().map((merge, i) => {
    const pair = typeof merge === "string" ? merge.split(" ") : merge;
    const known = Array.isArray(pair) && pair.length === 2 &&
      [...pair, pair.join("")].every((token) => typeof token === "string" && vocabulary.has(token));
    if (known && pair.every((token) => !token.includes(" "))) return pair.join(" ");
    throw field.items()[i].error("two tokens of the vocabulary that make a third");
  });
}
