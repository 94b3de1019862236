/** One text or many, one list of ids or many: what tokenizers take, told apart and checked. */

import { OnnxHubError } from "../errors.ts";
import type { TokenIds } from "./tokenizer.ts";

/** Applies `each` to a text, or to a list of them as a whole. */
export function overTexts<T>(texts: string | readonly string[], each: (texts: readonly string[]) => T[]): T | T[] {
  if (typeof texts === "string") return each([texts])[0];
  if (!Array.isArray(texts)) throw notAString(texts, "texts", "a string or an array of strings");
  texts.forEach((text, i) => {
    if (typeof text !== "string") throw notAString(text, `texts[${i}]`, "a string");
  });
  return each(texts);
}

/** Applies `each` to a list of ids, or to every list of a list. */
export function overIds(ids: TokenIds | readonly TokenIds[], each: (ids: readonly number[]) => string): string | string[] {
  if (isList(ids) && !(ids.length > 0 && isList(ids[0]))) return each(Array.from(ids as TokenIds));
  if (!isList(ids)) {
    throw new OnnxHubError("text/not-ids", "Not a list of ids", {
      path: "ids",
      expected: "an array of ids, or of arrays of them",
      found: typeof ids,
    });
  }
  return (ids as readonly TokenIds[]).map((list, i) => {
    if (!isList(list)) {
      throw new OnnxHubError("text/not-ids", "Not a list of ids", {
        path: `ids[${i}]`,
        expected: "an array of ids, as the first",
        found: typeof list,
      });
    }
    return each(Array.from(list));
  });
}

const isList = (value: unknown): value is ArrayLike<unknown> => Array.isArray(value) || value instanceof Int32Array;

function notAString(value: unknown, path: string, expected: string): OnnxHubError {
  const found = value === null ? "null" : Array.isArray(value) ? "an array" : typeof value;
  return new OnnxHubError("text/not-a-string", "A tokenizer takes strings", { path, expected, found });
}
