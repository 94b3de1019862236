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

type Definitions = Map<string, JsonSchema>;

const ACTIONS: Readonly<Record<string, (requirement: unknown) => JsonSchema>> = {
  integer: () => ({ type: "integer" }),
  min_value: (minimum) => ({ minimum }),
  max_value: (maximum) => ({ maximum }),
  regex: (pattern) => ({ pattern: (pattern as RegExp).source.replaceAll("[^]", "[\\s\\S]") }),
  check: () => ({ exclusiveMinimum: 0 }),
};

const CONVERTERS: Readonly<Record<string, (node: Node, defs: Definitions) => JsonSchema>> = {
  string: () => ({ type: "string" }),
  number: () => ({ type: "number" }),
  boolean: () => ({ type: "boolean" }),
  null: () => ({ type: "null" }),
  unknown: () => ({}),
  literal: ({ literal }) => ({ const: literal }),
  picklist: ({ options }) => ({ enum: options }),
  array: ({ item }, defs) => ({ type: "array", items: convert(item!, defs) }),
  tuple: ({ items }, defs) => ({
    type: "array",
    prefixItems: items!.map((item) => convert(item, defs)),
    minItems: items!.length,
    items: false,
  }),
  record: ({ key, value }, defs) => ({ type: "object", propertyNames: convert(key!, defs), additionalProperties: convert(value!, defs) }),
  union: ({ options }, defs) => ({ anyOf: options!.map((option) => convert(option as Node, defs)) }),
  nullable: ({ wrapped }, defs) => ({ anyOf: [convert(wrapped!, defs), { type: "null" }] }),
  optional: ({ wrapped }, defs) => convert(wrapped!, defs),
  strict_object: (node, defs) => ({ ...objectOf(node, defs), additionalProperties: false }),
  lazy: convertLazy,
};

/** The JSON Schema of a schema; `required` replaces the root's own list, because `extends` can supply the rest. */
export function jsonSchemaOf(schema: Schema, { title, required }: { title: string; required: readonly string[] }): JsonSchema {
  const defs: Definitions = new Map();
  const root = convert(schema as unknown as Node, defs);
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title,
    ...root,
    required,
    $defs: Object.fromEntries([...defs].sort(([a], [b]) => a < b ? -1 : 1)),
  };
}

function convert(node: Node, defs: Definitions): JsonSchema {
  const converter = CONVERTERS[node.type];
  if (!converter) throw new OnnxHubError("internal/json-schema", `No JSON Schema for the valibot schema \`${node.type}\``);
  const [, ...actions] = node.pipe ?? [node];
  return Object.assign({}, converter(node, defs), ...actions.map((action) => ACTIONS[action.type](action.requirement)));
}

function objectOf({ entries }: Node, defs: Definitions): JsonSchema {
  const properties = Object.fromEntries(Object.entries(entries!).map(([key, value]) => [key, convert(value, defs)]));
  const required = Object.keys(entries!).filter((key) => entries![key].type !== "optional");
  return { type: "object", properties, ...(required.length > 0 ? { required } : {}) };
}

function convertLazy(node: Node, defs: Definitions): JsonSchema {
  const dispatch = dispatchOf(node);
  if (!dispatch) return convert(node.getter!(undefined), defs);
  const { name, alternatives } = dispatch;
  const all = () => ({ anyOf: alternatives().map((alternative) => convert(alternative as unknown as Node, defs)) });
  if (name === null) return all();
  if (!defs.has(name)) {
    defs.set(name, {}); // before the alternatives, which may come back here
    defs.set(name, all());
  }
  return { $ref: `#/$defs/${name}` };
}
