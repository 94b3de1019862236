/** The schema of a spec as people write it; strict, with expressions where values go. */

import * as v from "valibot";
import { dispatch, object, type Schema } from "./schema/dispatch.ts";
import { checkpoints, presets, tokenizer } from "./schema/checkpoints.ts";
import { entry } from "./schema/entries.ts";
import { type JsonSchema, jsonSchemaOf } from "./schema/json_schema.ts";
import { configValue, identifier, json, nodeName, sourceValues as values, template } from "./schema/values.ts";

const configType = v.picklist(["int", "float", "bool", "string"]);
const configForm = object({
  type: configType,
  default: v.optional(configValue),
  nullable: v.optional(v.boolean()),
  min: v.optional(v.number()),
  max: v.optional(v.number()),
  choices: v.optional(v.array(configValue)),
  kerashub: v.optional(v.boolean()),
  description: v.optional(v.string()),
});
const config = v.record(
  identifier,
  dispatch("config_entry", (input) => typeof input === "string" ? configType : configForm, () => [configType, configForm]),
);

const bound = v.optional(v.nullable(values.number));
const inputSchemas = v.record(
  identifier,
  object({
    dtype: v.picklist(["int32", "float32", "bool"]),
    shape: values.shape,
    fill: v.optional(v.picklist(["required", "ones", "zeros", "positions"])),
    min: bound,
    max: bound,
    below: v.optional(v.nullable(identifier)),
  }),
);

const names = v.record(identifier, json);
const weight = object({
  name: v.pipe(v.string(), v.regex(/^[A-Za-z_][A-Za-z0-9_/-]*$/, "a path of names")),
  shape: values.shape,
  initializer: v.optional(values.initializer),
  trainable: v.optional(values.bool),
  when: v.optional(values.bool),
});
const partEntries: v.ObjectEntries = {
  let: v.optional(names),
  weights: v.optional(v.array(weight)),
  layers: v.array(entry),
  weight_order: v.optional(v.array(template)),
  outputs: v.optional(v.record(identifier, template)),
};
const kerasObject = object({ name: v.string(), config: v.optional(v.record(v.string(), configValue)) });

/** A whole spec. */
export const specSchema: Schema = object({
  $schema: v.optional(v.string()),
  name: v.pipe(v.string(), v.regex(/^[a-z][a-z0-9_]*$/, "a name in snake case")),
  extends: v.optional(v.string()),
  description: v.optional(v.string()),
  config,
  let: v.optional(names),
  inputs: inputSchemas,
  limits: v.optional(v.record(identifier, values.size)),
  blocks: v.optional(v.record(
    identifier,
    object({ ...partEntries, description: v.optional(v.string()), inputs: v.array(identifier), parameters: v.optional(names) }),
  )),
  backbone: object(partEntries),
  heads: v.optional(v.record(
    identifier,
    object({
      ...partEntries,
      config: v.optional(config),
      inputs: v.optional(inputSchemas),
      labels: object({ dtype: v.picklist(["int32", "float32"]), shape: values.shape, min: bound, max: bound }),
      compile: object({
        loss: kerasObject,
        optimizer: kerasObject,
        metrics: v.optional(v.array(kerasObject)),
        weighted_metrics: v.optional(v.array(kerasObject)),
      }),
    }),
  )),
  tokenizer: v.optional(v.nullable(tokenizer)),
  checkpoints: v.optional(checkpoints),
  presets: v.optional(presets),
});

/** What a layer's or an instance's name must be once its template is evaluated. */
export const evaluatedName: Schema = nodeName;

/** The JSON Schema (2020-12) of a spec, for editors; spec/spec.schema.json holds it. */
export function jsonSchema(): JsonSchema {
  return jsonSchemaOf(specSchema, { title: "OnnxHub model spec", required: ["name"] });
}
