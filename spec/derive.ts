/** Variants of a spec: other numbers, other layers, by a patch. */

import * as v from "valibot";
import { nearest, OnnxHubError } from "../errors.ts";
import { checkSpec } from "./check.ts";
import { type Config, longForm } from "./config.ts";
import { after, before, remove, replace, set } from "./derivation/edits.ts";
import { type Draft, type Edit, editMatching, editThroughInstances, type Entry, entryPaths } from "./derivation/tree.ts";
import { merge } from "./merge.ts";
import { check } from "./schema/check.ts";
import { dispatch, object, type Schema } from "./schema/dispatch.ts";
import { entry } from "./schema/entries.ts";
import { configValue, identifier, json } from "./schema/values.ts";
import { specSchema } from "./schema.ts";
import type { Json, SourceConfigEntry, SourceEntry, Spec, SpecSource } from "./source.ts";
import type { ConfigValue } from "./types.ts";

/** Where a change goes: a path or a glob (`*`: anything within a segment, `**`: any segments) over "blocks/…", "backbone/…", "heads/…". */
interface At {
  readonly at: string;
}

/** One or several entries. */
type Entries = SourceEntry | readonly SourceEntry[];

/** One change to the layers that `at` matches. */
export type LayerPatch =
  /** Other options; null takes one away, so that its default holds. */
  | (At & { readonly set: { readonly [key: string]: Json } })
  /** New entries between the layer and its main input. */
  | (At & { readonly before: Entries })
  /** New entries between the layer and all that use its value. */
  | (At & { readonly after: Entries })
  /** Other entries in its place; a single one takes over its name, input and condition. */
  | (At & { readonly replace: Entries })
  /** What used its value uses its main input. */
  | (At & { readonly remove: true });

/** What makes a variant of a spec. */
export interface Patch {
  /** Named in messages. */
  readonly name?: string;
  /** Other defaults for config entries, or, as objects, new entries. */
  readonly config?: { readonly [name: string]: ConfigValue | Exclude<SourceConfigEntry, string> };
  /** The same for the heads' own entries, by task. */
  readonly taskConfig?: { readonly [task: string]: Config };
  /** Changes to layers, one after the other. */
  readonly layers?: readonly LayerPatch[];
  /** Merged into the spec as a spec that extends it would be: new blocks, another tokenizer. Applied first. */
  readonly merge?: { readonly [key: string]: Json };
}

/**
 * A variant of a spec. The spec itself does not change.
 *
 * A layer is addressed by its path as the spec lists it ("blocks/encoder/feedforward_layer_norm") or through an instance
 * ("backbone/transformer_layer_3/feedforward_layer_norm": that layer of that instance only).
 *
 * Throws "spec/no-match" for a path that matches nothing, and the errors of `load` for a result that is no good spec.
 *
 * @example
 * ```ts
 * import { spec } from "onnxhub";
 * const roberta = await spec.load("roberta");
 * const variant = spec.derive(roberta, {
 *   config: { activation: "silu", num_layers: 4 },
 *   layers: [
 *     { at: "blocks/encoder/*norm", set: { kind: "rms" } },
 *     { at: "backbone/embeddings_dropout", remove: true },
 *   ],
 * });
 * console.log(variant.source.config.num_layers);
 * ```
 */
export function derive(spec: Spec, patch: Patch): Spec {
  const name = patch.name ?? "patch";
  check(patchSchema, patch, { file: name, path: "" });
  const merged = patch.merge ? merge(spec.source as unknown as Json, patch.merge as Json) : spec.source;
  const draft = structuredClone(merged) as unknown as Draft;
  const file = `${spec.file} + ${name}`;
  check(specSchema, draft, { file, path: "" });
  for (const [key, value] of Object.entries(patch.config ?? {})) setConfig(draft, key, value, `${name}: config.${key}`);
  for (const [task, config] of Object.entries(patch.taskConfig ?? {})) {
    const heads = draft.heads as unknown as Record<string, Draft> | undefined;
    if (!heads?.[task]) {
      throw noMatch(
        `heads/${task}`,
        Object.keys(heads ?? {}).map((each) => `heads/${each}`),
        `${name}: taskConfig.${task}`,
      );
    }
    for (const [key, value] of Object.entries(config)) setConfig(heads[task], key, value, `${name}: taskConfig.${task}.${key}`);
  }
  patch.layers?.forEach((change, i) => {
    const edit = editOf(change);
    if (editMatching(draft, change.at, edit) > 0 || editThroughInstances(draft, change.at, edit) > 0) return;
    throw noMatch(change.at, entryPaths(draft), `${name}: layers[${i}].at`);
  });
  const derived: Spec = { file, source: check<SpecSource>(specSchema, draft, { file, path: "" }) };
  checkSpec(derived);
  return derived;
}

function editOf(change: LayerPatch): Edit {
  const list = (entries: Entries) => (Array.isArray(entries) ? entries : [entries]) as unknown as Entry[];
  if ("set" in change) return set(change.set);
  if ("before" in change) return before(list(change.before));
  if ("after" in change) return after(list(change.after));
  return "replace" in change ? replace(list(change.replace)) : remove();
}

/** Another default; or, where the value is an object, a whole entry. */
function setConfig(owner: Draft, key: string, value: ConfigValue | SourceConfigEntry, path: string): void {
  const config = (owner.config ?? {}) as unknown as Record<string, SourceConfigEntry>;
  const isEntry = typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isEntry && !Object.hasOwn(config, key)) throw noMatch(key, Object.keys(config), path);
  const entry = isEntry ? value as SourceConfigEntry : { ...longForm(config[key]), default: value as ConfigValue };
  owner.config = { ...config, [key]: entry } as unknown as Json;
}

function noMatch(pattern: string, candidates: readonly string[], path: string): OnnxHubError {
  const guess = nearest(pattern.replaceAll("*", ""), candidates);
  return new OnnxHubError("spec/no-match", `Nothing in the spec matches \`${pattern}\``, {
    path,
    expected: `one of ${candidates.join(", ")}`,
    remedy: guess ? `Did you mean \`${guess}\`?` : undefined,
  });
}

const at = v.pipe(v.string(), v.regex(/^[^/]+(\/[^/]+)+$/, "a path: blocks/…, backbone/… or heads/…"));
const entries: Schema = dispatch(null, (input) => Array.isArray(input) ? v.array(entry) : entry, () => [entry, v.array(entry)]);
const changes: Readonly<Record<string, Schema>> = {
  set: object({ at, set: v.record(v.string(), json) }),
  before: object({ at, before: entries }),
  after: object({ at, after: entries }),
  replace: object({ at, replace: entries }),
  remove: object({ at, remove: v.literal(true) }),
};
const noChange = object({
  at,
  set: v.optional(json),
  before: v.optional(json),
  after: v.optional(json),
  replace: v.optional(json),
  remove: v.optional(v.literal(true)),
});
const patchSchema = object({
  name: v.optional(v.string()),
  config: v.optional(v.record(identifier, json)),
  taskConfig: v.optional(v.record(identifier, v.record(identifier, configValue))),
  layers: v.optional(v.array(dispatch(
    null,
    (input) => changes[Object.keys((input ?? {}) as object).find((key) => key in changes) ?? ""] ?? noChange,
    () => Object.values(changes),
  ))),
  merge: v.optional(v.record(v.string(), json)),
});
