/** The model language: reading, expanding, deriving and hashing specs. */

export type { Config } from "./config.ts";
export { derive, type LayerPatch, type Patch } from "./derive.ts";
export { expand, type ExpandOptions } from "./expand.ts";
export { canonical, hash } from "./hash.ts";
export { type ConvertedConfig, fromHuggingFace, type HuggingFaceValue, toHuggingFace } from "./huggingface.ts";
export { architectureNames, load, parseSpec } from "./load.ts";
export { jsonSchema } from "./schema.ts";
export type { JsonSchema } from "./schema/json_schema.ts";
export { type Axis, type Grid, type Variant, variants } from "./variants.ts";
export { weightPaths } from "./weights.ts";
export type * from "./source.ts";
export type * from "./types.ts";
