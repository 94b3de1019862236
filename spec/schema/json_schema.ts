/** Turns the valibot schemas used here into JSON Schema, draft 2020-12. */

import { OnnxHubError } from "../../errors.ts";
import { dispatchOf, type Schema } from "./dispatch.ts";

/** A JSON Schema. */
export interface JsonSchema {
  readonly [keyword: string]: unknown;
}

/** What the converter looks at in a valibot schema or action. */
interface Node {
  readonly type: string;
  readonly kind?: string;
  readonly entries?: Readonly<Record<string, Node>>;
  readonly item?: Node;
  readonly items?: readonly Node[];
  readonly options?: readonly (Node | string | number)[];
  readonly literal?: unknown;
  readonly key?: Node;
  readonly value?: Node;
  readonly wrapped?: Node;
  readonly pipe?: readonly Node[];
  readonly requirement?: unknown;
  readonly getter?: (input: unknown) => Node;
}

interface Context {
  /** The `$defs`. */
  readonly defs: Map<string, JsonSchema>;
  /** Whether keys that must be there are said to be: not where `extends` can supply them, which is everywhere but in lists. */
  readonly complete: boolean;
}

const ACTIONS: Readonly<Record<string, (requirement: unknown) => JsonSchema>> = {
  integer: () => ({ type: "integer" }),
  min_value: (minimum) => ({ minimum }),
  max_value: (maximum) => ({ maximum }),
  regex: (pattern) => ({ pattern: (pattern as RegExp).source.replaceAll("[^]", "[\\s\\S]") }),
  check: () => ({ exclusiveMinimum: 0 }),
};

const CONVERTERS: Readonly<Record<string, (node: Node, context: Context) => JsonSchema>> = {
  string: () => ({ type: "string" }),
  number: () => ({ type: "number" }),
  boolean: () => ({ type: "boolean" }),
  null: () => ({ type: "null" }),
  unknown: () => ({}),
  literal: ({ literal }) => ({ const: literal }),
  picklist: ({ options }) => ({ enum: options }),
  array: ({ item }, context) => ({ type: "array", items: convert(item!, { ...context, complete: true }) }),
  tuple: ({ items }, context) => ({
    type: "array",
    prefixItems: items!.map((item) => convert(item, { ...context, complete: true })),
    minItems: items!.length,
    items: false,
  }),
  record: ({ key, value }, context) => ({
    type: "object",
    propertyNames: convert(key!, context),
    additionalProperties: convert(value!, context),
  }),
  union: ({ options }, context) => ({ anyOf: options!.map((option) => convert(option as Node, context)) }),
  nullable: ({ wrapped }, context) => ({ anyOf: [convert(wrapped!, context), { type: "null" }] }),
  optional: ({ wrapped }, context) => convert(wrapped!, context),
  strict_object: (node, context) => ({ ...objectOf(node, context), additionalProperties: false }),
  lazy: convertLazy,
};

/** The JSON Schema of a schema; `required` are the root's keys that must be there. */
export function jsonSchemaOf(schema: Schema, { title, required }: { title: string; required: readonly string[] }): JsonSchema {
  const defs = new Map<string, JsonSchema>();
  const root = convert(schema as unknown as Node, { defs, complete: false });
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title,
    ...root,
    required,
    $defs: Object.fromEntries([...defs].sort(([a], [b]) => a < b ? -1 : 1)),
  };
}

function convert(node: Node, context: Context): JsonSchema {
  const converter = CONVERTERS[node.type];
  if (!converter) throw new OnnxHubError("internal/json-schema", `No JSON Schema for the valibot schema \`${node.type}\``);
  const [, ...actions] = node.pipe ?? [node];
  return Object.assign({}, converter(node, context), ...actions.map((action) => ACTIONS[action.type](action.requirement)));
}

function objectOf({ entries }: Node, context: Context): JsonSchema {
  const properties = Object.fromEntries(Object.entries(entries!).map(([key, value]) => [key, convert(value, context)]));
  const required = Object.keys(entries!).filter((key) => entries![key].type !== "optional");
  return { type: "object", properties, ...(context.complete && required.length > 0 ? { required } : {}) };
}

function convertLazy(node: Node, context: Context): JsonSchema {
  const dispatch = dispatchOf(node);
  if (!dispatch) return convert(node.getter!(undefined), context);
  const { name, alternatives } = dispatch;
  const all = () => ({ anyOf: alternatives().map((alternative) => convert(alternative as unknown as Node, context)) });
  if (name === null) return all();
  if (!context.defs.has(name)) {
    context.defs.set(name, {}); // before the alternatives, which may come back here
    context.defs.set(name, all());
  }
  return { $ref: `#/$defs/${name}` };
}
