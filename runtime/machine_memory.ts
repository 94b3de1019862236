/** How much memory the machine has. */

import { totalmem } from "node:os";

/** What of Deno's permissions is used. */
interface DenoPermissions {
  readonly permissions: { querySync(descriptor: { readonly name: "sys"; readonly kind: "systemMemoryInfo" }): { readonly state: string } };
}

/** Bytes; Infinity where nobody says: in a page, and under Deno without `--allow-sys`, which is not asked for. */
export function machineMemory(): number {
  const { Deno: deno } = globalThis as { readonly Deno?: DenoPermissions };
  return deno && deno.permissions.querySync({ name: "sys", kind: "systemMemoryInfo" }).state !== "granted" ? Infinity : totalmem();
}
