/** Gives memory back at once instead of when garbage is collected. */

/** What frees the memory behind arrays whose buffer has others', by the array. */
const owners = new WeakMap<ArrayBufferView, () => void>();

/** For arrays that are let go of without being released. */
const forgotten = new FinalizationRegistry<() => void>((free) => free());

/**
 * Says how the memory behind an array is freed that is a part of a larger buffer: by {@linkcode release}, or once the array is garbage. Arrays made of it
 * (`subarray`) must not outlive it.
 */
export function ownedBy<T extends ArrayBufferView>(array: T, free: () => void): T {
  owners.set(array, free);
  forgotten.register(array, free, array);
  return array;
}

/**
 * Frees an array's memory: nothing may read it afterwards (it is detached, of length 0). Collectors see little of the memory behind typed arrays, and let
 * hundreds of megabytes of activations and gradients pile up. Of a shared buffer only arrays that somebody {@linkcode ownedBy owns} are freed.
 */
export function release(array: ArrayBufferView): void {
  const free = owners.get(array);
  if (free) {
    owners.delete(array);
    forgotten.unregister(array);
    return free();
  }
  const { buffer } = array;
  // Node 20 has no `transfer`: there the collector does it.
  if (buffer instanceof ArrayBuffer && !buffer.detached) buffer.transfer?.(0);
}
