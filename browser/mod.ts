/**
 * OnnxHub for pages: all of the library's public face, and `files`, which stand for the disk. Built by `deno task build:browser`.
 *
 * @module
 */

export * from "../mod.ts";
export * as files from "./files.ts";
