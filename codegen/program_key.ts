/** What a program depends on, as a hash. */

import { hash } from "../spec/hash.ts";
import type { ExpandedSpec } from "../spec/types.ts";
import type { CompileRequest } from "./compile.ts";

/** Raised whenever the compiler gives another program for a spec and a request that it gave one for before. */
export const COMPILER_VERSION = 1;

/** The SHA-256 of everything that a program depends on: the expanded spec, the request, the compiler. Equal keys, equal bytes. */
export function programKey(spec: ExpandedSpec, request: CompileRequest): string {
  return hash({ compiler: COMPILER_VERSION, spec, request });
}
