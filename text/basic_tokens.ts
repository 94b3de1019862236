/** BERT's words and punctuation: what WordPiece cuts further. */

import { FORMER_MARKS, FORMER_PUNCTUATION, LATER_FORMAT, LATER_MARKS, LATER_PUNCTUATION } from "./unicode_8.ts";

const IDEOGRAPHS =
  /[\u4E00-\u9FFF\u3400-\u4DBF\u{20000}-\u{2A6DF}\u{2A700}-\u{2B73F}\u{2B740}-\u{2B81F}\u{2B920}-\u{2CEAF}\uF900-\uFAFF\u{2F800}-\u{2FA1F}]/gu;
const DROPPED = new RegExp(`(?![\\t\\n\\r${LATER_FORMAT}])[\\0\\ufffd\\p{Cc}\\p{Cf}\\p{Co}]`, "gu");
const ACCENTS = new RegExp(`(?![${LATER_MARKS}])\\p{Mn}|[${FORMER_MARKS}]`, "gu");
/** All of ASCII that is no letter, digit, space or control character, and Unicode's punctuation. */
const PUNCTUATION = `[!-\\/:-@\\[-\`\\{-~]|(?![${LATER_PUNCTUATION}])\\p{P}|[${FORMER_PUNCTUATION}]`;
const TOKENS = new RegExp(`${PUNCTUATION}|(?:(?!${PUNCTUATION})[^\\p{White_Space}])+`, "gu");

/** What is done to a text before it is cut into words, by the options of Hugging Face's `BertNormalizer`. */
export interface WordNormalization {
  /** Letters are lowered. */
  readonly lowercase: boolean;
  /** Combining marks are dropped. */
  readonly stripAccents: boolean;
  /** Control characters are dropped. */
  readonly cleanText: boolean;
  /** Chinese characters stand alone. */
  readonly splitIdeographs: boolean;
}

/** A text as `BertNormalizer` leaves it, but for white space, which stays as it is. */
export function wordNormalized(text: string, { lowercase, stripAccents, cleanText, splitIdeographs }: WordNormalization): string {
  if (cleanText) text = text.replace(DROPPED, "");
  if (splitIdeographs) text = text.replace(IDEOGRAPHS, " $& ");
  if (stripAccents) text = text.normalize("NFD").replace(ACCENTS, "");
  // Letter by letter, as a capital sigma at a word's end becomes a final one otherwise.
  return lowercase ? Array.from(text, (character) => character.toLowerCase()).join("") : text;
}

/** The words and punctuation marks of a text, as Hugging Face's `BertNormalizer` and `BertPreTokenizer` find them. */
export function basicTokens(text: string, normalization: WordNormalization): string[] {
  return wordNormalized(text, normalization).match(TOKENS) ?? [];
}
