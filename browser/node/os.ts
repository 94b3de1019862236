/** node:os in a page, as far as the library uses it. */

/** The processor's cores; 1 where the page is not cross-origin isolated, and so cannot have threads. */
export function availableParallelism(): number {
  return (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated ? navigator.hardwareConcurrency : 1;
}

/** See node:os. */
export function homedir(): string {
  return "/home";
}

/** A page isn't told how much memory there is. */
export function totalmem(): number {
  return Infinity;
}
