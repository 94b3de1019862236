/** Reads a vocabulary that is an object of ids by token. */

import type { Field } from "./fields.ts";

/** The tokens by id; every id from 0 on must be there once. */
export function readTokens(field: Field): string[] {
  const entries = Object.entries(field.object());
  if (entries.length === 0) throw field.error("at least one token", "none");
  const tokens = new Array<string | undefined>(entries.length).fill(undefined);
  for (const [token, id] of entries) {
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id >= tokens.length) {
      throw field.get(token).error(`a whole number in [0, ${tokens.length - 1}], as there are ${tokens.length} tokens`);
    }
    if (tokens[id] !== undefined) {
      throw field.get(token).error("an id of its own", `${id}, which ${JSON.stringify(tokens[id].slice(0, 40))} has too`);
    }
    tokens[id] = token;
  }
  return tokens as string[];
}
