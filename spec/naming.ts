/** Names from one case to another: data is in snake_case, options are in camelCase, Keras' classes in PascalCase. */

/** `max_sequence_length` → `maxSequenceLength`. */
export function camelCase(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** `maxSequenceLength` → `max_sequence_length`, `KLDivergence` → `kl_divergence`. */
export function snakeCase(name: string): string {
  return name.replace(/([a-z0-9])([A-Z])/g, "$1_$2").replace(/([A-Z]+)([A-Z][a-z])/g, "$1_$2").toLowerCase();
}
