/** The edits that a patch can make to an entry: set, before, after, replace, remove; what flowed through it goes on flowing. */

import { isTemplate } from "../expressions.ts";
import type { Json } from "../source.ts";
import { type Edit, type Entry, entryName } from "./tree.ts";

/** Other values for some keys; null takes a key away, so that its default holds. */
export function set(values: Readonly<Record<string, Json>>): Edit {
  return (entry) => {
    const changed = { ...entry, ...values };
    for (const [key, value] of Object.entries(values)) if (value === null) delete changed[key];
    return [changed];
  };
}

/** New entries that take the entry's main input and give it theirs. */
export function before(added: readonly Entry[]): Edit {
  return (entry) => {
    const input = mainInput(entry);
    const conditional = added.map((each, i) =>
      withDefaults(each, { ...only(entry, "when"), ...(i === 0 && input !== null ? { in: input } : {}) })
    );
    return [...conditional, input === null ? entry : withMainInput(entry, "previous")];
  };
}

/** New entries that take the entry's value, and give theirs to all that used it. */
export function after(added: readonly Entry[]): Edit {
  return (entry) => {
    const { out, ...rest } = entry;
    const conditional = added.map((each, i) =>
      withDefaults(each, { ...only(entry, "when"), ...(i === added.length - 1 ? publicName(entry) : {}) })
    );
    return [out === undefined ? entry : rest, ...conditional];
  };
}

/** Other entries in the entry's place, with its input, its condition and its value's name. */
export function replace(replacements: readonly Entry[]): Edit {
  return (entry) => {
    const input = mainInput(entry);
    const place = { ...(input === null ? {} : { in: input }) };
    if (replacements.length === 1) {
      return [withDefaults(replacements[0], { ...only(entry, "name", "weights", "when", "repeat", "as", "out"), ...place })];
    }
    const last = replacements.length - 1;
    const list = replacements.map((each, i) => withDefaults(each, { ...(i === 0 ? place : {}), ...(i === last ? publicName(entry) : {}) }));
    return [{ ...only(entry, "when", "repeat", "as"), layers: list as unknown as Json }];
  };
}

/** Nothing in the entry's place: its main input stands for its value. */
export function remove(): Edit {
  return (entry) => {
    const { out } = publicName(entry);
    if (out === undefined || entry.repeat !== undefined) return [];
    return [{ ...only(entry, "when"), in: mainInput(entry) ?? "previous", out }];
  };
}

/** The name under which others use the value. */
function publicName(entry: Entry): { out?: string } {
  const name = String(entry.out ?? entryName(entry));
  return isTemplate(name) || !/^\w+$/.test(name) ? {} : { out: name };
}

/** The main input, where one is given. */
function mainInput(entry: Entry): string | null {
  const given = entry.in;
  if (typeof given === "string") return given;
  if (typeof given !== "object" || given === null) return null;
  return (Object.values(given) as string[])[0] ?? null;
}

function withMainInput(entry: Entry, value: string): Entry {
  const given = entry.in;
  if (Array.isArray(given)) return { ...entry, in: [value, ...given.slice(1)] };
  if (typeof given === "object" && given !== null) {
    const [first, ...rest] = Object.entries(given);
    return { ...entry, in: Object.fromEntries([[first[0], value], ...rest]) as Json };
  }
  return { ...entry, in: value };
}

/** The entry, with defaults for the keys that it lacks; a value is not given its own name a second time. */
function withDefaults(entry: Entry, defaults: Entry): Entry {
  const merged = { ...defaults, ...entry };
  if (merged.out === merged.name) delete merged.out;
  return merged;
}

function only(entry: Entry, ...keys: string[]): Entry {
  return Object.fromEntries(keys.filter((key) => entry[key] !== undefined).map((key) => [key, entry[key]]));
}
