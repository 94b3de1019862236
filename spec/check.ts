/** What can be checked of a spec before any configuration is known. */

import type { Spec } from "./source.ts";

/** Throws the first error. */
export function checkSpec(_spec: Spec): void {}
