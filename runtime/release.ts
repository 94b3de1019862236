/** Gives memory back at once instead of when garbage is collected. */

/**
 * Frees an array's memory: nothing may read it afterwards (it is detached, of length 0). Collectors see little of the memory behind typed arrays, and let
 * hundreds of megabytes of activations and gradients pile up.
 */
export function release({ buffer }: { readonly buffer: ArrayBufferLike }): void {
  // Node 20 has no `transfer`: there the collector does it.
  if (buffer instanceof ArrayBuffer && !buffer.detached) buffer.transfer?.(0);
}
