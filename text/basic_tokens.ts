/** BERT's words and punctuation: what WordPiece cuts further. */

import { LATER_FORMAT, LATER_MARKS, LATER_PUNCTUATION } from "./unicode_8.ts";

const IDEOGRAPHS =
  /[\u4E00-\u9FFF\u3400-\u4DBF\u{20000}-\u{2A6DF}\u{2A700}-\u{2B73F}\u{2B740}-\u{2B81F}\u{2B920}-\u{2CEAF}\uF900-\uFAFF\u{2F800}-\u{2FA1F}]/gu;
const DROPPED = new RegExp(`(?![\\t\\n\\r${LATER_FORMAT}])[\\0\\ufffd\\p{Cc}\\p{Cf}\\p{Co}]`, "gu");
const ACCENTS = new RegExp(`(?![${LATER_MARKS}])\\p{Mn}`, "gu");
/** All of ASCII that is no letter, digit, space or control character, and Unicode's punctuation. */
const PUNCTUATION = `[!-\\/:-@\\[-\`\\{-~]|(?![${LATER_PUNCTUATION}])\\p{P}`;
const TOKENS = new RegExp(`${PUNCTUATION}|(?:(?!${PUNCTUATION})[^\\p{White_Space}])+`, "gu");

/**
 * The words and punctuation marks of a text, as Hugging Face's `BertNormalizer` and `BertPreTokenizer` find them: control characters dropped, ideographs
 * standing alone, and for `lowercase` accents stripped and letters lowered.
 */
export function basicTokens(text: string, lowercase: boolean): string[] {
  let clean = text.replace(DROPPED, "").replace(IDEOGRAPHS, " $& ");
  // Letter by letter, as a capital sigma at a word's end becomes a final one otherwise.
  if (lowercase) clean = Array.from(clean.normalize("NFD").replace(ACCENTS, ""), (character) => character.toLowerCase()).join("");
  return clean.match(TOKENS) ?? [];
}
