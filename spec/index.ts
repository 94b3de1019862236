/** The model language: reading, expanding, deriving and hashing specs. */

export { expand, type ExpandOptions } from "./expand.ts";
export { architectureNames, load, parseSpec } from "./load.ts";
export { hash } from "./hash.ts";
export { jsonSchema } from "./schema.ts";
export type * from "./source.ts";
export type * from "./types.ts";
