/** The schemas of checkpoint names, tokenizers and presets. */

import * as v from "valibot";
import { dispatch, has, object, type Schema } from "./dispatch.ts";
import { entryCommon } from "./entries.ts";
import { configValue, expression, identifier, template } from "./values.ts";

const classEntries: v.ObjectEntries = { class_name: v.string(), module: v.string() };
const classSchema: Schema = object(classEntries);

const kerasGroup: Schema = dispatch(
  "keras_group",
  (input) => has(input, "groups") ? kerasGroups : kerasLeaf,
  () => [kerasLeaf, kerasGroups],
);
const kerasLeaf = object({
  ...entryCommon,
  group: template,
  name: template,
  vars: v.optional(v.array(template)),
  legacy: v.optional(v.array(template)),
});
const kerasGroups = object({ ...entryCommon, groups: v.array(kerasGroup) });

const tensor: Schema = dispatch("tensor", (input) => has(input, "weights") ? tensors : tensorLeaf, () => [tensorLeaf, tensors]);
const tensorLeaf = object({
  ...entryCommon,
  weight: template,
  tensor: template,
  aliases: v.optional(v.array(template)),
  transform: v.optional(v.picklist(["none", "transpose"])),
  skip_rows: v.optional(v.pipe(v.number(), v.integer("an integer of at least 0"), v.minValue(0, "an integer of at least 0"))),
  add_row: v.optional(template),
  add_row_aliases: v.optional(v.array(template)),
  optional: v.optional(v.boolean()),
});
const tensors = object({ ...entryCommon, weights: v.array(tensor) });

const required: Schema = v.record(v.string(), v.array(configValue));

/** `checkpoints`. */
export const checkpoints: Schema = object({
  // Null takes it away from a spec that this one extends.
  kerashub: v.optional(v.nullable(object({
    backbone: classSchema,
    tokenizer: v.optional(classSchema),
    groups: v.array(kerasGroup),
    tasks: v.optional(v.record(
      identifier,
      object({ ...classEntries, preprocessor: v.optional(classSchema), groups: v.optional(v.array(kerasGroup)) }),
    )),
    other_tasks: v.optional(v.array(v.string())),
  }))),
  huggingface: v.optional(object({
    model_type: v.string(),
    tokenizer_class: v.optional(v.string()),
    config: v.record(v.string(), identifier),
    config_offsets: v.optional(v.record(v.string(), v.number())),
    config_values: v.optional(v.record(v.string(), v.record(v.string(), configValue))),
    head_config: v.optional(v.record(identifier, v.record(v.string(), identifier))),
    config_defaults: v.optional(v.record(v.string(), configValue)),
    config_read: v.optional(v.record(identifier, expression)),
    config_written: v.optional(v.record(v.string(), configValue)),
    requires: v.optional(required),
    head_requires: v.optional(v.record(identifier, required)),
    classes: v.optional(object({ backbone: v.string(), tasks: v.optional(v.record(identifier, v.string())) })),
    prefix: v.optional(v.string()),
    unused: v.optional(v.array(v.string())),
    weights: v.array(tensor),
    heads: v.optional(v.record(identifier, v.array(tensor))),
  })),
});

/** `tokenizer`. */
export const tokenizer: Schema = object({
  type: v.picklist(["sentencepiece", "wordpiece", "bpe"]),
  remap: v.optional(v.picklist(["none", "fairseq", "fairseq_unused"])),
  special_tokens: object({ start: v.string(), end: v.string(), pad: v.string(), mask: v.optional(v.string()), unknown: v.string() }),
  lowercase: v.optional(v.boolean()),
  separators: v.optional(v.pipe(v.number(), v.integer("an integer of at least 0"), v.minValue(0, "an integer of at least 0"))),
  asset: v.string(),
});

/** `presets`. */
export const presets: Schema = v.array(object({ name: v.string(), handle: v.string(), parameters: v.number(), description: v.string() }));
