/** The schemas of the entries of a list of layers: layers, block instances, groups. */

import * as v from "valibot";
import type { LayerName } from "../types.ts";
import { dispatch, has, object, own, type Schema } from "./dispatch.ts";
import { type LayerDefinition, layerTable } from "./layers.ts";
import { configValue, expression, identifier, json, plainValues, sourceValues, template, type Values } from "./values.ts";

const layerNames = Object.keys(layerTable) as LayerName[];

/** `when`, `repeat`, `as`. */
export const entryCommon: v.ObjectEntries = {
  when: v.optional(sourceValues.bool),
  repeat: v.optional(
    dispatch(
      "repeat",
      (input) => Array.isArray(input) ? v.array(configValue) : typeof input === "string" ? expression : repeatCount,
      () => [repeatCount, expression, v.array(configValue)],
    ),
  ),
  as: v.optional(identifier),
};
const repeatCount: Schema = v.pipe(v.number(), v.integer("an integer of at least 0"), v.minValue(0, "an integer of at least 0"));

const inputs: Schema = dispatch(
  "inputs",
  (input) =>
    Array.isArray(input) ? v.array(template) : typeof input === "object" && input !== null ? v.record(v.string(), template) : template,
  () => [template, v.array(template), v.record(v.string(), template)],
);

const nodeCommon: v.ObjectEntries = {
  ...entryCommon,
  name: v.optional(template),
  weights: v.optional(template),
  out: v.optional(identifier),
  in: v.optional(inputs),
};

function optionEntries({ options }: LayerDefinition, values: Values): v.ObjectEntries {
  return Object.fromEntries(
    Object.entries(options).map(([name, option]) => {
      const schema = option.schema(values);
      return [name, option.default === undefined && !option.optional ? schema : v.optional(schema)];
    }),
  );
}

const layerSchemas = Object.fromEntries(
  layerNames.map((name) => [name, object({ layer: v.literal(name), ...nodeCommon, ...optionEntries(layerTable[name], sourceValues) })]),
) as Record<LayerName, Schema>;

/** The schema of each layer's options with every expression evaluated. */
export const optionSchemas: Readonly<Record<LayerName, Schema>> = Object.fromEntries(
  layerNames.map((name) => [name, object(optionEntries(layerTable[name], plainValues))]),
) as Record<LayerName, Schema>;

const layer: Schema = dispatch(
  "layer",
  (input) => own(layerSchemas, (input as { layer: unknown }).layer) ?? v.looseObject({ layer: v.picklist(layerNames) }),
  () => Object.values(layerSchemas),
);

const instance: Schema = object({ block: identifier, ...nodeCommon, with: v.optional(v.record(identifier, json)) });

const group: Schema = object({ ...entryCommon, layers: v.array(v.lazy(() => entry)) });

const alias: Schema = object({ when: entryCommon.when, in: template, out: identifier });

const noEntry: Schema = v.custom(() => false, "an object with `layer`, `block`, `layers`, or `in` and `out`");

/** One entry. */
export const entry: Schema = dispatch(
  "entry",
  (input) =>
    has(input, "layer") ? layer : has(input, "block") ? instance : has(input, "layers") ? group : has(input, "out") ? alias : noEntry,
  () => [layer, instance, group, alias],
);
