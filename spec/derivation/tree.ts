/** A spec's lists of layers as a tree that can be edited: every entry under a path such as "blocks/encoder/self_attention_layer_norm". */

import { isTemplate } from "../expressions.ts";
import type { Json } from "../source.ts";
import { matches, matchSegment } from "./glob.ts";

/** An entry being edited. */
export type Entry = Record<string, Json>;

/** A spec being edited. */
export type Draft = Record<string, Json>;

/** What an edit puts in an entry's place. */
export type Edit = (entry: Entry) => Entry[];

/** A list of layers, with the path of its entries. */
interface List {
  readonly path: string;
  readonly owner: { layers: Entry[] };
}

/** The name under which an entry is addressed. */
export function entryName(entry: Entry): string {
  return String(entry.name ?? entry.layer ?? entry.block ?? "");
}

/** The paths of all entries, as they stand in the spec. */
export function entryPaths(draft: Draft): string[] {
  const paths: string[] = [];
  for (const { path, owner } of lists(draft)) each(owner, (entry) => paths.push(`${path}/${entryName(entry)}`));
  return [...new Set(paths)];
}

/** Edits the entries whose path matches; the number of them. */
export function editMatching(draft: Draft, pattern: string, edit: Edit): number {
  let count = 0;
  for (const { path, owner } of lists(draft)) {
    replaceEach(owner, (entry) => {
      if (!matches(pattern, `${path}/${entryName(entry)}`)) return null;
      count++;
      return edit(entry);
    });
  }
  return count;
}

/**
 * Edits through instances: "backbone/transformer_layer_3/feedforward_layer_norm" changes that layer in that instance only, which
 * gets a block of its own. A pattern for all instances ("transformer_layer_*") changes them all. The number of edited entries.
 */
export function editThroughInstances(draft: Draft, pattern: string, edit: Edit): number {
  let count = 0;
  for (const { path, owner } of lists(draft)) {
    const prefix = path.split("/");
    const segments = pattern.split("/");
    const inner = segments.slice(prefix.length);
    if (inner.length < 2 || !matches(segments.slice(0, prefix.length).join("/"), path)) continue;
    count += descend(draft, owner, inner, edit);
  }
  return count;
}

function descend(draft: Draft, owner: { layers: Entry[] }, [first, ...rest]: readonly string[], edit: Edit): number {
  if (rest.length === 0) return replaceEach(owner, (entry) => matchSegment(first, entryName(entry)) ? edit(entry) : null);
  let count = 0;
  replaceEach(owner, (entry) => {
    if (typeof entry.block !== "string") return null;
    const condition = instanceCondition(entryName(entry), first);
    if (condition === null) return null;
    const blocks = draft.blocks as Record<string, { layers: Entry[] }>;
    const copy = structuredClone(blocks[entry.block]);
    const edited = descend(draft, copy, rest, edit);
    if (edited === 0) return null;
    count += edited;
    const name = freeName(blocks, entry.block);
    blocks[name] = copy;
    return condition === true ? [{ ...entry, block: name }] : [split(entry, name, condition)];
  });
  return count;
}

/** One instance of a repetition with another block: a repeated group of two alternatives. */
function split(entry: Entry, block: string, condition: string): Entry {
  const { repeat, as, when, ...node } = entry;
  return {
    ...(repeat === undefined ? {} : { repeat }),
    ...(as === undefined ? {} : { as }),
    ...(when === undefined ? {} : { when }),
    layers: [{ ...node, when: `{{ not (${condition}) }}` }, { ...node, block, when: `{{ ${condition} }}` }],
  };
}

/** Whether an instance is meant: true: all of its repetitions; null: none; else the expression that says which. */
function instanceCondition(name: string, pattern: string): true | string | null {
  if (!isTemplate(name) || matchSegment(pattern, name)) return matchSegment(pattern, name) ? true : null;
  const parts = name.split(/\{\{|\}\}/); // text, expression, text, …
  if (pattern.includes("*") || !pattern.startsWith(parts[0])) return null;
  const terms = parts.map((part, i) => i % 2 === 0 ? `'${part}'` : `(${part.trim()})`).filter((term) => term !== "''");
  return `('' ~ ${terms.join(" ~ ")}) == '${pattern}'`;
}

function freeName(blocks: Record<string, unknown>, base: string): string {
  for (let i = 1;; i++) if (!(`${base}_variant_${i}` in blocks)) return `${base}_variant_${i}`;
}

function lists(draft: Draft): List[] {
  const named = (key: "blocks" | "heads"): List[] =>
    Object.entries((draft[key] ?? {}) as unknown as Record<string, { layers: Entry[] }>).map(([name, owner]) => ({
      path: `${key}/${name}`,
      owner,
    }));
  return [...named("blocks"), { path: "backbone", owner: draft.backbone as unknown as { layers: Entry[] } }, ...named("heads")];
}

/** Visits the entries of a list and of its groups. */
function each(owner: { layers: Entry[] }, visit: (entry: Entry) => void): void {
  for (const entry of owner.layers) {
    if (Array.isArray(entry.layers)) each(entry as unknown as { layers: Entry[] }, visit);
    else visit(entry);
  }
}

/** Puts what `edit` gives in the place of each entry; null leaves it. The number of entries edited. */
function replaceEach(owner: { layers: Entry[] }, edit: (entry: Entry) => Entry[] | null): number {
  let count = 0;
  owner.layers = owner.layers.flatMap((entry) => {
    if (Array.isArray(entry.layers)) {
      const group = { ...entry } as unknown as { layers: Entry[] };
      count += replaceEach(group, edit);
      return [group as unknown as Entry];
    }
    const edited = edit(entry);
    if (edited) count++;
    return edited ?? [entry];
  });
  return count;
}
